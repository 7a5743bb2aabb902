//! When a device may leave service, and when it has left.
//!
//! - [`guard`]: the capacity floors, judged before an offload and at every moment of one.
//! - [`drain`]: the evidence that nothing runs on a device any longer.
//!
//! Pure: no clock, socket or file; time is an argument.

pub mod drain;
pub mod guard;
