//! Devices: the machine of production, and a box around it that takes time, crashes and loses contact.

use crate::{
    agenda::Event,
    fault::Defect,
    world::{Sample, World},
};
use weir_model::Version;
use weir_rollout::{
    guard::{Draining, Out, Standing},
    plan::{Action, Contact},
    update::{self, Event as Word, Figures, LeaseWish, Leave, Reach, Stage, UpdateReason, UpdateState, resumed, step},
};

/// How often a device that waits for somebody looks again.
const AGAIN_MS: u64 = 5_000;
/// Longest way of a word or a report.
const WAY_MS: u64 = 1_000;
/// A good worker's requests in one look at its figures.
const REQUESTS: u64 = 400;

/// One engine or router.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) state: UpdateState,
    /// What it runs.
    pub(crate) version: Version,
    /// What it ran before; what it goes back to.
    pub(crate) prior: Version,
    pub(crate) site: u32,
    /// Why it is without power or contact: so many faults.
    pub(crate) down: u8,
    pub(crate) cuts: u8,
    pub(crate) full: u8,
    /// An operator holds it out of service.
    pub(crate) offloaded: u8,
    /// So many ways back fail.
    pub(crate) back_fails: u8,
    /// Rises with each change of contact.
    pub(crate) life: u32,
    /// Rises with each stage.
    pub(crate) epoch: u32,
    pub(crate) report_pending: bool,
    /// It has run an image that is not good.
    pub(crate) ran_bad: bool,
    /// The managers went on without it: it may be older than they are until it has caught up.
    pub(crate) left_behind: bool,
}

impl Device {
    pub(crate) fn new(version: Version, site: u32) -> Self {
        Self {
            state: UpdateState::new(),
            version,
            prior: version,
            site,
            down: 0,
            cuts: 0,
            full: 0,
            offloaded: 0,
            back_fails: 0,
            life: 0,
            epoch: 0,
            report_pending: false,
            ran_bad: false,
            left_behind: false,
        }
    }

    /// Whether the manager and it could hear each other.
    pub(crate) fn is_linked(&self) -> bool {
        self.down == 0 && self.cuts == 0
    }

    /// Adds itself to a point of the chart.
    pub(crate) fn count(&self, mut sample: Sample) -> Sample {
        let counter = match self.state.stage {
            _ if !self.is_linked() => &mut sample.lost,
            Stage::Idle { .. } => &mut sample.before,
            Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged => &mut sample.staged,
            Stage::Done => &mut sample.done,
            Stage::Readmitting | Stage::Proving | Stage::Committed | Stage::Ramping => &mut sample.proving,
            Stage::Failed { .. } | Stage::NeedsHands { .. } | Stage::RollingBack { .. } | Stage::RolledBack { .. } => &mut sample.failed,
            _ => &mut sample.out,
        };
        *counter += 1;
        sample
    }
}

impl World {
    /// What the manager tells a device, if it hears it.
    pub(crate) fn tell(&mut self, action: Action) {
        let (device, word) = match action {
            Action::Assign { device, assignment } => (device, Word::Assigned(assignment)),
            Action::Reload { device, .. } => (device, Word::Reload),
            Action::Cancel { device, .. } => (device, Word::Cancel),
            Action::Force { device } => (device, Word::Drained),
            _ => return,
        };
        self.send(device as usize, word);
    }

    fn send(&mut self, device: usize, word: Word) {
        if self.devices[device].is_linked() {
            let at_ms = self.now_ms + self.random.between(50, WAY_MS);
            self.agenda.at(at_ms, Event::Hear { device: number(device), word: Box::new(word) });
        }
    }

    pub(crate) fn hear(&mut self, device: usize, word: &Word) {
        if self.devices[device].is_linked() {
            self.learn(device, word);
        }
    }

    /// A fact reaches the device's machine.
    pub(crate) fn learn(&mut self, device: usize, fact: &Word) -> bool {
        let Ok(stepped) = step(&self.devices[device].state, fact, &self.timers, self.now_ms) else { return false };
        let before = std::mem::replace(&mut self.devices[device].state, stepped.state);
        self.check_step(device, &before, fact);
        self.changed(device, before.stage);
        true
    }

    /// After a restart: the journal is read and what was under way is begun again.
    pub(crate) fn restart(&mut self, device: usize) {
        let stepped = resumed(&self.devices[device].state, self.now_ms);
        self.devices[device].state = stepped.state;
        self.devices[device].epoch += 1;
        self.plan_wake(device);
        self.report(device);
    }

