//! What an operator may say when, and that each refusal says what to do instead.

use super::super::{fixture::*, *};
use crate::pair_order::Direction;

const ENOUGH: usize = 400;

fn down(driver: Driver) -> World {
    let policy = Policy { driver, ..Policy::network(Direction::Down, old(), at_once()) };
    World::new(facts(&[2, 2], 2, new()), policy).started()
}

fn part() -> World {
    let policy = Policy { scope: Scope::Role(weir_model::Role::Engine), ..Policy::network(Direction::Up, new(), at_once()) };
    World::new(facts(&[2, 2], 2, old()), policy).started()
}

fn up() -> World {
    World::small(Direction::Up).started()
}

fn words() -> [Command; 3] {
    let why = String::new;
    [Command::Pause { why: why() }, Command::Abort { why: why() }, Command::Hold { why: why() }]
}

fn refused(world: &mut World, word: &Command) -> CommandReason {
    let before = world.plan.clone();
    let reason = world.say(word).expect_err("refused").reason;
    assert_eq!(world.plan, before);
    reason
}

#[test]
fn every_refusal_says_what_to_do_instead() {
    for reason in CommandReason::ALL {
        let step = reason.next_step();
        assert!(step.len() > 5 && !step.ends_with('.'), "{reason:?}: {step}");
        assert_eq!(CommandRefused { reason }.to_string(), format!("refused: {step}"));
    }
}

#[test]
fn an_aborted_rollout_is_neither_paused_nor_aborted_again() {
    let [pause, abort, _] = words();
    let mut world = up();
    world.tick();
    world.say(&abort).expect("aborts");
    for state in ["aborting", "aborted"] {
        assert_eq!(world.plan.status(), state);
        assert_eq!(refused(&mut world, &pause), CommandReason::Aborted);
        assert_eq!(refused(&mut world, &abort), CommandReason::Aborted);
        world.run(ENOUGH);
    }
    world.say(&Command::Resume).expect("goes on");
    assert_eq!(world.run(ENOUGH), State::Done);
}

#[test]
fn a_rollout_is_turned_once_and_forward_again_is_another() {
    let mut world = up();
    for _ in 0..10 {
        world.tick();
        world.all_move();
    }
    world.say(&Command::Revert).expect("turned");
    assert_eq!(refused(&mut world, &Command::Revert), CommandReason::GoesBack);
    let [pause, abort, _] = words();
    world.say(&pause).expect("paused");
    assert_eq!(refused(&mut world, &Command::Revert), CommandReason::GoesBack);
    world.say(&abort).expect("aborts");
    world.run(ENOUGH);
    assert_eq!(refused(&mut world, &Command::Revert), CommandReason::GoesBack);
    world.say(&Command::Resume).expect("goes on going back");
    assert_eq!(world.run(ENOUGH), State::Reverted);
    assert_eq!(refused(&mut world, &Command::Revert), CommandReason::Over);
    world.plan = make(Policy::network(Direction::Up, new(), at_once()), &world.facts, 0).expect("forward again");
    assert_eq!(world.started().run(ENOUGH), State::Done);
}

#[test]
fn words_about_managers_and_level_are_refused_where_there_are_none() {
    let [_, _, hold] = words();
    for word in [hold.clone(), Command::Finalise, Command::TakeOver] {
        assert_eq!(refused(&mut part(), &word), CommandReason::NoManagers, "{word:?}");
    }
    assert_eq!(refused(&mut up(), &Command::TakeOver), CommandReason::NotDown);
    assert_eq!(refused(&mut down(Driver::Cli), &Command::TakeOver), CommandReason::TakenOver);
    for word in [hold, Command::Finalise] {
        assert_eq!(refused(&mut down(Driver::Gui), &word), CommandReason::NoRise, "{word:?}");
    }
    let mut taken = down(Driver::Gui);
    taken.say(&Command::TakeOver).expect("taken over");
    assert_eq!(taken.plan.course.driver, Driver::Cli);
    assert_eq!(refused(&mut taken, &Command::TakeOver), CommandReason::TakenOver);
}

#[test]
fn finalise_takes_a_hold_away_and_ends_a_soak_that_has_begun() {
    let [_, _, hold] = words();
    let mut world = up();
    assert_eq!(refused(&mut world, &Command::Finalise), CommandReason::NotSoaking);
    world.say(&hold).expect("held");
    world.say(&Command::Finalise).expect("not held");
    assert_eq!((world.plan.held.as_ref(), world.plan.soaked), (None, false));
    world.say(&hold).expect("held");
    world.run(ENOUGH);
    assert_eq!((world.plan.phase, world.level()), (Phase::Finalise, old().line));
    world.say(&Command::Finalise).expect("let rise");
    assert_eq!((world.run(ENOUGH), world.level()), (State::Done, new().line));
}
