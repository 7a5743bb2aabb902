//! The engine as its device holds it: settings in, configuration in, load and conditions out.

use crate::{
    access::AccessLog,
    disk::Disk,
    flight::Flights,
    head::StoredHead,
    here::Here,
    metrics::{Counters, DiskLevels, Levels},
    origins::Origins,
    readable::Readable,
    returned::Returned,
    session::Sessions,
    software::{Delivery, Holds},
    upstream::{self, Ask, Fetched, Source, Upstream, failure::Failure},
    watched::Watched,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use weir_caching::Freshness;
use weir_device_api::{Condition, Load, RouterContact};
use weir_model::{DeviceConfiguration, DeviceName, ServiceName};
use weir_net::tls::{self, TlsError};
use weir_routing::{CompileError, Network};
use weir_store::Store;
use weir_telemetry::{Metrics, Tasks};

/// How long fills may go on after the engine is told to stop, and then how long what is worth keeping is written.
const STOP_TIME: Duration = Duration::from_secs(1);
/// How long an engine that is parked writes what is worth keeping.
const GIVE_UP_TIME: Duration = Duration::from_secs(5);
/// Smallest store: below it not even a playlist and its segments would stay.
pub const STORE_BYTES_MIN: u64 = 1024 * 1024;

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The device's name.
    pub name: DeviceName,
    /// Bytes of content held in memory, at least [`STORE_BYTES_MIN`].
    pub store_bytes: u64,
    /// Bytes of content held on disk, in `<state>/store`; absent: content is held in memory only.
    pub disk_bytes: Option<u64>,
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
    pub(crate) disk: Disk,
    pub(crate) flights: Arc<Flights>,
    pub(crate) upstream: Upstream,
    pub(crate) counters: Arc<Counters>,
    pub(crate) access: AccessLog,
    pub(crate) sessions: Sessions,
    pub(crate) watched: Watched,
    pub(crate) returned: Returned,
    pub(crate) readable: Readable,
    /// Release archives to be kept.
    pub(crate) holds: Holds,
    /// Routers in contact.
    pub(crate) contacts: ArcSwap<Vec<RouterContact>>,
    pub(crate) tasks: Tasks,
    origins: Origins,
}

