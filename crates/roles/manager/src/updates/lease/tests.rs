//! Every wish, at every stage, with and without a lease.

use super::*;
use weir_model::LeaseOwner;

const LIFE_MS: u64 = 1_000;
const NOW_MS: u64 = 10_000;

fn rollout(expires_ms: u64) -> OffloadLease {
    OffloadLease {
        owner: LeaseOwner::Rollout,
        why: "update to 1.1.0-b1".to_owned(),
        by: "manager".to_owned(),
        since_ms: 1,
        expires_ms: Some(expires_ms),
        overrides: false,
    }
}

fn view<'a>(wish: Option<LeaseWish>, stage: Option<Stage>, rollout: Option<&'a OffloadLease>) -> LeaseView<'a> {
    LeaseView {
        active: true,
        heard: true,
        fresh: true,
        wish,
        stage,
        needs_hands: None,
        cancelled: false,
        keeper: false,
        rollout,
        fault: false,
        quarantined: false,
        now_ms: NOW_MS,
        lease_ms: LIFE_MS,
    }
}

const CRASHED: UpdateReason = UpdateReason::Crashed;

#[test]
fn what_the_device_wants_is_what_is_due() {
    use LeaseStep::{End, Nothing, Renew, Take};
    let (hold, free, keep) = (Some(LeaseWish::Hold), Some(LeaseWish::Free), Some(LeaseWish::Keep));
    let asks = Some(Stage::OffloadRequested);
    let (young, old, over) = (rollout(NOW_MS + LIFE_MS), rollout(NOW_MS + LIFE_MS / 2), rollout(NOW_MS - 1));
    for (wish, stage, has, expected) in [
        (hold, asks, None, Take),
        (hold, Some(Stage::Trial), None, Take),
        (hold, asks, Some(&young), Nothing),
        (hold, asks, Some(&old), Renew),
        (hold, asks, Some(&over), Renew),
        // Of an assignment that is not ours: neither taken nor ended, it is about to let go.
        (hold, None, None, Nothing),
        (hold, None, Some(&old), Nothing),
        (free, Some(Stage::Readmitting), Some(&young), End),
        (free, Some(Stage::RolledBack { reason: CRASHED }), Some(&young), End),
        (free, Some(Stage::Done), None, Nothing),
        // The orphan: nothing is assigned, and it says that it wants none.
        (free, None, Some(&young), End),
        (None, None, Some(&young), End),
        (None, None, None, Nothing),
        (keep, Some(Stage::RollingBack { reason: CRASHED, failures: 0 }), None, Nothing),
        (keep, Some(Stage::RollingBack { reason: CRASHED, failures: 0 }), Some(&young), Nothing),
        (keep, Some(Stage::RollingBack { reason: CRASHED, failures: 0 }), Some(&old), Renew),
    ] {
        assert_eq!(due(&view(wish, stage, has)), expected, "{wish:?} {stage:?} {has:?}");
    }
}

#[test]
fn one_that_is_quarantined_is_out_until_it_is_not() {
    let idle = view(None, None, None);
    let away = LeaseView { quarantined: true, ..idle };
    assert_eq!(due(&away), LeaseStep::Quarantine);
    let out = LeaseView { fault: true, ..away };
    assert_eq!(due(&out), LeaseStep::Nothing);
    assert_eq!(due(&LeaseView { quarantined: false, ..out }), LeaseStep::EndFault);
    let silent = LeaseView { fresh: false, ..away };
    assert_eq!(due(&silent), LeaseStep::Nothing, "what it said long ago");
    let climbs = LeaseView { wish: Some(LeaseWish::Hold), stage: Some(Stage::OffloadRequested), ..out };
    assert_eq!(due(&climbs), LeaseStep::Take, "its update goes on meanwhile");
    let hands = LeaseView { needs_hands: Some(CRASHED), ..away };
    assert_eq!(due(&hands), LeaseStep::ToFault(CRASHED));
}

