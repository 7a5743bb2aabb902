//! What keeps a device or a rollout: windows, events, pins, the guard, scope, strays, the dead; and what keeps a plan from
//! being made.

use super::super::{fixture::*, *};
use crate::{
    pair_order::Direction,
    update::{Event, Leave, Stage},
};
use std::collections::BTreeSet;
use weir_model::Role;

const ENOUGH: usize = 400;

fn policy(direction: Direction) -> Policy {
    Policy::network(direction, if direction == Direction::Up { new() } else { old() }, at_once())
}

fn up(engines: &[u32], change: impl FnOnce(&mut Policy)) -> World {
    let mut policy = policy(Direction::Up);
    change(&mut policy);
    World::new(facts(engines, 2, old()), policy).started()
}

fn refusals(facts: &Facts, policy: Policy) -> Vec<Refusal> {
    make(policy, facts, 0).expect_err("refused")
}

#[test]
fn outside_a_maintenance_window_and_in_an_event_nothing_begins() {
    let long_ms = 20 * TICK_MS;
    for event in [false, true] {
        let mut world = up(&[2, 2], |policy| match event {
            true => policy.events = vec![Window { from_ms: 0, until_ms: long_ms }],
            false => policy.windows = vec![Window { from_ms: long_ms, until_ms: u64::MAX }],
        });
        while world.now_ms + TICK_MS < long_ms {
            let ticked = world.tick();
            world.all_move();
            assert!(world.devices.iter().all(|device| device.stage.before_switching() && !device.stage.holds_lease()));
            if world.devices.iter().all(|device| device.stage == Stage::Staged) {
                assert!(
                    matches!(ticked.hold, Some(Hold::Event | Hold::Window | Hold::Staging { .. } | Hold::Backup(_))),
                    "{:?}",
                    ticked.hold
                );
            }
        }
        assert_eq!(world.run(ENOUGH), State::Done, "event {event}: {}", world.glance());
    }
}

#[test]
fn an_engine_that_is_alone_is_handed_over_and_the_one_router_too() {
    let policy = policy(Direction::Up);
    let mut world = World::new(facts(&[2, 1], 1, old()), policy).started();
    let mut ways = BTreeSet::new();
    while !world.plan.is_over() {
        world.tick();
        for lane in &world.plan.lanes {
            if let Some(word) = lane.word.filter(|word| word.reload) {
                ways.insert((lane.wave, word.leave == Leave::HandedOver));
            }
        }
        let alone = [world.position("e1-0"), world.position("r-0")];
        assert!(alone.iter().all(|position| !world.facts.devices[*position].leased), "neither leaves service");
        world.all_move();
    }
    assert_eq!(world.plan.state, State::Done);
    assert!(ways.iter().any(|(_, hot)| *hot) && ways.iter().any(|(_, hot)| !hot), "{ways:?}");
}

#[test]
fn an_engine_that_is_alone_waits_for_a_window_when_the_policy_says_so() {
    let mut world = up(&[2, 1], |policy| policy.alone = Alone::Window);
    let mut stays = BTreeSet::new();
    for _ in 0..40 {
        let ticked = world.tick();
        world.all_move();
        stays.extend(ticked.stays[world.position("e1-0")].map(|stay| stay.as_str()));
    }
    assert!(stays.contains("guard"), "{stays:?}");
    assert_eq!(world.facts.devices[world.position("e1-0")].version, Some(old()));
}

#[test]
fn a_pinned_device_stays_and_keeps_the_managers_until_it_is_unpinned() {
    let device: DeviceName = "e0-1".parse().expect("name");
    let pin = Pin { until_ms: None, why: "test".into() };
    let mut world = up(&[2, 2], |policy| {
        policy.pins.insert("e0-1".parse().expect("name"), pin);
    });
    assert!(world.plan.design.risks.contains(&Risk::Pinned { devices: 1 }));
    world.run(60);
    let position = world.position("e0-1");
    let behind = PauseReason::Behind { devices: 1, first: u32::try_from(position).expect("few") };
    assert_eq!(world.plan.state, State::Paused { reason: behind });
    assert_eq!(world.tick().stays[position], Some(Stay::Pinned));
    world.say(&Command::Unpin { device }).expect("unpinned");
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
}

