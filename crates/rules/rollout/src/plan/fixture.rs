//! A small network for tests: facts, and devices and managers that do what they are told one step at a time.

use super::*;
use crate::{
    guard::{self, Draining, EngineFacts, Out, RouterFacts, Standing},
    pair_order::{Direction, Seat},
    plan::rules::Rules,
    plan::tick::tick_by,
    update::{Action as DeviceAction, Event, Figures, Reach, Stage, UpdateReason, UpdateState, UpdateTimers, step},
};
use std::collections::BTreeSet;
use weir_model::{Line, Lineage};

/// Timers that every tick of [`TICK_MS`] is beyond.
pub(crate) const TIMERS: UpdateTimers = UpdateTimers {
    space: 10,
    ready: 1_000_000_000,
    contact: 5,
    prove_min: 2,
    prove_max: 10,
    prove_requests: 1_000,
    ramp: 5,
    lease: 1_000_000_000,
    probation: 20,
};
/// Time from one tick to the next.
pub(crate) const TICK_MS: u64 = 30_000;

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect(text)
}

pub(crate) fn old() -> Version {
    version("1.0.0-b1")
}

pub(crate) fn new() -> Version {
    version("1.1.0-b1")
}

/// Every timer is over with the next tick.
pub(crate) fn at_once() -> RolloutProfile {
    let timers = RolloutProfile::named("rehearsal").expect("named");
    RolloutProfile { canary_bake_ms: 1, wave_bake_ms: 1, soak_ms: 1, drain_hard_ms: 100_000_000, frozen_ms: 100_000_000, ..timers }
}

/// Somebody's network.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) plan: Plan,
    pub(crate) devices: Vec<UpdateState>,
    /// What each runs while it is on its way elsewhere.
    pub(crate) prior: Vec<Option<Version>>,
    pub(crate) now_ms: u64,
    pub(crate) ticked: Option<Ticked>,
}

/// Engines of each location, and routers, all in the first one.
pub(crate) fn facts(engines: &[u32], routers: u32, running: Version) -> Facts {
    let mut devices = Vec::new();
    let mut sites = Vec::new();
    let mut all_routers = guard::Facts::default();
    for (site, count) in engines.iter().enumerate() {
        let name: LocationName = format!("site-{site}").parse().expect("name");
        let kind = if site == 0 { SiteKind::Root } else { SiteKind::Leaf };
        sites.push(SiteFacts { name: name.clone(), kind, guard: guard::Facts::default() });
        for number in 0..*count {
            devices.push(device(&format!("e{site}-{number}"), Role::Engine, site, running));
            let engine = EngineFacts {
                location: name.clone(),
                services: BTreeSet::from(["video".parse().expect("name")]),
                standing: Standing::Serving,
                capacity_mbps: None,
                draining: None,
            };
            sites[site].guard.engines.insert(devices[devices.len() - 1].name.clone(), engine);
        }
    }
    for number in 0..routers {
        devices.push(device(&format!("r-{number}"), Role::Router, 0, running));
        let router = RouterFacts { location: sites[0].name.clone(), standing: Standing::Serving };
        all_routers.routers.insert(devices[devices.len() - 1].name.clone(), router);
    }
    let mut lineage = Lineage::default();
    let mut images = BTreeMap::new();
    for text in ["1.0.0-b1", "1.1.0-b1", "1.2.0-b1"] {
        lineage.release(version(text).line, None).expect("released");
        images.insert(version(text), format!("m{text}"));
    }
    let manager = ManagerFacts { version: running, cms: Cms::Running, reachable: true, on_trial: false, failed: false };
    let stamp = Stamp { term: 1, generation: 1 };
    Facts {
        devices,
        sites,
        routers: all_routers,
        pair: PairFacts { primary: manager.clone(), standby: Some(manager), matched: true, frozen: false, stamp },
        images,
        lineage,
        level: LevelFacts { at: running.line, settled: true, would_park: 0 },
        backup: BackupFacts { gate: Proof::Missing, frozen: Proof::Missing, has_safe_place: true },
        comparison: None,
        settling: false,
    }
}

fn device(name: &str, role: Role, site: usize, version: Version) -> DeviceFacts {
    DeviceFacts {
        name: name.parse().expect("name"),
        role,
        site: u32::try_from(site).expect("few"),
        wariness: 0,
        contact: Contact::Reporting,
        version: Some(version),
        stage: Stage::Idle { reason: None },
        obeyed: None,
        burned: Vec::new(),
        on_probation: false,
        leased: false,
    }
}

impl World {
    pub(crate) fn new(facts: Facts, policy: Policy) -> Self {
        let plan = make(policy, &facts, 0).expect("a plan");
        let devices = vec![UpdateState::new(); facts.devices.len()];
        let prior = facts.devices.iter().map(|device| device.version).collect();
        Self { facts, plan, devices, prior, now_ms: 0, ticked: None }
    }

