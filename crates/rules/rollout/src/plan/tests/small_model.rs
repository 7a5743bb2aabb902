//! Every state of a small network's rollout, up, down from a page and down by command line: two locations of two engines, two
//! routers, a pair; aborts, turns, promotions, take-overs and faults anywhere. No state breaks order or floor, and from each a way leads to an end. Rules that are broken on purpose are
//! noticed.
//!
//! All interleavings of the planner with everybody else are walked with one thing that goes wrong. With more of them (a fault,
//! an abort and a promotion; two faults) there would be millions of states, so there the planner has its turn after each event.

mod holds;
mod key;
mod mutants;
mod walk;

use super::super::{fixture::*, rules::Rules, tick::tick_by, *};
use crate::{
    pair_order::{Direction, Driver, PairAt, Seat},
    update::{Leave, Stage, UpdateState},
};
use holds::{admitted, owes_readmission};
use std::hash::Hash;
use walk::explore;

/// Ticks after which a planner that is asked again and again has nothing left to do.
const TICKS_MAX: usize = 30;

/// What may still happen besides the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    faults: u8,
    aborts: u8,
    turns: u8,
    promotions: u8,
    /// The managers' steps of a downgrade may be taken over.
    take_overs: u8,
}

#[derive(Debug, Clone)]
struct Model {
    world: World,
    budget: Budget,
    /// The next switch of a manager falls back.
    bad_switch: bool,
    /// The primary has gone up, and until the configuration is unfrozen it may fall back.
    on_trial: bool,
    promoted: bool,
    /// The planner's turn comes after everything that happens, until nothing is left for it to do.
    eager: bool,
    /// Devices that were called dead: older than the primary until they have caught up.
    left_behind: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Tick,
    Device(usize),
    Fails(usize),
    Lost(usize),
    Forgets(usize),
    Found(usize),
    BadSwitch,
    /// The primary's new worker ends while it is on trial.
    FallsBack,
    ManagerLost(Seat),
    ManagerFound(Seat),
    Promote,
    Abort,
    Turn,
    TakeOver,
    /// An operator types what the rollout waits for.
    Console(ConsoleStep),
    Resume,
    Excuse(usize),
    Retry(usize),
}

impl Model {
    fn moves(&self, rules: &Rules) -> Vec<Move> {
        // Time passes, too.
        let mut moves = vec![Move::Tick];
        let facts = &self.world.facts;
        for (position, device) in facts.devices.iter().enumerate() {
            let heard = device.contact == Contact::Reporting;
            if heard && self.world.can_move(position) {
                moves.push(Move::Device(position));
            }
            if self.budget.faults > 0 && heard {
                moves.push(Move::Lost(position));
                if device.stage == Stage::Trial {
                    moves.push(Move::Fails(position));
                }
                if device.leased {
                    moves.push(Move::Forgets(position));
                }
            }
            if !heard {
                moves.push(Move::Found(position));
                if self.world.plan.lanes[position].excuse == Excuse::None && !self.world.plan.is_over() {
                    moves.push(Move::Excuse(position));
                }
            }
        }
        self.manager_moves(&mut moves, rules);
        let turn = (!self.world.plan.course.back).then_some(Move::Turn);
        match self.world.plan.state {
            // An image that fell back somewhere is given up, or tried again.
            State::Paused { .. } if facts.devices.iter().any(|device| !device.burned.is_empty()) => {
                moves.extend([Move::Resume].into_iter().chain(turn));
                moves.extend((0..facts.devices.len()).filter(|position| self.can_retry(*position)).map(Move::Retry));
            }
            State::Paused { .. } => moves.push(Move::Resume),
            State::Aborted { .. } => moves.extend([Move::Resume].into_iter().chain(turn)),
            State::Running if self.budget.aborts > 0 => moves.push(Move::Abort),
            _ => {}
        }
        if self.budget.turns > 0 && !self.world.plan.is_over() {
            moves.extend(turn);
        }
        moves
    }

    fn can_retry(&self, position: usize) -> bool {
        let device = &self.world.facts.devices[position];
        device.contact == Contact::Reporting && !device.burned.is_empty() && device.stage.at_rest()
    }

    fn manager_moves(&self, moves: &mut Vec<Move>, rules: &Rules) {
        let pair = &self.world.facts.pair;
        let standby = pair.standby.as_ref().expect("there is one");
        for (seat, manager) in [(Seat::Primary, &pair.primary), (Seat::Standby, standby)] {
            match manager.reachable {
                true if self.budget.faults > 0 && seat == Seat::Standby => moves.push(Move::ManagerLost(seat)),
                true => {}
                false => moves.push(Move::ManagerFound(seat)),
            }
        }
        if self.budget.faults > 0 && pair.frozen && !self.bad_switch {
            moves.push(Move::BadSwitch);
        }
        if self.budget.faults > 0 && self.on_trial {
            moves.push(Move::FallsBack);
        }
        if self.budget.promotions > 0 && standby.reachable && standby.cms == Cms::Running {
            moves.push(Move::Promote);
        }
        let course = self.world.plan.course;
        let down = course.direction == Direction::Down && !self.world.plan.is_over();
        if self.budget.take_overs > 0 && down && course.driver == Driver::Gui {
            moves.push(Move::TakeOver);
        }
        if down && course.driver == Driver::Cli {
            moves.extend(self.awaited(rules).map(Move::Console));
        }
    }