    fn changed(&mut self, device: usize, before: Stage) {
        if self.devices[device].state.stage != before {
            self.devices[device].epoch += 1;
            self.plan_wake(device);
        }
        self.report(device);
    }

    fn plan_wake(&mut self, device: usize) {
        let stage = self.devices[device].state.stage;
        let random = &mut self.random;
        let in_ms = match stage {
            Stage::Idle { .. } | Stage::Staged | Stage::Failed { .. } | Stage::NeedsHands { .. } => return,
            Stage::Assigned => random.between(100, 2_000),
            Stage::Fetching => random.between(5_000, 120_000),
            Stage::Draining => random.between(60_000, 720_000),
            Stage::Switching => random.between(1_000, 15_000),
            Stage::Proving => self.timers.prove_min,
            Stage::Ramping => self.timers.ramp,
            Stage::Done => self.timers.probation,
            Stage::Drained | Stage::Committed => 10,
            Stage::RollingBack { .. } => random.between(200, 1_500),
            _ => AGAIN_MS,
        };
        self.wake_in(device, in_ms);
    }

    fn wake_in(&mut self, device: usize, in_ms: u64) {
        let epoch = self.devices[device].epoch;
        self.agenda.at(self.now_ms + in_ms, Event::Wake { device: number(device), epoch });
    }

    /// The device goes on by itself.
    pub(crate) fn wake(&mut self, device: usize, epoch: u32) {
        if self.devices[device].epoch != epoch || self.devices[device].down > 0 {
            return;
        }
        let manager = self.devices[device].is_linked() && self.desk.primary_up;
        let stage = self.devices[device].state.stage;
        match stage {
            Stage::Fetching if self.devices[device].full > 0 => self.learn(device, &Word::NoSpace),
            Stage::Fetching => self.learn(device, &Word::Fetched),
            Stage::Blocked if self.devices[device].full == 0 => self.learn(device, &Word::Space),
            Stage::Draining if manager => self.learn(device, &Word::Drained),
            Stage::Draining => false,
            Stage::Switching => self.switches(device),
            Stage::Trial => self.tries(device, manager),
            Stage::Proving => self.proves(device),
            Stage::Done => self.is_done(device),
            Stage::RollingBack { .. } => self.goes_back(device),
            _ => self.learn(device, &Word::Tick),
        };
        if self.devices[device].epoch == epoch && !self.devices[device].state.stage.at_rest() {
            self.report(device);
            self.wake_in(device, AGAIN_MS);
        }
    }

    fn defect(&self, device: usize) -> Defect {
        let told = self.devices[device].state.assignment.as_ref().map(|told| told.version);
        let target = self.plan.design.policy.target;
        if told == Some(target) { self.setup.defect } else { Defect::None }
    }

    fn switches(&mut self, device: usize) -> bool {
        let defect = self.defect(device);
        self.devices[device].ran_bad |= defect != Defect::None;
        if defect == Defect::NeverReady {
            return self.learn(device, &Word::SwitchRefused(UpdateReason::NeverReady));
        }
        let Some(told) = self.devices[device].state.assignment.as_ref().map(|told| told.version) else { return false };
        if self.devices[device].version != told {
            self.devices[device].prior = self.devices[device].version;
            self.runs(device, told);
        }
        self.learn(device, &Word::Switched)
    }

    fn tries(&mut self, device: usize, manager: bool) -> bool {
        // The parked worker has the same network: it reaches the manager when the new one does.
        let reach = Word::Reach(Reach { new: manager, old: manager });
        if manager { self.learn(device, &reach) } else { self.learn(device, &Word::Tick) }
    }

    fn proves(&mut self, device: usize) -> bool {
        let served = self.devices[device].state.proof.requests;
        match self.defect(device) {
            Defect::CrashesUnderLoad if self.random.permille(700) => return self.learn(device, &Word::Crashed),
            Defect::OwnErrors => {
                let requests = served + REQUESTS;
                return self.learn(device, &Word::Served(Figures { requests, own_errors: requests / 15 }));
            }
            _ => {}
        }
        self.learn(device, &Word::Served(Figures { requests: served + REQUESTS, own_errors: 0 }));
        self.learn(device, &Word::Tick)
    }

    fn is_done(&mut self, device: usize) -> bool {
        if self.defect(device) == Defect::CrashesLate && self.devices[device].state.proof.on_probation {
            self.learn(device, &Word::Crashed);
            return self.learn(device, &Word::Crashed);
        }
        self.learn(device, &Word::Tick)
    }

