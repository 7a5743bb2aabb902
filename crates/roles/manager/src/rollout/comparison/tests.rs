//! Arms over the same minutes, and what the planner makes of them.

use super::*;
use crate::rollout::fixture::{facts, name, started, ticked, version};
use weir_rollout::{
    plan::{Facts, Phase, State, WaveFailure},
    update::Stage,
};

const WAVE: Option<Watched> = Some(Watched { hop: 0, wave: 0 });

/// Counters of so many requests, all answered within 10 ms.
fn answers(requests: u64, own_errors: u64) -> Answers {
    let mut ttfb = vec![0; TTFB_BOUNDS_MS.len() + 1];
    ttfb[3] = requests;
    Answers { requests, own_errors, resets: 0, ttfb }
}

fn seen(engine: &str, side: Side, site: u32, boot: u64, answers: Answers) -> Seen {
    let running = if side == Side::New { "1.1.0-b1" } else { "1.0.0-b1" };
    Seen { name: name(engine), side, site, version: version(running), boot, answers }
}

/// One engine of each arm, in one location.
fn pair(new: Answers, control: Answers) -> Vec<Seen> {
    vec![seen("core-1", Side::New, 0, 1, new), seen("core-2", Side::Control, 0, 1, control)]
}

fn requests(comparison: Option<Comparison>) -> Option<(u64, u64)> {
    comparison.map(|both| (both.new.requests, both.control.requests))
}

#[test]
fn an_arm_is_what_was_answered_since_the_wave_began_to_be_watched() {
    let mut watch = Watch::default();
    assert_eq!(requests(watch.look(WAVE, pair(answers(900, 9), answers(70_000, 0)))), Some((0, 0)), "what was before counts for nothing");
    assert_eq!(requests(watch.look(WAVE, pair(answers(950, 9), answers(70_200, 0)))), Some((50, 200)));
    let both = watch.look(WAVE, pair(answers(1_000, 10), answers(70_400, 4))).expect("both arms");
    assert_eq!((both.new.requests, both.new.own_errors, both.control.requests, both.control.own_errors), (100, 1, 400, 4));
    assert_eq!(watch.look(None, Vec::new()), None);
    assert_eq!(requests(watch.look(WAVE, pair(answers(5_000, 10), answers(90_000, 4)))), Some((0, 0)), "another wave");
}

#[test]
fn a_worker_that_starts_anew_is_counted_from_its_first_report() {
    let mut watch = Watch::default();
    watch.look(WAVE, pair(answers(900, 9), answers(100, 0)));
    watch.look(WAVE, pair(answers(1_000, 9), answers(200, 0)));
    let anew = |boot, requests| {
        vec![seen("core-1", Side::New, 0, boot, answers(requests, 0)), seen("core-2", Side::Control, 0, 1, answers(300, 0))]
    };
    assert_eq!(requests(watch.look(WAVE, anew(2, 40))), Some((100, 200)));
    assert_eq!(requests(watch.look(WAVE, anew(2, 60))), Some((120, 200)));
    assert_eq!(requests(watch.look(WAVE, anew(2, 10))), Some((120, 200)), "a counter that fell");
    // It fell back: what it answered on the other version is not what the control did.
    let back = Seen { side: Side::Control, version: version("1.0.0-b1"), ..seen("core-1", Side::New, 0, 3, answers(5, 0)) };
    assert_eq!(watch.look(WAVE, vec![back.clone()]), None, "nobody is new any more");
    let both = vec![back, seen("core-3", Side::New, 0, 1, answers(0, 0))];
    assert_eq!(requests(watch.look(WAVE, both)), Some((0, 0)));
}

#[test]
fn only_locations_with_both_arms_are_compared() {
    let mut watch = Watch::default();
    let all = |requests| {
        vec![
            seen("core-1", Side::New, 0, 1, answers(requests, 0)),
            seen("core-2", Side::Control, 0, 1, answers(requests, 0)),
            seen("core-3", Side::Control, 0, 1, answers(requests, 0)),
            seen("east-1", Side::New, 1, 1, answers(requests, 0)),
            seen("west-1", Side::Control, 2, 1, answers(requests, 0)),
        ]
    };
    watch.look(WAVE, all(0));
    assert_eq!(requests(watch.look(WAVE, all(100))), Some((100, 200)));
    assert_eq!(watch.look(WAVE, all(100).split_off(3)), None, "nobody to compare with");
}

#[test]
fn the_99th_percentile_lies_in_its_class() {
    let classes = |pairs: &[(usize, u64)]| {
        let mut classes = vec![0; TTFB_BOUNDS_MS.len() + 1];
        pairs.iter().for_each(|(at, count)| classes[*at] = *count);
        p99_ms(&classes)
    };
    assert_eq!((p99_ms(&[]), classes(&[])), (0, 0));
    assert_eq!(classes(&[(0, 100)]), 0, "under a millisecond");
    assert_eq!(classes(&[(3, 100)]), 9, "5 to 10 ms");
    assert_eq!(classes(&[(3, 99), (18, 1)]), 10, "one in a hundred is slower");
    assert_eq!(classes(&[(3, 98), (18, 2)]), 900, "800 to 1000 ms, half way");
    assert_eq!(classes(&[(TTFB_BOUNDS_MS.len(), 5)]), 63_000, "no bound");
}

