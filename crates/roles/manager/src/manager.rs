//! A primary manager's life: opened, serving, stopped.

mod state;

use crate::{
    api,
    app::{App, Parts},
    change::Caller,
    cms::{AskKeeper, Cms},
    device_api,
    domain::{
        devices, enrolment,
        passwords::Passwords,
        sessions::{self, Now, Sessions},
        users,
    },
    gui,
    journal::JournalError,
    pair,
    reports::Reports,
    rollout::{self, Rollouts},
    server::{self, CONNECTIONS_MAX, Limits, Service},
    snapshot::Snapshot,
    software, tables, updates, watch,
};
use axum::Router;
use state::LOCK_PATIENCE;
pub(crate) use state::{authority, lock, network};
use std::{
    io,
    net::{IpAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use weir_database::{Database, DatabaseError};
use weir_device_api::{Answer, Ask, Listeners};
use weir_model::{DeviceName, Profile};
use weir_net::{identity::IdentityError, tls::TlsError};
use weir_operator_api::{Problem, Reason};
use weir_telemetry::{Metrics, Tasks};

/// How a manager's own device answers questions: `bin/weir` gives what its agent would.
#[derive(Clone)]
pub struct OwnAnswers {
    /// Rises with each start of the worker.
    pub boot: u64,
    /// Crashed workers before this one, as the keeper counts them.
    pub worker_crashes: u32,
    /// How the last of them ended, as the keeper says it.
    pub last_exit: Option<String>,
    /// The last lines of its log, oldest first; may block.
    #[allow(clippy::type_complexity, reason = "a hook; an alias would hide its shape from the reader of this struct")]
    pub logs: Arc<dyn Fn(u32) -> Result<Vec<String>, String> + Send + Sync>,
}

impl OwnAnswers {
    pub(crate) async fn answer(&self, ask: Ask) -> Result<Answer, Problem> {
        match ask {
            Ask::Explain { .. } => Err(Problem::new(Reason::WrongRole, "a manager routes nobody")),
            Ask::Hold { .. } | Ask::VaultKeep { .. } | Ask::VaultGive { .. } | Ask::Unknown => {
                Err(Problem::new(Reason::WrongRole, "a manager holds no archives for others"))
            }
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
    /// How its keeper is asked for another version; absent: it runs without one.
    pub keeper: Option<AskKeeper>,
}

/// Listening sockets.
#[derive(Default)]
pub struct ManagerListeners {
    /// Operator API.
    pub api: Vec<TcpListener>,
    /// Device API.
    pub device: Vec<TcpListener>,
    /// Connections all of them together may hold, as the limit of open files allows; without one as many as a manager needs.
    pub connections: Option<usize>,
}

impl ManagerListeners {
    /// The same sockets once more: each life of a box has its own, and the next begins where it ends.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let each = |sockets: &[TcpListener]| sockets.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>();
        Ok(Self { api: each(&self.api)?, device: each(&self.device)?, connections: self.connections })
    }
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
    /// The network key is not on this box, or does not open what is sealed in the database.
    #[error("{0}; run `weir cms key import` on this box with the phrase that `weir cms key export` showed")]
    KeyMissing(String),
    /// It is to follow a primary, and has no certificate to do so with.
    #[error("{} has no identity in it: this box was never enrolled and never was a primary", .0.display())]
    NotEnrolled(PathBuf),
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
    /// The journal.
    #[error("open the journal")]
    Journal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A listener.
    #[error("serve")]
    Serve(#[source] io::Error),
}

impl From<JournalError> for ManagerError {
    fn from(error: JournalError) -> Self {
        ManagerError::Journal(Box::new(error))
    }
}

impl From<rusqlite::Error> for ManagerError {
    fn from(error: rusqlite::Error) -> Self {
        ManagerError::Database(error.into())
    }
}

/// A primary manager.
pub(crate) struct Manager {
    app: Arc<App>,
    tls: Arc<rustls::ServerConfig>,
    device_tls: Arc<rustls::ServerConfig>,
    tasks: Tasks,
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Its tasks hold the set they belong to: without this they would outlive a manager that was not stopped. So would what is made to
        // its end, which waits for the stop.
        self.app.begin_stop();
        self.tasks.cancel();
    }
}

pub(crate) fn at<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ManagerError + 'a {
    move |source| ManagerError::File { what, path: path.to_owned(), source }
}

impl Manager {
    /// Opens the state, or makes a new network in it: CA, databases, keys, its own record. `config` is `config.db` when it was opened
    /// before.
    pub(crate) async fn open(cms: &Arc<Cms>, config: Option<Database>) -> Result<Self, ManagerError> {
        let settings = cms.settings();
        let directory = cms.state_directory().to_owned();
        if Profile::named(&settings.profile).is_none() {
            return Err(ManagerError::Profile(settings.profile.clone()));
        }
        let now = weir_clock::wall();
        let (config, kept) = state::databases(directory.clone(), config).await?;
        let (seal, authority) = state::network(&directory, &config, settings).await?;
        let network = config.read(move |tx| Ok::<_, ManagerError>(Snapshot::load(tx, &seal, None)?)).await?;
        if network.primary != settings.name {
            return Err(ManagerError::OtherManager(network.primary));
        }
        let certificate = state::certificate(&authority, settings, now)?;
        let api_tokens = config.read(|tx| Ok::<_, ManagerError>(tables::tokens::api_all(tx)?)).await?;
        let users = config.read(|tx| Ok::<_, ManagerError>(tables::users::all(tx)?)).await?;
        let kept_software = config.read(|tx| Ok::<_, ManagerError>(software::kept(tx)?)).await?;
        let kept_updates = config.read(|tx| Ok::<_, ManagerError>(tables::device_updates::all(tx)?)).await?;
        let rev = config.read(|tx| Ok::<_, ManagerError>(tables::changesets::last(tx)?)).await?;
        let sessions = kept.read(|tx| Ok::<_, ManagerError>(tables::sessions::all(tx)?)).await?;
        let reports = kept.read(|tx| Ok::<_, ManagerError>(tables::reports::all(tx)?)).await?;
        let reports = reports.into_iter().filter(|r| network.devices.contains_key(&r.device)).collect();
        let journal = Arc::clone(cms.journal());
        let read = tokio::task::spawn_blocking(move || rollout::record::read(&journal)).await;
        let rollout = Rollouts::found(read.map_err(|error| ManagerError::Journal(Box::new(error)))?);
        let app = Arc::new(App::new(Parts {
            name: settings.name.clone(),
            cms: Arc::clone(cms),
            config,
            state: kept,
            authority,
            certificate_sha256: certificate.sha256,
            reports: Reports::new(reports),
            own: settings.own.clone(),
            metrics: cms.metrics().clone(),
            network,
            api_tokens,
            users,
            sessions: Sessions::new(sessions, Now::read()),
            passwords: Passwords::new().await.map_err(ManagerError::Refused)?,
            software: kept_software,
            updates: kept_updates,
            rollouts: rollout,
            journal: Arc::clone(cms.journal()),
            box_file: Arc::clone(cms.box_file()),
            directory,
            rev,
        }));
        pair::begin(&app).await.map_err(ManagerError::Refused)?;
        let listeners = settings.listeners;
        let own = app.name.clone();
        let write = move |change: &crate::change::Change<'_>| devices::listen_at(change, own.as_str(), enrolment::addresses(&listeners));
        app.change(Caller::manager(), write).await.map_err(ManagerError::Refused)?;
        crate::ahead::begin(&app).await.map_err(ManagerError::Refused)?;
        users::begin(&app).await.map_err(ManagerError::Refused)?;
        software::begin(&app, settings.data.clone()).await.map_err(ManagerError::Refused)?;
        // Its alarms stand from the first moment; which backups there are is found beside serving.
        if let Err(problem) = crate::backup::judge(&app).await {
            tracing::error!(%problem, "backups not judged");
        }
        tracing::info!("manager opened");
        Ok(Self { app, tls: certificate.tls, device_tls: certificate.device_tls, tasks: Tasks::new() })
    }

    /// What its parts share.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What the control socket serves beside its own.
    pub(crate) fn local(&self) -> Router {
        api::router(Arc::clone(&self.app))
    }

    /// Serves both APIs and the pages until [`Manager::stop`]. Returns as soon as all listen.
    pub(crate) async fn serve(&self, listeners: ManagerListeners) -> Result<(), ManagerError> {
        let service = |router| Service { router, tasks: self.tasks.clone(), stopping: self.app.stopping() };
        let pages = service(gui::beside(api::router(Arc::clone(&self.app)), gui::router(Arc::clone(&self.app))));
        let device = service(device_api::router(Arc::clone(&self.app)));
        let (for_pages, for_devices) = Limits::shares(listeners.connections.unwrap_or(CONNECTIONS_MAX));
        for listener in listeners.api {
            server::serve_tls(listener, Arc::clone(&self.tls), pages.clone(), for_pages).map_err(ManagerError::Serve)?;
        }
        for listener in listeners.device {
            server::serve_tls(listener, Arc::clone(&self.device_tls), device.clone(), for_devices).map_err(ManagerError::Serve)?;
        }
        self.tasks.spawn("pair", pair::run(Arc::clone(&self.app)));
        self.tasks.spawn("other managers", crate::cms::watch_others(Arc::clone(&self.app)));
        self.tasks.spawn("watch", watch::run(Arc::clone(&self.app)));
        self.tasks.spawn("backups", crate::backup::run(Arc::clone(&self.app)));
        self.tasks.spawn("software", software::runner::run(Arc::clone(&self.app), self.tasks.clone()));
        self.tasks.spawn("copies", software::copies::run(Arc::clone(&self.app), self.tasks.clone()));
        self.tasks.spawn("updates", updates::round::run(Arc::clone(&self.app)));
        self.tasks.spawn("rollout", rollout::round::run(Arc::clone(&self.app)));
        self.tasks.spawn("events", gui::events::run(Arc::clone(&self.app)));
        self.tasks.spawn("sessions", sessions::run(Arc::clone(&self.app)));
        Ok(())
    }

    /// Accepts nothing more, answers what is asked, writes what is to be kept and closes the databases. What is not done
    /// within `deadline` is cut off; returns whether all was done.
    pub(crate) async fn stop(&self, deadline: Duration) -> bool {
        self.app.begin_stop();
        let ended = self.tasks.join(deadline).await;
        let changed = self.app.finish_changes(deadline).await;
        self.app.config.close().await;
        self.app.state.close().await;
        ended && changed
    }
}