    /// Two locations of two engines, two routers and a pair.
    pub(crate) fn small(direction: Direction) -> Self {
        let (from, to) = if direction == Direction::Up { (old(), new()) } else { (new(), old()) };
        Self::new(facts(&[2, 2], 2, from), Policy::network(direction, to, at_once()))
    }

    pub(crate) fn started(mut self) -> Self {
        let hash = self.plan.design.hash();
        self.say(&Command::Start { hash }).expect("started");
        self
    }

    pub(crate) fn say(&mut self, word: &Command) -> Result<(), CommandRefused> {
        self.plan = command(&self.plan, &self.facts, word)?;
        // An operator who says that it goes on has mended what it stopped for.
        if matches!(word, Command::Resume | Command::Revert) {
            self.facts.pair.primary.failed = false;
            self.facts.pair.standby.iter_mut().for_each(|standby| standby.failed = false);
        }
        Ok(())
    }

    pub(crate) fn position(&self, name: &str) -> usize {
        self.plan.position(&name.parse().expect("name")).expect("known")
    }

    /// The planner's turn: the next plan, and everything it wants is done.
    pub(crate) fn tick(&mut self) -> Ticked {
        let parent = self.plan.clone();
        let ticked = self.tick_by(&Rules::HOUSE);
        // What a journal makes of each step is the step.
        if ticked.changed {
            let json = serde_json::to_string(&ticked.plan.since(&parent)).expect("JSON");
            let commit = serde_json::from_str(&json).expect("a commit");
            assert_eq!(parent.with(commit).as_ref(), Ok(&ticked.plan));
        }
        ticked
    }