    /// What an operator is to type.
    fn awaited(&self, rules: &Rules) -> Option<ConsoleStep> {
        match tick_by(rules, &self.world.plan, &self.world.facts, self.world.now_ms).hold {
            Some(Hold::AwaitingConsole(step)) => Some(step),
            _ => None,
        }
    }

    fn after(&self, a_move: Move, rules: &Rules) -> Result<Self, String> {
        let mut next = self.moved(a_move, rules)?;
        if !next.eager {
            return Ok(next);
        }
        let mut before = next.key();
        for _ in 0..TICKS_MAX {
            next = next.ticked(rules)?;
            let after = next.key();
            if std::mem::replace(&mut before, after) == after || next.world.plan.is_over() {
                break;
            }
        }
        Ok(next)
    }

    fn moved(&self, a_move: Move, rules: &Rules) -> Result<Self, String> {
        let mut next = self.clone();
        let world = &mut next.world;
        match a_move {
            Move::Tick => return next.ticked(rules),
            Move::Device(position) => world.device_moves(position),
            Move::Fails(position) => {
                next.budget.faults -= 1;
                world.device_fails(position);
            }
            Move::Lost(position) => {
                next.budget.faults -= 1;
                world.lose(position);
            }
            Move::Forgets(position) => {
                next.budget.faults -= 1;
                world.devices[position] = UpdateState::new();
                world.find(position);
            }
            Move::Found(position) => world.find(position),
            Move::BadSwitch => {
                next.budget.faults -= 1;
                next.bad_switch = true;
            }
            Move::FallsBack => {
                next.budget.faults -= 1;
                next.on_trial = false;
                world.switch(Seat::Primary, old());
                (world.facts.pair.primary.failed, world.facts.pair.primary.cms) = (true, Cms::Running);
            }
            Move::ManagerLost(seat) => {
                next.budget.faults -= 1;
                set_reachable(world, seat, false);
            }
            Move::ManagerFound(seat) => set_reachable(world, seat, true),
            Move::Promote => {
                next.budget.promotions -= 1;
                (next.promoted, next.on_trial) = (true, false);
                let pair = &mut world.facts.pair;
                let standby = pair.standby.as_mut().expect("there is one");
                std::mem::swap(&mut pair.primary, standby);
                pair.stamp.term += 1;
                pair.matched = false;
            }
            Move::Abort => {
                next.budget.aborts -= 1;
                world.say(&Command::Abort { why: String::new() }).map_err(|refused| refused.to_string())?;
            }
            Move::Turn => {
                next.budget.turns = next.budget.turns.saturating_sub(1);
                world.say(&Command::Revert).map_err(|refused| refused.to_string())?;
            }
            Move::TakeOver => {
                next.budget.take_overs -= 1;
                world.say(&Command::TakeOver).map_err(|refused| refused.to_string())?;
            }
            Move::Console(step) => next.typed(step)?,
            Move::Resume => world.say(&Command::Resume).map_err(|refused| refused.to_string())?,
            Move::Retry(position) => {
                world.devices[position].burned.clear();
                world.find(position);
                let device = world.facts.devices[position].name.clone();
                world.say(&Command::Retry { device }).map_err(|refused| refused.to_string())?;
            }
            Move::Excuse(position) => {
                let device = world.facts.devices[position].name.clone();
                world.say(&Command::Excuse { device }).map_err(|refused| refused.to_string())?;
                next.left_behind |= 1 << position;
            }
        }
        next.glide();
        next.holds()?;
        Ok(next)
    }

    /// An operator types a step at a manager's command line.
    fn typed(&mut self, step: ConsoleStep) -> Result<(), String> {
        let before = self.world.clone();
        match step {
            ConsoleStep::Switch(seat, version) => {
                self.world.switch(seat, version);
                self.switched(&before, seat, version, self.bad_switch)
            }
            ConsoleStep::DatabaseDowngrade(seat) => self.set_cms(seat, Cms::Disabled),
            ConsoleStep::Enable(seat) => self.set_cms(seat, Cms::Running),
        }
    }

    /// Both run the target before a database goes back, in a rollout that keeps to its order.
    fn set_cms(&mut self, seat: Seat, cms: Cms) -> Result<(), String> {
        let pair = &mut self.world.facts.pair;
        let standby = pair.standby.as_mut().expect("there is one");
        if standby.version != pair.primary.version {
            return Err("a database goes back while the managers are apart".into());
        }
        let manager = if seat == Seat::Primary { &mut pair.primary } else { standby };
        manager.cms = cms;
        Ok(())
    }

