//! Plans and refusals as they are shown.

use super::*;
use crate::rollout::fixture::{facts, planned as plan_of, said, started, version};
use weir_rollout::plan::Command;

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
