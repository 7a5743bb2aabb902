//! What there is, and the loop over events.

use crate::{
    agenda::{Agenda, Event},
    check::Checks,
    desk::Desk,
    device::Device,
    fault::{self, Defect, Fault, FaultKind},
    journal::Journal,
    network,
    random::Random,
};
use weir_model::Profile;
use weir_rollout::{
    pair_order::{Direction, Driver},
    plan::{
        Action, Command, Facts, Plan, Policy, RolloutProfile, State, command, make,
        record::{Record, Said},
        tick,
    },
    update::UpdateTimers,
};

/// Simulated time at which a run is given up: a rollout that has not ended by then never will.
pub const HORIZON_MS: u64 = 20 * 24 * 3_600_000;
/// Wall-clock time at the start, milliseconds since 1970.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// Between rounds of the manager while something moves, and while nothing does.
const ROUND_MS: u64 = 5_000;
/// Between rounds while a wave bakes or the network soaks.
const IDLE_ROUND_MS: u64 = 30_000;
/// Between two looks of the operator.
const OPERATOR_MS: u64 = 300_000;
/// How long a primary that crashes at a record is away.
const CRASH_MS: u64 = 10_000;
/// Between two points of the chart.
const SAMPLE_MS: u64 = 60_000;

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Engines and routers.
    pub devices: u32,
    /// The seed.
    pub seed: u64,
    /// Faults.
    pub faults: usize,
    /// Up or down.
    pub direction: Direction,
    /// Who takes the managers' steps.
    pub driver: Driver,
    /// Lines from the start to the target.
    pub lines: u32,
    /// The rollout's timers, by name.
    pub profile: String,
    /// What is wrong with the image.
    pub defect: Defect,
}

impl Setup {
    /// One line up with a good image and without faults.
    pub fn calm(seed: u64, devices: u32) -> Self {
        let profile = "standard".to_owned();
        Self { devices, seed, faults: 0, direction: Direction::Up, driver: Driver::Gui, lines: 1, profile, defect: Defect::None }
    }

    /// What a seed makes of it: either way, up to 24 faults, and every third image bad.
    pub fn of_seed(seed: u64, devices: u32) -> Self {
        let mut random = Random::new(seed ^ 0x0DD);
        let faults = random.index(25);
        let direction = if random.permille(500) { Direction::Up } else { Direction::Down };
        let defect = if random.permille(333) { Defect::ALL[random.index(Defect::ALL.len())] } else { Defect::None };
        let driver = if random.permille(500) { Driver::Gui } else { Driver::Cli };
        Self { faults, direction, driver, defect, ..Self::calm(seed, devices) }
    }

    /// The faults of this seed.
    pub fn draw(&self) -> Vec<Fault> {
        let facts = network::facts(self.devices, network::build(0), self.lines);
        let sites = u32::try_from(facts.sites.len()).expect("fewer locations than devices");
        let count = u32::try_from(facts.devices.len()).expect("it was a u32");
        let mut random = Random::new(self.seed ^ 0x5EED);
        fault::draw(&mut random, self.faults, count, sites, 6 * 3_600_000)
    }
}

/// Devices by what they do, at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// When, simulated milliseconds.
    pub at_ms: u64,
    /// In service on what they ran before.
    pub before: u32,
    /// The same, with the image staged or coming.
    pub staged: u32,
    /// Leaving service, or out.
    pub out: u32,
    /// Proving or ramping.
    pub proving: u32,
    /// In service on what they were told to become.
    pub done: u32,
    /// Went back, or need hands.
    pub failed: u32,
    /// Not heard.
    pub lost: u32,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How the rollout ended; absent: it did not.
    pub ended: Option<State>,
    /// Simulated milliseconds until then.
    pub took_ms: u64,
    /// Events.
    pub events: u64,
    /// Rounds of the planner.
    pub ticks: u64,
    /// Steps that were put in the journal.
    pub records: u64,
    /// The longest round, microseconds of real time.
    pub tick_max_us: u64,
    /// All rounds together, microseconds of real time.
    pub tick_sum_us: u64,
    /// Devices that ran the bad image, when there is one.
    pub touched: u32,
    /// Devices of the first canary wave.
    pub canaries: u32,
    /// Longest time that the configuration was frozen at once, simulated milliseconds.
    pub frozen_max_ms: u64,
    /// What was broken, with its time; empty when all is well.
    pub broken: Vec<String>,
    /// The chart.
    pub samples: Vec<Sample>,
    /// Phases as they began.
    pub marks: Vec<(u64, String)>,
}

