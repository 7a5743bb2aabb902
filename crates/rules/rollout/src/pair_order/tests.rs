//! Every state a pair can get into, promotions, take-overs, turns and the loss of the standby included.

use super::*;
use std::collections::BTreeSet;

const DIRECTIONS: [Direction; 2] = [Direction::Up, Direction::Down];
const DRIVERS: [Driver; 2] = [Driver::Gui, Driver::Cli];

type State = (Direction, Driver, PairAt);

fn switched(pair: PairAt, seat: Seat, to: At) -> PairAt {
    match seat {
        Seat::Standby => PairAt { standby: Some(to), ..pair },
        Seat::Primary => PairAt { primary: to, ..pair },
    }
}

/// What may happen to a pair in the middle of a rollout.
fn after((direction, driver, pair): State) -> Vec<State> {
    let mut next = Vec::new();
    if let Some(seat) = legal_next(direction, driver, pair) {
        next.push((direction, driver, switched(pair, seat, end_of(direction))));
    }
    if let Some(standby) = pair.standby {
        next.push((direction, driver, PairAt { standby: Some(pair.primary), primary: standby }));
        next.push((direction, driver, PairAt { standby: None, ..pair }));
    }
    next.push((direction, Driver::Cli, pair));
    next.extend(DRIVERS.map(|driver| (direction.reversed(), driver, pair)));
    next
}

fn reachable() -> BTreeSet<State> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<State> = Vec::new();
    for (direction, at) in [(Direction::Up, At::Lower), (Direction::Down, At::Higher)] {
        for standby in [Some(at), None] {
            open.extend(DRIVERS.map(|driver| (direction, driver, PairAt { standby, primary: at })));
        }
    }
    while let Some(state) = open.pop() {
        if seen.insert(state) {
            open.extend(after(state));
        }
    }
    seen
}

#[test]
fn every_reachable_state_has_a_row_or_is_there() {
    let states = reachable();
    assert_eq!(states.len(), 2 * 2 * 6, "every combination can be reached");
    for (direction, driver, pair) in states {
        let next = legal_next(direction, driver, pair);
        assert_eq!(next.is_none(), pair.is_there(direction), "{direction} {driver} {pair:?}");
    }
}

#[test]
fn every_state_leads_to_the_end_within_two_switches_and_never_back() {
    for (direction, driver, mut pair) in reachable() {
        for _ in 0..2 {
            let Some(seat) = legal_next(direction, driver, pair) else { break };
            let before = pair;
            pair = switched(pair, seat, end_of(direction));
            assert_ne!(before, pair, "a switch to what it runs already: {direction} {driver} {before:?}");
        }
        assert!(pair.is_there(direction), "{direction} {driver} {pair:?}");
    }
}

#[test]
fn no_row_of_the_table_stands_twice() {
    for direction in DIRECTIONS {
        for driver in DRIVERS {
            for row in &TABLE {
                let same = |other: &&Row| {
                    other.direction == direction
                        && other.driver.is_none_or(|by| by == driver)
                        && (other.standby, other.primary) == (row.standby, row.primary)
                };
                assert!(TABLE.iter().filter(same).count() <= 1);
            }
        }
    }
}

#[test]
fn the_requirement_page_s_orders_are_followed() {
    let whole = |direction, driver| {
        let from = if direction == Direction::Up { At::Lower } else { At::Higher };
        let mut pair = PairAt { standby: Some(from), primary: from };
        let mut order = Vec::new();
        while let Some(seat) = legal_next(direction, driver, pair) {
            order.push(seat);
            pair = switched(pair, seat, end_of(direction));
        }
        order
    };
    for driver in DRIVERS {
        assert_eq!(whole(Direction::Up, driver), [Seat::Standby, Seat::Primary]);
    }
    assert_eq!(whole(Direction::Down, Driver::Gui), [Seat::Standby, Seat::Primary]);
    assert_eq!(whole(Direction::Down, Driver::Cli), [Seat::Primary, Seat::Standby]);
}

#[test]
fn any_other_order_is_refused_with_the_next_step() {
    for (direction, driver, pair) in reachable() {
        let next = legal_next(direction, driver, pair);
        for seat in [Seat::Standby, Seat::Primary] {
            match may_switch(direction, driver, pair, seat) {
                Ok(()) => assert_eq!(next, Some(seat)),
                Err(refused) => {
                    assert_ne!(next, Some(seat), "{refused:?}");
                    assert!(!refused.text.is_empty() && !refused.step.is_empty() && !refused.text.ends_with('.'), "{refused:?}");
                    assert_eq!(refused.next.is_some(), refused.reason != PairReason::Finished, "{refused:?}");
                }
            }
        }
    }
    let both = PairAt { standby: Some(At::Lower), primary: At::Lower };
    let refused = may_switch(Direction::Up, Driver::Gui, both, Seat::Primary).expect_err("not before the standby");
    assert_eq!(
        format!("{refused}; {}", refused.step),
        "the primary does not go before the standby: the pages live on the primary, so it goes last; switch the standby first"
    );
}

#[test]
fn a_version_that_is_neither_is_named() {
    let version = |text: &str| -> Version { text.parse().expect(text) };
    let (low, high, other) = (version("1.0.0-b1"), version("1.1.0-b1"), version("1.1.0-b2"));
    let pair = PairAt::of(low, high, Some(high), low).expect("both known");
    assert_eq!(pair, PairAt { standby: Some(At::Higher), primary: At::Lower });
    assert!(!pair.is_matched() && PairAt::of(low, high, None, high).expect("alone").is_matched());
    let refused = PairAt::of(low, high, Some(other), low).expect_err("another version");
    assert_eq!((refused.reason, refused.text.contains("1.1.0-b2")), (PairReason::OtherVersion, true));
}
