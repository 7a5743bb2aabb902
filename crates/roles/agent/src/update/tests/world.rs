//! The world around an agent: a keeper at the other end of its socket, which writes the boot record by the rules, and a manager
//! that offloads, drains and takes reports. Every wait is short; nothing is waited for without a deadline.

use super::super::{drive, image::is_staged};
use crate::{
    Agent, AgentSettings, Hooks, KEEPER_NEWS_MAX, KeeperLink, KeeperNews,
    agent::tests::{configuration, hooks, settings},
};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;
use weir_device_api::{UpdateOrder, UpdateReport, UpdateWord};
use weir_keeper_api::{Message, Parked, Reason, decode};
use weir_model::{DeviceConfiguration, OffloadEpoch, Profile, Stamp, configuration::EngineEntry, profile::UpdateProfile};
use weir_rollout::update::{Assignment, Figures, LeaseWish, Leave, Stage};
use weir_slots::{BootRecord, DataDirectory, Disk as _, FileSystem, Image, ImageFile, SlotRef, boot, staging};
use weir_sockets::{ControlSocket, WorkerControl};
use weir_telemetry::Tasks;

/// Nothing here takes longer than scheduling delays and the profile's few milliseconds.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(3);
const STEP: Duration = Duration::from_millis(2);

/// Timers as short as the tests allow.
fn profile() -> Profile {
    let update = UpdateProfile {
        space_ms: 300,
        ready_ms: 20_000,
        contact_ms: 1_000,
        prove_min_ms: 5,
        prove_max_ms: 40,
        lease_ms: 60_000,
        bake_ms: 60,
        ..UpdateProfile::rehearsal()
    };
    Profile { ramp_ms: 10, report_ms: 20, update, ..Profile::rehearsal() }
}

/// How the world treats the new worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is ready and takes over.
    Serves,
    /// It never says READY, for this reason.
    NeverReady(&'static str),
    /// The keeper does not start it.
    Refused(Reason),
}

/// What is left to choose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways {
    pub(super) fate: Fate,
    pub(super) new_reaches: bool,
    pub(super) old_reaches: bool,
    /// Of the requests the new worker answers, every third is an error of its own.
    pub(super) own_errors: bool,
    pub(super) back_works: bool,
    /// The keeper can write that a digest is cleared.
    pub(super) unburns: bool,
    /// Nobody asks the new worker for anything.
    pub(super) idle: bool,
    /// The manager says that the drain is complete.
    pub(super) drains: bool,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            fate: Fate::Serves,
            new_reaches: true,
            old_reaches: true,
            own_errors: false,
            back_works: true,
            unburns: true,
            idle: false,
            drains: true,
        }
    }
}

/// A worker with its agent, and the keeper's end of its socket.
struct Worker {
    agent: Agent,
    keeper: ControlSocket,
    news: mpsc::Sender<KeeperNews>,
    driver: Tasks,
    slot: SlotRef,
}

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) data: DataDirectory,
    pub(super) old: SlotRef,
    pub(super) new: SlotRef,
    pub(super) ways: Ways,
    pub(super) word: UpdateWord,
    pub(super) asked: Vec<String>,
    /// Stages in the order in which they were seen.
    pub(super) stages: Vec<&'static str>,
    pub(super) leases: Vec<LeaseWish>,
    worker: Option<Worker>,
    parked: Option<Worker>,
    generation: u64,
    offloaded: bool,
    profile: Profile,
    pub(super) worker_crashes: u32,
    pub(super) keeper_current: bool,
    pub(super) freed: Arc<Mutex<u64>>,
}

fn image(dir: &Path, version: &str) -> Image {
    let source = dir.join(format!("weir-{version}"));
    fs::write(&source, format!("program {version}")).expect("program");
    Image::measure(version, vec![ImageFile { path: "weir".into(), source }]).expect("measure")
}