/// With its image there, and on its way out of service: what has not switched does not.
#[test]
fn a_device_that_is_pinned_later_stays_as_well() {
    for stage in [Stage::Staged, Stage::Draining] {
        let mut world = up(&[2, 2], |_| {});
        let position = world.position("e0-0");
        for _ in 0..40 {
            if world.devices[position].stage == stage {
                break;
            }
            world.tick();
            for other in 0..world.devices.len() {
                if world.can_move(other) && (other != position || world.devices[position].stage != stage) {
                    world.device_moves(other);
                }
            }
        }
        assert_eq!(world.devices[position].stage, stage, "{}", world.glance());
        let device: DeviceName = "e0-0".parse().expect("name");
        world.say(&Command::Pin { device: device.clone(), pin: Pin { until_ms: None, why: "test".into() } }).expect("pinned");
        world.run(80);
        assert_eq!(world.facts.devices[position].version, Some(old()), "{stage:?}: {}", world.glance());
        assert!(!world.facts.devices[position].leased, "{stage:?}: it is in service");
        assert_eq!(world.tick().stays[position], Some(Stay::Pinned), "{stage:?}: {}", world.glance());
        world.say(&Command::Unpin { device }).expect("unpinned");
        assert_eq!(world.run(ENOUGH), State::Done, "{stage:?}: {}", world.glance());
    }
}

#[test]
fn a_dead_device_is_excused_and_brought_on_when_it_returns() {
    let mut world = up(&[2, 2], |_| {});
    let position = world.position("e1-1");
    world.lose(position);
    world.run(60);
    assert_eq!(world.tick().stays[world.position("e1-0")], Some(Stay::Guard { floor: Floor::EnginesOut }), "{}", world.glance());
    let device: DeviceName = "e1-1".parse().expect("name");
    let heard: DeviceName = "e1-0".parse().expect("name");
    assert_eq!(world.say(&Command::Excuse { device: heard }).expect_err("alive").reason, CommandReason::NotDead);
    world.say(&Command::Excuse { device }).expect("excused");
    if matches!(world.plan.state, State::Paused { reason: PauseReason::WaveInconclusive { .. } }) {
        world.say(&Command::Resume).expect("resumed");
    }
    while world.facts.pair.primary.version == old() {
        world.tick();
        world.all_move();
    }
    world.find(position);
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
    assert_eq!(world.facts.devices[position].version, Some(new()));
}

#[test]
fn a_version_that_nobody_told_stops_the_rollout_until_it_is_restated() {
    let mut world = up(&[2, 2], |_| {});
    world.tick();
    let position = world.position("e1-0");
    world.facts.devices[position].version = Some(version("1.0.0-b7"));
    let ticked = world.tick();
    assert_eq!(world.plan.state, State::Paused { reason: PauseReason::OutOfBand { device: 2 } });
    assert_eq!(ticked.stays[position], Some(Stay::OutOfBand { version: version("1.0.0-b7") }));
    world.say(&Command::Restate).expect("restated");
    world.say(&Command::Resume).expect("resumed");
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
}

#[test]
fn a_drain_past_its_limit_pauses_and_can_be_forced() {
    let mut world = up(&[2, 2], |policy| policy.profile.drain_hard_ms = 2 * TICK_MS);
    let stuck = world.position("e0-0");
    for _ in 0..20 {
        world.tick();
        for position in 0..world.devices.len() {
            if world.can_move(position) && !(position == stuck && world.devices[position].stage == Stage::Draining) {
                world.device_moves(position);
            }
        }
    }
    assert_eq!(world.plan.state, State::Paused { reason: PauseReason::DrainTimeout { device: 0 } });
    world.say(&Command::Force { device: "e0-0".parse().expect("name") }).expect("forced");
    world.say(&Command::Resume).expect("resumed");
    assert!(world.tick().actions.contains(&Action::Force { device: 0 }));
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
}

