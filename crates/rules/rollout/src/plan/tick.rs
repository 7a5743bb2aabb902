//! One tick: the facts go in, the next plan, what to do, and why each device that does not move stays come out.

use super::{
    Action, Contact, Facts, Hold, Lane, Member, PauseReason, Phase, Plan, State, Stay, WaveKind, WaveState,
    admit::Working,
    place::{Place, Tally},
    rules::Rules,
};
use weir_model::{Role, Stamp, Version};

/// What a tick came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticked {
    /// The next plan. Commit it on top of its parent before anything is done.
    pub plan: Plan,
    /// Whether it differs from its parent in more than time counted; where not, it has its parent's generation.
    pub changed: bool,
    /// What is wanted.
    pub actions: Vec<Action>,
    /// By position: why a device does not move; absent of one that does.
    pub stays: Vec<Option<Stay>>,
    /// What the rollout as a whole waits for.
    pub hold: Option<Hold>,
}

/// The next plan. Devices of `facts` have the plan's positions; new ones follow them.
pub fn tick(plan: &Plan, facts: &Facts, now_ms: u64) -> Ticked {
    tick_by(&Rules::HOUSE, plan, facts, now_ms)
}

pub(super) fn tick_by(rules: &Rules, parent: &Plan, facts: &Facts, now_ms: u64) -> Ticked {
    let mut tick = Tick::new(rules, parent, facts, now_ms);
    tick.adopt();
    if tick.facts.settling && !tick.plan.is_over() {
        tick.hold = Some(Hold::Settling);
    } else {
        tick.go();
    }
    tick.finish(parent)
}

/// How far the waves of a role are.
#[derive(Clone, Copy)]
enum Turn {
    /// Its phase comes later.
    Later,
    /// This one is open or next.
    Wave(u16),
    /// All have passed.
    EveryWave,
}

/// How far a phase came.
pub(super) enum Step {
    /// It is over.
    Done,
    /// It waits.
    Wait(Hold),
    /// It does not go on by itself.
    Stop(PauseReason),
    /// Everything goes back.
    Turn,
}

/// One tick under way.
pub(super) struct Tick<'a> {
    pub(super) rules: &'a Rules,
    pub(super) facts: &'a Facts,
    pub(super) now_ms: u64,
    /// Time that this tick counts.
    pub(super) passed_ms: u64,
    pub(super) plan: Plan,
    /// What the present hop leads to.
    pub(super) target: Version,
    /// Of the next plan, and of the last word given in this tick.
    stamp: Stamp,
    /// A word has it.
    is_given: bool,
    pub(super) places: Vec<Place>,
    pub(super) tally: Tally,
    pub(super) working: Working,
    pub(super) actions: Vec<Action>,
    pub(super) hold: Option<Hold>,
}

impl<'a> Tick<'a> {
    fn new(rules: &'a Rules, parent: &Plan, facts: &'a Facts, now_ms: u64) -> Self {
        let mut plan = parent.clone();
        let since_ms = plan.counted.ticked_ms.replace(now_ms).unwrap_or(now_ms);
        let passed_ms = now_ms.saturating_sub(since_ms).min(plan.design.policy.profile.tick_ms);
        join(&mut plan, facts);
        let issued = facts.pair.stamp;
        let stamp = Stamp { term: issued.term.max(plan.stamp.term), generation: issued.generation.max(plan.stamp.generation) + 1 };
        Self {
            rules,
            facts,
            now_ms,
            passed_ms,
            target: plan.hop().1,
            plan,
            stamp,
            is_given: false,
            places: Vec::new(),
            tally: Tally::default(),
            working: Working::default(),
            actions: Vec::new(),
            hold: None,
        }
    }

    /// The stamp of another word: no two words of a network have the same.
    pub(super) fn next_stamp(&mut self) -> Stamp {
        if std::mem::replace(&mut self.is_given, true) {
            self.stamp.generation += 1;
        }
        self.stamp
    }

    fn go(&mut self) {
        match self.plan.state.clone() {
            State::Planned | State::Done | State::Reverted => {}
            State::Running => self.run(),
            State::Paused { reason } => self.paused(&reason),
            State::Aborting { why } => self.abort(why),
            State::Aborted { .. } => {
                self.let_all_go();
                self.settle_and_hold();
            }
        }
    }

    fn run(&mut self) {
        self.repair();
        self.repeat();
        self.stage();
        if let Some(reason) = self.trouble() {
            return self.pause(reason);
        }
        self.managers_anew();
        if self.is_before_freeze() {
            self.hold = self.settle();
            if self.hold.is_some() {
                return;
            }
        }
        for _ in 0..=(self.rules.phases)(self.plan.course.direction).len() {
            match self.step() {
                Step::Done if self.advance() => {}
                Step::Done => break,
                Step::Wait(hold) => {
                    self.hold = Some(hold);
                    break;
                }
                Step::Stop(reason) => {
                    self.pause(reason);
                    break;
                }
                Step::Turn => {
                    turn(&mut self.plan);
                    return;
                }
            }
        }
        // Devices go even while the rollout is paused because they are behind.
        if matches!(self.plan.state, State::Running | State::Paused { reason: PauseReason::Behind { .. } }) {
            self.admit();
        }
    }

