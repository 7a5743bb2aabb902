//! A primary manager's life: opened, serving, stopped.

use crate::{
    api,
    app::{App, Parts},
    change::{Caller, NOTHING},
    device_api,
    domain::{devices, enrolment, tokens},
    keep,
    metrics::ManagerMetrics,
    reports::Reports,
    server::{self, Service},
    snapshot::{DeviceRecord, Snapshot},
    socket,
    tables::{self, migrations, settings},
    watch,
};
use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    net::{IpAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use weir_database::{Database, DatabaseError};
use weir_device_api::{Answer, Ask, Condition, Listeners, Load};
use weir_model::{DeviceName, Profile, Role, Stamp};
use weir_net::{
    identity::{Authority, IdentityError, Subject, fingerprint_of},
    tls::{ClientAuth, TlsError, first_certificate, server_config},
};
use weir_operator_api::{Addresses, Problem, Reason};
use weir_telemetry::{Metrics, Tasks};

/// How long a manager waits for the one before it on the same state to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
const LOCK_RETRY: Duration = Duration::from_millis(100);
/// The term of a network's first primary.
const FIRST_TERM: u64 = 1;

/// How a manager's own device answers questions: `bin/weir` gives what its agent would.
pub struct OwnAnswers {
    /// Rises with each start of the worker.
    pub boot: u64,
    /// Crashed workers before this one, as the keeper counts them.
    pub worker_crashes: u32,
    /// The last lines of its log, oldest first; may block.
    #[allow(clippy::type_complexity, reason = "a hook; an alias would hide its shape from the reader of this struct")]
    pub logs: Arc<dyn Fn(u32) -> Result<Vec<String>, String> + Send + Sync>,
}

impl OwnAnswers {
    pub(crate) async fn answer(&self, ask: Ask) -> Result<Answer, Problem> {
        match ask {
            Ask::Explain { .. } => Err(Problem::new(Reason::WrongRole, "a manager routes nobody")),
            Ask::Logs { lines } => {
                let logs = Arc::clone(&self.logs);
                let read = tokio::task::spawn_blocking(move || logs(lines)).await;
                let lost = |_| Problem::new(Reason::Internal, "reading the log failed");
                Ok(read.map_err(lost)?.map_or_else(|reason| Answer::Refused { reason }, |lines| Answer::Logs { lines }))
            }
        }
    }
}

/// What a manager is opened with.
pub struct ManagerSettings {
    /// The device's data directory; the manager's state is `<data>/state/manager`.
    pub data: PathBuf,
    /// Its device name; cannot change later.
    pub name: DeviceName,
    /// Name of the network; first start only.
    pub network_name: String,
    /// Named set of timers; first start only.
    pub profile: String,
    /// Where its listeners are, as devices and operators reach them.
    pub listeners: Listeners,
    /// Addresses its certificate names, besides those of its listeners.
    pub addresses: Vec<IpAddr>,
    /// Where its metrics are registered.
    pub metrics: Metrics,
    /// How its own device answers.
    pub own: OwnAnswers,
}

/// Listening sockets.
#[derive(Default)]
pub struct ManagerListeners {
    /// Operator API.
    pub api: Vec<TcpListener>,
    /// Device API.
    pub device: Vec<TcpListener>,
}

/// Why a manager cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// Another one holds the state.
    #[error("another manager runs from {} and did not end within {} s; stop it first", .0.display(), LOCK_PATIENCE.as_secs())]
    Locked(PathBuf),
    /// A file or directory of its state.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The database is there, its CA is not.
    #[error("{} is missing although the network exists; restore it from a backup", .0.display())]
    AuthorityLost(PathBuf),
    /// The state is another manager's.
    #[error("this state belongs to manager {0}; start it under that name")]
    OtherManager(DeviceName),
    /// No such set of timers.
    #[error("there is no profile {0:?}; use standard or rehearsal")]
    Profile(String),
    /// A certificate.
    #[error("make or read certificates")]
    Identity(#[from] IdentityError),
    /// TLS.
    #[error("configure TLS")]
    Tls(#[from] TlsError),
    /// A database.
    #[error("open database")]
    Database(#[from] DatabaseError),
    /// A first change was refused.
    #[error("write own record: {0}")]
    Refused(Problem),
    /// A listener.
    #[error("serve")]
    Serve(#[source] io::Error),
}

impl From<rusqlite::Error> for ManagerError {
    fn from(error: rusqlite::Error) -> Self {
        ManagerError::Database(error.into())
    }
}

/// A primary manager.
pub struct Manager {
    app: Arc<App>,
    data: PathBuf,
    tls: Arc<rustls::ServerConfig>,
    device_tls: Arc<rustls::ServerConfig>,
    tasks: Tasks,
    _lock: File,
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Its tasks hold the set they belong to: without this they would outlive a manager that was not stopped.
        self.tasks.cancel();
    }
}

fn at<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ManagerError + 'a {
    move |source| ManagerError::File { what, path: path.to_owned(), source }
}

impl Manager {
    /// Opens the state, or makes a new network in it: CA, databases, keys, its own record.
    pub async fn open(settings: ManagerSettings) -> Result<Self, ManagerError> {
        let state = settings.data.join("state/manager");
        keep::directory(&state).map_err(at("create directory", &state))?;
        let lock = lock(&state.join("lock")).await?;
        if Profile::named(&settings.profile).is_none() {
            return Err(ManagerError::Profile(settings.profile));
        }
        let now = weir_clock::wall();
        let authority = authority(&state, &settings.network_name, now)?;
        let (config, kept) = databases(state).await?;
        let first = FirstStart::new(&settings)?;
        config.write(move |tx| first.write(tx)).await?;
        let network = config.read(|tx| Ok::<_, ManagerError>(Snapshot::load(tx, None)?)).await?;
        if network.primary != settings.name {
            return Err(ManagerError::OtherManager(network.primary));
        }
        let certificate = certificate(&authority, &settings, now)?;
        let api_tokens = config.read(|tx| Ok::<_, ManagerError>(tables::tokens::api_all(tx)?)).await?;
        let reports = kept.read(|tx| Ok::<_, ManagerError>(tables::reports::all(tx)?)).await?;
        let reports = reports.into_iter().filter(|r| network.devices.contains_key(&r.device)).collect();
        let metrics = ManagerMetrics::default();
        metrics.register(&settings.metrics);
        let app = Arc::new(App::new(Parts {
            name: settings.name,
            config,
            state: kept,
            authority,
            certificate_sha256: certificate.sha256,
            reports: Reports::new(reports),
            own: settings.own,
            metrics,
            network,
            api_tokens,
        }));
        let listeners = settings.listeners;
        let own = app.name.clone();
        let write = move |change: &crate::change::Change<'_>| devices::listen_at(change, own.as_str(), enrolment::addresses(&listeners));
        app.change(Caller::manager(), write).await.map_err(ManagerError::Refused)?;
        tracing::info!("manager opened");
        Ok(Self { app, data: settings.data, tls: certificate.tls, device_tls: certificate.device_tls, tasks: Tasks::new(), _lock: lock })
    }

    /// Serves both APIs and the local socket until [`Manager::stop`]. Returns as soon as all listen.
    pub async fn serve(&self, listeners: ManagerListeners) -> Result<(), ManagerError> {
        let service = |router| Service { router, tasks: self.tasks.clone(), stopping: self.app.stopping() };
        let api = service(api::router(Arc::clone(&self.app)));
        let device = service(device_api::router(Arc::clone(&self.app)));
        let local = socket::bind(&self.data).map_err(at("listen at the local socket below", &self.data))?;
        server::serve_local(local.listener, local.file, api.clone());
        for listener in listeners.api {
            server::serve_tls(listener, Arc::clone(&self.tls), api.clone()).map_err(ManagerError::Serve)?;
        }
        for listener in listeners.device {
            server::serve_tls(listener, Arc::clone(&self.device_tls), device.clone()).map_err(ManagerError::Serve)?;
        }
        self.tasks.spawn("watch", watch::run(Arc::clone(&self.app)));
        Ok(())
    }

    /// Accepts nothing more, answers what is asked, writes what is to be kept and closes the databases. What is not done
    /// within `deadline` is cut off; returns whether all was done.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.app.begin_stop();
        let ended = self.tasks.join(deadline).await;
        let changed = self.app.finish_changes(deadline).await;
        self.app.config.close().await;
        self.app.state.close().await;
        ended && changed
    }

    /// Work in hand and done.
    pub fn load(&self) -> Load {
        watch::load(&self.app)
    }

    /// What is wrong, as far as the manager knows.
    pub fn conditions(&self) -> Vec<Condition> {
        watch::conditions(&self.app)
    }

    /// The configuration's stamp.
    pub fn stamp(&self) -> Stamp {
        self.app.network().stamp
    }

    /// The network's CA certificate, PEM: what operators' clients trust.
    pub fn ca_pem(&self) -> String {
        self.app.authority.certificate_pem().to_owned()
    }
}

/// Takes the lock; the worker before this one may need a moment to let go.
async fn lock(path: &Path) -> Result<File, ManagerError> {
    let file = File::options().create(true).append(true).open(path).map_err(at("open", path))?;
    let deadline = weir_clock::monotonic() + LOCK_PATIENCE;
    let mut tries = tokio::time::interval(LOCK_RETRY);
    loop {
        tries.tick().await;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if weir_clock::monotonic() < deadline => {}
            Err(TryLockError::WouldBlock) => return Err(ManagerError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(at("lock", path)(source)),
        }
    }
}

/// Reads the CA, or makes it when there is no network yet.
fn authority(state: &Path, network_name: &str, now: std::time::SystemTime) -> Result<Authority, ManagerError> {
    let (certificate, key) = (state.join("ca.pem"), state.join("ca.key"));
    if let Some(lost) = [&certificate, &key].into_iter().find(|p| !p.exists()) {
        if state.join("config.db").exists() {
            return Err(ManagerError::AuthorityLost(lost.clone()));
        }
        let authority = Authority::create(network_name, now)?;
        keep::file(&key, authority.key_pem().as_bytes()).map_err(at("write", &key))?;
        keep::file(&certificate, authority.certificate_pem().as_bytes()).map_err(at("write", &certificate))?;
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(at("read", path));
    let key = zeroize::Zeroizing::new(read(&key)?);
    Ok(Authority::load(&read(&certificate)?, &key)?)
}

/// Opens `config.db` and `state.db`. A `state.db` that cannot be used is begun anew: devices tell it all again.
async fn databases(state: PathBuf) -> Result<(Database, Database), ManagerError> {
    let open = move || {
        let now_ms = weir_clock::wall_ms();
        let config = Database::open(&state.join("config.db"), migrations::CONFIG, now_ms)?;
        let path = state.join("state.db");
        match Database::open(&path, migrations::STATE, now_ms) {
            Ok(kept) => Ok((config, kept)),
            Err(error @ (DatabaseError::Damaged { .. } | DatabaseError::SchemaAhead { .. } | DatabaseError::SchemaChanged { .. })) => {
                tracing::warn!(error = %weir_telemetry::Chain(&error), "last reports and alarms are begun anew");
                for suffix in ["", "-wal", "-shm"] {
                    let file = state.join(format!("state.db{suffix}"));
                    if file.exists() {
                        fs::remove_file(&file).map_err(at("remove", &file))?;
                    }
                }
                Ok((config, Database::open(&path, migrations::STATE, now_ms)?))
            }
            Err(error) => Err(error.into()),
        }
    };
    tokio::task::spawn_blocking(open).await.unwrap_or(Err(ManagerError::Database(DatabaseError::Closed)))
}

/// What a new network begins with.
struct FirstStart {
    record: DeviceRecord,
    network_name: String,
    profile: String,
    keepalive_secret: String,
}

impl FirstStart {
    fn new(settings: &ManagerSettings) -> Result<Self, ManagerError> {
        let secret = tokens::random::<32>().map_err(ManagerError::Refused)?;
        let record = DeviceRecord {
            id: 0,
            name: settings.name.clone(),
            role: Role::Manager,
            active: true,
            location: None,
            weight: 0,
            activated_generation: 1,
            addresses: Addresses::default(),
            public_key_sha256: String::new(),
            certificate_sha256: String::new(),
            enrolled_with: String::new(),
            enrolled_ms: weir_clock::wall_ms(),
            revision: 1,
        };
        Ok(Self {
            record: DeviceRecord { addresses: enrolment::addresses(&settings.listeners), ..record },
            network_name: settings.network_name.clone(),
            profile: settings.profile.clone(),
            keepalive_secret: hex::encode(secret),
        })
    }

    /// Writes generation 1, unless there is a network already.
    fn write(self, tx: &rusqlite::Transaction<'_>) -> Result<(), ManagerError> {
        if settings::get(tx, settings::TERM)?.is_some() {
            return Ok(());
        }
        settings::set(tx, settings::NETWORK, &self.network_name)?;
        settings::set(tx, settings::PROFILE, &self.profile)?;
        settings::set(tx, settings::PRIMARY, self.record.name.as_str())?;
        settings::set_number(tx, settings::TERM, FIRST_TERM)?;
        settings::set_number(tx, settings::GENERATION, 1)?;
        settings::add_keepalive_key(tx, &self.keepalive_secret, self.record.enrolled_ms)?;
        tables::devices::insert(tx, &self.record, None)?;
        let entry = weir_operator_api::AuditEntry {
            id: 0,
            at_ms: self.record.enrolled_ms,
            actor: Caller::manager().actor.to_string(),
            source: "local".to_owned(),
            verb: "create".to_owned(),
            object: format!("network {}", self.network_name),
            before: NOTHING.cloned(),
            after: Some(serde_json::to_value(&self.record).expect("records are JSON")),
            generation: 1,
        };
        Ok(tables::audit::insert(tx, &entry)?)
    }
}

/// What the manager shows to those who connect.
struct Certificate {
    sha256: String,
    tls: Arc<rustls::ServerConfig>,
    device_tls: Arc<rustls::ServerConfig>,
}

/// A fresh certificate for this life of the manager; its key never leaves memory.
fn certificate(authority: &Authority, settings: &ManagerSettings, now: std::time::SystemTime) -> Result<Certificate, ManagerError> {
    let Listeners { https, device, admin, .. } = settings.listeners;
    let mut addresses: BTreeSet<IpAddr> = settings.addresses.iter().copied().collect();
    addresses.extend([https, device, admin].into_iter().flatten().map(|a| a.ip()));
    let subject = Subject { device: settings.name.to_string(), role: Role::Manager.to_string() };
    let pair = authority.issue(&subject, &addresses.into_iter().collect::<Vec<_>>(), now)?;
    let der = first_certificate(&pair.certificate_pem).expect("what was just issued is a certificate");
    // The CA goes along, so that an enrolling device can pin it.
    let chain = format!("{}{}", pair.certificate_pem, authority.certificate_pem());
    let tls = server_config(&chain, &pair.key_pem, ClientAuth::None, &[b"h2", b"http/1.1"])?;
    let client_auth = ClientAuth::Optional { ca_pem: authority.certificate_pem() };
    let device_tls = server_config(&chain, &pair.key_pem, client_auth, &[b"h2", b"http/1.1"])?;
    Ok(Certificate { sha256: hex::encode(fingerprint_of(&der)), tls, device_tls })
}
