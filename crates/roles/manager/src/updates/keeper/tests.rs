//! When a keeper may start anew.

use super::*;
use crate::updates::{
    fixture::{at, device, heard, order},
    record::{Ended, Order, Outcome},
};
use weir_device_api::{KeeperReport, UpdateReport};
use weir_rollout::update::UpdateReason;

const IN_SERVICE: Around = Around { out: false, partner: false, gave_up: false };

fn done() -> Order {
    Order { ended: Some(Ended { outcome: Outcome::Successful, at_ms: 1 }), ..order(1) }
}

fn old_keeper(stage: Stage) -> UpdateReport {
    UpdateReport { keeper: Some(KeeperReport { version: "1.0.0-b1".to_owned(), current: false }), ..at(stage, Some(&done())) }
}

fn step(role: Role, active: bool, report: UpdateReport, around: Around) -> KeeperStep {
    let record = crate::snapshot::DeviceRecord { active, ..device(role) };
    let (order, heard) = (done(), heard(role, Some(report)));
    due(&Seen { record: &record, order: Some(&order), heard: Some(&heard) }, around)
}

fn waits_for(step: &KeeperStep) -> Option<WaitReason> {
    match step {
        KeeperStep::Wait(waiting) => Some(waiting.reason),
        _ => None,
    }
}

#[test]
fn an_engine_leaves_service_first() {
    let engine = |around| step(Role::Engine, true, old_keeper(Stage::Done), around);
    assert_eq!(engine(IN_SERVICE), KeeperStep::Leave);
    assert_eq!(engine(Around { out: true, ..IN_SERVICE }), KeeperStep::Restart);
    assert_eq!(waits_for(&engine(Around { gave_up: true, out: true, ..IN_SERVICE })), Some(WaitReason::Keeper));
    assert_eq!(step(Role::Engine, false, old_keeper(Stage::Done), IN_SERVICE), KeeperStep::Restart, "nobody is on it");
}

#[test]
fn a_router_waits_for_another_one() {
    let router = |around| step(Role::Router, true, old_keeper(Stage::Done), around);
    assert_eq!(waits_for(&router(IN_SERVICE)), Some(WaitReason::Partner));
    assert_eq!(router(Around { partner: true, ..IN_SERVICE }), KeeperStep::Restart);
}

#[test]
fn nothing_is_due_before_the_update_is_over_or_with_a_worker_parked() {
    let reason = UpdateReason::Crashed;
    for stage in [
        Stage::Fetching,
        Stage::Proving,
        Stage::Ramping,
        Stage::RollingBack { reason, failures: 0 },
        Stage::NeedsHands { reason },
        Stage::Failed { reason },
        Stage::Idle { reason: Some(reason) },
    ] {
        assert_eq!(step(Role::Engine, true, old_keeper(stage), IN_SERVICE), KeeperStep::Nothing, "{stage:?}");
    }
    for stage in [Stage::Done, Stage::Idle { reason: None }] {
        assert_eq!(step(Role::Engine, true, old_keeper(stage), IN_SERVICE), KeeperStep::Leave, "{stage:?}");
    }
    let parked = UpdateReport { parked: true, ..old_keeper(Stage::Done) };
    assert_eq!(step(Role::Engine, true, parked, IN_SERVICE), KeeperStep::Nothing);
    assert_eq!(step(Role::Engine, true, at(Stage::Done, Some(&done())), IN_SERVICE), KeeperStep::Nothing, "it is current");
    let unsaid = UpdateReport { keeper: None, ..old_keeper(Stage::Done) };
    assert_eq!(step(Role::Engine, true, unsaid, IN_SERVICE), KeeperStep::Nothing, "nothing is known of it");
}

#[test]
fn an_update_that_failed_leaves_the_keeper_alone() {
    let failed = Order { ended: Some(Ended { outcome: Outcome::Failed(UpdateReason::Crashed), at_ms: 1 }), ..order(1) };
    for order in [failed, order(1)] {
        let (record, heard) = (device(Role::Engine), heard(Role::Engine, Some(old_keeper(Stage::Idle { reason: None }))));
        assert!(!wants_restart(&Seen { record: &record, order: Some(&order), heard: Some(&heard) }));
    }
}