    pub(crate) fn tick_by(&mut self, rules: &Rules) -> Ticked {
        self.now_ms += TICK_MS;
        let ticked = tick_by(rules, &self.plan, &self.facts, self.now_ms);
        self.plan = ticked.plan.clone();
        for action in &ticked.actions {
            self.carry_out(action);
        }
        self.ticked = Some(ticked.clone());
        ticked
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Assign { device, assignment } => self.hear(*device as usize, &Event::Assigned(assignment.clone())),
            Action::Reload { device, .. } => self.hear(*device as usize, &Event::Reload),
            Action::Cancel { device, .. } => self.hear(*device as usize, &Event::Cancel),
            Action::Force { device } => self.hear(*device as usize, &Event::Drained),
            Action::ReleaseLease { device } => {
                self.facts.devices[*device as usize].leased = false;
                self.show(*device as usize);
            }
            Action::Backup(BackupKind::Gate) => self.facts.backup.gate = Proof::Proven,
            Action::Backup(BackupKind::Frozen) => self.facts.backup.frozen = Proof::Proven,
            Action::Freeze => self.facts.pair.frozen = true,
            Action::Unfreeze => (self.facts.pair.frozen, self.facts.backup.frozen) = (false, Proof::Missing),
            Action::SwitchManager { seat, version } => self.switch(*seat, *version),
            Action::DatabaseDowngrade(seat) => self.manager(*seat).cms = Cms::Disabled,
            Action::Enable(seat) => self.manager(*seat).cms = Cms::Running,
            Action::Resync => self.facts.pair.matched = self.can_match(),
            Action::RaiseLevel(line) | Action::LowerLevel(line) => self.facts.level.at = *line,
        }
    }

    /// Whether the standby could follow the primary.
    pub(crate) fn can_match(&self) -> bool {
        let pair = &self.facts.pair;
        pair.standby.as_ref().is_none_or(|standby| standby.version == pair.primary.version && standby.is_well() && pair.primary.is_well())
    }

    fn manager(&mut self, seat: Seat) -> &mut ManagerFacts {
        match seat {
            Seat::Primary => &mut self.facts.pair.primary,
            Seat::Standby => self.facts.pair.standby.as_mut().expect("there is one"),
        }
    }

    pub(crate) fn switch(&mut self, seat: Seat, version: Version) {
        let manager = self.manager(seat);
        if !manager.reachable {
            return;
        }
        let schema_ahead = version.line < manager.version.line;
        // What was never unfrozen never left the database file of before.
        manager.cms = if schema_ahead { Cms::SchemaAhead } else { Cms::Running };
        manager.version = version;
        self.facts.pair.matched = false;
    }

    pub(crate) fn hear(&mut self, position: usize, event: &Event) {
        let reporting = self.facts.devices[position].contact == Contact::Reporting;
        if !reporting {
            return;
        }
        let state = &self.devices[position];
        if let Ok(stepped) = step(state, event, &TIMERS, state.since_ms + 25) {
            self.devices[position] = UpdateState { since_ms: 0, ..stepped.state };
            let _: Option<DeviceAction> = stepped.action;
        }
        self.show(position);
    }

    /// Whether a device has something to do without the planner.
    pub(crate) fn can_move(&self, position: usize) -> bool {
        let stage = self.devices[position].stage;
        let probation = stage == Stage::Done && self.devices[position].proof.on_probation;
        let waits = stage.at_rest() || stage == Stage::Staged;
        self.facts.devices[position].contact == Contact::Reporting && (!waits || probation)
    }

    /// The device's turn: one step on its way, as it should be.
    pub(crate) fn device_moves(&mut self, position: usize) {
        let prior = &mut self.prior[position];
        let told = self.devices[position].assignment.as_ref().map(|assignment| assignment.version);
        let facts = &mut self.facts.devices[position];
        let event = match self.devices[position].stage {
            Stage::Assigned | Stage::Fetching | Stage::Blocked => Event::Fetched,
            Stage::OffloadRequested => {
                facts.leased = true;
                Event::Offloading
            }
            Stage::Draining => Event::Drained,
            Stage::Switching => {
                *prior = facts.version;
                facts.version = told;
                Event::Switched
            }
            Stage::Trial => Event::Reach(Reach { new: true, old: false }),
            Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. } => {
                facts.leased = false;
                Event::Readmitted
            }
            Stage::RollingBack { .. } => {
                facts.version = *prior;
                Event::SwitchedBack
            }
            Stage::Proving => {
                self.hear(position, &Event::Served(Figures { requests: 1_000, own_errors: 0 }));
                Event::Tick
            }
            _ => Event::Tick,
        };
        self.hear(position, &event);
    }

    /// The device's new worker does not work.
    pub(crate) fn device_fails(&mut self, position: usize) {
        let event = match self.devices[position].stage {
            Stage::Switching => Event::SwitchRefused(UpdateReason::SelfTestFailed),
            _ => Event::FellBack(UpdateReason::Crashed),
        };
        self.hear(position, &event);
    }

    /// Every device that can moves once.
    pub(crate) fn all_move(&mut self) {
        for position in 0..self.devices.len() {
            if self.can_move(position) {
                self.device_moves(position);
            }
        }
    }

    pub(crate) fn lose(&mut self, position: usize) {
        self.facts.devices[position].contact = Contact::Lost;
        self.show(position);
    }

    pub(crate) fn find(&mut self, position: usize) {
        self.facts.devices[position].contact = Contact::Reporting;
        self.show(position);
    }

    /// The facts show what the device is.
    fn show(&mut self, position: usize) {
        let state = &self.devices[position];
        let facts = &mut self.facts.devices[position];
        facts.stage = state.stage;
        facts.obeyed = state.assignment.as_ref().map(|assignment| assignment.stamp);
        facts.burned.clone_from(&state.burned);
        facts.on_probation = state.proof.on_probation && state.stage.tried();
        let standing = match (facts.contact, facts.leased) {
            (Contact::Lost | Contact::Silent, _) => Standing::Out(Out::Offline),
            (_, true) => Standing::Out(Out::Offloaded),
            _ => Standing::Serving,
        };
        let draining = (facts.leased && facts.stage == Stage::Draining).then_some(Draining { sessions: 1, overridden: false });
        if let Some(engine) = self.facts.sites[facts.site as usize].guard.engines.get_mut(&facts.name) {
            (engine.standing, engine.draining) = (standing, draining);
        }
        if let Some(router) = self.facts.routers.routers.get_mut(&facts.name) {
            router.standing = standing;
        }
    }

    /// Until it rests, or for so many ticks.
    pub(crate) fn run(&mut self, ticks: usize) -> State {
        for _ in 0..ticks {
            self.tick();
            self.all_move();
            if matches!(self.plan.state, State::Done | State::Reverted | State::Aborted { .. }) {
                break;
            }
        }
        self.plan.state.clone()
    }

    /// Where it stands, in few words.
    pub(crate) fn glance(&self) -> String {
        let stages: Vec<&str> = self.devices.iter().map(|state| state.stage.as_str()).collect();
        let hold = self.ticked.as_ref().map(|ticked| (&ticked.hold, &ticked.stays));
        let Plan { state, course, phase, waves, .. } = &self.plan;
        format!("{state:?} {course:?} {phase:?} {waves:?} {:?} {stages:?} {hold:?}", self.facts.pair)
    }

    pub(crate) fn versions(&self) -> BTreeSet<Version> {
        let pair = &self.facts.pair;
        let managers = [Some(pair.primary.version), pair.standby.as_ref().map(|standby| standby.version)];
        self.facts.devices.iter().map(|device| device.version).chain(managers).flatten().collect()
    }

    pub(crate) fn level(&self) -> Line {
        self.facts.level.at
    }
}