    /// Whether managers that are apart, or frozen, were left so by a rollout that was turned since.
    fn is_before_freeze(&self) -> bool {
        self.rank_of(self.plan.phase) < self.rank_of(Phase::Freeze) && (self.facts.pair.frozen || self.is_apart())
    }

    /// Which one of the phases of this direction it is; `None`: none of them.
    pub(super) fn rank_of(&self, phase: Phase) -> Option<usize> {
        (self.rules.phases)(self.plan.course.direction).iter().position(|other| *other == phase)
    }

    /// The present phase.
    fn step(&mut self) -> Step {
        match self.plan.phase {
            Phase::Preposition => self.preposition(),
            Phase::Engines => self.waves_of(Role::Engine),
            Phase::Routers => self.waves_of(Role::Router),
            Phase::Soak => self.soak(),
            phase => self.managers_phase(phase),
        }
    }

    /// On to the next phase or hop; whether there is one that this tick may go on with.
    fn advance(&mut self) -> bool {
        let phases = (self.rules.phases)(self.plan.course.direction);
        if let Some(next) = self.rank_of(self.plan.phase).and_then(|rank| phases.get(rank + 1)) {
            self.plan.phase = *next;
            return true;
        }
        let hop = self.plan.course.hop;
        let next = if self.plan.course.back { hop.checked_sub(1) } else { Some(hop + 1) };
        match next.filter(|hop| usize::from(*hop) + 1 < self.plan.design.rungs.len()) {
            Some(hop) => {
                self.plan.course.hop = hop;
                begin_hop(&mut self.plan);
            }
            None => self.end(),
        }
        false
    }

    /// Judges from all members whether the rollout is over.
    fn end(&mut self) {
        let (devices, first) = (self.tally.behind, self.tally.first_behind);
        if self.plan.moves_managers() && devices > 0 {
            return self.pause(PauseReason::Behind { devices, first });
        }
        let devices = self.tally.leased + self.tally.moving;
        if devices > 0 {
            self.hold = Some(Hold::Resting { devices });
            return;
        }
        self.plan.state = if self.plan.course.back { State::Reverted } else { State::Done };
    }

    fn preposition(&mut self) -> Step {
        if self.image_of(self.target).is_none() {
            return Step::Stop(PauseReason::ImageWithdrawn);
        }
        let roles = self.roles();
        let of_role =
            |role: &Role| (0..self.plan.waves.len()).filter(|wave| self.plan.design.waves[*wave].role == *role).collect::<Vec<_>>();
        let first = roles.iter().flat_map(of_role).find(|wave| self.tally.waves[*wave].open > 0);
        match first.filter(|wave| self.tally.waves[*wave].unstaged > 0) {
            Some(wave) => Step::Wait(Hold::Staging { wave: u16::try_from(wave).expect("a plan has fewer waves than 2^16") }),
            None => Step::Done,
        }
    }

    fn soak(&mut self) -> Step {
        if !self.plan.moves_managers() || self.plan.course.back || self.plan.soaked {
            return Step::Done;
        }
        let profile = &self.plan.design.policy.profile;
        let last = usize::from(self.plan.course.hop) + 2 == self.plan.design.rungs.len();
        let soak_ms = if last { profile.soak_ms } else { profile.wave_bake_ms };
        self.plan.counted.soak_ms += self.passed_ms;
        match soak_ms.saturating_sub(self.plan.counted.soak_ms) {
            0 => Step::Done,
            left_ms => Step::Wait(Hold::Soaking { left_ms }),
        }
    }

    fn pause(&mut self, reason: PauseReason) {
        self.plan.state = State::Paused { reason };
    }

    fn paused(&mut self, reason: &PauseReason) {
        let settled = self.settle_and_hold();
        if settled && matches!(reason, PauseReason::Behind { .. }) {
            self.plan.state = State::Running;
            return self.run();
        }
        self.repair();
        self.repeat_back();
    }

    /// Devices of a failed wave go on going back.
    fn repeat_back(&mut self) {
        if self.plan.lanes.iter().any(|lane| lane.back) {
            self.repeat();
            self.stage_back();
            self.admit_back();
        }
    }

    /// Whether the managers are together and the configuration is not frozen.
    fn settle_and_hold(&mut self) -> bool {
        if !self.plan.phase.is_of_managers() {
            return true;
        }
        self.is_frozen_too_long();
        self.hold = self.settle();
        self.hold.is_none()
    }

    fn abort(&mut self, why: String) {
        let open = self.let_all_go();
        let settled = self.settle_and_hold();
        if settled && open == 0 {
            self.plan.state = State::Aborted { why };
        } else if settled {
            self.hold = Some(Hold::Resting { devices: open });
        }
    }