#[test]
fn one_that_is_not_heard_keeps_what_it_has_until_that_ends() {
    let old = rollout(NOW_MS + 1);
    for wish in [LeaseWish::Hold, LeaseWish::Free, LeaseWish::Keep] {
        let seen = view(Some(wish), Some(Stage::Draining), Some(&old));
        assert_eq!(due(&LeaseView { heard: false, fresh: false, ..seen }), LeaseStep::Nothing, "{wish:?}, kept from another life");
        assert_eq!(due(&LeaseView { active: false, ..seen }), LeaseStep::Nothing, "{wish:?}, out of its location");
    }
    let silent = LeaseView { fresh: false, ..view(Some(LeaseWish::Hold), Some(Stage::Draining), Some(&old)) };
    assert_eq!(due(&silent), LeaseStep::Nothing, "it is not renewed");
    assert_eq!(due(&LeaseView { rollout: None, ..silent }), LeaseStep::Nothing, "nor taken");
}

#[test]
fn a_cancelled_update_takes_none_and_keeps_the_one_it_has() {
    let young = rollout(NOW_MS + LIFE_MS);
    let cancelled = |stage, has| due(&LeaseView { cancelled: true, ..view(Some(LeaseWish::Hold), Some(stage), has) });
    assert_eq!(cancelled(Stage::OffloadRequested, None), LeaseStep::Nothing);
    assert_eq!(cancelled(Stage::Draining, Some(&young)), LeaseStep::Nothing);
    assert_eq!(cancelled(Stage::Trial, None), LeaseStep::Take, "it was too late to cancel");
}

#[test]
fn one_that_needs_hands_stays_out_by_its_fault() {
    let young = rollout(NOW_MS + LIFE_MS);
    let stuck = Stage::NeedsHands { reason: CRASHED };
    for wish in [LeaseWish::Hold, LeaseWish::Free] {
        let seen = LeaseView { needs_hands: Some(CRASHED), ..view(Some(wish), Some(stuck), Some(&young)) };
        assert_eq!(due(&seen), LeaseStep::ToFault(CRASHED));
        assert_eq!(due(&LeaseView { rollout: None, ..seen }), LeaseStep::ToFault(CRASHED));
        assert_eq!(due(&LeaseView { rollout: None, fault: true, ..seen }), LeaseStep::Nothing);
    }
    let back = LeaseView { fault: true, ..view(Some(LeaseWish::Free), None, None) };
    assert_eq!(due(&back), LeaseStep::EndFault);
    assert_eq!(due(&LeaseView { fresh: false, ..back }), LeaseStep::Nothing);
}

#[test]
fn a_newer_assignment_ends_the_fault_when_it_has_switched() {
    use LeaseStep::{EndFault, Nothing, Take};
    let (hold, free) = (Some(LeaseWish::Hold), Some(LeaseWish::Free));
    let young = rollout(NOW_MS + LIFE_MS);
    for (wish, stage, has, expected) in [
        (free, Stage::Assigned, None, Nothing),
        (free, Stage::Fetching, None, Nothing),
        (free, Stage::Staged, None, Nothing),
        (hold, Stage::OffloadRequested, None, Take),
        (hold, Stage::Draining, Some(&young), Nothing),
        (hold, Stage::Trial, Some(&young), EndFault),
        (free, Stage::Proving, None, EndFault),
    ] {
        let faulty = LeaseView { fault: true, ..view(wish, Some(stage), has) };
        assert_eq!(due(&faulty), expected, "{stage:?}");
    }
}

#[test]
fn a_keeper_holds_one_of_its_own() {
    let (young, old) = (rollout(NOW_MS + LIFE_MS), rollout(NOW_MS + 1));
    let keeper = |has| LeaseView { keeper: true, ..view(Some(LeaseWish::Free), Some(Stage::Done), has) };
    assert_eq!(due(&keeper(None)), LeaseStep::Take);
    assert_eq!(due(&keeper(Some(&young))), LeaseStep::Nothing);
    assert_eq!(due(&keeper(Some(&old))), LeaseStep::Renew);
    let restarting = LeaseView { fresh: false, ..keeper(Some(&young)) };
    assert_eq!(due(&restarting), LeaseStep::Nothing, "it is silent while its keeper starts");
    assert_eq!(due(&LeaseView { keeper: false, ..keeper(Some(&young)) }), LeaseStep::End);
}
