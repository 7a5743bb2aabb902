//! The engine as its device holds it: settings in, configuration in, load and conditions out.

use crate::{
    access::AccessLog,
    flight::Flights,
    head::StoredHead,
    here::Here,
    metrics::{Counters, Levels},
    origins::Origins,
    readable::Readable,
    returned::Returned,
    session::Sessions,
    upstream::{Ask, Fetched, Source, Upstream, failure::Failure},
    watched::Watched,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use weir_caching::Freshness;
use weir_device_api::{Condition, Load, RouterContact};
use weir_model::{DeviceConfiguration, DeviceName, ServiceName};
use weir_routing::{CompileError, Network};
use weir_store::Store;
use weir_telemetry::{Metrics, Tasks};

/// How long fills may go on after the engine is told to stop.
const STOP_TIME: Duration = Duration::from_secs(1);
/// Smallest store: below it not even a playlist and its segments would stay.
pub const STORE_BYTES_MIN: u64 = 1024 * 1024;

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The device's name.
    pub name: DeviceName,
    /// Bytes of content held in memory, at least [`STORE_BYTES_MIN`].
    pub store_bytes: u64,
    /// Where the engine keeps its files: `<data>/state/engine`.
    pub state: PathBuf,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store would be too small.
    #[error("a store of {0} bytes is too small: at least {STORE_BYTES_MIN}")]
    StoreTooSmall(u64),
    /// The access records cannot be written.
    #[error("open access records in {directory}")]
    AccessLog {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Why a configuration is not applied; the one before stays.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// It does not fit together.
    #[error(transparent)]
    Invalid(#[from] CompileError),
    /// It is another device's.
    #[error("the configuration is for {0}")]
    OtherDevice(DeviceName),
}

/// What clones of an engine share.
pub(crate) struct Inner {
    pub(crate) name: DeviceName,
    pub(crate) here: ArcSwapOption<Here>,
    pub(crate) store: Store<StoredHead>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) upstream: Upstream,
    pub(crate) counters: Arc<Counters>,
    pub(crate) access: AccessLog,
    pub(crate) sessions: Sessions,
    pub(crate) watched: Watched,
    pub(crate) returned: Returned,
    pub(crate) readable: Readable,
    /// Routers in contact.
    pub(crate) contacts: ArcSwap<Vec<RouterContact>>,
    pub(crate) tasks: Tasks,
    origins: Origins,
}

impl Inner {
    /// Fetches, and remembers whether the origin answered, as far as a parent's answer tells.
    pub(crate) async fn fetch(&self, service: &ServiceName, ask: &Ask) -> Result<Fetched, Failure> {
        let fetched = self.upstream.fetch(ask).await;
        if let Ok(fetched) = &fetched {
            self.readable.learn(service, fetched.status, &fetched.fields);
        }
        match &fetched {
            Ok(fetched) if fetched.source == Source::Origin || fetched.status < 500 => self.origins.answered(service),
            Ok(_) => {}
            Err(failure) => self.origins.failed(service, *failure, weir_clock::monotonic()),
        }
        fetched
    }

    /// Whether a service's origin has failed several times in a row.
    pub(crate) fn is_failing(&self, service: &ServiceName) -> bool {
        self.origins.is_failing(service, weir_clock::monotonic())
    }

    fn count_sessions(&self) -> u32 {
        let window_ms = self.here.load().as_ref().map_or(0, |here| here.network.profile().session_window_ms);
        self.sessions.count(weir_clock::monotonic_ms(), window_ms)
    }
}

/// A Service Engine. Clones share everything; it answers requests as a [`weir_net::http1::Service`].
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl Engine {
    /// An engine without configuration: it answers 503 until [`Engine::apply`].
    ///
    /// # Errors
    /// The store is too small, or the state directory cannot be written.
    pub fn new(settings: EngineSettings, metrics: &Metrics) -> Result<Self, EngineError> {
        let EngineSettings { name, store_bytes, state } = settings;
        if store_bytes < STORE_BYTES_MIN {
            return Err(EngineError::StoreTooSmall(store_bytes));
        }
        let counters = Counters::new(metrics);
        let access = AccessLog::open(&state, counters.records_dropped.clone())
            .map_err(|source| EngineError::AccessLog { directory: state.clone(), source })?;
        let inner = Arc::new(Inner {
            name,
            here: ArcSwapOption::empty(),
            store: Store::new(store_bytes),
            flights: Arc::default(),
            upstream: Upstream::new(counters.clone()),
            counters,
            access,
            sessions: Sessions::new(),
            watched: Watched::default(),
            returned: Returned::default(),
            readable: Readable::default(),
            contacts: ArcSwap::default(),
            tasks: Tasks::new(),
            origins: Origins::default(),
        });
        let read = Arc::downgrade(&inner);
        metrics.on_read(move || {
            if let Some(inner) = read.upgrade() {
                let stats = inner.store.stats();
                let levels = Levels { store_bytes: stats.bytes, store_objects: stats.objects, sessions: inner.count_sessions() };
                inner.counters.set(&levels);
            }
        });
        Ok(Self { inner })
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Serves by this configuration from the next request on. Content held stays, as far as its
    /// service keeps its origin and caching rules.
    ///
    /// # Errors
    /// [`Rejection`] says why it is refused; the configuration before stays in force.
    pub fn apply(&self, configuration: Arc<DeviceConfiguration>) -> Result<(), Rejection> {
        if configuration.device != self.inner.name {
            return Err(Rejection::OtherDevice(configuration.device.clone()));
        }
        let network = Network::compile(&configuration)?;
        let is_known = |name: &ServiceName| network.services().iter().any(|s| s.service.name == *name);
        self.inner.origins.retain(is_known);
        self.inner.readable.retain(is_known);
        let since_ms = configuration.engines.iter().find(|e| e.name == self.inner.name).and_then(|e| e.offload_since_ms);
        let before = self.inner.here.load();
        let here = Here::new(network, self.inner.name.clone(), since_ms, before.as_deref());
        let is_offloaded = here.offload.is_some();
        self.inner.here.store(Some(Arc::new(here)));
        if !is_offloaded {
            self.inner.watched.clear();
        }
        Ok(())
    }

    /// Routers this engine holds a lifeline to from now on, and what they said on it: where it may send its viewers while it is
    /// offloaded.
    pub fn set_routers(&self, contacts: Vec<RouterContact>) {
        self.inner.contacts.store(Arc::new(contacts));
    }

    /// Work in hand and done.
    pub fn load(&self) -> Load {
        let counters = &self.inner.counters;
        Load {
            requests: counters.requests_total(),
            active_requests: u32::try_from(counters.active_requests.get()).unwrap_or(0),
            sessions: self.inner.count_sessions(),
            client_bytes: counters.client_bytes.get(),
            origin_bytes: counters.upstream_origin.bytes.get(),
            store_bytes: self.inner.store.used_bytes(),
        }
    }

    /// Responses since the start whose `Cache-Status` carried a delivery service's detail.
    #[cfg(feature = "synthetic-next")]
    pub fn detailed_responses(&self) -> u64 {
        self.inner.counters.detailed.get()
    }

    /// What is wrong: origins that cannot be reached.
    pub fn conditions(&self) -> Vec<Condition> {
        self.inner.origins.conditions(weir_clock::monotonic())
    }

    /// Whether the engine could serve: an object is stored, found and read back in a store of its own.
    ///
    /// # Errors
    /// One sentence that says what does not work.
    pub fn self_test(&self) -> Result<(), String> {
        let store: Store<u32> = Store::new(STORE_BYTES_MIN);
        let body = Bytes::from_static(b"weir");
        let mut fill = store.begin("self-test", 1, 0, Some(4), |_| true).map_err(|(_, refused)| refused.to_string())?;
        fill.append(body.clone());
        fill.finish().map_err(|reason| reason.to_string())?;
        let object = store.find("self-test", |_| true).ok_or("the store loses what is stored")?;
        match object.whole() {
            Some(slices) if slices.concat() == body => Ok(()),
            _ => Err("the store gives back other bytes than were stored".into()),
        }
    }

    /// Ends fills and upstream connections, and writes the last access records. Call it when the listeners are drained.
    pub async fn stop(&self) {
        self.inner.tasks.join(STOP_TIME).await;
        self.inner.upstream.close();
        let inner = self.inner.clone();
        // Joining the writer thread blocks, for one write at most.
        drop(tokio::task::spawn_blocking(move || inner.access.close()).await);
    }
}

/// Freshness is kept by value in every head: keep it small.
const _: () = assert!(size_of::<Freshness>() <= 40);
