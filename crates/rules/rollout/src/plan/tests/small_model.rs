//! Every state of a small network's rollout: two locations of two engines, two routers, a pair; aborts, turns, promotions and
//! faults anywhere. No state breaks order or floor, and from each a way leads to an end. Rules that are broken on purpose are
//! noticed.
//!
//! All interleavings of the planner with everybody else are walked with one thing that goes wrong. With more of them (a fault,
//! an abort and a promotion; two faults) there would be millions of states, so there the planner has its turn after each event.

mod walk;

use super::super::{fixture::*, rules::Rules, *};
use crate::{
    guard::Standing,
    pair_order::{At, PairAt, Seat, legal_next},
    update::{Leave, Stage, UpdateState},
};
use std::hash::{DefaultHasher, Hash, Hasher};
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
}

#[derive(Debug, Clone)]
struct Model {
    world: World,
    budget: Budget,
    /// The next switch of a manager falls back.
    bad_switch: bool,
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
    ManagerLost(Seat),
    ManagerFound(Seat),
    Promote,
    Abort,
    Turn,
    Resume,
    Excuse(usize),
    Retry(usize),
}

impl Model {
    fn moves(&self) -> Vec<Move> {
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
        self.manager_moves(&mut moves);
        match self.world.plan.state {
            // An image that fell back somewhere is given up, or tried again.
            State::Paused { .. } if facts.devices.iter().any(|device| !device.burned.is_empty()) => {
                moves.extend([Move::Resume, Move::Turn]);
                moves.extend((0..facts.devices.len()).filter(|position| self.can_retry(*position)).map(Move::Retry));
            }
            State::Paused { .. } => moves.push(Move::Resume),
            State::Aborted { .. } => moves.extend([Move::Resume, Move::Turn]),
            State::Running if self.budget.aborts > 0 => moves.push(Move::Abort),
            _ => {}
        }
        if self.budget.turns > 0 && !self.world.plan.is_over() {
            moves.push(Move::Turn);
        }
        moves
    }

    fn can_retry(&self, position: usize) -> bool {
        let device = &self.world.facts.devices[position];
        device.contact == Contact::Reporting && !device.burned.is_empty() && device.stage.at_rest()
    }

