//! The agent of one device: its shared state and its life.

use crate::{
    client::{ClientError, ManagerClient},
    contacts::Contacts,
    device_state::{DeviceState, Identity, StateError},
    keepalive,
    life::Life,
    ramp::Ramp,
    update::Update,
};
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;
use weir_device_api::{
    Answers, Condition, Drain, Hello, Listeners, Load, RouterContact, hello::PROTOCOL, keepalive::EngineState, report::Rejected,
};
use weir_model::{
    AlarmReason, DeviceConfiguration, DeviceName, Profile, Role, Stamp, configuration::EngineEntry, offload::SHARE_FIRST, version,
};
use weir_rollout::update::Figures;
use weir_slots::DataDirectory;
use weir_telemetry::Chain;

/// What a router's crate answers to "where would this client be sent, and why".
pub type Explain = Box<dyn Fn(IpAddr, &str) -> Result<serde_json::Value, String> + Send + Sync>;

/// How a role runs a configuration: from now on, or it says why not and keeps the one before.
pub type Apply = Box<dyn Fn(&Arc<DeviceConfiguration>) -> Result<(), String> + Send + Sync>;

/// How an engine hears which routers it holds a lifeline to, and what they said on it; called at once and at every change.
pub type TellRouters = Box<dyn Fn(Vec<RouterContact>) + Send + Sync>;

/// How an engine is told to keep the release archive at a path of the system delivery service. Returns at once: bytes that are
/// there, all of them only once it is whole, or why it cannot keep it.
pub type Hold = Box<dyn Fn(&str) -> Result<u64, String> + Send + Sync>;

/// What a role gives its agent.
pub struct Hooks {
    /// Runs a configuration.
    pub apply: Apply,
    /// Work in hand and done.
    pub load: Box<dyn Fn() -> Load + Send + Sync>,
    /// What is wrong.
    pub conditions: Box<dyn Fn() -> Vec<Condition> + Send + Sync>,
    /// What still runs, while Server Offload holds the device; `None` otherwise, and always of a manager.
    pub drain: Box<dyn Fn() -> Option<Drain> + Send + Sync>,
    /// Requests this worker answered to anybody, and the 5xx among them that no origin caused.
    pub served: Box<dyn Fn() -> Figures + Send + Sync>,
    /// Frees so many bytes of the disk for an image; returns what it freed.
    pub make_space: Box<dyn Fn(u64) -> u64 + Send + Sync>,
    /// Routers only.
    pub explain: Option<Explain>,
    /// Engines only.
    pub routers: Option<TellRouters>,
    /// Engines only.
    pub hold: Option<Hold>,
    /// Engines only: how this worker answered.
    pub answers: Option<Box<dyn Fn() -> Answers + Send + Sync>>,
    /// Engines only: responses that carried a delivery service's detail.
    #[cfg(feature = "synthetic-next")]
    pub detailed_responses: Option<Box<dyn Fn() -> u64 + Send + Sync>>,
}

/// Who the device is and where its things are.
pub struct AgentSettings {
    /// Its name.
    pub device: DeviceName,
    /// Its role.
    pub role: Role,
    /// Its data directory.
    pub data: DataDirectory,
    /// Its state directory, below the other.
    pub state: DeviceState,
    /// Its identity.
    pub identity: Identity,
    /// Where it listens.
    pub listeners: Listeners,
    /// Its log file.
    pub log: PathBuf,
    /// Crashed workers before this one, as the keeper counts them.
    pub worker_crashes: u32,
    /// How the last of them ended, as the keeper says it.
    pub last_exit: Option<String>,
    /// The version of the keeper that runs, as it says it.
    pub keeper_version: Option<String>,
    /// That keeper is the one of this worker's slot.
    pub keeper_current: bool,
}

pub(crate) struct Shared {
    pub(crate) settings: AgentSettings,
    pub(crate) hooks: Hooks,
    pub(crate) client: ManagerClient,
    pub(crate) running: watch::Sender<Option<Arc<DeviceConfiguration>>>,
    pub(crate) rejected: Mutex<Option<Rejected>>,
    pub(crate) engine_state: watch::Sender<EngineState>,
    boot: AtomicU64,
    /// Another worker of this device speaks for it.
    pub(crate) parked: watch::Sender<bool>,
    pub(crate) update: Update,
    pub(crate) voice: keepalive::Voice,
    pub(crate) contacts: Contacts,
    pub(crate) ramp: Mutex<Ramp>,
    pub(crate) started: Instant,
    disk_error: Mutex<Option<String>>,
}

