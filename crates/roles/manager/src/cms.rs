//! The CMS state of this box: decides it, runs what belongs to it, and answers the control socket in each.
//!
//! ```text
//! config.db, box.json, key ── look ──> facts ── settle ──> state ── run ──> a life: primary, standby or disabled
//!                                        ^                                    │ fenced, enabled, disabled, promoted
//!                                        └────────────────────────────────────┘
//! ```
//!
//! - `settle`: the state, why, and what to do next; pure.
//! - `run`: one life after the other on the same listening sockets.
//! - `role`: promotion, planned and unplanned. `fence`: hearing of a primary with a higher term; `doubt`: until that is known.
//! - `hold`: `config.db` for one verb alone.
//! - `control`: `/cms/v1` on the control socket, whose other paths are those of the life that runs.
//! - `switch`: this box becomes another version.
//! - `downgrade`, and the verbs of `control`: what has `config.db` alone while the box is held disabled.
//!
//! Page: `docs/protocols/cms.md`.

mod box_file;
mod control;
mod doubt;
mod downgrade;
pub(crate) mod fence;
mod hold;
mod identity;
mod info;
mod look;
mod role;
mod run;
mod settle;
mod switch;

pub use downgrade::downgrade_offline;
pub use identity::{KeepIdentity, KeptIdentity, OwnIdentity, ReadIdentity};
pub use run::LifeNow;
pub use switch::{AskKeeper, KeeperAsk};

pub(crate) use box_file::{BoxFile, Fence, Frozen, SwitchNote};
pub(crate) use fence::{Asker, Said, heard_of, told_by, watch as watch_others};
pub(crate) use role::change as change_role;

use crate::{
    app::App,
    follower::Follower,
    journal::Journal,
    keep,
    manager::{ManagerError, ManagerListeners, ManagerSettings, at, lock},
    metrics::ManagerMetrics,
    server::Service,
};
use axum::Router;
use look::Known;
use run::{Begun, Order};
use settle::Settled;
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use weir_model::{DeviceName, Stamp};
use weir_telemetry::{Chain, Tasks};

/// Orders to the life that runs and not yet taken: each ends it, so more would wait for nothing.
const ORDERS_MAX: usize = 16;

/// What runs now.
#[derive(Clone)]
pub(crate) enum Life {
    /// The primary.
    Primary(Arc<App>),
    /// What follows the primary.
    Standby(Arc<Follower>),
    /// Nothing but status and control socket.
    Disabled,
}

/// What changes with each life.
struct Now {
    life: Life,
    settled: Settled,
    /// What `config.db` said when it was last looked at.
    known: Option<Known>,
    /// It has or had a `config.db`, and nobody could read it since this worker began.
    unread: bool,
    /// What the control socket serves beside `/cms/v1`.
    local: Router,
}

/// One manager box, as its parts share it.
pub(crate) struct Cms {
    settings: ManagerSettings,
    identity: OwnIdentity,
    state: PathBuf,
    box_file: Arc<BoxFile>,
    journal: Arc<Journal>,
    metrics: ManagerMetrics,
    now: Mutex<Now>,
    lives: watch::Sender<LifeNow>,
    orders: mpsc::Sender<Order>,
    /// One verb that changes what this box is at a time: see [`Cms::turn`].
    changing_role: Arc<tokio::sync::Mutex<()>>,
    /// Why the box is held for such a verb.
    held: Mutex<Option<String>>,
    /// Why it may not be the primary although it says so.
    pub(crate) doubts: doubt::Doubts,
    /// The identity as it was last read or kept: what asks for it must not wait for the disk.
    kept: Mutex<Result<Option<KeptIdentity>, String>>,
    /// Its way to another version.
    pub(crate) switches: switch::Switches,
    /// What lies in `unreplicated/`, as of a change of that directory.
    unreplicated: info::Listed,
    started_ms: u64,
    tasks: Tasks,
    stopping: watch::Sender<bool>,
    _lock: File,
}

impl Cms {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs now.
    pub(crate) fn life(&self) -> Life {
        self.now().life.clone()
    }

    /// The device name of this box.
    pub(crate) fn name(&self) -> &DeviceName {
        &self.settings.name
    }

    /// What this box was started with.
    pub(crate) fn settings(&self) -> &ManagerSettings {
        &self.settings
    }

    /// `state/manager`.
    pub(crate) fn state_directory(&self) -> &Path {
        &self.state
    }

    /// What is measured, in every life.
    pub(crate) fn metrics(&self) -> &ManagerMetrics {
        &self.metrics
    }

    /// `box.json`.
    pub(crate) fn box_file(&self) -> &Arc<BoxFile> {
        &self.box_file
    }

    /// `journal.log`.
    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Milliseconds since it began.
    pub(crate) fn uptime_ms(&self) -> u64 {
        weir_clock::monotonic_ms().saturating_sub(self.started_ms)
    }

    /// Told of each life.
    pub(crate) fn lives(&self) -> watch::Receiver<LifeNow> {
        self.lives.subscribe()
    }

    /// Decides the state anew.
    pub(crate) fn settle_again(&self) {
        // A queue that is full holds an order that does the same.
        let _ = self.orders.try_send(Order::Settle);
    }

    /// The configuration's stamp, as far as this box knows it.
    pub(crate) fn stamp(&self) -> Stamp {
        match self.life() {
            Life::Primary(app) => app.network().stamp,
            Life::Standby(follower) => follower.stamp().unwrap_or_else(|| self.stamp_of_disk()),
            Life::Disabled => self.stamp_of_disk(),
        }
    }

    /// As `config.db` said when it was last looked at.
    fn stamp_of_disk(&self) -> Stamp {
        self.now().known.as_ref().map_or_else(Stamp::default, |known| Stamp { term: known.term, generation: known.generation })
    }
}

