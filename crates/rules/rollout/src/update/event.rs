//! What a device learns.

use super::{Assignment, UpdateReason};

/// Something a device learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The manager's word.
    Assigned(Assignment),
    /// The operator says: let it go.
    Cancel,
    /// The operator says: switch now. Means something at Staged.
    Reload,
    /// The image is in its slot and verified.
    Fetched,
    /// It could not be had, for good.
    FetchFailed(UpdateReason),
    /// The disk has no room.
    NoSpace,
    /// It has again.
    Space,
    /// The configuration this device runs says that it is offloaded.
    Offloading,
    /// The drain is complete, in the present epoch.
    Drained,
    /// The keeper has handed the listeners to the new worker.
    Switched,
    /// The keeper could not: the old worker serves on and nothing was visible.
    SwitchRefused(UpdateReason),
    /// The new worker crashed.
    Crashed,
    /// The keeper went back to the slot before by itself.
    FellBack(UpdateReason),
    /// The device runs the assigned image already, without having switched to it.
    Runs(Standing),
    /// Who reaches the manager.
    Reach(Reach),
    /// The configuration this device runs says that it takes viewers again.
    Readmitted,
    /// What the new worker has answered since it took viewers.
    Served(Figures),
    /// The keeper runs the slot before again.
    SwitchedBack,
    /// It could not.
    SwitchBackFailed,
    /// Time has passed.
    Tick,
}

/// How the slot that runs stands in the boot record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the active one.
    Active,
    /// It is on trial.
    OnTrial,
}

/// Which of the two workers reaches the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The new one.
    pub new: bool,
    /// The parked one.
    pub old: bool,
}

/// Counts since the new worker took its first viewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests answered.
    pub requests: u64,
    /// Of these: 5xx that no origin caused.
    pub own_errors: u64,
}