    fn manager_moves(&self, moves: &mut Vec<Move>) {
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
        if self.budget.promotions > 0 && standby.reachable && standby.cms == Cms::Running {
            moves.push(Move::Promote);
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
            Move::ManagerLost(seat) => {
                next.budget.faults -= 1;
                set_reachable(world, seat, false);
            }
            Move::ManagerFound(seat) => set_reachable(world, seat, true),
            Move::Promote => {
                next.budget.promotions -= 1;
                next.promoted = true;
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

    /// A manager was told to switch.
    fn switched(&mut self, before: &World, seat: Seat, version: Version, fails: bool) -> Result<(), String> {
        let pair = &before.facts.pair;
        let standby = pair.standby.as_ref().expect("there is one");
        let manager = if seat == Seat::Primary { &pair.primary } else { standby };
        // A standby that does not follow changes nothing by becoming what the primary is.
        if !pair.frozen && (seat == Seat::Primary || version != pair.primary.version || pair.matched) {
            return Err("a manager switches and the configuration is not frozen".into());
        }
        if standby.version == pair.primary.version && before.facts.backup.frozen != Proof::Proven {
            return Err("the pair comes apart without a proven backup".into());
        }
        let up = version > manager.version;
        let standby_behind = standby.version < version;
        if seat == Seat::Primary && up && standby_behind {
            return Err("the primary goes up before the standby".into());
        }
        if seat == Seat::Primary && !up && standby.version > version && standby.version == pair.primary.version {
            return Err("the primary goes down before the standby in a rollout that it drives".into());
        }
        if fails && manager.reachable && manager.version != version {
            self.bad_switch = false;
            let facts = &mut self.world.facts.pair;
            *facts = pair.clone();
            let facts = if seat == Seat::Primary { &mut facts.primary } else { facts.standby.as_mut().expect("there is one") };
            facts.failed = true;
        }
        Ok(())
    }

    /// What is of no interest happens at once; whoever was left behind and has caught up is like the others.
    fn glide(&mut self) {
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

    /// What must be true in every state.
    fn holds(&self) -> Result<(), String> {
        let World { facts, plan, .. } = &self.world;
        let pair = &facts.pair;
        let standby = pair.standby.as_ref().expect("there is one");
        let (lower, higher) = (old(), new());
        let counts = |position: &usize| self.left_behind & 1 << position == 0;
        for device in (0..facts.devices.len()).filter(counts).map(|position| &facts.devices[position]) {
            if device.version < Some(pair.primary.version) {
                return Err(format!("{} is older than the primary", device.name));
            }
            if device.version.is_some_and(|version| version.line < facts.level.at) {
                return Err(format!("{} is below the level", device.name));
            }
        }
        if pair.primary.version.line < facts.level.at || (standby.version.line < facts.level.at && pair.matched) {
            return Err("a manager is below the level".into());
        }
        if standby.version < pair.primary.version {
            let refuses = !pair.matched;
            let meant = plan.course.direction == Direction::Down || plan.design.policy.direction == Direction::Down || self.promoted;
            if !refuses || !meant {
                return Err("the standby is older than the primary".into());
            }
        }
        if PairAt::of(lower, higher, Some(standby.version), pair.primary.version).is_err() {
            return Err("a manager runs a third version".into());
        }
        let out =
            facts.routers.routers.iter().filter(|(name, _)| facts.devices.iter().any(|device| device.name == **name && device.leased));
        if out.count() > 1 {
            return Err("both routers are out".into());
        }
        let rests = matches!(plan.state, State::Done | State::Reverted | State::Aborted { .. });
        if rests && pair.frozen {
            return Err(format!("{:?} with the configuration frozen", plan.state));
        }
        let leased = facts.devices.iter().any(|device| device.leased && device.contact == Contact::Reporting);
        if plan.is_over() && leased {
            return Err(format!("{:?} with a lease of the rollout", plan.state));
        }
        let target = plan.hop().1;
        let behind = || (0..facts.devices.len()).filter(counts).any(|position| facts.devices[position].version != Some(target));
        if plan.is_over() && (pair.primary.version != target || behind()) {
            return Err(format!("{:?} and not everybody is there", plan.state));
        }
        Ok(())
    }

    fn key(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.feed(&mut hasher);
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }

    fn feed(&self, hasher: &mut DefaultHasher) {
        let World { facts, plan, devices, prior, .. } = &self.world;
        (&plan.state, plan.course, plan.phase, plan.soaked, self.budget, self.bad_switch, self.promoted, self.left_behind).hash(hasher);
        plan.waves.iter().for_each(|wave| (*wave as u8).hash(hasher));
        for (position, lane) in plan.lanes.iter().enumerate() {
            let (device, state) = (&facts.devices[position], &devices[position]);
            let word = lane.word.map(|word| {
                (word.version, word.leave == Leave::Drained, word.reload, word.cancelled, device.obeyed.cmp(&Some(word.stamp)))
            });
            (lane.was, lane.before, word, lane.attempts, lane.back, lane.excuse, lane.force, lane.moved).hash(hasher);
            (device.version, device.contact, device.stage, device.leased, device.on_probation, prior[position]).hash(hasher);
            (device.obeyed.is_some(), &state.burned, state.proof.crashes).hash(hasher);
            let told = state.assignment.as_ref().map(|told| (told.version, told.auto_reload, told.leave == Leave::Drained));
            told.hash(hasher);
        }
        for manager in [Some(&facts.pair.primary), facts.pair.standby.as_ref()].into_iter().flatten() {
            (manager.version, manager.cms, manager.reachable, manager.failed).hash(hasher);
        }
        (facts.pair.matched, facts.pair.frozen, facts.level.at, facts.backup.gate, facts.backup.frozen).hash(hasher);
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

/// A device that is let out of service leaves somebody behind, or does not leave.
fn admitted(before: &World, action: &Action) -> Result<(), String> {
    let position = match action {
        Action::Reload { device, .. } => *device as usize,
        Action::Assign { device, assignment } if assignment.auto_reload && assignment.leave == Leave::Drained => *device as usize,
        _ => return Ok(()),
    };
    if before.plan.lanes[position].is_let_go() {
        return Ok(());
    }
    let device = &before.facts.devices[position];
    let in_flight = |other: usize| before.plan.lanes[other].is_let_go() && !before.devices[other].stage.at_rest();
    let others = (0..before.facts.devices.len()).filter(|other| *other != position);
    let serves = |other: usize| {
        let facts = &before.facts.devices[other];
        facts.role == device.role && facts.site == device.site && facts.contact == Contact::Reporting && !facts.leased && !in_flight(other)
    };
    match others.into_iter().any(serves) {
        true => Ok(()),
        false => Err(format!("{} leaves and nobody of its location serves", device.name)),
    }
}

/// Whether a location has lost an engine while the other one drains.
fn owes_readmission(world: &World) -> bool {
    let running = matches!(world.plan.state, State::Running);
    let site = |site: &SiteFacts| {
        let lost = site.guard.engines.values().any(|engine| matches!(engine.standing, Standing::Out(out) if out.is_fault()));
        let draining = site.guard.engines.iter().any(|(name, engine)| {
            let position = world.plan.position(name).expect("known");
            let heard = world.facts.devices[position].contact == Contact::Reporting;
            engine.draining.is_some() && heard && world.plan.lanes[position].is_let_go() && world.devices[position].stage == Stage::Draining
        });
        lost && draining
    };
    running && world.facts.sites.iter().any(site)
}

fn start(direction: Direction, budget: Budget, eager: bool) -> Model {
    Model { world: World::small(direction).started(), budget, eager, bad_switch: false, promoted: false, left_behind: 0 }
}

const CALM: Budget = Budget { faults: 0, aborts: 0, turns: 0, promotions: 0 };

/// Walks every state.
fn every_state(direction: Direction, budget: Budget, eager: bool) {
    let explored =
        explore(start(direction, budget, eager), &Rules::HOUSE).unwrap_or_else(|broken| panic!("{direction} {budget:?}: {broken}"));
    assert!(explored.ends > 0 && explored.states > 100 && explored.transitions > explored.states, "{explored:?}");
}

fn both_ways(budget: Budget, eager: bool) {
    every_state(Direction::Up, budget, eager);
    every_state(Direction::Down, budget, eager);
}

#[test]
fn no_state_is_wrong_whenever_the_planner_looks() {
    both_ways(CALM, false);
    both_ways(Budget { promotions: 1, ..CALM }, false);
    both_ways(Budget { aborts: 1, ..CALM }, false);
    both_ways(Budget { turns: 1, ..CALM }, false);
    both_ways(Budget { faults: 1, ..CALM }, false);
}

#[test]
fn no_state_is_wrong_with_a_fault_an_abort_and_a_promotion() {
    both_ways(Budget { faults: 1, aborts: 1, promotions: 1, ..CALM }, true);
}

#[test]
fn no_state_of_an_upgrade_is_wrong_with_two_faults() {
    every_state(Direction::Up, Budget { faults: 2, ..CALM }, true);
}

#[test]
fn no_state_of_a_downgrade_is_wrong_with_two_faults() {
    every_state(Direction::Down, Budget { faults: 2, ..CALM }, true);
}

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
    let (up, down) = (Direction::Up, Direction::Down);
    let mutants = [
        (devices_first, down, "no way out"),
        (Rules { may_run: |_, _| true, ..devices_first }, down, "is older than the primary"),
        (Rules { manager: primary_first, ..house }, up, "the primary goes up before the standby"),
        (Rules { floors: |_, _| Vec::new(), ..house }, up, "leaves and nobody of its location serves"),
        (Rules { managers_go: |_| true, ..house }, up, "is older than the primary"),
        (Rules { is_proven: |_| true, ..house }, up, "the pair comes apart without a proven backup"),
        (Rules { readmits: |_| None, ..house }, up, "nobody who drains is called back"),
        (Rules { frees_leases: false, ..house }, up, "no way out"),
    ];
    for (number, (rules, direction, expected)) in mutants.into_iter().enumerate() {
        let budget = Budget { faults: 1, aborts: 1, ..CALM };
        let broken = explore(start(direction, budget, true), &rules).expect_err(expected);
        assert!(broken.contains(expected), "rule {number}: {broken}");
    }
    // Between two rounds the managers are apart.
    let left_apart = explore(start(up, Budget { aborts: 1, ..CALM }, false), &Rules { settles_managers: false, ..house });
    let broken = left_apart.expect_err("managers are left apart");
    assert!(broken.contains("with the configuration frozen"), "{broken}");
}

fn primary_first(direction: Direction, driver: Driver, pair: PairAt) -> Option<Seat> {
    match (direction, pair.primary) {
        (Direction::Up, At::Lower) => Some(Seat::Primary),
        _ => legal_next(direction, driver, pair),
    }
}