#[test]
fn a_manager_that_has_just_started_judges_nothing() {
    let mut world = up(&[2, 2], |_| {});
    world.facts.settling = true;
    let ticked = world.tick();
    assert_eq!((ticked.actions, ticked.hold), (vec![], Some(Hold::Settling)));
    assert!(ticked.stays.iter().all(|stay| *stay == Some(Stay::Settling)));
}

#[test]
fn the_same_facts_at_the_same_time_change_nothing() {
    let mut world = up(&[2, 2], |_| {});
    let first = tick(&world.plan, &world.facts, 5);
    let again = tick(&first.plan, &world.facts, 5);
    let third = tick(&again.plan, &world.facts, 5);
    assert!(first.changed && !third.changed, "{:?}", third.plan.state);
    assert_eq!((again.plan.stamp, &again.actions), (third.plan.stamp, &third.actions));
    assert_eq!(first.plan.parent, world.plan.stamp.generation);
    world.plan = third.plan;
    assert_eq!(world.run(ENOUGH), State::Done);
}

#[test]
fn a_clock_that_jumps_ends_no_bake() {
    let mut world = up(&[2, 2], |policy| policy.profile.canary_bake_ms = 10 * TICK_MS);
    while !world.plan.waves.contains(&WaveState::Baking) {
        world.tick();
        world.all_move();
    }
    for _ in 0..3 {
        world.now_ms += 365 * 86_400_000;
        world.tick();
        world.now_ms -= 365 * 86_400_000;
        world.tick();
        assert!(world.plan.waves.contains(&WaveState::Baking));
    }
}

#[test]
fn a_device_that_joins_goes_in_the_last_wave() {
    let mut world = up(&[2, 2], |_| {});
    world.tick();
    let mut late = world.facts.devices[0].clone();
    late.name = "e0-9".parse().expect("name");
    (late.stage, late.obeyed) = (Stage::Idle { reason: None }, None);
    let engine = world.facts.sites[0].guard.engines.values().next().expect("one").clone();
    world.facts.sites[0].guard.engines.insert(late.name.clone(), engine);
    world.facts.devices.push(late);
    world.devices.push(crate::update::UpdateState::new());
    world.prior.push(Some(old()));
    world.tick();
    let position = world.position("e0-9");
    let wave = world.plan.lanes[position].wave.expect("in scope");
    assert_eq!(world.plan.design.waves[usize::from(wave)].kind, WaveKind::Late);
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
    assert_eq!(world.facts.devices[position].version, Some(new()));
}

#[test]
fn devices_are_put_where_the_plan_has_them() {
    let world = up(&[2, 2], |_| {});
    let mut by_name: BTreeMap<DeviceName, DeviceFacts> =
        world.facts.devices.iter().map(|device| (device.name.clone(), device.clone())).collect();
    assert_eq!(world.plan.align(by_name.clone()), world.facts.devices);
    let gone = by_name.remove("e0-1").expect("known");
    by_name.insert("a-new-one".parse().expect("name"), DeviceFacts { name: "a-new-one".parse().expect("name"), ..gone });
    let aligned = world.plan.align(by_name);
    assert_eq!(aligned.len(), world.facts.devices.len() + 1);
    assert_eq!((aligned[1].contact, aligned.last().expect("some").name.as_str()), (Contact::Gone, "a-new-one"));
}

