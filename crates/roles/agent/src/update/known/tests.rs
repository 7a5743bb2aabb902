//! What a report says.

use super::*;
use crate::update::evidence::tests::state;

fn own(requests: u64, client_bytes: u64) -> Load {
    Load { requests, client_bytes, active_requests: 2, sessions: 1, origin_bytes: 9, store_bytes: 70 }
}

fn parked(requests: u64, client_bytes: u64) -> Parked {
    Parked { contact: true, active: 3, sessions: 4, requests, client_bytes }
}

#[test]
fn a_parked_workers_work_is_the_devices() {
    let update = Update::default();
    assert_eq!(update.load(own(5, 50)), own(5, 50));
    update.parked(parked(1_000, 9_000));
    let at_once = update.load(own(6, 60));
    assert_eq!((at_once.requests, at_once.client_bytes), (6, 60), "what it did before was reported by itself");
    assert_eq!((at_once.active_requests, at_once.sessions, at_once.store_bytes), (5, 5, 70));
    update.parked(parked(1_004, 9_500));
    let later = update.load(own(7, 70));
    assert_eq!((later.requests, later.client_bytes), (11, 570));
    update.nobody_parked();
    let ended = update.load(own(7, 70));
    assert_eq!((ended.requests, ended.client_bytes), (11, 570), "counts do not fall when it ends");
    assert_eq!((ended.active_requests, ended.sessions), (2, 1));
}

#[test]
fn counters_begin_at_zero_with_each_boot_number() {
    let update = Update::default();
    update.parked(parked(10, 100));
    update.parked(parked(20, 200));
    update.reached();
    update.told(UpdateWord { revision: 7, order: None, unburn: vec!["aa".repeat(32)], restart_keeper: false, freed: false });
    update.begin_anew(own(500, 5_000));
    assert!(update.word().borrow().is_none(), "a word of the life before clears nothing");
    assert_eq!(update.revision(), 0, "and the next poll asks for the last one");
    let load = update.load(own(503, 5_030));
    assert_eq!((load.requests, load.client_bytes, load.origin_bytes, load.sessions), (3, 30, 0, 1));
    assert!(!update.is_reached(u64::MAX, u64::MAX) && update.report(None).is_none());
}

#[test]
fn a_manager_is_reached_for_a_while() {
    let update = Update::default();
    let now_ms = weir_clock::monotonic_ms();
    assert!(!update.is_reached(1_000, now_ms), "nobody answered yet");
    update.reached();
    let now_ms = weir_clock::monotonic_ms();
    assert!(update.is_reached(1_000, now_ms + 900) && !update.is_reached(1_000, now_ms + 1_100));
}

#[test]
fn a_report_goes_out_for_a_stage_and_not_for_a_figure() {
    let update = Update::default();
    let mut headline = update.headline();
    let show = |stage, requests| {
        let mut state = state(stage);
        state.proof.requests = requests;
        update.show(Shown { state, detail: String::new(), parked: true, slots: SlotsReport::default() });
    };
    for (stage, requests, changes) in [(Stage::Proving, 0, true), (Stage::Proving, 9, false), (Stage::Committed, 9, true)] {
        show(stage, requests);
        assert_eq!(headline.has_changed().expect("lives"), changes, "{stage:?} {requests}");
        headline.mark_unchanged();
    }
}

#[test]
fn progress_is_told_while_it_is_fetched() {
    let update = Update::default();
    update.progress.send_replace(Progress { done: 4, total: 10, from: Some("east-2".into()) });
    for (stage, told) in [(Stage::Fetching, Some(4)), (Stage::Staged, None)] {
        update.show(Shown { state: state(stage), detail: "é".repeat(2_000), parked: false, slots: SlotsReport::default() });
        let report = update.report(None).expect("shown");
        assert_eq!((report.fetched_bytes, report.detail.len()), (told, DETAIL_MAX_BYTES));
    }
}
