//! Whole rollouts of a small network, and what stops and turns them.

use super::{fixture::*, *};
use crate::{pair_order::Seat, update::Stage};
use std::collections::BTreeSet;

mod commands;
mod gates;
mod regressions;
mod small_model;

const ENOUGH: usize = 400;

/// The order in which devices and managers got to the version, by role.
fn order_of(world: &mut World, to: Version) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for _ in 0..ENOUGH {
        world.tick();
        world.all_move();
        let pair = &world.facts.pair;
        let managers = [("standby", pair.standby.as_ref().map(|standby| standby.version)), ("primary", Some(pair.primary.version))];
        let devices = world.facts.devices.iter().map(|device| (device.role.as_str(), device.version));
        let reached: Vec<&'static str> =
            devices.chain(managers).filter(|(_, version)| *version == Some(to)).map(|(role, _)| role).collect();
        order.extend(reached.into_iter().filter(|role| seen.insert(*role)));
        if world.plan.is_over() {
            break;
        }
    }
    order
}

#[test]
fn an_upgrade_goes_engines_routers_standby_primary_level() {
    let mut world = World::small(Direction::Up).started();
    assert_eq!(order_of(&mut world, new()), ["engine", "router", "standby", "primary"]);
    assert_eq!(world.plan.state, State::Done, "{:?}", world.glance());
    assert_eq!((world.versions(), world.level()), (BTreeSet::from([new()]), new().line));
    assert!(!world.facts.pair.frozen && world.facts.devices.iter().all(|device| !device.leased));
}

#[test]
fn a_downgrade_from_a_page_goes_standby_primary_routers_engines() {
    let mut world = World::small(Direction::Down).started();
    assert_eq!(order_of(&mut world, old()), ["standby", "primary", "router", "engine"]);
    assert_eq!((&world.plan.state, world.level()), (&State::Done, old().line));
}

#[test]
fn a_downgrade_by_command_line_waits_for_each_step_at_the_console() {
    let policy = Policy { driver: Driver::Cli, ..Policy::network(Direction::Down, old(), at_once()) };
    let mut world = World::new(facts(&[2, 2], 2, new()), policy).started();
    let mut typed = Vec::new();
    for _ in 0..ENOUGH {
        let ticked = world.tick();
        world.all_move();
        let Some(Hold::AwaitingConsole(step)) = ticked.hold else { continue };
        typed.push(step);
        match step {
            ConsoleStep::Switch(seat, version) => world.switch(seat, version),
            ConsoleStep::DatabaseDowngrade(Seat::Primary) => world.facts.pair.primary.cms = Cms::Disabled,
            ConsoleStep::Enable(Seat::Primary) => world.facts.pair.primary.cms = Cms::Running,
            ConsoleStep::DatabaseDowngrade(_) => world.facts.pair.standby.as_mut().expect("standby").cms = Cms::Disabled,
            ConsoleStep::Enable(_) => world.facts.pair.standby.as_mut().expect("standby").cms = Cms::Running,
        }
    }
    use ConsoleStep::{DatabaseDowngrade, Enable};
    let switches = [Seat::Primary, Seat::Standby].map(|seat| ConsoleStep::Switch(seat, old()));
    let databases = [DatabaseDowngrade(Seat::Primary), Enable(Seat::Primary), DatabaseDowngrade(Seat::Standby), Enable(Seat::Standby)];
    assert_eq!(typed, [&switches[..], &databases[..]].concat());
    assert_eq!(world.plan.state, State::Done);
}

#[test]
fn a_target_two_lines_away_is_reached_line_by_line_and_so_is_the_way_back() {
    let policy = Policy::network(Direction::Up, version("1.2.0-b1"), at_once());
    let mut world = World::new(facts(&[2, 2], 2, old()), policy).started();
    let mut seen = BTreeSet::new();
    for _ in 0..2 * ENOUGH {
        world.tick();
        world.all_move();
        let versions = world.versions();
        assert_eq!(world.facts.lineage.fleet_ok(versions.iter().copied()), Ok(()));
        seen.extend(versions);
    }
    assert_eq!((seen.len(), &world.plan.state), (3, &State::Done));
    let mut world = World::new(facts(&[2, 2], 2, old()), Policy::network(Direction::Up, version("1.2.0-b1"), at_once())).started();
    while world.plan.course.hop == 0 {
        world.tick();
        world.all_move();
    }
    (0..5).for_each(|_| {
        world.tick();
        world.all_move();
    });
    world.say(&Command::Revert).expect("turned");
    assert_eq!(world.run(ENOUGH), State::Reverted);
    assert_eq!((world.versions(), world.level()), (BTreeSet::from([old()]), old().line));
}

#[test]
fn every_device_that_does_not_move_has_a_reason() {
    for direction in [Direction::Up, Direction::Down] {
        let mut world = World::small(direction).started();
        while !world.plan.is_over() {
            let before = world.devices.clone();
            let ticked = world.tick();
            for (position, stay) in ticked.stays.iter().enumerate() {
                let moves = world.can_move(position) || world.devices[position] != before[position];
                let done = world.devices[position].stage == Stage::Done;
                assert!(stay.is_some() || moves || done, "{position} {:?} {:?}", world.devices[position].stage, world.plan.phase);
            }
            world.all_move();
        }
    }
}

