//! The agent of one device: its shared state and its life.

use crate::{
    client::{ClientError, ManagerClient},
    contacts::{self, Contacts},
    device_state::{DeviceState, Identity, StateError},
    follow, keepalive,
    ramp::Ramp,
    report,
};
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use weir_device_api::{Condition, Drain, Hello, Listeners, Load, RouterContact, hello::PROTOCOL, keepalive::EngineState, report::Rejected};
use weir_model::{AlarmReason, DeviceConfiguration, DeviceName, Profile, Role, Stamp, configuration::EngineEntry, version};
use weir_telemetry::{Chain, Tasks};

/// What a router's crate answers to "where would this client be sent, and why".
pub type Explain = Box<dyn Fn(IpAddr, &str) -> Result<serde_json::Value, String> + Send + Sync>;

/// How a role runs a configuration: from now on, or it says why not and keeps the one before.
pub type Apply = Box<dyn Fn(&Arc<DeviceConfiguration>) -> Result<(), String> + Send + Sync>;

/// How an engine hears which routers it holds a lifeline to, and what they said on it; called at once and at every change.
pub type TellRouters = Box<dyn Fn(Vec<RouterContact>) + Send + Sync>;

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
    /// Routers only.
    pub explain: Option<Explain>,
    /// Engines only.
    pub routers: Option<TellRouters>,
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
    /// Its state directory.
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
}

pub(crate) struct Shared {
    pub(crate) settings: AgentSettings,
    pub(crate) hooks: Hooks,
    pub(crate) client: ManagerClient,
    pub(crate) running: watch::Sender<Option<Arc<DeviceConfiguration>>>,
    pub(crate) rejected: Mutex<Option<Rejected>>,
    pub(crate) engine_state: watch::Sender<EngineState>,
    pub(crate) boot: u64,
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
        let (boot, unsaved) = settings.state.next_boot();
        let unsaved = unsaved.map(|error| Chain(&error).to_string());
        if let Some(error) = &unsaved {
            tracing::error!(error, "state directory cannot be written; serving all the same");
        }
        let client = ManagerClient::new(&settings.identity)?;
        let last_good = match settings.state.configuration() {
            Ok(last_good) => last_good,
            Err(error @ StateError::Damaged { .. }) => {
                tracing::error!(error = %Chain(&error), "last good configuration lost; waiting for the manager");
                None
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
            boot,
            voice: keepalive::Voice::default(),
            contacts: Contacts::default(),
            ramp: Mutex::new(ramp),
            started: weir_clock::monotonic(),
            disk_error: Mutex::new(unsaved),
        });
        if let Some(configuration) = last_good.and_then(|configuration| shared.run(configuration)) {
            shared.tell(configuration);
        }
        Ok(Self { shared })
    }

    /// Follows the manager, reports, and, on an engine, keeps routers informed.
    pub fn start(&self, tasks: &Tasks) {
        tasks.spawn("follow", follow::run(self.shared.clone()));
        tasks.spawn("report", report::run(self.shared.clone()));
        if self.shared.settings.role == Role::Engine {
            tasks.spawn("keepalive", keepalive::run(self.shared.clone()));
            tasks.spawn("lifelines", keepalive::hold_lifelines(self.shared.clone()));
            tasks.spawn("contacts", contacts::tell(self.shared.clone()));
        }
    }

    /// Tells routers to send nothing new: called before an engine stops accepting.
    pub async fn leave(&self) {
        self.shared.engine_state.send_replace(EngineState::Leaving);
        keepalive::send_now(&self.shared).await;
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

impl Shared {
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
    fn run(&self, configuration: DeviceConfiguration) -> Option<Arc<DeviceConfiguration>> {
        let configuration = Arc::new(configuration);
        let stamp = configuration.stamp;
        match (self.hooks.apply)(&configuration) {
            Ok(()) => {
                *self.rejected.lock().expect("no panic while held") = None;
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
    fn tell(&self, configuration: Arc<DeviceConfiguration>) {
        let (entry, now) = (own_entry(&configuration), weir_clock::monotonic());
        self.ramp.lock().expect("no panic while held").runs(entry, configuration.stamp, now);
        self.running.send_replace(Some(configuration));
    }

    /// The part of its weight an engine takes now, in thousandths.
    pub(crate) fn share_permille(&self) -> u16 {
        let ramp = Duration::from_millis(self.profile().ramp_ms);
        self.ramp.lock().expect("no panic while held").share_permille(weir_clock::monotonic(), ramp)
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