/// Everything there is in one run.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) faults: Vec<Fault>,
    pub(crate) random: Random,
    pub(crate) agenda: Agenda,
    pub(crate) now_ms: u64,
    pub(crate) profile: Profile,
    pub(crate) timers: UpdateTimers,
    /// What the manager knows.
    pub(crate) facts: Facts,
    /// The plan in the managers' journals.
    pub(crate) plan: Plan,
    pub(crate) devices: Vec<Device>,
    pub(crate) desk: Desk,
    pub(crate) checks: Checks,
    pub(crate) outcome: Outcome,
    journal: Option<Journal>,
    crash: Option<CrashAt>,
}

/// The primary ends once, at a record of the rollout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashAt {
    /// As [`Outcome::records`] counts them.
    pub(crate) record: u64,
    /// What the record's step wanted was not done.
    pub(crate) before_acting: bool,
}

/// Runs a network with these faults.
///
/// # Panics
/// When no plan can be made for the setup.
pub fn run(setup: &Setup, faults: &[Fault]) -> Outcome {
    World::new(setup, faults).run()
}

/// The same without faults, but for one crash.
#[cfg(test)]
pub(crate) fn run_crashing(setup: &Setup, crash: CrashAt) -> Outcome {
    let mut world = World::new(setup, &[]);
    world.crash = Some(crash);
    world.run()
}

/// The same, with the lines that a manager's journal would have of it.
///
/// # Panics
/// When no plan can be made for the setup.
pub fn run_written(setup: &Setup, faults: &[Fault]) -> (Outcome, Vec<String>) {
    let mut world = World::new(setup, faults);
    world.journal = Some(Journal::default());
    let journal = |world: &mut World| world.journal.take().map_or_else(Vec::new, Journal::lines);
    world.live();
    let lines = journal(&mut world);
    (world.end(), lines)
}
impl World {
    fn new(setup: &Setup, faults: &[Fault]) -> Self {
        let (from, to) = match setup.direction {
            Direction::Up => (0, setup.lines),
            Direction::Down => (setup.lines, 0),
        };
        let facts = network::facts(setup.devices, network::build(from), setup.lines);
        let timers = RolloutProfile::named(&setup.profile).expect("the command line has only names that are");
        let mut policy = Policy::network(setup.direction, network::build(to), timers);
        policy.driver = setup.driver;
        let plan = make(policy, &facts, EPOCH_MS).unwrap_or_else(|refusals| panic!("no plan: {refusals:?}"));
        let profile = if setup.profile == "rehearsal" { Profile::rehearsal() } else { Profile::standard() };
        let devices = facts.devices.iter().map(|device| Device::new(network::build(from), device.site)).collect();
        let canaries = plan.design.waves.first().map_or(0, |wave| wave.members.len());
        let outcome = Outcome {
            ended: None,
            took_ms: 0,
            events: 0,
            ticks: 0,
            records: 0,
            tick_max_us: 0,
            tick_sum_us: 0,
            touched: 0,
            canaries: u32::try_from(canaries).expect("fewer canaries than devices"),
            frozen_max_ms: 0,
            broken: Vec::new(),
            samples: Vec::new(),
            marks: Vec::new(),
        };
        Self {
            setup: setup.clone(),
            faults: faults.to_vec(),
            random: Random::new(setup.seed),
            agenda: Agenda::default(),
            now_ms: 0,
            timers: UpdateTimers::of(&profile),
            profile,
            desk: Desk::new(facts.level.at),
            checks: Checks::new(&facts),
            facts,
            plan,
            devices,
            outcome,
            journal: None,
            crash: None,
        }
    }

    fn run(mut self) -> Outcome {
        self.live();
        self.end()
    }

    /// From the start to the end, or until something is broken.
    fn live(&mut self) {
        self.begin();
        while let Some((at_ms, event)) = self.agenda.next() {
            if at_ms > HORIZON_MS {
                self.breaks(format!("the rollout does not end: {:?} in {} {:?}", self.plan.state, self.plan.phase, self.checks.last_hold));
                break;
            }
            self.now_ms = at_ms;
            self.outcome.events += 1;
            self.happen(event);
            if self.plan.is_over() || !self.outcome.broken.is_empty() {
                break;
            }
        }
    }