#[test]
fn a_bad_image_stays_in_the_canary_and_goes_back() {
    let mut world = World::new(facts(&[8, 8, 8], 2, old()), Policy::network(Direction::Up, new(), at_once())).started();
    let mut touched = BTreeSet::new();
    for _ in 0..ENOUGH {
        world.tick();
        for position in 0..world.devices.len() {
            if world.devices[position].stage == Stage::Proving && world.facts.devices[position].version == Some(new()) {
                touched.insert(position);
                world.device_fails(position);
            } else if world.can_move(position) {
                world.device_moves(position);
            }
        }
    }
    assert_eq!(world.plan.state, State::Paused { reason: PauseReason::WaveFailed { wave: 0 } });
    let why = world.plan.failures[&0];
    let WaveFailure::Devices { failed, first } = why else { panic!("canaries went back: {why:?}") };
    assert!(failed > 0 && world.plan.design.waves[0].members.contains(&first), "{why:?}");
    assert!(touched.len() <= world.plan.design.waves[0].members.len(), "{touched:?}");
    assert_eq!(world.versions(), BTreeSet::from([old()]), "everything is back");
    assert!(world.facts.devices.iter().all(|device| !device.leased));
    world.say(&Command::Revert).expect("turned");
    world.say(&Command::Pause { why: "lunch".into() }).expect("paused");
    world.say(&Command::Resume).expect("resumed");
    assert_eq!(world.plan.failures[&0], why, "it is why all goes back");
    assert_eq!(world.run(ENOUGH), State::Reverted);
}

#[test]
fn an_abort_leaves_everybody_at_rest_in_a_legal_mix_and_can_be_taken_up_again() {
    for ticks in 0..60 {
        let mut world = World::small(Direction::Up).started();
        for _ in 0..ticks {
            world.tick();
            world.all_move();
        }
        if world.plan.is_over() {
            break;
        }
        world.say(&Command::Abort { why: "test".into() }).expect("said");
        assert!(matches!(world.run(ENOUGH), State::Aborted { .. }), "{ticks}: {:?} {:?}", world.plan.phase, world.glance());
        assert!(!world.facts.pair.frozen && !world.facts.devices.iter().any(|device| device.leased), "{ticks}");
        assert!(world.facts.pair.matched, "{ticks}: the pair is level");
        let turn = if ticks % 2 == 0 { (Command::Resume, State::Done) } else { (Command::Revert, State::Reverted) };
        world.say(&turn.0).expect("said");
        assert_eq!(world.run(ENOUGH), turn.1, "{ticks}: {:?}", world.glance());
    }
}

#[test]
fn a_downgrade_can_be_turned_at_any_tick() {
    for ticks in 0..60 {
        let mut world = World::small(Direction::Down).started();
        for _ in 0..ticks {
            world.tick();
            world.all_move();
        }
        if world.plan.is_over() {
            break;
        }
        world.say(&Command::Revert).expect("turned");
        assert_eq!(world.run(ENOUGH), State::Reverted, "{ticks}: {:?}", world.glance());
        assert_eq!((world.versions(), world.level()), (BTreeSet::from([new()]), new().line), "{ticks}");
    }
}

#[test]
fn a_plan_is_what_its_hash_says() {
    let one = World::small(Direction::Up);
    let mut other = World::small(Direction::Up);
    assert_eq!(one.plan.design.hash(), other.plan.design.hash());
    let pin = Pin { until_ms: None, why: "spare".into() };
    other.say(&Command::Pin { device: "e0-1".parse().expect("name"), pin }).expect("pinned");
    assert_ne!(one.plan.design.hash(), other.plan.design.hash());
    let refused = other.say(&Command::Start { hash: one.plan.design.hash() }).expect_err("another plan");
    assert_eq!(refused.reason, CommandReason::OtherPlan);
    let json = serde_json::to_string(&one.plan).expect("json");
    assert_eq!(serde_json::from_str::<Plan>(&json).expect("plan"), one.plan);
}

#[test]
fn a_commit_is_for_its_parent_alone() {
    let mut world = World::small(Direction::Up).started();
    let parent = world.plan.clone();
    world.tick();
    let commit = world.plan.since(&parent);
    assert!(!commit.lanes.is_empty() && commit.lanes.len() < parent.lanes.len() + 1);
    let after = parent.with(commit.clone()).expect("the next one");
    let refused = CommitError::OtherParent { parent: parent.stamp.generation, at: after.stamp.generation };
    assert_eq!(after.with(commit.clone()), Err(refused));
    let strange = Commit { lanes: BTreeMap::from([(99, parent.lanes[0])]), ..commit };
    assert_eq!(parent.with(strange), Err(CommitError::Unknown));
}
