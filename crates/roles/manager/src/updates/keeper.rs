//! When a device's keeper is started anew: after its update, out of service, and never both routers at once. Pure.

use super::{
    advice::{WaitReason, Waiting},
    record::Outcome,
    seen::Seen,
};
use weir_model::Role;
use weir_rollout::update::Stage;

/// What is due of a keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeeperStep {
    /// Nothing.
    Nothing,
    /// The device has to leave service first.
    Leave,
    /// It may start anew now.
    Restart,
    /// It cannot yet, or could not.
    Wait(Waiting),
}

/// What a keeper's restart follows from, beside the device itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// The rollout's offload holds it, and nothing runs on it.
    pub(super) out: bool,
    /// Another router is online, and none is being started anew.
    pub(super) partner: bool,
    /// It was told to, and did not come in time.
    pub(super) gave_up: bool,
}

/// Whether the device's keeper is another one than that of the slot that runs, now that its update has succeeded and no worker of
/// the slot before is parked: a restart of the keeper would take that with it.
pub(super) fn wants_restart(seen: &Seen<'_>) -> bool {
    let Some(report) = seen.report().filter(|_| !seen.is_open()) else { return false };
    let successful = seen.order.and_then(|order| order.ended).is_some_and(|ended| ended.outcome == Outcome::Successful);
    // It may have gone back since, or have been installed anew by hand.
    let rests = successful && matches!(report.state.stage, Stage::Idle { reason: None } | Stage::Done);
    let old = report.keeper.as_ref().is_some_and(|keeper| !keeper.current);
    rests && old && !report.parked && seen.is_heard()
}

pub(super) fn due(seen: &Seen<'_>, around: Around) -> KeeperStep {
    if !wants_restart(seen) {
        return KeeperStep::Nothing;
    }
    if around.gave_up {
        return KeeperStep::Wait(Waiting::new(WaitReason::Keeper, "its keeper is still another one than that of the slot that runs"));
    }
    match seen.record.role {
        Role::Manager => KeeperStep::Nothing,
        _ if !seen.record.active => KeeperStep::Restart,
        Role::Engine if around.out => KeeperStep::Restart,
        Role::Engine => KeeperStep::Leave,
        Role::Router if around.partner => KeeperStep::Restart,
        Role::Router => {
            KeeperStep::Wait(Waiting::new(WaitReason::Partner, "its keeper is to be started anew, and no other router would serve"))
        }
    }
}

#[cfg(test)]
mod tests;
