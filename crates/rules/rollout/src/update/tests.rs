//! Every state the machine can reach, by every event: order, fences, ways out.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use weir_model::Stamp;

const TIMERS: UpdateTimers = UpdateTimers {
    space: 10,
    ready: 10,
    contact: 5,
    prove_min: 2,
    prove_max: 10,
    prove_requests: 1_000,
    ramp: 5,
    lease: 100,
    probation: 20,
};

fn assignment(generation: u64, manifest: &str, leave: Leave, auto_reload: bool) -> Assignment {
    let stamp = Stamp { term: 1, generation };
    let version = "1.1.0-b1".parse().expect("version");
    Assignment { stamp, version, manifest: manifest.to_owned(), auto_reload, leave }
}

/// What may happen to a device, time apart.
fn events() -> Vec<Event> {
    let figures = |requests, own_errors| Event::Served(Figures { requests, own_errors });
    let reach = |new, old| Event::Reach(Reach { new, old });
    let told = |leave, auto| Event::Assigned(assignment(1, "aa", leave, auto));
    vec![
        told(Leave::Drained, true),
        told(Leave::HandedOver, true),
        told(Leave::Drained, false),
        Event::Assigned(assignment(2, "bb", Leave::Drained, true)),
        Event::Cancel,
        Event::Reload,
        Event::Fetched,
        Event::FetchFailed(UpdateReason::ImageRefused),
        Event::NoSpace,
        Event::Space,
        Event::Offloading,
        Event::Drained,
        Event::Switched,
        Event::SwitchRefused(UpdateReason::SelfTestFailed),
        Event::Crashed,
        Event::FellBack(UpdateReason::Unproven),
        Event::FellBack(UpdateReason::NoContact),
        Event::Runs(Standing::Active),
        Event::Runs(Standing::OnTrial),
        reach(true, true),
        reach(false, true),
        reach(false, false),
        Event::Readmitted,
        figures(1_000, 0),
        figures(1_000, 50),
        Event::SwitchedBack,
        Event::SwitchBackFailed,
        Event::Tick,
    ]
}

/// How long the stage has lasted when the next event comes: before and after each timer.
const LATER_MS: [u64; 4] = [0, 3, 12, 200];

/// A state as far as the machine's answers depend on it, for counting.
fn key(state: &UpdateState) -> String {
    let crashes = state.proof.crashes.min(3);
    let proof = (state.proof.requests, state.proof.own_errors, state.proof.on_probation);
    let told = state.assignment.as_ref().map(|a| (a.stamp.generation, a.leave, a.auto_reload));
    format!("{:?} {told:?} {crashes} {proof:?} {:?}", state.stage, state.burned)
}

fn explore(mut seen_step: impl FnMut(&UpdateState, &Event, &Stepped)) -> Vec<UpdateState> {
    let mut reached = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = VecDeque::from([UpdateState::new()]);
    while let Some(state) = open.pop_front() {
        if !seen.insert(key(&state)) {
            continue;
        }
        for event in events() {
            for later in LATER_MS {
                let Ok(stepped) = step(&state, &event, &TIMERS, state.since_ms + later) else { continue };
                seen_step(&state, &event, &stepped);
                // The time of day does not matter, only how long a stage has lasted.
                open.push_back(UpdateState { since_ms: 0, ..stepped.state });
            }
        }
        reached.push(state);
    }
    reached
}

/// Whether the step enters this stage.
fn enters(before: &UpdateState, after: &Stepped, stage: Stage) -> bool {
    before.stage != stage && after.state.stage == stage
}

#[test]
fn the_switch_comes_after_the_drain_or_is_a_hand_over() {
    let mut switches = 0;
    explore(|before, event, after| {
        if enters(before, after, Stage::Switching) {
            switches += 1;
            let handed_over = after.state.assignment.as_ref().is_some_and(|told| told.leave == Leave::HandedOver);
            assert!(before.stage == Stage::Drained || handed_over, "{before:?} {event:?}");
        }
    });
    assert!(switches > 0);
}

#[test]
fn only_what_was_proven_is_committed() {
    explore(|before, event, after| {
        if enters(before, after, Stage::Committed) {
            assert_eq!((before.stage, event), (Stage::Proving, &Event::Tick));
            assert_eq!((before.proof.crashes, after.action), (0, Some(Action::Ramp)), "{before:?}");
        }
    });
}

