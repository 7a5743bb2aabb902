//! What the simulator found once, each as small as it is: named by what held the network up, with the seed that found it.

use super::super::{fixture::*, *};
use crate::{
    guard::{Out, Standing},
    pair_order::{Direction, Seat},
    update::{Event, Stage, UpdateReason, UpdateState},
};

const ENOUGH: usize = 400;

/// Engines of each location and two routers, on their way up.
fn up(engines: &[u32]) -> World {
    World::new(facts(engines, 2, old()), Policy::network(Direction::Up, new(), at_once())).started()
}

/// Devices that are out of service, or let go on the way out, of the first location.
fn out(world: &World) -> usize {
    let goes = |position: &usize| world.facts.devices[*position].leased || world.devices[*position].stage.holds_lease();
    (0..world.devices.len()).filter(|position| world.facts.devices[*position].role == weir_model::Role::Engine).filter(goes).count()
}

/// Ticks until this device drains, which nobody leaves.
fn until_draining(world: &mut World, position: usize) {
    for _ in 0..ENOUGH {
        if world.devices[position].stage == Stage::Draining {
            return;
        }
        world.tick();
        for other in 0..world.devices.len() {
            let earlier = world.plan.lanes[other].wave < world.plan.lanes[position].wave;
            if world.can_move(other) && (earlier || world.devices[other].stage != Stage::Draining) {
                world.device_moves(other);
            }
        }
    }
    panic!("{}", world.glance());
}

/// Seeds 198, 384, 401, 410, 413, 442.
#[test]
fn a_device_that_forgot_the_word_that_let_it_go_waits_for_its_turn_again() {
    let mut world = up(&[8]);
    let last = world.plan.design.waves.iter().rposition(|wave| wave.role == weir_model::Role::Engine && !wave.members.is_empty());
    let position = world.plan.design.waves[last.expect("a wave")].members[0] as usize;
    until_draining(&mut world, position);
    assert_eq!(out(&world), 2, "a quarter of eight");
    world.devices[position] = UpdateState::new();
    world.find(position);
    let ticked = world.tick();
    let told = |action: &Action| matches!(action, Action::Assign { device, assignment } if *device as usize == position && !assignment.auto_reload);
    assert!(ticked.actions.iter().any(told), "{:?}", ticked.actions);
    assert!(!world.plan.lanes[position].is_let_go());
    for _ in 0..20 {
        for other in 0..world.devices.len() {
            if world.can_move(other) && world.devices[other].stage != Stage::Draining {
                world.device_moves(other);
            }
        }
        world.tick();
        assert!(out(&world) <= 2, "{}", world.glance());
    }
    assert_eq!(world.run(ENOUGH), State::Done, "{}", world.glance());
}

/// Seed 247.
#[test]
fn a_wave_that_is_tried_again_tells_devices_again_that_had_no_room() {
    let mut world = up(&[2, 2]);
    let canary = world.plan.design.waves.iter().position(|wave| wave.role == weir_model::Role::Router).expect("routers");
    let position = world.plan.design.waves[canary].members[0] as usize;
    let fetches = |stage| matches!(stage, Stage::Assigned | Stage::Fetching);
    for _ in 0..ENOUGH {
        world.tick();
        for other in 0..world.devices.len() {
            if other == position && fetches(world.devices[other].stage) {
                world.hear(other, &Event::FetchFailed(UpdateReason::NoSpace));
            } else if world.can_move(other) {
                world.device_moves(other);
            }
        }
    }
    let failed = PauseReason::WaveFailed { wave: u16::try_from(canary).expect("few") };
    assert_eq!(world.plan.state, State::Paused { reason: failed }, "a wave of which nobody could be told is not passed over");
    world.say(&Command::Resume).expect("resumed");
    assert!(world.plan.failures.is_empty(), "it is tried again");
    assert_eq!(world.run(ENOUGH), State::Done, "there is room now: {}", world.glance());
}

/// Seeds 918, 978.
#[test]
fn a_device_that_an_operator_offloaded_is_judged_like_one_in_service() {
    let mut world = up(&[8]);
    let last = world.plan.design.waves.iter().rposition(|wave| wave.role == weir_model::Role::Engine && !wave.members.is_empty());
    let members = world.plan.design.waves[last.expect("a wave")].members.clone();
    until_draining(&mut world, members[0] as usize);
    assert_eq!(out(&world), 2, "a quarter of eight");
    let waits = members.iter().map(|position| *position as usize).find(|position| world.devices[*position].stage == Stage::Staged);
    let position = waits.expect("one of them waits");
    let name = world.facts.devices[position].name.clone();
    world.facts.sites[0].guard.engines.get_mut(&name).expect("an engine").standing = Standing::Out(Out::Offloaded);
    assert_eq!(world.tick().stays[position], Some(Stay::Guard { floor: Floor::EnginesOut }));
}

/// The small model: at the command line the primary goes down first, and may be left alone in the middle.
#[test]
fn a_primary_without_a_database_goes_back_when_the_standby_is_lost() {
    let policy = Policy { driver: Driver::Cli, ..Policy::network(Direction::Down, old(), at_once()) };
    let mut world = World::new(facts(&[2, 2], 2, new()), policy).started();
    let switch = |seat, version| Some(Hold::AwaitingConsole(ConsoleStep::Switch(seat, version)));
    while world.tick().hold != switch(Seat::Primary, old()) {
        world.all_move();
    }
    world.switch(Seat::Primary, old());
    assert_eq!(world.facts.pair.primary.cms, Cms::SchemaAhead);
    world.say(&Command::Abort { why: "lost".into() }).expect("aborts");
    world.facts.pair.standby.as_mut().expect("standby").reachable = false;
    assert_eq!(world.tick().hold, switch(Seat::Primary, new()));
    world.switch(Seat::Primary, new());
    assert!(matches!(world.run(ENOUGH), State::Aborted { .. }), "{}", world.glance());
    assert!(!world.facts.pair.frozen && world.facts.pair.primary.is_well());
}