    fn ticked(mut self, rules: &Rules) -> Result<Self, String> {
        let before = self.world.clone();
        let switches = self.bad_switch;
        let ticked = self.world.tick_by(rules);
        // What only people read is not part of a state.
        self.world.ticked = None;
        for action in &ticked.actions {
            admitted(&before, action)?;
            if let Action::SwitchManager { seat, version } = action {
                self.switched(&before, *seat, *version, switches)?;
            }
        }
        let back = ticked.actions.iter().filter(|action| matches!(action, Action::Cancel { .. })).count();
        if owes_readmission(&before) && !before.plan.is_over() && back == 0 {
            return Err("a fault broke a floor and nobody who drains is called back".into());
        }
        self.glide();
        self.holds()?;
        Ok(self)
    }

    /// What is of no interest happens at once; whoever was left behind and has caught up is like the others.
    fn glide(&mut self) {
        self.on_trial &= self.world.facts.pair.frozen;
        for position in 0..self.world.devices.len() {
            while self.world.can_move(position) && !matches!(self.world.devices[position].stage, Stage::Draining | Stage::Trial) {
                self.world.device_moves(position);
            }
            let (plan, facts) = (&self.world.plan, &self.world.facts);
            let (version, stage) = (facts.devices[position].version, facts.devices[position].stage);
            let proven = stage.at_rest() && !facts.devices[position].on_probation;
            let there = proven && version == Some(plan.hop().1) && version >= Some(facts.pair.primary.version);
            if plan.lanes[position].excuse == Excuse::None && there {
                self.left_behind &= !(1 << position);
            }
        }
    }
}

fn set_reachable(world: &mut World, seat: Seat, reachable: bool) {
    let pair = &mut world.facts.pair;
    let manager = if seat == Seat::Primary { &mut pair.primary } else { pair.standby.as_mut().expect("there is one") };
    manager.reachable = reachable;
    if !reachable {
        pair.matched = false;
    }
}

/// Two locations of two engines, two routers and a pair.
fn start(direction: Direction, driver: Driver, budget: Budget, eager: bool) -> Model {
    let (from, to) = if direction == Direction::Up { (old(), new()) } else { (new(), old()) };
    let policy = Policy { driver, ..Policy::network(direction, to, at_once()) };
    let world = World::new(facts(&[2, 2], 2, from), policy).started();
    Model { world, budget, eager, bad_switch: false, on_trial: false, promoted: false, left_behind: 0 }
}

const CALM: Budget = Budget { faults: 0, aborts: 0, turns: 0, promotions: 0, take_overs: 0 };
const WAYS: [(Direction, Driver); 3] = [(Direction::Up, Driver::Gui), (Direction::Down, Driver::Gui), (Direction::Down, Driver::Cli)];

/// Walks every state.
fn every_state(direction: Direction, driver: Driver, budget: Budget, eager: bool) {
    let explored = explore(start(direction, driver, budget, eager), &Rules::HOUSE)
        .unwrap_or_else(|broken| panic!("{direction} {driver} {budget:?}: {broken}"));
    assert!(explored.ends > 0 && explored.states > 100 && explored.transitions > explored.states, "{explored:?}");
}

fn every_way(budget: Budget, eager: bool) {
    for (direction, driver) in WAYS {
        every_state(direction, driver, budget, eager);
    }
}

#[test]
fn no_state_is_wrong_whenever_the_planner_looks() {
    every_way(CALM, false);
    every_way(Budget { promotions: 1, ..CALM }, false);
    every_way(Budget { aborts: 1, ..CALM }, false);
    every_way(Budget { turns: 1, ..CALM }, false);
}

#[test]
fn no_state_is_wrong_with_a_fault_whenever_the_planner_looks() {
    every_way(Budget { faults: 1, ..CALM }, false);
}

#[test]
fn no_state_is_wrong_with_a_fault_an_abort_and_a_promotion() {
    every_way(Budget { faults: 1, aborts: 1, promotions: 1, ..CALM }, true);
}

#[test]
fn no_state_of_a_downgrade_is_wrong_that_is_taken_over() {
    let taken_over = Budget { take_overs: 1, ..CALM };
    every_state(Direction::Down, Driver::Gui, taken_over, false);
    every_state(Direction::Down, Driver::Gui, Budget { promotions: 1, ..taken_over }, false);
    every_state(Direction::Down, Driver::Gui, Budget { faults: 1, aborts: 1, ..taken_over }, true);
    every_state(Direction::Up, Driver::Gui, Budget { turns: 1, promotions: 1, ..taken_over }, true);
}

#[test]
fn no_state_of_an_upgrade_is_wrong_with_two_faults() {
    every_state(Direction::Up, Driver::Gui, Budget { faults: 2, ..CALM }, true);
}

#[test]
fn no_state_of_a_downgrade_is_wrong_with_two_faults() {
    every_state(Direction::Down, Driver::Gui, Budget { faults: 2, ..CALM }, true);
}