#[test]
fn a_blamed_digest_is_burned_before_the_way_back_and_never_assigned_again() {
    explore(|before, event, after| {
        if let (Stage::RollingBack { reason, failures: 0 }, false) = (after.state.stage, matches!(before.stage, Stage::RollingBack { .. }))
        {
            let manifest = &after.state.assignment.as_ref().expect("told").manifest;
            assert_eq!(after.state.burned.contains(manifest), reason.burns() || before.burned.contains(manifest), "{event:?}");
        }
        if let (Event::Assigned(told), Stage::Assigned) = (event, after.state.stage) {
            assert!(!before.burned.contains(&told.manifest));
        }
    });
}

#[test]
fn the_last_good_slot_is_left_only_backwards() {
    explore(|before, event, after| {
        let past = !before.stage.before_switching() && !before.stage.at_rest();
        let forgotten = after.state.stage.before_switching() || matches!(after.state.stage, Stage::Idle { .. });
        let released = matches!(before.stage, Stage::Releasing { .. });
        assert!(!(past && forgotten && !released), "{before:?} {event:?} {:?}", after.state.stage);
    });
}

#[test]
fn whoever_asked_for_an_offload_lets_it_go() {
    explore(|before, event, after| {
        if before.stage.holds_lease() && !after.state.stage.holds_lease() {
            let lets_go = matches!(after.state.stage, Stage::Releasing { .. } | Stage::Readmitting) || *event == Event::Readmitted;
            // The slot before never ran again: hands brought another image.
            let hands = matches!((before.stage, after.state.stage), (Stage::NeedsHands { .. }, Stage::Assigned));
            // A hand-over has no lease to begin with.
            let none = before.assignment.as_ref().is_some_and(|told| told.leave == Leave::HandedOver);
            assert!(lets_go || hands || none, "{before:?} {event:?} {after:?}");
        }
    });
}

#[test]
fn an_older_word_is_never_obeyed() {
    let told = |generation| Event::Assigned(assignment(generation, "cc", Leave::Drained, true));
    for state in explore(|_, _, _| {}) {
        let Some(obeyed) = state.assignment.as_ref().map(|told| told.stamp.generation) else { continue };
        for generation in 0..=obeyed {
            assert_eq!(step(&state, &told(generation), &TIMERS, 0), Err(Unmoved::Stale), "{state:?}");
        }
    }
}

/// From every state there is a way, of events that a working world sends, to a state at rest in service.
#[test]
fn nothing_is_a_dead_end() {
    let kindly = [
        Event::Fetched,
        Event::Reload,
        Event::Offloading,
        Event::Drained,
        Event::Switched,
        Event::Reach(Reach { new: true, old: true }),
        Event::Readmitted,
        Event::SwitchedBack,
        Event::Tick,
    ];
    for start in explore(|_, _, _| {}) {
        let (mut state, mut now_ms) = (start.clone(), 0);
        for _ in 0..64 {
            if state.stage.at_rest() {
                break;
            }
            for event in &kindly {
                now_ms += 20;
                state = step(&state, event, &TIMERS, now_ms).map_or(state, |stepped| stepped.state);
            }
        }
        assert!(state.stage.at_rest(), "{start:?} ends in {state:?}");
    }
}

#[test]
fn a_restart_goes_on_where_the_journal_stands() {
    for state in explore(|_, _, _| {}) {
        let written = serde_json::to_string(&state).expect("json");
        let read: UpdateState = serde_json::from_str(&written).expect("own journal");
        assert_eq!(key(&read), key(&state));
        let again = resumed(&read, 7);
        assert_eq!((again.state.stage, again.state.since_ms), (state.stage, 7));
        let works = matches!(state.stage, Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Committed);
        assert_eq!(again.action.is_some(), works, "{:?}", state.stage);
    }
}

#[test]
fn what_the_keeper_did_alone_is_taken_over() {
    let mut left = BTreeSet::new();
    for state in explore(|_, _, _| {}) {
        let fell_back = step(&state, &Event::FellBack(UpdateReason::Unproven), &TIMERS, 0);
        assert_eq!(fell_back.is_ok(), state.stage.tried(), "{state:?}");
        if let Ok(stepped) = fell_back {
            assert_eq!(stepped.state.stage, Stage::RollingBack { reason: UpdateReason::Unproven, failures: 0 });
            let manifest = &state.assignment.as_ref().expect("told").manifest;
            assert!(stepped.state.burned.contains(manifest));
            left.insert(state.stage.as_str());
        }
    }
    assert_eq!(left.len(), 7, "{left:?}");
}