    /// Takes back every word that still can be; how many devices are not at rest.
    fn let_all_go(&mut self) -> u32 {
        self.repair();
        let mut open = 0;
        for position in 0..self.places.len() {
            let device = &self.facts.devices[position];
            let word = self.plan.lanes[position].word;
            if let Some(word) = &mut self.plan.lanes[position].word
                && device.obeyed < Some(word.stamp)
            {
                word.cancelled = true;
            }
            let obeys = word.is_some_and(|word| device.obeyed == Some(word.stamp)) && device.contact == Contact::Reporting;
            if obeys && device.stage.before_switching() {
                self.cancel(position);
                open += 1;
            } else {
                open += u32::from(self.places[position] == Place::Moving);
            }
        }
        open
    }

    fn finish(mut self, parent: &Plan) -> Ticked {
        let (engines, routers) = (self.turn_of(Role::Engine), self.turn_of(Role::Router));
        let turn_at = |position: usize| if self.facts.devices[position].role == Role::Router { routers } else { engines };
        let stays = (0..self.places.len()).map(|position| self.stay(position, turn_at(position))).collect();
        let counted = std::mem::replace(&mut self.plan.counted, parent.counted.clone());
        let mut plan = self.plan;
        let changed = plan != *parent;
        if changed {
            plan.parent = parent.stamp.generation;
            plan.stamp = self.stamp;
        }
        plan.counted = counted;
        Ticked { plan, changed, actions: self.actions, stays, hold: self.hold }
    }

    fn turn_of(&self, role: Role) -> Turn {
        let open = |wave: &usize| self.plan.design.waves[*wave].role == role && self.plan.waves[*wave] != WaveState::Passed;
        match (0..self.plan.waves.len()).find(open) {
            _ if !self.is_reached(role) => Turn::Later,
            Some(wave) => Turn::Wave(u16::try_from(wave).expect("a plan has fewer waves than 2^16")),
            None => Turn::EveryWave,
        }
    }

    /// Why a device does not move.
    fn stay(&self, position: usize, turn: Turn) -> Option<Stay> {
        let device = &self.facts.devices[position];
        match self.places[position] {
            Place::Aside(stay) | Place::Kept(stay) => Some(stay),
            Place::AtGoal => Some(Stay::AtGoal),
            Place::Moving | Place::Staging if device.contact == Contact::Silent => Some(Stay::Silent),
            Place::Moving | Place::Staging => None,
            Place::Untold | Place::Staged => Some(self.waits(position, turn)),
        }
    }

    /// What a device waits for that could go or be told.
    fn waits(&self, position: usize, turn: Turn) -> Stay {
        let lane = &self.plan.lanes[position];
        match &self.plan.state {
            State::Planned => return Stay::NotStarted,
            State::Paused { .. } => return Stay::Paused,
            State::Aborting { .. } | State::Aborted { .. } => return Stay::Aborted,
            State::Done | State::Reverted => return Stay::Over,
            State::Running => {}
        }
        if self.facts.settling {
            return Stay::Settling;
        }
        if self.places[position] == Place::Untold {
            return Stay::NoImage;
        }
        let now = match (lane.wave, turn) {
            (None, _) | (_, Turn::Later) => return Stay::LaterPhase { now: self.plan.phase },
            (Some(wave), _) if matches!(self.plan.waves[usize::from(wave)], WaveState::Failed | WaveState::Inconclusive) => {
                return Stay::WaveStopped { wave };
            }
            (Some(wave), Turn::Wave(now)) => (wave, now),
            (Some(wave), Turn::EveryWave) => (wave, wave),
        };
        Stay::LaterWave { wave: now.0, now: now.1 }
    }
}

/// Devices that joined since the plan was made go in the last wave of their role.
fn join(plan: &mut Plan, facts: &Facts) {
    for device in &facts.devices[plan.lanes.len()..] {
        let location = facts.sites[device.site as usize].name.clone();
        let last = |wave: &super::Wave| wave.role == device.role && wave.kind == WaveKind::Late;
        let wave = plan.design.waves.iter().position(last).filter(|_| plan.design.policy.is_in_scope(&device.name, device.role, &location));
        let wave = wave.map(|wave| u16::try_from(wave).expect("a plan has fewer waves than 2^16"));
        plan.late.push(Member { name: device.name.clone(), role: device.role, location, wave });
        plan.lanes.push(Lane::new(wave, device.version));
    }
}

/// From the first phase, with every wave to come; on the way back there is nothing to try out.
pub(super) fn begin_hop(plan: &mut Plan) {
    plan.phase = Phase::all(plan.course.direction)[0];
    let state = if plan.course.back { WaveState::Passed } else { WaveState::Pending };
    plan.waves.fill(state);
    if !plan.course.back {
        plan.failures.clear();
    }
    plan.soaked = false;
    (plan.counted.soak_ms, plan.counted.bake_ms) = (0, 0);
    for lane in &mut plan.lanes {
        (lane.back, lane.moved, lane.attempts, lane.force) = (false, false, 0, false);
    }
}

/// Turns the rollout: from here everything goes back.
pub(super) fn turn(plan: &mut Plan) {
    plan.course.back = !plan.course.back;
    plan.course.direction = plan.course.direction.reversed();
    begin_hop(plan);
    plan.state = State::Running;
}
