//! Every stage as words, and what it means for an operator.

use super::*;
use crate::updates::{
    advice::tests::all_reasons,
    fixture::{at, device, heard, order},
    record::Ended,
};
use weir_model::Role;

const LOST_MS: u64 = 10_000;

fn standing(order: Option<&Order>, report: Option<UpdateReport>, silent_ms: u64) -> Standing {
    let (record, heard) = (device(Role::Engine), heard(Role::Engine, report));
    Standing::of(&Seen { record: &record, order, heard: Some(&heard) }, silent_ms, LOST_MS)
}

/// Stage, status, at rest and success of a device that is at `stage` of its assignment, with two sessions on it.
fn shown(stage: Stage, order: &Order) -> (&'static str, String, bool, Option<bool>) {
    let report = at(stage, Some(order));
    let standing = standing(Some(order), Some(report.clone()), 0);
    (standing.as_str(), standing.words(Some(order), Some(&report), 2), standing.at_rest(), standing.successful())
}

#[test]
fn every_stage_has_its_words() {
    let order = order(1);
    let crashed = UpdateReason::Crashed;
    let open = |word, status: &str| (word, status.to_owned(), false, None);
    for (stage, expected) in [
        (Stage::Idle { reason: None }, ("idle", "Idle".to_owned(), true, None)),
        (Stage::Assigned, open("assigned", "Pending")),
        (Stage::Fetching, open("fetching", "Downloading")),
        (Stage::Blocked, open("blocked", "Downloading")),
        (Stage::Staged, open("staged", "Staged")),
        (Stage::OffloadRequested, open("offload_requested", "Offloading 2 sessions")),
        (Stage::Draining, open("draining", "Offloading 2 sessions")),
        (Stage::Drained, open("drained", "Offloaded")),
        (Stage::Switching, open("switching", "Switching")),
        (Stage::Trial, open("trial", "On trial")),
        (Stage::Readmitting, open("readmitting", "On trial")),
        (Stage::Proving, open("proving", "On trial")),
        (Stage::Committed, open("committed", "On trial")),
        (Stage::Ramping, open("ramping", "On trial")),
        (Stage::Done, ("done", "Update Successful".to_owned(), true, Some(true))),
        (Stage::RollingBack { reason: crashed, failures: 0 }, open("rolling_back", "Update Failed (crashed)")),
        (Stage::RolledBack { reason: crashed }, open("rolled_back", "Update Failed (crashed)")),
        (Stage::Failed { reason: crashed }, ("failed", "Update Failed (crashed)".to_owned(), true, Some(false))),
        (Stage::NeedsHands { reason: crashed }, ("needs_hands", "Update Failed (crashed)".to_owned(), true, Some(false))),
    ] {
        assert_eq!(shown(stage, &order), expected, "{stage:?}");
    }
    for reason in all_reasons() {
        let by_will = matches!(reason, UpdateReason::Cancelled | UpdateReason::Superseded);
        let words = if by_will { "Cancelled".to_owned() } else { format!("Update Failed ({reason})") };
        assert_eq!(shown(Stage::Releasing { reason }, &order), ("releasing", words.clone(), false, None));
        assert_eq!(shown(Stage::Idle { reason: Some(reason) }, &order), ("idle", words, true, Some(false)));
    }
}

#[test]
fn words_count() {
    let (order, standing) = (order(1), Standing::At(Stage::Fetching));
    for (done, total, expected) in [
        (Some(0), Some(3), "Downloading 0 %"),
        (Some(2), Some(3), "Downloading 66 %"),
        (Some(3), Some(3), "Downloading 100 %"),
        (Some(9), Some(3), "Downloading 100 %"),
        (Some(9), Some(0), "Downloading"),
        (None, Some(3), "Downloading"),
    ] {
        let report = UpdateReport { fetched_bytes: done, archive_bytes: total, ..at(Stage::Fetching, Some(&order)) };
        assert_eq!(standing.words(Some(&order), Some(&report), 0), expected);
    }
    assert_eq!(Standing::At(Stage::Draining).words(Some(&order), None, 1), "Offloading 1 session");
    let waits = Order { auto_reload: false, ..order.clone() };
    assert_eq!(Standing::At(Stage::Staged).words(Some(&waits), None, 0), "Staged (Reload Needed)");
    let told = Order { reload: true, ..waits };
    assert_eq!(Standing::At(Stage::Staged).words(Some(&told), None, 0), "Staged");
}

