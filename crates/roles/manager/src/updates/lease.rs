//! What is due of the rollout's lease on one device. Pure.

use weir_operator_api::OffloadLease;
use weir_rollout::update::{LeaseWish, Stage, UpdateReason};

/// A lease is given a new end when less than this part of its life is left, in hundredths.
const RENEW_BELOW_PERCENT: u64 = 75;

/// What the lease follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseView<'a> {
    /// The device is in a location.
    pub(super) active: bool,
    /// This manager has heard it since it began to listen.
    pub(super) heard: bool,
    /// It was heard a moment ago.
    pub(super) fresh: bool,
    /// What it wants; absent: it says nothing of updates.
    pub(super) wish: Option<LeaseWish>,
    /// Its stage in its last assignment; absent: it has not taken that up.
    pub(super) stage: Option<Stage>,
    /// Why an operator must come, when one must.
    pub(super) needs_hands: Option<UpdateReason>,
    /// Its last assignment was cancelled.
    pub(super) cancelled: bool,
    /// Its keeper has to be started anew, out of service.
    pub(super) keeper: bool,
    /// The lease the rollout has.
    pub(super) rollout: Option<&'a OffloadLease>,
    /// The device's fault has one.
    pub(super) fault: bool,
    /// It runs a line that does not work with the primary's.
    pub(super) quarantined: bool,
    /// Wall clock, and the life of a lease, in milliseconds.
    pub(super) now_ms: u64,
    pub(super) lease_ms: u64,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseStep {
    /// Nothing.
    Nothing,
    /// The rollout takes one, unless the capacity guard refuses.
    Take,
    /// The one it has lives longer.
    Renew,
    /// It ends the one it has.
    End,
    /// It passes to the device's fault.
    ToFault(UpdateReason),
    /// The fault takes one: no viewer is placed on a device that is quarantined.
    Quarantine,
    /// The fault is over.
    EndFault,
}

pub(super) fn due(view: &LeaseView<'_>) -> LeaseStep {
    if !view.active || !view.heard {
        // Whoever leaves its location has lost its leases; of one that was not heard nothing is known, and its lease ends in time.
        return LeaseStep::Nothing;
    }
    if let Some(reason) = view.needs_hands {
        return if view.fault && view.rollout.is_none() { LeaseStep::Nothing } else { LeaseStep::ToFault(reason) };
    }
    if view.quarantined && !view.fault && view.fresh {
        return LeaseStep::Quarantine;
    }
    // A newer assignment leads out when it has switched: until then what could not be taken back runs.
    if view.fault && !view.quarantined && view.fresh && !view.stage.is_some_and(Stage::before_switching) {
        return LeaseStep::EndFault;
    }
    match (view.wish, view.rollout) {
        (Some(LeaseWish::Hold), rollout) => held(view, rollout),
        (_, rollout) if view.keeper => held_for_keeper(view, rollout),
        (Some(LeaseWish::Keep), Some(rollout)) => renewed(view, rollout),
        (Some(LeaseWish::Free) | None, Some(_)) => LeaseStep::End,
        (Some(LeaseWish::Free | LeaseWish::Keep) | None, None) => LeaseStep::Nothing,
    }
}

/// The device wants one.
fn held(view: &LeaseView<'_>, rollout: Option<&OffloadLease>) -> LeaseStep {
    let Some(stage) = view.stage else {
        // Of an assignment that is not ours any more: it is about to let go.
        return LeaseStep::Nothing;
    };
    let goes = view.cancelled && stage.before_switching();
    match rollout {
        Some(rollout) => renewed(view, rollout),
        None if goes || !view.fresh => LeaseStep::Nothing,
        None => LeaseStep::Take,
    }
}

fn held_for_keeper(view: &LeaseView<'_>, rollout: Option<&OffloadLease>) -> LeaseStep {
    match rollout {
        Some(rollout) => renewed(view, rollout),
        None if view.fresh => LeaseStep::Take,
        None => LeaseStep::Nothing,
    }
}

/// Renewed while the device is heard to want it: the lease of one that fell silent ends.
fn renewed(view: &LeaseView<'_>, rollout: &OffloadLease) -> LeaseStep {
    let left_ms = rollout.expires_ms.unwrap_or(0).saturating_sub(view.now_ms);
    let due = left_ms.saturating_mul(100) < view.lease_ms.saturating_mul(RENEW_BELOW_PERCENT);
    if view.fresh && due { LeaseStep::Renew } else { LeaseStep::Nothing }
}

#[cfg(test)]
mod tests;