#[test]
fn a_location_is_updated_by_itself_and_the_level_stays() {
    let mut world = up(&[2, 2], |policy| policy.scope = Scope::Location("site-1".parse().expect("name")));
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
    let on_new = world.facts.devices.iter().filter(|device| device.version == Some(new())).count();
    assert_eq!((on_new, world.level(), world.facts.pair.primary.version), (2, old().line, old()));
    // What is left of the network follows later.
    world.plan = make(policy(Direction::Up), &world.facts, 0).expect("a plan");
    let mut world = world.started();
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
    assert_eq!(world.versions(), BTreeSet::from([new()]));
}

#[test]
fn a_device_that_falls_back_for_lack_of_room_is_told_again_and_then_left() {
    let mut world = up(&[2, 2], |_| {});
    let position = world.position("e0-1");
    let mut told = BTreeSet::new();
    for _ in 0..80 {
        world.tick();
        for other in 0..world.devices.len() {
            if other == position && matches!(world.devices[other].stage, Stage::Assigned | Stage::Fetching) {
                told.insert(world.facts.devices[other].obeyed);
                world.hear(other, &Event::FetchFailed(crate::update::UpdateReason::FetchFailed));
            } else if world.can_move(other) {
                world.device_moves(other);
            }
        }
    }
    assert_eq!(told.len(), usize::from(ATTEMPTS_MAX));
    assert!(matches!(world.tick().stays[position], Some(Stay::LetGo { .. })), "{}", world.glance());
}

#[test]
fn every_reason_against_a_plan_is_named() {
    let whole = facts(&[2, 2], 2, old());
    let mut bad = policy(Direction::Up);
    bad.shares = vec![50, 20];
    let mut alone = whole.clone();
    (alone.pair.standby, alone.images) = (None, BTreeMap::from([(old(), "m".to_owned())]));
    let found = refusals(&alone, bad);
    assert_eq!(found, [Refusal::NoImage { line: new().line }, Refusal::NoStandby, Refusal::Shares]);
    assert!(found.iter().all(|refusal| !refusal.to_string().is_empty() && !refusal.next_step().is_empty()));
    assert_eq!(refusals(&whole, Policy { target: old(), ..policy(Direction::Up) }), [Refusal::NothingToDo]);
    let wrong = Policy { target: version("0.9.0-b1"), ..policy(Direction::Up) };
    assert_eq!(refusals(&whole, wrong), [Refusal::WrongDirection { running: old() }]);
    let far = Policy { target: version("1.3.0-b1"), ..policy(Direction::Up) };
    assert!(refusals(&whole, far).contains(&Refusal::NoImage { line: version("1.3.0-b1").line }));
    let nobody = Policy { scope: Scope::Location("nowhere".parse().expect("name")), ..policy(Direction::Up) };
    assert_eq!(refusals(&whole, nobody), [Refusal::EmptyScope]);
    let two = Policy { scope: Scope::Role(Role::Engine), target: version("1.2.0-b1"), ..policy(Direction::Up) };
    assert!(refusals(&whole, two).contains(&Refusal::ScopedTooFar { lines: 2 }));
    let newer = facts(&[2, 2], 2, new());
    let part = Policy { scope: Scope::Role(Role::Router), ..policy(Direction::Down) };
    assert_eq!(refusals(&newer, part), [Refusal::BelowPrimary { primary: new() }, Refusal::LevelAbove { level: new().line }]);
    let mut parks = newer.clone();
    parks.level.would_park = 3;
    assert_eq!(refusals(&parks, policy(Direction::Down)), [Refusal::Parking { objects: 3 }]);
    let mut apart = whole.clone();
    apart.pair.matched = false;
    assert_eq!(refusals(&apart, policy(Direction::Up)), [Refusal::PairNotLevel]);
    let mut older = newer;
    older.devices[1].version = Some(old());
    let device = older.devices[1].name.clone();
    assert_eq!(
        refusals(&older, Policy { target: version("1.2.0-b1"), ..policy(Direction::Up) }),
        [Refusal::OlderThanPrimary { device, version: old() }]
    );
}
