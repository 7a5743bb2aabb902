//! What is known, stage by stage.

use super::*;
use crate::agent::tests::configuration as document;
use weir_model::{OffloadEpoch, configuration::EngineEntry};
use weir_rollout::update::{Leave, Proof};
use weir_slots::{FellBack, digest_of_bytes};

const STAMP: Stamp = Stamp { term: 1, generation: 5 };
const REASON: UpdateReason = UpdateReason::Crashed;

fn slot(version: &str) -> SlotRef {
    SlotRef::of(version, digest_of_bytes(version.as_bytes()))
}

fn assignment(generation: u64) -> Assignment {
    let manifest = slot("1.1.0-b1").manifest.to_string();
    let version = "1.1.0-b1".parse().expect("version");
    Assignment { stamp: Stamp { generation, ..STAMP }, version, manifest, auto_reload: true, leave: Leave::Drained }
}

pub(in crate::update) fn state(stage: Stage) -> UpdateState {
    UpdateState { stage, assignment: Some(assignment(STAMP.generation)), since_ms: 0, proof: Proof::default(), burned: Vec::new() }
}

/// What the keeper may have done with the assigned image: nothing, tried it, kept it, left it.
pub(in crate::update) fn records() -> [(&'static str, BootRecord); 4] {
    let first = BootRecord::first(slot("1.0.0-b1"));
    let tried = first.begin_trial(slot("1.1.0-b1"), STAMP.term, STAMP.generation, 1).expect("tried");
    let kept = tried.commit(&slot("1.1.0-b1")).expect("kept");
    let left = tried.fall_back("never_ready", true).expect("left");
    [("first", first), ("tried", tried), ("kept", kept), ("left", left)]
}

pub(in crate::update) fn stages() -> [Stage; 20] {
    [
        Stage::Idle { reason: None },
        Stage::Assigned,
        Stage::Fetching,
        Stage::Blocked,
        Stage::Staged,
        Stage::OffloadRequested,
        Stage::Draining,
        Stage::Drained,
        Stage::Switching,
        Stage::Trial,
        Stage::Readmitting,
        Stage::Proving,
        Stage::Committed,
        Stage::Ramping,
        Stage::Done,
        Stage::Releasing { reason: REASON },
        Stage::RollingBack { reason: REASON, failures: 0 },
        Stage::RolledBack { reason: REASON },
        Stage::Failed { reason: REASON },
        Stage::NeedsHands { reason: REASON },
    ]
}

#[test]
fn the_record_speaks_for_what_the_keeper_did() {
    let expected = |stage: Stage, record: &str, runs: bool| -> Option<Event> {
        match (stage, record, runs) {
            (Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged, "tried", true) => Some(Event::Runs(Standing::OnTrial)),
            (Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged, _, true) => Some(Event::Runs(Standing::Active)),
            (Stage::Switching, _, true) => Some(Event::Switched),
            (Stage::Switching, "left", false) => Some(Event::SwitchRefused(UpdateReason::NeverReady)),
            (Stage::RollingBack { .. } | Stage::NeedsHands { .. }, "tried", _) => None,
            (Stage::RollingBack { .. } | Stage::NeedsHands { .. }, _, runs) => (!runs).then_some(Event::SwitchedBack),
            (Stage::Trial | Stage::Readmitting | Stage::Proving | Stage::Committed | Stage::Ramping | Stage::Done, "left", false) => {
                Some(Event::FellBack(UpdateReason::NeverReady))
            }
            (Stage::Trial | Stage::Readmitting | Stage::Proving | Stage::Committed | Stage::Ramping, _, false) => {
                Some(Event::FellBack(UpdateReason::Crashed))
            }
            _ => None,
        }
    };
    for stage in stages() {
        for (name, record) in records() {
            for runs in [false, true] {
                let running = slot(if runs { "1.1.0-b1" } else { "1.0.0-b1" }).name;
                let learnt = of_record(&state(stage), Slots { record: &record, running: &running });
                assert_eq!(learnt, expected(stage, name, runs), "{stage:?}, {name}, runs {runs}");
            }
        }
    }
}

#[test]
fn an_earlier_way_back_is_not_this_words() {
    let (_, left) = records()[3].clone();
    let running = slot("1.0.0-b1").name;
    let slots = Slots { record: &left, running: &running };
    let mut again = state(Stage::Switching);
    assert!(of_record(&again, slots).is_some());
    again.assignment = Some(assignment(6));
    assert_eq!(of_record(&again, slots), None, "the keeper has not begun with the newer word");
}

#[test]
fn a_worker_is_left_when_no_slot_to_start_is_its_own() {
    for (name, record) in records() {
        for version in ["1.0.0-b1", "1.1.0-b1"] {
            let running = slot(version).name;
            let left = Slots { record: &record, running: &running }.is_left();
            assert_eq!(left, name == "left" && version == "1.1.0-b1", "{name} {version}");
        }
    }
    let (_, left) = records()[3].clone();
    let by_hand = BootRecord { active: slot("1.1.0-b1"), ..left };
    assert!(!Slots { record: &by_hand, running: &slot("1.1.0-b1").name }.is_left());
    let unknown = BootRecord { fell_back: Some(FellBack { slot: slot("1.1.0-b1"), reason: "of a later line".into() }), ..by_hand };
    assert_eq!(reason(&unknown.fell_back.expect("set").reason), UpdateReason::Crashed);
}

#[test]
fn an_order_is_a_level() {
    let order = |generation, cancelled, reload, drained| UpdateOrder {
        assignment: assignment(generation),
        cancelled,
        reload,
        drained,
        archive: None,
    };
    for stage in stages() {
        let state = state(stage);
        assert_eq!(of_order(&state, &order(4, true, true, true)), None, "{stage:?}: an older word");
        assert_eq!(of_order(&state, &order(6, false, false, false)), Some(Event::Assigned(assignment(6))), "{stage:?}");
        let dropped = stage.before_switching().then_some(Event::Cancel);
        assert_eq!(of_order(&state, &order(6, true, false, false)), dropped, "{stage:?}: cancelled before it was heard");
        assert_eq!(of_order(&state, &order(5, true, false, false)), stage.before_switching().then_some(Event::Cancel), "{stage:?}");
        let reload = (stage == Stage::Staged).then_some(Event::Reload);
        assert_eq!(of_order(&state, &order(5, false, true, false)), reload, "{stage:?}");
        let drained = (stage == Stage::Draining).then_some(Event::Drained);
        assert_eq!(of_order(&state, &order(5, false, false, true)), drained, "{stage:?}");
    }
    let first = UpdateState::new();
    assert_eq!(of_order(&first, &order(1, false, true, true)), Some(Event::Assigned(assignment(1))));
    assert_eq!(of_order(&first, &order(1, true, false, false)), None);
}

#[test]
fn the_configuration_says_whether_it_is_offloaded() {
    let entry = |offload| EngineEntry {
        name: "east-1".parse().expect("name"),
        location: "east".parse().expect("name"),
        http: "127.0.0.1:8080".parse().expect("address"),
        weight: 100,
        offload,
        offload_since_ms: None,
    };
    let with = |engines| DeviceConfiguration { engines, ..document(7) };
    let (served, offloaded, absent) = (with(vec![entry(None)]), with(vec![entry(Some(OffloadEpoch::Clients))]), with(vec![]));
    for stage in stages() {
        let asked = (stage == Stage::OffloadRequested).then_some(Event::Offloading);
        let returns = matches!(stage, Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. });
        let returned = returns.then_some(Event::Readmitted);
        assert_eq!(of_configuration(&state(stage), &offloaded), asked, "{stage:?}");
        assert_eq!(of_configuration(&state(stage), &served), returned, "{stage:?}");
        assert_eq!(of_configuration(&state(stage), &absent), asked.or(returned), "{stage:?}");
    }
}

#[test]
fn one_that_is_freed_has_come_back_whoever_else_holds_it() {
    let word = |freed| UpdateWord { revision: 1, order: None, unburn: Vec::new(), restart_keeper: false, freed };
    for stage in stages() {
        let returns = matches!(stage, Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. });
        assert_eq!(of_freed(&state(stage), &word(true)), returns.then_some(Event::Readmitted), "{stage:?}");
        assert_eq!(of_freed(&state(stage), &word(false)), None, "{stage:?}");
    }
}

#[test]
fn a_report_lists_as_many_burned_digests_as_the_boot_record_holds() {
    assert_eq!(weir_device_api::update::BURNED_MAX, weir_slots::boot::trial::BURNED_MAX);
}