impl Inner {
    /// Fetches, and remembers whether the origin answered, as far as a parent's answer tells.
    pub(crate) async fn fetch(&self, service: &ServiceName, ask: &Ask) -> Result<Fetched, Failure> {
        let fetched = self.upstream.fetch(ask).await;
        if matches!(ask.origin, upstream::Origin::Archive(_)) {
            return fetched;
        }
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
        let EngineSettings { name, store_bytes, disk_bytes, state } = settings;
        if store_bytes < STORE_BYTES_MIN {
            return Err(EngineError::StoreTooSmall(store_bytes));
        }
        let counters = Counters::new(metrics);
        let access = AccessLog::open(&state, counters.records_dropped.clone())
            .map_err(|source| EngineError::AccessLog { directory: state.clone(), source })?;
        let (store, disk) = Disk::open(&state, store_bytes, disk_bytes);
        let inner = Arc::new(Inner {
            name,
            here: ArcSwapOption::empty(),
            store,
            disk,
            flights: Arc::default(),
            upstream: Upstream::new(counters.clone()),
            counters,
            access,
            sessions: Sessions::new(),
            watched: Watched::default(),
            returned: Returned::default(),
            readable: Readable::default(),
            holds: Holds::default(),
            contacts: ArcSwap::default(),
            tasks: Tasks::new(),
            origins: Origins::default(),
        });
        let read = Arc::downgrade(&inner);
        metrics.on_read(move || {
            if let Some(inner) = read.upgrade() {
                let stats = inner.store.stats();
                let disk = DiskLevels::of(&inner.store);
                let levels = Levels { store_bytes: stats.bytes, store_objects: stats.objects, disk, sessions: inner.count_sessions() };
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
        let with_software = weir_routing::with_software(&configuration);
        let delivery = Delivery::of(&configuration, with_software.is_some());
        let network = Network::compile(with_software.as_ref().unwrap_or(&configuration))?;
        let is_known = |name: &ServiceName| network.services().iter().any(|s| s.service.name == *name);
        self.inner.origins.retain(is_known);
        self.inner.readable.retain(is_known);
        let since_ms = configuration.engines.iter().find(|e| e.name == self.inner.name).and_then(|e| e.offload_since_ms);
        let before = self.inner.here.load();
        let here = Here::new(network, self.inner.name.clone(), since_ms, before.as_deref()).delivering(delivery);
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

    /// Shows this identity to the managers, where release archives come from: CA, own certificate and key, PEM. Without one the
    /// engine has archives from other engines only.
    ///
    /// # Errors
    /// A PEM text holds no certificate or key, or one that TLS does not take.
    pub fn set_identity(&self, ca: &str, certificate: &str, key: &str) -> Result<(), TlsError> {
        self.inner.upstream.show(tls::client_config(ca, Some((certificate, key)))?);
        Ok(())
    }

    /// Keeps the release archive at this path of the system delivery service. Returns at once: bytes that are there, all of them
    /// only once it is whole; what is missing is fetched in the background.
    ///
    /// # Errors
    /// One sentence: why it cannot be kept, or could not be fetched the last time.
    pub fn hold(&self, path: &str) -> Result<u64, String> {
        crate::software::hold(&self.inner, path)
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

    /// Requests answered since the start with a status of 500 or more that a client, parent or origin caused: no defect of this
    /// engine.
    pub fn excused_errors(&self) -> u64 {
        self.inner.counters.excused_errors.load(Ordering::Relaxed)
    }

    /// Answers since the start by the time to their first byte, in the classes of a report.
    pub fn times_to_first_byte(&self) -> Vec<u64> {
        self.inner.counters.first_bytes.counts()
    }

    /// Responses since the start whose `Cache-Status` carried a delivery service's detail.
    #[cfg(feature = "synthetic-next")]
    pub fn detailed_responses(&self) -> u64 {
        self.inner.counters.detailed.get()
    }

    /// What is wrong: origins that cannot be reached, a disk that cannot be written. Such a disk is tried again first, once a
    /// minute at most. To be asked about once a minute at least, in a tokio runtime: the disk's clock is left meanwhile.
    pub fn conditions(&self) -> Vec<Condition> {
        let now = weir_clock::monotonic();
        self.inner.disk.try_again(&self.inner.store, now);
        self.inner.disk.keep_time(&self.inner.store, now);
        let mut conditions = self.inner.origins.conditions(now);
        conditions.extend(self.inner.disk.condition(&self.inner.store));
        conditions
    }

    /// Whether this build has one to go back to: only then a disk that does not give back what the self-test stored fails it.
    pub fn set_on_trial(&self, is_on_trial: bool) {
        self.inner.disk.set_on_trial(is_on_trial);
    }

    /// Whether the engine could serve: an object is stored, found and read back in a store of its own, in memory and on disk. A
    /// disk that cannot be used, or of which nothing can be read, is a condition: who has memory serves.
    ///
    /// # Errors
    /// One sentence that says what does not work.
    pub async fn self_test(&self) -> Result<(), String> {
        self.test_memory()?;
        self.inner.disk.test(&self.inner.store).await
    }

    fn test_memory(&self) -> Result<(), String> {
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

    /// Takes the disk as its one writer, and looks at what the worker before wrote. Waits a moment for that worker to let go; who
    /// takes longer is waited for in the background.
    pub async fn take_disk(&self) {
        self.inner.disk.take(&self.inner.store).await;
    }

    /// Writes what is worth keeping and lets go of the disk, which another worker may write from then on; goes on reading it.
    /// Takes five seconds, and one more at most when the disk does not answer.
    pub async fn give_up_disk(&self) {
        self.inner.disk.give_up(&self.inner.store, GIVE_UP_TIME).await;
    }

    /// Frees `bytes` of disk, as far as content takes them; returns how many it freed.
    pub fn make_space(&self, bytes: u64) -> u64 {
        if self.inner.disk.is_used() { self.inner.store.free_disk(bytes) } else { 0 }
    }

    /// Ends fills and upstream connections, writes what is worth keeping and the last access records. Call it when the listeners
    /// are drained.
    pub async fn stop(&self) {
        self.inner.tasks.join(STOP_TIME).await;
        self.inner.disk.give_up(&self.inner.store, STOP_TIME).await;
        self.inner.upstream.close();
        let inner = self.inner.clone();
        // Joining the writer thread blocks, for one write at most.
        drop(tokio::task::spawn_blocking(move || inner.access.close()).await);
    }
}

/// Freshness is kept by value in every head: keep it small.
const _: () = assert!(size_of::<Freshness>() <= 40);