#[test]
fn what_the_device_has_not_taken_up_is_pending_or_was_withdrawn() {
    let (older, newer) = (order(1), order(2));
    let done = || Some(at(Stage::Done, Some(&older)));
    assert_eq!(standing(Some(&newer), done(), 0), Standing::Pending);
    assert_eq!(standing(Some(&newer), None, 0), Standing::Pending);
    assert_eq!(standing(Some(&newer), done(), LOST_MS), Standing::Lost);
    let ended = Some(Ended { outcome: Outcome::Failed(UpdateReason::Cancelled), at_ms: 1 });
    let withdrawn = standing(Some(&Order { ended, cancelled: true, ..newer }), done(), LOST_MS);
    assert_eq!((withdrawn.as_str(), withdrawn.words(None, None, 0).as_str()), ("idle", "Cancelled"));
    assert_eq!((withdrawn.at_rest(), withdrawn.successful()), (true, Some(false)));
    assert_eq!(standing(Some(&older), done(), LOST_MS * 9), Standing::At(Stage::Done), "one at rest is not lost");
    assert_eq!(standing(None, done(), 0), Standing::At(Stage::Done), "told by nobody here");
}

#[test]
fn what_ended_and_is_said_no_more_stays_as_it_ended() {
    let (record, crashed) = (device(Role::Engine), UpdateReason::Crashed);
    let other = UpdateReport { detail: "of another one".to_owned(), ..at(Stage::Done, Some(&order(1))) };
    for (outcome, words, successful) in
        [(Outcome::Successful, "Update Successful", Some(true)), (Outcome::Failed(crashed), "Update Failed (crashed)", Some(false))]
    {
        let order = Order { ended: Some(Ended { outcome, at_ms: 1 }), ..order(2) };
        for report in [Some(other.clone()), None] {
            let heard = heard(Role::Engine, report);
            let seen = Seen { record: &record, order: Some(&order), heard: Some(&heard) };
            let standing = Standing::of(&seen, LOST_MS, LOST_MS);
            assert_eq!((standing.words(Some(&order), None, 0).as_str(), standing.successful()), (words, successful));
            assert!(standing.at_rest());
            let expected = (outcome == Outcome::Failed(crashed)).then(|| advice::shown(crashed, ""));
            assert_eq!(reason(standing, &seen), expected, "nothing of another assignment");
        }
    }
}

#[test]
fn why_it_was_not_taken_up_is_said() {
    let (record, order) = (device(Role::Engine), order(2));
    let why = |heard: Option<&crate::reports::Heard>| not_taken_up(&Seen { record: &record, order: Some(&order), heard }).reason;
    let mut burned = at(Stage::Idle { reason: None }, None);
    burned.state.burned.push(order.manifest.clone());
    assert_eq!(why(None), WaitReason::Offline);
    assert_eq!(why(Some(&heard(Role::Engine, None))), WaitReason::NotCapable);
    assert_eq!(why(Some(&heard(Role::Engine, Some(at(Stage::Idle { reason: None }, None))))), WaitReason::NotAcknowledged);
    assert_eq!(why(Some(&heard(Role::Engine, Some(burned)))), WaitReason::Burned);
}

#[test]
fn what_it_waits_for_is_said() {
    let record = device(Role::Engine);
    let order = Order { auto_reload: false, ..order(1) };
    let why = |stage: Stage, detail: &str, from: Option<&str>| {
        let report = UpdateReport { detail: detail.to_owned(), from: from.map(str::to_owned), ..at(stage, Some(&order)) };
        let heard = heard(Role::Engine, Some(report));
        at_stage(stage, &Seen { record: &record, order: Some(&order), heard: Some(&heard) }, false)
            .map(|waiting| (waiting.reason, waiting.detail))
    };
    assert_eq!(why(Stage::Fetching, "core-1: timeout", None), Some((WaitReason::NoSource, "core-1: timeout".to_owned())));
    assert_eq!(why(Stage::Fetching, "core-1: timeout", Some("manager")), None, "bytes come from somebody else");
    assert_eq!(why(Stage::Fetching, "", None), None);
    assert_eq!(why(Stage::Blocked, "", None).expect("waits").0, WaitReason::NoSpace);
    assert_eq!(why(Stage::Blocked, "30 MiB lack", None).expect("waits").1, "30 MiB lack");
    assert_eq!(why(Stage::Staged, "", None).expect("waits").0, WaitReason::ReloadNeeded);
    assert_eq!(why(Stage::Proving, "", None), None);
}
