//! The short form: some seeds of a small network.

use crate::{
    fault::Defect,
    report,
    shrink::shrink,
    world::{CrashAt, Setup, run, run_crashing},
};
use weir_rollout::{
    pair_order::{Direction, Driver},
    plan::State,
};

const DEVICES: u32 = 40;
/// A network whose every record is tried.
const FEW: u32 = 12;

#[test]
fn twenty_seeds_break_nothing() {
    for seed in 1..=20 {
        let setup = Setup::of_seed(seed, DEVICES);
        let faults = setup.draw();
        let outcome = run(&setup, &faults);
        if !outcome.broken.is_empty() {
            let (faults, outcome) = shrink(&setup, faults);
            panic!("{}", report::failing(&setup, &faults, &outcome));
        }
    }
}

/// Seeds that broke something once: a journal lost in a drain, an abort before a full disk, an operator's offload, a revert of a switch.
#[test]
fn kept_seeds_break_nothing() {
    for seed in [198, 247, 384, 401, 410, 413, 442, 579, 918, 978] {
        let setup = Setup::of_seed(seed, 100);
        let faults = setup.draw();
        let outcome = run(&setup, &faults);
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn without_faults_a_good_image_gets_everywhere_both_ways() {
    for direction in [Direction::Up, Direction::Down] {
        for lines in [1, 2] {
            let setup = Setup { direction, lines, ..Setup::calm(1, DEVICES) };
            let outcome = run(&setup, &[]);
            assert_eq!((outcome.broken, outcome.ended), (vec![], Some(State::Done)), "{direction} {lines}");
        }
    }
}

#[test]
fn a_bad_image_stays_with_the_canaries() {
    for defect in Defect::ALL {
        let setup = Setup { defect, ..Setup::calm(3, DEVICES) };
        let outcome = run(&setup, &[]);
        assert_eq!(outcome.broken, Vec::<String>::new(), "{defect}");
        let end = if defect == Defect::None { State::Done } else { State::Reverted };
        assert_eq!(outcome.ended, Some(end), "{defect}");
        assert!(outcome.touched <= outcome.canaries, "{defect}: {} of {}", outcome.touched, outcome.canaries);
    }
}

/// Before and after what each of them wanted was done.
#[test]
fn a_primary_that_crashes_at_any_record_of_the_journal_goes_on() {
    for (direction, driver) in [(Direction::Up, Driver::Gui), (Direction::Down, Driver::Gui), (Direction::Down, Driver::Cli)] {
        let setup = Setup { direction, driver, ..Setup::calm(1, FEW) };
        let records = run(&setup, &[]).records;
        assert!(records > 20, "{records}");
        for (record, before_acting) in (1..=records).flat_map(|record| [(record, true), (record, false)]) {
            let outcome = run_crashing(&setup, CrashAt { record, before_acting });
            let place = format!("{direction} {driver}: record {record} of {records}, before acting: {before_acting}");
            assert_eq!((outcome.broken, outcome.ended), (vec![], Some(State::Done)), "{place}");
        }
    }
}

#[test]
fn a_seed_repeats_itself() {
    let setup = Setup::of_seed(5, DEVICES);
    let (one, other) = (run(&setup, &setup.draw()), run(&setup, &setup.draw()));
    assert_eq!((one.events, one.took_ms, one.samples), (other.events, other.took_ms, other.samples));
}
