//! When a device may leave service, and when it has left.
//!
//! - [`guard`]: the capacity floors, judged before an offload and at every moment of one.
//! - [`drain`]: the evidence that nothing runs on a device any longer.
//! - [`order`]: which version one device may run beside the others.
//! - [`pair_order`]: which manager of the pair changes its version next.
//! - [`plan`]: the update of the whole network: what is planned, and what happens next in it.
//! - [`update`]: what one device does next on its way to another version, and back.
//!
//! Pure: no clock, socket or file; time is an argument. Every time is in milliseconds of the caller's one clock.

pub mod broken;
pub mod drain;
pub mod guard;
pub mod order;
pub mod pair_order;
pub mod plan;
pub mod update;
pub mod wait;

pub use broken::{Broken, Unknown};
pub use drain::{DrainMemory, DrainVerdict, DrainView};
pub use guard::{Facts, Verdict};
pub use wait::Wait;