impl World {
    /// A device that runs 1.0.0-b1, with 1.1.0-b1 in a slot of its own already.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let data = DataDirectory::new(dir.path().join("d"));
        for made in [data.root().to_owned(), data.boot(), data.slots()] {
            fs::create_dir(made).expect("made");
        }
        let staged = ["1.0.0-b1", "1.1.0-b1"].map(|version| {
            let image = image(dir.path(), version);
            staging::stage(&mut FileSystem, &data, &image).expect("stage")
        });
        let [old, new] = staged;
        boot::write(&mut FileSystem, &data, &BootRecord::first(old.clone())).expect("record");
        let word = UpdateWord { revision: 0, order: None, unburn: Vec::new(), restart_keeper: false, freed: false };
        Self {
            dir,
            data,
            old,
            new,
            ways: Ways::default(),
            word,
            asked: Vec::new(),
            stages: Vec::new(),
            leases: Vec::new(),
            worker: None,
            parked: None,
            generation: 1,
            offloaded: false,
            profile: profile(),
            worker_crashes: 0,
            keeper_current: true,
            freed: Arc::default(),
        }
    }

    pub(super) fn assignment(&self, leave: Leave) -> Assignment {
        Assignment {
            stamp: Stamp { term: 1, generation: 1 },
            version: self.new.version.parse().expect("version"),
            manifest: self.new.manifest.to_string(),
            auto_reload: true,
            leave,
        }
    }

    /// The manager assigns.
    pub(super) fn assign(&mut self, assignment: Assignment) {
        let order = UpdateOrder { assignment, cancelled: false, reload: false, drained: false, archive: None };
        self.say(|word| word.order = Some(order));
    }

    /// The manager's next word.
    pub(super) fn say(&mut self, change: impl FnOnce(&mut UpdateWord)) {
        change(&mut self.word);
        self.word.revision += 1;
        if let Some(worker) = &self.worker {
            worker.agent.shared.update.told(self.word.clone());
        }
    }

    pub(super) fn record(&self) -> BootRecord {
        boot::read(&self.data).expect("record").record
    }

    pub(super) fn write_record(&self, record: &BootRecord) {
        boot::write(&mut FileSystem, &self.data, record).expect("record");
    }

    /// The states in the journal, oldest first, as they were written.
    pub(super) fn journal(&self) -> Vec<String> {
        let text = fs::read_to_string(self.data.update_journal()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(super) fn running(&self) -> &SlotRef {
        &self.worker.as_ref().expect("a worker runs").slot
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.worker.as_ref().expect("a worker runs").agent
    }

    pub(super) fn report(&self) -> Option<UpdateReport> {
        self.worker.as_ref()?.agent.shared.update.report(None)
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.report().map(|report| report.state.stage)
    }

    fn hooks(&self, slot: &SlotRef) -> Hooks {
        let errors = u64::from(self.ways.own_errors && *slot == self.new);
        let asked = u64::from(!(self.ways.idle && *slot == self.new));
        let served = Mutex::new(Figures::default());
        let freed = self.freed.clone();
        Hooks {
            served: Box::new(move || {
                let mut served = served.lock().expect("lock");
                served.requests += asked * 300;
                served.own_errors += errors * 100;
                *served
            }),
            make_space: Box::new(move |bytes| {
                *freed.lock().expect("lock") += bytes;
                bytes
            }),
            ..hooks(&[])
        }
    }

    /// Starts a worker of `slot`, as after ACCEPT.
    pub(super) fn start(&mut self, slot: &SlotRef) {
        let settings = settings(self.data.root());
        let settings = AgentSettings { worker_crashes: self.worker_crashes, keeper_current: self.keeper_current, ..settings };
        let agent = Agent::open(settings, self.hooks(slot)).expect("open");
        self.serve(agent, slot.clone());
        if self.generation == 1 {
            self.configure();
        }
    }

    /// As [`Agent::start`], as far as the driver goes.
    fn serve(&mut self, agent: Agent, slot: SlotRef) {
        let (keeper, end) = ControlSocket::pair().expect("pair");
        keeper.tell(&Message::BindDone { listeners: 0 }, &[]).expect("told");
        let (control, _) = WorkerControl::connect(end).expect("connected");
        let (news, heard) = mpsc::channel(KEEPER_NEWS_MAX);
        agent.shared.parked.send_replace(false);
        agent.shared.update.told(self.word.clone());
        let driver = Tasks::new();
        let link = KeeperLink { sender: control.sender(), news: heard };
        driver.spawn("driver", drive(agent.shared.clone(), link, Some(slot.name.clone()), TICK));
        self.worker = Some(Worker { agent, keeper, news, driver, slot });
    }

    /// Ends the worker as a crash does.
    pub(super) fn kill(&mut self) {
        let worker = self.worker.take().expect("a worker runs");
        worker.driver.cancel();
    }

    /// The worker falls silent between two steps.
    async fn park(&mut self) -> Worker {
        let worker = self.worker.take().expect("a worker runs");
        worker.agent.shared.parked.send_replace(true);
        assert!(worker.driver.join(DEADLINE).await, "the driver ends when its worker is parked");
        worker
    }

    /// The worker of the slot before serves again: the parked one, or a new one.
    pub(super) fn serve_old(&mut self) {
        match self.parked.take() {
            Some(parked) => {
                parked.agent.shared.raise_boot();
                parked.agent.shared.take_up();
                self.serve(parked.agent, parked.slot);
            }
            None => self.start(&self.old.clone()),
        }
    }

    /// The configuration in force says whether the device is offloaded.
    fn configure(&mut self) {
        self.generation += 1;
        let offload = self.offloaded.then_some(OffloadEpoch::Peers);
        let taken = self.agent().shared.take(engine_configuration(self.generation, offload, &self.profile));
        assert!(taken, "a newer configuration is taken");
    }

    /// Other timers, for a stage that is to last.
    pub(super) fn lasting(&mut self, change: impl FnOnce(&mut Profile)) {
        change(&mut self.profile);
        if self.worker.is_some() {
            self.configure();
        }
    }

    /// Proving lasts.
    pub(super) fn prove_for_ever(&mut self) {
        self.lasting(|profile| (profile.update.prove_min_ms, profile.update.prove_max_ms) = (u64::MAX / 4, u64::MAX / 4));
    }

    pub(super) fn set_offloaded(&mut self, offloaded: bool) {
        self.offloaded = offloaded;
        self.configure();
    }

    fn tell(&self, news: KeeperNews) {
        let worker = self.worker.as_ref().expect("a worker runs");
        worker.news.try_send(news).expect("the driver takes the news");
    }

    pub(super) fn tell_slots(&self) {
        let seq = boot::read(&self.data).expect("record").seq;
        self.tell(KeeperNews::Slots { seq, parked: self.parked.is_some() });
    }

    /// One round of everybody else.
    async fn step(&mut self) {
        tokio::time::sleep(STEP).await;
        let new_runs = *self.running() == self.new;
        if if new_runs { self.ways.new_reaches } else { self.ways.old_reaches } {
            self.agent().shared.update.reached();
        }
        if self.parked.is_some() {
            let said = Parked { contact: self.ways.old_reaches, ..Parked::default() };
            let worker = self.worker.as_ref().expect("a worker runs");
            drop(worker.news.try_send(KeeperNews::Parked(said)));
        }
        self.keep().await;
        self.manage();
    }

    /// The keeper does what it was asked.
    async fn keep(&mut self) {
        while let Ok(received) = self.worker.as_ref().expect("a worker runs").keeper.recv(Some(Duration::ZERO)) {
            let message = decode(&received.bytes).expect("a message");
            self.asked.push(message.verb().to_string());
            match message {
                Message::Switch(switch) => self.switch(switch.term, switch.generation, switch.trial_ms).await,
                Message::Back { reason, burn } if self.ways.back_works => self.back(reason.as_str(), burn).await,
                Message::Back { .. } => self.refuse("BACK", Reason::NoWayBack),
                Message::Commit => {
                    self.write_record(&self.record().commit(&self.new).expect("on trial"));
                    self.tell_slots();
                }
                Message::Retire { .. } => {
                    self.parked = None;
                    self.tell_slots();
                }
                Message::Unburn { .. } if !self.ways.unburns => self.refuse("UNBURN", Reason::SystemError),
                Message::Unburn { manifest } => {
                    let digest = weir_slots::Digest::try_from(manifest.as_str().to_owned()).expect("digest");
                    self.write_record(&self.record().unburn(digest));
                    self.tell_slots();
                }
                Message::Restart => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn refuse(&self, verb: &str, reason: Reason) {
        self.tell(KeeperNews::Refused { verb: verb.into(), reason, detail: "as the test says".into() });
    }

    async fn switch(&mut self, term: u64, generation: u64, trial_ms: u64) {
        if let Fate::Refused(reason) = self.ways.fate {
            return self.refuse("SWITCH", reason);
        }
        let tried = match self.record().begin_trial(self.new.clone(), term, generation, trial_ms) {
            Ok(tried) => tried,
            Err(weir_slots::boot::trial::TrialError::Burned) => return self.refuse("SWITCH", Reason::Burned),
            Err(error) => panic!("{error}"),
        };
        self.write_record(&tried);
        self.tell_slots();
        if let Fate::NeverReady(reason) = self.ways.fate {
            self.write_record(&tried.fall_back(reason, true).expect("on trial"));
            return self.tell_slots();
        }
        self.parked = Some(self.park().await);
        self.start(&self.new.clone());
        self.tell_slots();
    }

    async fn back(&mut self, reason: &str, burn: bool) {
        self.write_record(&self.record().fall_back(reason, burn).expect("there is a way back"));
        self.tell_slots();
        let left = self.worker.take().expect("a worker runs");
        assert!(left.driver.join(DEADLINE).await, "whom the keeper has left drives no more");
        assert!(*left.agent.shared.parked.borrow(), "nor speaks");
        self.serve_old();
        self.tell_slots();
    }

    /// The new worker dies on trial: the keeper goes back by itself.
    pub(super) fn crash(&mut self, reason: &str) {
        self.kill();
        self.write_record(&self.record().fall_back(reason, true).expect("on trial"));
        self.serve_old();
    }

    /// The manager reads the report.
    fn manage(&mut self) {
        let Some(report) = self.report() else { return };
        if self.stages.last() != Some(&report.state.stage.as_str()) {
            self.stages.push(report.state.stage.as_str());
        }
        if self.leases.last() != Some(&report.lease) {
            self.leases.push(report.lease);
        }
        match report.lease {
            LeaseWish::Hold if !self.offloaded => self.set_offloaded(true),
            LeaseWish::Free if self.offloaded => self.set_offloaded(false),
            _ => {}
        }
        let drained = self.word.order.as_ref().is_some_and(|order| order.drained);
        if report.state.stage == Stage::Draining && self.ways.drains && !drained {
            self.say(|word| {
                if let Some(order) = &mut word.order {
                    order.drained = true;
                }
            });
        }
    }

    /// Goes on until the condition holds.
    pub(super) async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = weir_clock::monotonic() + DEADLINE;
        while !condition(self) {
            self.step().await;
            let late = weir_clock::monotonic() >= deadline;
            assert!(!late, "no {what}: stages {:?}, asked {:?}, report {:?}", self.stages, self.asked, self.report());
        }
    }

    pub(super) async fn until_stage(&mut self, stage: Stage) {
        self.until(stage.as_str(), |world| world.stage() == Some(stage)).await;
    }

    /// Goes on for some rounds, in which nothing should happen.
    pub(super) async fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.step().await;
        }
    }

    /// A device as it is when the power goes: this journal, record, worker and offload, and nobody in memory.
    pub(super) fn rebuilt(journal: &[String], record: impl FnOnce(&Self) -> BootRecord, new_runs: bool, offloaded: bool) -> Self {
        let mut world = Self::new();
        world.take_journal(journal);
        world.write_record(&record(&world));
        world.offloaded = offloaded;
        world.assign(world.assignment(Leave::Drained));
        world.generation = 2;
        let settings = settings(world.data.root());
        let kept = engine_configuration(2, offloaded.then_some(OffloadEpoch::Peers), &world.profile);
        settings.state.keep_configuration(&kept).expect("kept");
        let running = if new_runs { world.new.clone() } else { world.old.clone() };
        world.start(&running);
        world
    }

    /// Begins with the journal of another device.
    pub(super) fn take_journal(&self, journal: &[String]) {
        fs::create_dir(self.data.journal()).expect("journal");
        fs::write(self.data.update_journal(), journal.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("lines");
    }

    /// The assigned image is in no slot.
    pub(super) fn unstage(&self) {
        FileSystem.remove_tree(&self.data.slot(&self.new.name)).expect("removed");
    }

    pub(super) fn is_staged(&self) -> bool {
        is_staged(&self.data, &self.assignment(Leave::Drained))
    }

    pub(super) fn home(&self) -> &Path {
        self.dir.path()
    }
}

fn engine_configuration(generation: u64, offload: Option<OffloadEpoch>, profile: &Profile) -> DeviceConfiguration {
    let entry = EngineEntry {
        name: "east-1".parse().expect("name"),
        location: "east".parse().expect("name"),
        http: "127.0.0.1:8080".parse().expect("address"),
        weight: 100,
        offload,
        offload_since_ms: None,
    };
    DeviceConfiguration { engines: vec![entry], profile: profile.clone(), ..configuration(generation) }
}