/// The agent of one device. Clones share it.
#[derive(Clone)]
pub struct Agent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) life: Arc<Life>,
}

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The device's state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Agent {
    /// Reads the last good configuration and hands it to the role: a device serves without any manager.
    pub fn open(settings: AgentSettings, hooks: Hooks) -> Result<Self, AgentError> {
        let (boot, unsaved) = next_boot(&settings.state);
        let client = ManagerClient::new(&settings.identity)?.remembering(&settings.state);
        let last_good = match settings.state.configuration() {
            Ok(last_good) => last_good,
            Err(error @ StateError::Damaged { .. }) => {
                tracing::error!(error = %Chain(&error), "last good configuration lost; looking for this line's own");
                of_line(&settings.state)
            }
            Err(error) => return Err(error.into()),
        };
        let returned_ms = settings.state.returned().unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "when the engine returned from an offload is lost; it takes its whole weight");
            None
        });
        let ramp = Ramp::resumed(returned_ms, weir_clock::wall_ms(), weir_clock::monotonic());
        let shared = Arc::new(Shared {
            settings,
            hooks,
            client,
            running: watch::Sender::new(None),
            rejected: Mutex::default(),
            engine_state: watch::Sender::new(EngineState::Serving),
            boot: AtomicU64::new(boot),
            parked: watch::Sender::new(false),
            update: Update::default(),
            voice: keepalive::Voice::default(),
            contacts: Contacts::default(),
            ramp: Mutex::new(ramp),
            started: weir_clock::monotonic(),
            disk_error: Mutex::new(unsaved),
        });
        if let Some(configuration) = last_good.and_then(|configuration| shared.run_or_of_line(configuration)) {
            shared.tell(configuration);
        }
        Ok(Self { shared, life: Arc::default() })
    }

    /// The configuration in force.
    pub fn configuration(&self) -> Option<Arc<DeviceConfiguration>> {
        self.shared.running.borrow().clone()
    }

    /// Waits until a configuration is in force, at most `deadline`.
    pub async fn configured(&self, deadline: Duration) -> bool {
        let mut running = self.shared.running.subscribe();
        let wait = running.wait_for(Option::is_some);
        matches!(tokio::time::timeout(deadline, wait).await, Ok(Ok(_)))
    }
}

/// What a build of this line kept last: the file of all lines may have been written by another one.
fn of_line(state: &DeviceState) -> Option<DeviceConfiguration> {
    state.configuration_of_line().unwrap_or_else(|error| {
        tracing::error!(error = %Chain(&error), "this line's own configuration is lost too; waiting for the manager");
        None
    })
}

/// Raises the boot number; why it could not be kept goes with it.
fn next_boot(state: &DeviceState) -> (u64, Option<String>) {
    let (boot, unsaved) = state.next_boot();
    let unsaved = unsaved.map(|error| Chain(&error).to_string());
    if let Some(error) = &unsaved {
        tracing::error!(error, "state directory cannot be written; serving all the same");
    }
    (boot, unsaved)
}

impl Shared {
    /// The number that orders the workers of this device: the one with the highest speaks for it.
    pub(crate) fn boot(&self) -> u64 {
        self.boot.load(Ordering::Relaxed)
    }

    /// Takes a boot number above that of every worker so far.
    pub(crate) fn raise_boot(&self) {
        self.update.begin_anew((self.hooks.load)());
        let (boot, unsaved) = next_boot(&self.settings.state);
        self.boot.store(boot, Ordering::Relaxed);
        *self.disk_error.lock().expect("no panic while held") = unsaved;
    }