    fn goes_back(&mut self, device: usize) -> bool {
        if self.devices[device].back_fails > 0 {
            self.devices[device].back_fails -= 1;
            return self.learn(device, &Word::SwitchBackFailed);
        }
        let prior = self.devices[device].prior;
        self.runs(device, prior);
        self.learn(device, &Word::SwitchedBack)
    }

    /// Another version runs from here.
    pub(crate) fn runs(&mut self, device: usize, version: Version) {
        self.devices[device].version = version;
        self.check_version(device);
    }

    /// A report is on its way.
    pub(crate) fn report(&mut self, device: usize) {
        if !std::mem::replace(&mut self.devices[device].report_pending, true) {
            let at_ms = self.now_ms + self.random.between(100, WAY_MS);
            self.agenda.at(at_ms, Event::Report { device: number(device) });
        }
    }

    /// The manager hears a device: its facts, and what it wants of the lease.
    pub(crate) fn reported(&mut self, device: usize) {
        self.devices[device].report_pending = false;
        if !self.devices[device].is_linked() || !self.desk.primary_up {
            return;
        }
        let found = &self.devices[device];
        let facts = &mut self.facts.devices[device];
        facts.contact = Contact::Reporting;
        facts.version = Some(found.version);
        facts.stage = found.state.stage;
        facts.obeyed = found.state.assignment.as_ref().map(|told| told.stamp);
        facts.burned.clone_from(&found.state.burned);
        facts.on_probation = found.state.proof.on_probation && found.state.stage.tried();
        let (stage, wish) = (found.state.stage, found.state.lease_wish());
        match wish {
            LeaseWish::Hold => facts.leased = true,
            LeaseWish::Free if matches!(stage, Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. }) => {
                facts.leased = false
            }
            _ => {}
        }
        match stage {
            Stage::OffloadRequested => self.send(device, Word::Offloading),
            Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. } => self.send(device, Word::Readmitted),
            _ => {}
        }
        self.show(device);
    }

    /// The plan ends the rollout's lease.
    pub(crate) fn free(&mut self, device: usize) {
        self.facts.devices[device].leased = false;
        self.show(device);
        self.report(device);
    }

    /// The guard's facts follow the device's.
    pub(crate) fn show(&mut self, device: usize) {
        let facts = &self.facts.devices[device];
        let held = facts.leased || self.devices[device].offloaded > 0;
        let standing = match facts.contact {
            Contact::Silent | Contact::Lost | Contact::Gone => Standing::Out(Out::Offline),
            Contact::Reporting if held => Standing::Out(Out::Offloaded),
            Contact::Reporting => Standing::Serving,
        };
        let leaves = facts.leased && facts.contact == Contact::Reporting && facts.stage == Stage::Draining;
        let draining = leaves.then_some(Draining { sessions: 1, overridden: false });
        if let Some(engine) = self.facts.sites[facts.site as usize].guard.engines.get_mut(&facts.name) {
            (engine.standing, engine.draining) = (standing, draining);
        } else if let Some(router) = self.facts.routers.routers.get_mut(&facts.name) {
            router.standing = standing;
        }
    }

    /// Contact is lost or comes back.
    pub(crate) fn contact_changed(&mut self, device: usize) {
        self.devices[device].life += 1;
        let life = self.devices[device].life;
        if self.devices[device].is_linked() {
            self.report(device);
            return;
        }
        let device = number(device);
        let silence = |contact| Event::Silence { device, life, contact };
        self.agenda.at(self.now_ms + self.profile.report_patience_ms(), silence(Contact::Silent));
        self.agenda.at(self.now_ms + self.profile.update.lost_ms, silence(Contact::Lost));
        self.agenda.at(self.now_ms + self.profile.update.lease_ms, Event::LeaseOver { device, life });
    }

    pub(crate) fn silent(&mut self, device: usize, life: u32, contact: Contact) {
        if self.devices[device].life == life && !self.devices[device].is_linked() {
            self.facts.devices[device].contact = contact;
            self.show(device);
        }
    }

    pub(crate) fn lease_over(&mut self, device: usize, life: u32) {
        if self.devices[device].life == life && !self.devices[device].is_linked() {
            self.facts.devices[device].leased = false;
            self.show(device);
        }
    }

    /// Whether a device's present word lets it leave by an offload.
    pub(crate) fn is_drained_way(&self, device: usize) -> bool {
        let told: Option<&update::Assignment> = self.devices[device].state.assignment.as_ref();
        told.is_some_and(|told| told.leave == Leave::Drained)
    }
}

pub(crate) fn number(device: usize) -> u32 {
    u32::try_from(device).expect("a network has fewer devices than 2^32")
}