#[test]
fn a_silent_keeper_burns_nothing() {
    let mut seen = 0;
    explore(|before, event, after| {
        if (before.stage, event) == (Stage::Switching, &Event::Tick) && after.state.stage != Stage::Switching {
            seen += 1;
            assert_eq!(after.state.stage, Stage::RollingBack { reason: UpdateReason::ImageRefused, failures: 0 });
            assert_eq!(after.state.burned, before.burned);
        }
    });
    assert!(seen > 0);
}

#[test]
fn hands_have_a_way_out() {
    let mut stuck = 0;
    for state in explore(|_, _, _| {}).into_iter().filter(|state| matches!(state.stage, Stage::NeedsHands { .. })) {
        stuck += 1;
        let newer = Event::Assigned(assignment(9, "dd", Leave::Drained, true));
        let told = step(&state, &newer, &TIMERS, 0).expect("a newer word leads out");
        assert_eq!((told.state.stage, told.action), (Stage::Assigned, Some(Action::Fetch)));
        let reason = state.stage.reason().expect("why");
        let back = step(&state, &Event::SwitchedBack, &TIMERS, 0).expect("the slot before runs").state.stage;
        assert!(back == Stage::RolledBack { reason } || back == Stage::Failed { reason }, "{back:?}");
    }
    assert!(stuck > 0);
}

#[test]
fn an_image_that_runs_already_is_not_fetched() {
    let told = assignment(1, "aa", Leave::Drained, true);
    let assigned = step(&UpdateState::new(), &Event::Assigned(told), &TIMERS, 0).expect("told").state;
    for (standing, stage) in [(Standing::Active, Stage::Done), (Standing::OnTrial, Stage::Trial)] {
        let stepped = step(&assigned, &Event::Runs(standing), &TIMERS, 7).expect("it runs");
        assert_eq!((stepped.state.stage, stepped.action), (stage, None));
    }
    for state in explore(|_, _, _| {}).into_iter().filter(|state| state.stage.holds_lease() || state.stage.at_rest()) {
        assert_eq!(step(&state, &Event::Runs(Standing::Active), &TIMERS, 0), Err(Unmoved::NotNow), "{state:?}");
    }
}

#[test]
fn probation_begins_with_the_commit_however_little_was_asked() {
    let taken = |state: &UpdateState, event, now_ms| step(state, &event, &TIMERS, now_ms).expect("taken").state;
    let proving =
        UpdateState { stage: Stage::Proving, assignment: Some(assignment(1, "aa", Leave::HandedOver, true)), ..UpdateState::new() };
    let committed = taken(&proving, Event::Tick, TIMERS.prove_max);
    assert!(committed.stage == Stage::Committed && committed.proof.on_probation);
    let ramping = taken(&committed, Event::Tick, 11);
    let done = taken(&ramping, Event::Tick, 16);
    assert_eq!((done.stage, done.proof), (Stage::Done, Proof { on_probation: true, ..Proof::default() }));
    let back = taken(&done, Event::Served(Figures { requests: 1_000, own_errors: 50 }), 30);
    assert_eq!(back.stage, Stage::RollingBack { reason: UpdateReason::OwnErrors, failures: 0 });
    assert!(!back.proof.on_probation);
    let over = taken(&done, Event::Tick, done.since_ms + TIMERS.probation);
    assert_eq!((over.stage, over.proof), (Stage::Done, Proof::default()));
}

#[test]
fn a_journal_without_the_key_still_reads() {
    let old = r#"{"stage":"done","assignment":null,"proof":{"requests":7,"own_errors":1,"crashes":0},"burned":[]}"#;
    let read: UpdateState = serde_json::from_str(old).expect("read");
    assert_eq!(read.proof, Proof { requests: 7, own_errors: 1, ..Proof::default() });
}

proptest! {
    #[test]
    fn any_walk_keeps_to_the_arrows(walk in prop::collection::vec((0..events().len(), 0u64..40), 0..80)) {
        let all = events();
        let (mut state, mut now_ms) = (UpdateState::new(), 0);
        for (index, later) in walk {
            now_ms += later;
            let Ok(stepped) = step(&state, &all[index], &TIMERS, now_ms) else { continue };
            prop_assert!(stepped.state.burned.len() >= state.burned.len());
            prop_assert!(stepped.state.assignment.as_ref().map(|a| a.stamp) >= state.assignment.as_ref().map(|a| a.stamp));
            state = stepped.state;
        }
    }
}
