//! Rules that are broken on purpose: the walk must notice each.

use super::{walk::explore, *};
use crate::pair_order::{At, PairAt, legal_next};

#[test]
fn rules_that_are_broken_on_purpose_are_noticed() {
    const DEVICES_FIRST: [Phase; 11] = [
        Phase::Preposition,
        Phase::LowerLevel,
        Phase::BackupGate,
        Phase::Engines,
        Phase::Routers,
        Phase::Freeze,
        Phase::FrozenBackup,
        Phase::Managers,
        Phase::Databases,
        Phase::Resync,
        Phase::Unfreeze,
    ];
    let house = Rules::HOUSE;
    let devices_first = Rules { phases: |way| if way == Direction::Down { &DEVICES_FIRST } else { Phase::all(way) }, ..house };
    let (up, down, typed) = ((Direction::Up, Driver::Gui), (Direction::Down, Driver::Gui), (Direction::Down, Driver::Cli));
    let mutants = [
        (devices_first, down, "no way out"),
        (Rules { may_run: |_, _| true, ..devices_first }, down, "is older than the primary"),
        (Rules { manager: primary_first, ..house }, up, "the primary goes up before the standby"),
        (Rules { manager: standby_first, ..house }, typed, "the standby goes down before the primary at the command line"),
        (Rules { manager: as_typed, ..house }, down, "the primary goes down before the standby"),
        (Rules { is_proven: |_| true, ..house }, down, "the pair comes apart without a proven backup"),
        (Rules { floors: |_, _| Vec::new(), ..house }, down, "leaves and nobody of its location serves"),
        (Rules { floors: |_, _| Vec::new(), ..house }, up, "leaves and nobody of its location serves"),
        (Rules { managers_go: |_| true, ..house }, up, "is older than the primary"),
        (Rules { is_proven: |_| true, ..house }, up, "the pair comes apart without a proven backup"),
        (Rules { readmits: |_| None, ..house }, up, "nobody who drains is called back"),
        (Rules { frees_leases: false, ..house }, up, "no way out"),
    ];
    for (number, (rules, (direction, driver), expected)) in mutants.into_iter().enumerate() {
        let budget = Budget { faults: 1, aborts: 1, ..CALM };
        let broken = explore(start(direction, driver, budget, true), &rules).expect_err(expected);
        assert!(broken.contains(expected), "rule {number}: {broken}");
    }
    // Between two rounds the managers are apart, or on trial.
    let mutants = [
        (Rules { settles_managers: false, ..house }, Budget { aborts: 1, ..CALM }, "with the configuration frozen"),
        (Rules { returns_to_managers: false, ..house }, Budget { faults: 1, ..CALM }, "no way out"),
    ];
    for (rules, budget, expected) in mutants {
        let broken = explore(start(up.0, up.1, budget, false), &rules).expect_err(expected);
        assert!(broken.contains(expected), "{broken}");
    }
}

fn primary_first(direction: Direction, driver: Driver, pair: PairAt) -> Option<Seat> {
    match (direction, pair.primary) {
        (Direction::Up, At::Lower) => Some(Seat::Primary),
        _ => legal_next(direction, driver, pair),
    }
}

fn standby_first(direction: Direction, _: Driver, pair: PairAt) -> Option<Seat> {
    legal_next(direction, Driver::Gui, pair)
}

fn as_typed(direction: Direction, _: Driver, pair: PairAt) -> Option<Seat> {
    legal_next(direction, Driver::Cli, pair)
}