    fn begin(&mut self) {
        let hash = self.plan.design.hash();
        self.say(&Command::Start { hash });
        for number in 0..self.faults.len() {
            self.agenda.at(self.faults[number].at_ms, Event::Fault(number));
        }
        self.agenda.at(0, Event::Tick);
        self.agenda.at(OPERATOR_MS, Event::Operator);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick => self.round(),
            Event::Operator => {
                self.agenda.at(self.now_ms + OPERATOR_MS, Event::Operator);
                self.operate();
            }
            Event::Fault(number) => self.strike(number),
            Event::Over(number) => self.mend(number),
            Event::Wake { device, epoch } => self.wake(device as usize, epoch),
            Event::Hear { device, word } => self.hear(device as usize, &word),
            Event::Report { device } => self.reported(device as usize),
            Event::Silence { device, life, contact } => self.silent(device as usize, life, contact),
            Event::LeaseOver { device, life } => self.lease_over(device as usize, life),
            Event::Work(work) => self.worked(work),
        }
    }

    /// The manager's round: facts in, plan committed, and only then what it wants.
    fn round(&mut self) {
        if !self.desk.primary_up {
            self.agenda.at(self.now_ms + ROUND_MS, Event::Tick);
            return;
        }
        self.facts.settling = self.now_ms < self.desk.settles_ms;
        self.compare();
        let begun = weir_clock::monotonic();
        let ticked = tick(&self.plan, &self.facts, self.wall_ms());
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.outcome.ticks += 1;
        self.outcome.tick_sum_us += took_us;
        self.outcome.tick_max_us = self.outcome.tick_max_us.max(took_us);
        self.check_round(&ticked);
        if ticked.plan.phase != self.plan.phase || ticked.plan.state.as_str() != self.plan.state.as_str() {
            let mark = format!("{} {}", ticked.plan.status(), ticked.plan.phase);
            self.outcome.marks.push((self.now_ms, mark));
        }
        if ticked.changed {
            self.write(&ticked.plan, None);
            self.outcome.records += 1;
            if let Some(CrashAt { before_acting, .. }) = self.crash.filter(|crash| crash.record == self.outcome.records) {
                let kind = FaultKind::ManagerCrash { before_acting };
                self.faults.push(Fault { at_ms: self.now_ms, for_ms: CRASH_MS, kind });
                self.strike(self.faults.len() - 1);
            }
        }
        self.plan = ticked.plan;
        self.checks.last_hold = ticked.hold;
        let busy = !ticked.actions.is_empty() || ticked.stays.iter().any(Option::is_none) || self.facts.pair.frozen;
        if !std::mem::take(&mut self.desk.crashes_before_acting) {
            self.act(ticked.actions);
        } else {
            self.primary_goes_down();
        }
        self.sample();
        self.agenda.at(self.now_ms + if busy { ROUND_MS } else { IDLE_ROUND_MS }, Event::Tick);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Assign { .. } | Action::Reload { .. } | Action::Cancel { .. } | Action::Force { .. } => self.tell(action),
                Action::ReleaseLease { device } => self.free(device as usize),
                of_managers => self.order(&of_managers),
            }
        }
    }

    /// The manager's wall clock.
    pub(crate) fn wall_ms(&self) -> u64 {
        (EPOCH_MS + self.now_ms).saturating_add_signed(self.desk.clock_off_ms)
    }

    /// An operator's word, as far as it is taken.
    pub(crate) fn say(&mut self, word: &Command) {
        if let Ok(plan) = command(&self.plan, &self.facts, word) {
            self.write(&plan, Some(word));
            self.plan = plan;
            self.desk.mended(&mut self.facts, word);
        }
    }

    /// Puts the next plan in the journal.
    fn write(&mut self, next: &Plan, word: Option<&Command>) {
        let at_ms = self.wall_ms();
        let Some(journal) = &mut self.journal else { return };
        let by = "operator".to_owned();
        let record = match word {
            Some(Command::Start { .. }) => Record::Began { plan: Box::new(next.clone()), by },
            word => {
                let said = word.map(|word| Said { command: word.clone(), why: None, by });
                Record::Step { commit: Box::new(next.since(&self.plan)), said }
            }
        };
        journal.write(at_ms, &record);
    }

    /// Something must not be as it is.
    pub(crate) fn breaks(&mut self, what: String) {
        let seconds = self.now_ms / 1000;
        self.outcome.broken.push(format!("{}:{:02}:{:02} {what}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    }

    fn sample(&mut self) {
        let due = self.outcome.samples.last().is_none_or(|last| self.now_ms >= last.at_ms + SAMPLE_MS);
        if due {
            let sample =
                self.devices.iter().fold(Sample { at_ms: self.now_ms, ..Sample::default() }, |sample, device| device.count(sample));
            self.outcome.samples.push(sample);
        }
    }

    fn end(mut self) -> Outcome {
        if self.plan.is_over() {
            self.check_end();
            self.outcome.ended = Some(self.plan.state.clone());
        }
        self.outcome.took_ms = self.now_ms;
        self.outcome.touched = u32::try_from(self.devices.iter().filter(|device| device.ran_bad).count()).expect("a u32 of devices");
        self.outcome
    }
}
