//! Plans and refusals as they are shown.

use super::*;
use crate::rollout::fixture::{facts, planned as plan_of, said, started, version};
use weir_rollout::plan::{Command, WaveState};

#[test]
fn a_plan_shows_the_phases_that_happen_and_the_waves_that_have_devices() {
    let plan = plan_of(&facts(8));
    let shown = planned(&plan, plan.design.hash());
    assert_eq!(shown.phases, ["preposition", "engines", "routers"]);
    assert_eq!(
        (shown.versions, shown.scope.as_str(), shown.devices),
        (vec![version("1.0.0-b1"), version("1.1.0-b1")], "location core", 10)
    );
    assert!(shown.waves.iter().all(|wave| !wave.devices.is_empty() && wave.done == 0 && wave.state == "pending"), "{:?}", shown.waves);
    assert_eq!(shown.waves.iter().map(|wave| wave.devices.len()).sum::<usize>(), 10);
    assert_eq!(shown.waves[0].kind, "canary");
}

#[test]
fn refusals_are_shown_each_with_its_next_step_and_told_as_one_problem() {
    let policy = Policy { scope: Scope::Network, ..plan_of(&facts(2)).design.policy.clone() };
    let refusals = [Refusal::PairNotLevel, Refusal::NothingToDo];
    let problem = problem(&refusals);
    assert!(problem.detail.contains("; ") && problem.detail.contains("runs that version"), "{problem}");
    let shown = refused(&policy, &refusals);
    assert_eq!((shown.hash, shown.refused.len()), (None, 2));
    assert!(shown.refused.iter().all(|reason| !reason.next.is_empty()));
}

#[test]
fn a_pause_names_devices() {
    let facts = facts(2);
    let plan = started(&facts);
    let first = u32::try_from(plan.position(&"core-2".parse().expect("name")).expect("known")).expect("few");
    let paused = Plan { state: State::Paused { reason: PauseReason::DrainTimeout { device: first } }, ..plan.clone() };
    let reason = super::paused(&paused, None).expect("paused");
    assert_eq!((reason.reason.as_str(), reason.text.as_str()), ("drain_timeout", "core-2 drains for longer than the hard limit"));
    let by_hand = said(&plan, &facts, &Command::Pause { why: "lunch".into() });
    assert!(super::paused(&by_hand, None).expect("paused").text.contains("lunch"));
    assert_eq!(super::paused(&plan, None), None);

    let failed = Plan { state: State::Paused { reason: PauseReason::BackupFailed }, ..plan };
    let said = super::paused(&failed, Some("engine e-1: it is full".into())).expect("paused").text;
    assert_eq!(said, "a backup could not be proven: engine e-1: it is full");
}

#[test]
fn a_wave_that_failed_says_what_failed_and_keeps_it_while_all_goes_back() {
    let plan = started(&facts(8));
    let wave = plan.design.waves.iter().position(|wave| wave.members.len() > 1).expect("a wave of some");
    let (number, first) = (u16::try_from(wave).expect("few"), plan.design.waves[wave].members[0]);
    let name = plan.member(first as usize).name.clone();
    let arm = |requests, own_errors| Arm { requests, own_errors, resets: 3, ttfb_p99_ms: 40 };
    let answers = |worse| WaveFailure::Answers { worse, comparison: Comparison { new: arm(10_000, 80), control: arm(9_500, 1) } };
    for (failure, wanted) in [
        (WaveFailure::Devices { failed: 1, first }, format!("{name} went back, or was lost on the way")),
        (WaveFailure::Devices { failed: 3, first }, format!("3 devices went back, or were lost on the way, {name} the first")),
        (
            answers(Worse::OwnErrors),
            "its engines answered 80 of 10000 requests with an error of their own; engines beside them that were not updated answered 1 of \
             9500 requests with an error of their own"
                .to_owned(),
        ),
        (
            answers(Worse::Resets),
            "its engines reset 3 connections in 10000 requests; engines beside them that were not updated reset 3 connections in 9500 requests"
                .to_owned(),
        ),
    ] {
        let mut failed = plan.clone();
        failed.waves[wave] = WaveState::Failed;
        failed.failures.insert(number, failure);
        failed.state = State::Paused { reason: PauseReason::WaveFailed { wave: number } };
        let shown = super::paused(&failed, None).expect("paused");
        assert_eq!(shown.text, format!("wave {number} failed: {wanted}"));
        let shown = waves(&failed, &BTreeMap::new());
        let of = |number: u16| shown.iter().find(|wave| wave.number == number).expect("it has devices").failure.clone();
        assert_eq!((of(number), of(0)), (Some(wanted), None));
    }
}
