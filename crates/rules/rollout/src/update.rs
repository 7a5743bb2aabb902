//! The device update machine: what one device does next on its way to another version, and back.
//!
//! ```text
//! Idle -> Assigned -> Fetching <-> Blocked -> Staged -> OffloadRequested -> Draining -> Drained -> Switching -> Trial
//!      -> Readmitting -> Proving -> Committed -> Ramping -> Done
//! before Switching, a failure or a cancel: -> Releasing -> Idle
//! Switching, Trial, Readmitting, Proving fail, and Ramping or Done within probation: -> RollingBack -> RolledBack -> Failed
//! going back fails twice: -> NeedsHands; a newer word -> Assigned, the slot before runs -> RolledBack
//! the assigned image runs already: Assigned .. Staged -> Done, or -> Trial when the boot record says that it is on trial
//! ```
//! A device that is handed over instead of drained goes from Staged to Switching. [`step`] is pure; the caller journals the
//! state it returns *before* it begins the action, and after a restart calls [`resumed`] with the state it finds:
//! every action may be begun twice. Time is monotonic milliseconds of one life of the device; a state that counts time begins
//! to count anew in another life.

mod action;
mod event;
mod machine;
mod state;

pub use action::Action;
pub use event::{Event, Figures, Reach, Standing};
pub use machine::{Stepped, resumed, step};
pub use state::{Assignment, LeaseWish, Leave, Proof, Stage, Unmoved, UpdateReason, UpdateState, UpdateTimers};

#[cfg(test)]
mod tests;