/// Engines of each arm while the canary of location `core` bakes on the new version and `core-2` is in the state that is asked for.
fn sides(of_second: impl Fn(&mut DeviceFacts, &mut Plan)) -> Vec<(String, Side)> {
    let mut facts = facts(3);
    let mut plan = started(&facts);
    let canary = plan.design.waves[0].members[0] as usize;
    assert_eq!(facts.devices[canary].name, name("core-1"));
    plan.waves[0] = WaveState::Baking;
    (facts.devices[canary].version, facts.devices[canary].stage) = (Some(version("1.1.0-b1")), Stage::Done);
    plan.lanes[canary].moved = true;
    of_second(&mut facts.devices[1], &mut plan);
    let floors =
        guard::Facts { engines: facts.sites.iter().flat_map(|site| site.guard.engines.clone()).collect(), ..guard::Facts::default() };
    let wave = watched(&plan).expect("bakes");
    let engines = facts.devices.iter().enumerate();
    engines.filter_map(|(position, device)| Some((device.name.to_string(), side(&plan, wave, position, device, &floors)?))).collect()
}

#[test]
fn control_is_who_serves_as_before_and_was_not_moved() {
    let second = |of_second: fn(&mut DeviceFacts, &mut Plan)| {
        let sides = sides(of_second);
        assert_eq!(sides[0], ("core-1".to_owned(), Side::New));
        assert!(sides.iter().all(|(name, side)| name == "core-1" || *side == Side::Control), "{sides:?}");
        sides.iter().any(|(name, _)| name == "core-2")
    };
    assert!(second(|_, _| ()), "at rest");
    assert!(second(|device, _| device.stage = Stage::Staged), "it waits for its wave");
    assert!(!second(|device, _| device.stage = Stage::Switching));
    assert!(!second(|device, _| device.contact = Contact::Silent));
    assert!(!second(|_, plan| plan.lanes[1].moved = true), "it went and came back");
    assert!(!second(|device, _| device.version = Some(version("1.1.0-b1"))), "of no wave that is watched");
    assert!(sides(|_, _| ()).iter().all(|(name, _)| !name.starts_with("router")));
}

#[test]
fn only_a_wave_of_engines_that_bakes_is_watched() {
    let mut plan = started(&facts(3));
    for state in [WaveState::Pending, WaveState::Open, WaveState::Passed, WaveState::Failed, WaveState::Inconclusive] {
        plan.waves.fill(state);
        assert_eq!(watched(&plan), None, "{state:?}");
    }
    let routers = (0..plan.waves.len()).filter(|wave| plan.design.waves[*wave].role == Role::Router).collect::<Vec<_>>();
    routers.iter().for_each(|wave| plan.waves[*wave] = WaveState::Baking);
    assert_eq!((routers.is_empty(), watched(&plan)), (false, None));
}

/// What the planner says at the end of the bake of the canary.
fn judged(comparison: Option<Comparison>) -> WaveState {
    let facts = Facts { comparison, ..facts(3) };
    let mut plan = started(&facts);
    let mut facts = facts;
    let to = version("1.1.0-b1");
    let canary = plan.design.waves[0].members[0] as usize;
    (plan.phase, plan.waves[0], plan.counted.bake_ms) = (Phase::Engines, WaveState::Baking, u64::MAX / 2);
    (plan.lanes[canary].was, plan.lanes[canary].moved) = (Some(to), true);
    (facts.devices[canary].version, facts.devices[canary].stage) = (Some(to), Stage::Done);
    let next = ticked(&plan, &facts, 1).plan;
    assert!(matches!(next.state, State::Running | State::Paused { .. }));
    assert_eq!(next.waves[0] == WaveState::Failed, matches!(next.failures.get(&0), Some(WaveFailure::Answers { .. })), "it says in what");
    next.waves[0]
}

#[test]
fn a_wave_with_three_times_the_errors_of_its_neighbours_fails() {
    let over = |new: Answers, control: Answers| {
        let mut watch = Watch::default();
        watch.look(WAVE, pair(answers(0, 0), answers(0, 0)));
        judged(watch.look(WAVE, pair(new, control)))
    };
    let slow = |requests| {
        let mut ttfb = vec![0; TTFB_BOUNDS_MS.len() + 1];
        ttfb[18] = requests;
        Answers { ttfb, ..answers(requests, 0) }
    };
    assert_eq!(judged(None), WaveState::Passed);
    for (new, control, expected) in [
        (answers(10_000, 300), answers(20_000, 200), WaveState::Failed),
        (answers(10_000, 100), answers(20_000, 200), WaveState::Passed),
        (slow(10_000), answers(20_000, 0), WaveState::Failed),
        (slow(10_000), slow(10_000), WaveState::Passed),
        (answers(999, 999), answers(20_000, 0), WaveState::Passed),
        (answers(10_000, 9_000), answers(999, 0), WaveState::Passed),
    ] {
        let said = format!("{new:?} {control:?}");
        assert_eq!(over(new, control), expected, "{said}");
    }
}