/// A manager box: primary, standby or disabled, and whatever it becomes, on the same listening sockets.
pub struct ManagerBox {
    cms: Arc<Cms>,
    first: Mutex<Option<(Begun, mpsc::Receiver<Order>)>>,
}

impl ManagerBox {
    /// Takes the state directory for this process, decides the state, and opens what belongs to it: a new network, when this box was
    /// never enrolled and has none.
    ///
    /// # Errors
    /// Another process holds the state; the journal or `box.json` cannot be used. Whatever else cannot be opened leaves the box disabled.
    pub async fn open(settings: ManagerSettings, identity: OwnIdentity) -> Result<Self, ManagerError> {
        let state = settings.data.join("state/manager");
        keep::directory(&state).map_err(at("create directory", &state))?;
        let lock = lock(&state.join("lock")).await?;
        crate::backup::rehearsal::clear(&state);
        let box_file = Arc::new(BoxFile::open(&state).map_err(at("read box.json in", &state))?);
        let journal = Arc::new(Journal::open(&state)?);
        let metrics = ManagerMetrics::default();
        metrics.register(&settings.metrics);
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let settled = Settled::because(weir_operator_api::CmsState::Disabled, "it is starting", &[]);
        let cms = Arc::new(Cms {
            settings,
            identity,
            state,
            box_file,
            journal,
            metrics,
            now: Mutex::new(Now { life: Life::Disabled, settled, known: None, unread: false, local: Router::new() }),
            lives: watch::Sender::new(LifeNow::default()),
            orders,
            changing_role: Arc::default(),
            held: Mutex::default(),
            doubts: doubt::Doubts::default(),
            kept: Mutex::new(Ok(None)),
            switches: switch::Switches::default(),
            unreplicated: info::Listed::default(),
            started_ms: weir_clock::monotonic_ms(),
            tasks: Tasks::new(),
            stopping: watch::Sender::new(false),
            _lock: lock,
        });
        let begun = match Begun::begin(&cms, None, None).await {
            Ok(begun) => begun,
            Err(error) => {
                let why = Chain(&error).to_string();
                tracing::error!(error = why, "this box is disabled: what belongs to its state does not run");
                Begun::begin(&cms, Some(why), None).await?
            }
        };
        Ok(Self { cms, first: Mutex::new(Some((begun, inbox))) })
    }

    /// Serves the control socket, and on the listeners whatever the box is and becomes, until [`ManagerBox::stop`]. Returns as soon as
    /// all listen. Only the first call does anything.
    ///
    /// # Errors
    /// The control socket, a listener.
    pub async fn serve(&self, listeners: ManagerListeners) -> Result<(), ManagerError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((begun, orders)) = first else { return Ok(()) };
        let cms = &self.cms;
        begun.serve(cms, &listeners).await?;
        let socket = crate::socket::bind(&cms.settings.data).map_err(at("listen at the local socket below", &cms.settings.data))?;
        let router = control::router(Arc::clone(cms));
        let service = Service { router, tasks: cms.tasks.clone(), stopping: cms.stopping.subscribe() };
        crate::server::serve_local(socket.listener, socket.file, service);
        cms.tasks.spawn("another version", switch::tend(Arc::clone(cms)));
        cms.tasks.spawn("cms", run::run(Arc::clone(cms), begun, listeners, orders));
        Ok(())
    }

    /// Accepts nothing more, answers what is asked, writes what is to be kept and closes the databases. What is not done within
    /// `deadline` is cut off; returns whether all was done.
    pub async fn stop(&self, deadline: Duration) -> bool {
        let (done, wait) = oneshot::channel();
        let never_served = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = match never_served {
            Some((begun, _)) => begun.end(&self.cms, deadline).await,
            None => {
                let asked = self.cms.orders.send(Order::Stop { deadline, done }).await.is_ok();
                asked && wait.await.unwrap_or(false)
            }
        };
        self.cms.stopping.send_replace(true);
        self.cms.tasks.join(deadline).await && ended
    }

    /// Told of each life: whoever runs an agent beside a standby starts and ends it with these.
    pub fn lives(&self) -> watch::Receiver<LifeNow> {
        self.cms.lives()
    }

    /// The configuration's stamp, as far as this box knows it.
    pub fn stamp(&self) -> Stamp {
        self.cms.stamp()
    }

    /// The stamp as a function that may outlive this.
    pub fn stamp_of(&self) -> impl Fn() -> Stamp + Send + Sync + 'static {
        let cms = Arc::downgrade(&self.cms);
        move || cms.upgrade().map_or_else(Stamp::default, |cms| cms.stamp())
    }

    /// The keeper refused what this box asked of it.
    pub fn keeper_refused(&self, verb: &str, detail: &str) {
        let of = self.cms.box_file.switch().filter(|_| verb == "SWITCH").map(|note| note.manifest);
        tracing::warn!(verb, detail, "the keeper refused");
        self.cms.switches.refused(of, detail.to_owned());
    }

    /// The network's CA certificate, PEM: what operators' clients trust; empty when the box does not know it.
    pub fn ca_pem(&self) -> String {
        match self.cms.life() {
            Life::Primary(app) => app.authority.certificate_pem().to_owned(),
            _ => self.cms.identity().map_or_else(String::new, |kept| kept.ca_pem),
        }
    }
}

impl Drop for ManagerBox {
    fn drop(&mut self) {
        // Its tasks hold what they belong to: without this they would outlive a box that was not stopped.
        self.cms.tasks.cancel();
        self.cms.now().life = Life::Disabled;
        self.cms.now().local = Router::new();
    }
}