    /// What this device says of itself.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            version: version().to_owned(),
            device: self.settings.device.clone(),
            role: self.settings.role,
            stamp: self.stamp(),
        }
    }

    /// The stamp in force; zero before the first configuration.
    pub(crate) fn stamp(&self) -> Stamp {
        self.running.borrow().as_ref().map_or_else(Stamp::default, |c| c.stamp)
    }

    pub(crate) fn profile(&self) -> Profile {
        self.running.borrow().as_ref().map_or_else(Profile::standard, |c| c.profile.clone())
    }

    /// Takes a configuration from the manager: refuses what is not newer or not ours, runs it, keeps it, and only then names its
    /// stamp to anybody, who may count on it from then on, also after a crash. One that cannot be kept runs all the same, with a
    /// condition that says so. Blocks on the role and the disk. Returns whether it is in force.
    pub(crate) fn take(&self, configuration: DeviceConfiguration) -> bool {
        let offered = configuration.stamp;
        if offered <= self.stamp() {
            tracing::warn!(%offered, "configuration refused: not newer than the one in force");
            return false;
        }
        if configuration.device != self.settings.device || configuration.role != self.settings.role {
            let reason = format!("it is the configuration of {} {}", configuration.role, configuration.device);
            self.reject(Rejected { stamp: offered, reason });
            return false;
        }
        let Some(configuration) = self.run(configuration) else { return false };
        let text = self.keep(&configuration).err().map(|error| Chain(&error).to_string());
        if let Some(text) = &text {
            tracing::error!(error = text, "configuration runs but is not kept on disk");
        }
        *self.disk_error.lock().expect("no panic while held") = text;
        self.tell(configuration);
        true
    }

    /// Takes up the configuration on disk when it is newer than the one that runs. Another worker wrote it, which may have been a
    /// bad one: what cannot be read is a condition, what the role refuses is reported as rejected, and the one in memory stays.
    pub(crate) fn take_up(&self) {
        let found = match self.settings.state.configuration() {
            Ok(found) => found,
            Err(error) => {
                let text = Chain(&error).to_string();
                tracing::error!(error = text, "the configuration on disk is not taken up; the one in memory stays in force");
                *self.disk_error.lock().expect("no panic while held") = Some(text);
                return;
            }
        };
        let newer = found.filter(|found| found.stamp > self.stamp());
        if let Some(running) = newer.and_then(|newer| self.run(newer)) {
            self.tell(running);
        }
    }

    /// Runs the last good configuration; when the role refuses it, the one that a build of this line kept last. What was refused
    /// stays reported.
    fn run_or_of_line(&self, last_good: DeviceConfiguration) -> Option<Arc<DeviceConfiguration>> {
        let stamp = last_good.stamp;
        if let Some(running) = self.run(last_good) {
            return Some(running);
        }
        let refused = self.rejected.lock().expect("no panic while held").clone();
        let running = of_line(&self.settings.state).filter(|own| own.stamp < stamp).and_then(|own| self.run(own));
        *self.rejected.lock().expect("no panic while held") = refused;
        running
    }

    /// Keeps a configuration on disk, and before it that the engine returns with it: a crash between the two ends no ramp.
    fn keep(&self, configuration: &DeviceConfiguration) -> Result<(), StateError> {
        let state = &self.settings.state;
        let returns = self.ramp.lock().expect("no panic while held").ends_with(own_entry(configuration));
        let returned = if returns { state.keep_returned(weir_clock::wall_ms()) } else { Ok(()) };
        state.keep_configuration(configuration).and(returned)
    }

    fn reject(&self, rejected: Rejected) {
        tracing::error!(refused = %rejected.stamp, reason = rejected.reason, "configuration refused; the last good one stays in force");
        *self.rejected.lock().expect("no panic while held") = Some(rejected);
    }

    /// Hands a configuration to the role; returns it when the role runs it. Nobody is told before [`Shared::tell`].
    pub(crate) fn run(&self, configuration: DeviceConfiguration) -> Option<Arc<DeviceConfiguration>> {
        let configuration = Arc::new(configuration);
        let stamp = configuration.stamp;
        if let Some(field) = configuration.not_understood() {
            let reason = format!("field {field} must be understood, and {} does not know it", version());
            self.reject(Rejected { stamp, reason });
            return None;
        }
        match (self.hooks.apply)(&configuration) {
            Ok(()) => {
                *self.rejected.lock().expect("no panic while held") = None;
                self.client.hears(stamp.term);
                self.client.set_managers(&configuration.managers);
                weir_telemetry::log::set_stamp(stamp.term, stamp.generation);
                tracing::info!("configuration in force");
                Some(configuration)
            }
            Err(reason) => {
                self.reject(Rejected { stamp, reason });
                None
            }
        }
    }

    /// Reports, polls and keepalives name a configuration that runs.
    pub(crate) fn tell(&self, configuration: Arc<DeviceConfiguration>) {
        let (entry, now) = (own_entry(&configuration), weir_clock::monotonic());
        self.ramp.lock().expect("no panic while held").runs(entry, configuration.stamp, now);
        self.running.send_replace(Some(configuration));
    }

    /// The part of its weight an engine takes now, in thousandths.
    pub(crate) fn share_permille(&self) -> u16 {
        let ramp = Duration::from_millis(self.profile().ramp_ms);
        let share = self.ramp.lock().expect("no panic while held").share_permille(weir_clock::monotonic(), ramp);
        if self.update.holds_share() { share.min(SHARE_FIRST) } else { share }
    }

    /// The share begins to rise now, from a tenth. Returns once that is on disk.
    pub(crate) async fn begin_ramp(self: &Arc<Self>) {
        self.ramp.lock().expect("no panic while held").begins(weir_clock::monotonic());
        let (shared, now_ms) = (self.clone(), weir_clock::wall_ms());
        match tokio::task::spawn_blocking(move || shared.settings.state.keep_returned(now_ms)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "a worker started meanwhile would take its share sooner"),
            Err(error) => tracing::error!(%error, "keeping the time of the return failed"),
        }
    }

    /// The role's conditions and the agent's own.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let mut conditions = (self.hooks.conditions)();
        if let Some(text) = self.disk_error.lock().expect("no panic while held").clone() {
            conditions.push(Condition { reason: AlarmReason::DiskFull, object: String::new(), text });
        }
        conditions
    }
}

/// The device's own entry among the engines of its configuration.
pub(crate) fn own_entry(configuration: &DeviceConfiguration) -> Option<&EngineEntry> {
    configuration.engines.iter().find(|engine| engine.name == configuration.device)
}

#[cfg(test)]
pub(crate) mod tests;
