//! What a device does.

use super::UpdateReason;

/// Something to do once the new state is journalled. Doing it twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Begin or go on.
    Do(Action),
    /// Raise an alarm with this reason.
    Alarm(UpdateReason),
}

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reserve space, fetch, verify, write the slot.
    Fetch,
    /// Free what can be freed, then try again.
    MakeSpace,
    /// Ask the manager for the rollout's lease.
    AskOffload,
    /// Tell the keeper to start the new slot on trial and hand the listeners over.
    Switch,
    /// Tell the keeper to go back to the slot before.
    SwitchBack,
    /// Let the lease go, and take a tenth of the viewers.
    ReadmitTenth,
    /// Write `last_good`.
    Commit,
    /// Let the share rise to the whole.
    Ramp,
    /// End the parked worker.
    EndParked,
    /// Write the digest to the burned ones.
    Burn,
    /// Let the lease go, and take all viewers.
    Release,
}
