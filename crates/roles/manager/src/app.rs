//! What the parts of a running manager share.

use crate::{
    ask::Asks,
    change::{Caller, Change, Outcome, Refusal},
    cms::{BoxFile, Cms, Frozen},
    compile::Documents,
    device_api::Giving,
    domain::{attempts::Attempts, passwords::Passwords, sessions::Sessions},
    drains::Drains,
    gui::Events,
    journal::Journal,
    manager::OwnAnswers,
    metrics::ManagerMetrics,
    pair::{self, Pair},
    reports::Reports,
    rollout::Rollouts,
    series::Series,
    snapshot::Snapshot,
    software::{Kept as KeptSoftware, Shelf},
    tables::{tokens::Kept, users::User},
    updates::{Updates, record::Kept as KeptUpdates},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};
use tokio::sync::{oneshot, watch};
use weir_database::{Database, DatabaseError};
use weir_device_api::{Hello, Report, hello::PROTOCOL};
use weir_model::{DeviceName, Role, version};
use weir_net::identity::Authority;
use weir_operator_api::{ApiToken, Problem, Reason};
use weir_telemetry::Tasks;

/// The shared state of a manager.
pub(crate) struct App {
    pub(crate) name: DeviceName,
    /// The box it is the primary on.
    pub(crate) cms: Arc<Cms>,
    pub(crate) config: Database,
    pub(crate) state: Database,
    pub(crate) authority: Authority,
    /// SHA-256 of the certificate this manager shows, hex.
    pub(crate) certificate_sha256: String,
    pub(crate) reports: Reports,
    pub(crate) series: Series,
    pub(crate) drains: Drains,
    pub(crate) asks: Asks,
    pub(crate) own: OwnAnswers,
    pub(crate) metrics: ManagerMetrics,
    /// Monotonic milliseconds when it began to listen to devices.
    pub(crate) started_ms: u64,
    /// Requests answered, and being answered.
    pub(crate) requests: AtomicU64,
    pub(crate) active_requests: AtomicU32,
    network: watch::Sender<Arc<Snapshot>>,
    api_tokens: Mutex<Arc<Vec<Kept<ApiToken>>>>,
    users: Mutex<Arc<Vec<User>>>,
    pub(crate) sessions: Sessions,
    pub(crate) passwords: Passwords,
    pub(crate) attempts: Attempts,
    /// Software files.
    pub(crate) software: Arc<Shelf>,
    /// Updates of devices.
    pub(crate) updates: Updates,
    /// The update of the network.
    pub(crate) rollouts: Rollouts,
    /// Archives that are being given to devices.
    pub(crate) giving: Giving,
    /// What devices are sent, written.
    pub(crate) documents: Documents,
    /// Backups.
    pub(crate) backups: crate::backup::Shelf,
    /// What open pages are told.
    pub(crate) events: Events,
    /// The manager's state directory.
    pub(crate) directory: PathBuf,
    /// The standby, and whether writes wait for it.
    pub(crate) pair: Pair,
    /// `journal.log`.
    pub(crate) journal: Arc<Journal>,
    /// `box.json`.
    pub(crate) box_file: Arc<BoxFile>,
    /// Held from the beginning of a change until everybody has learnt of it.
    changing: tokio::sync::Mutex<()>,
    /// The newest changeset.
    kept: watch::Sender<u64>,
    /// Since when writes find the disk full, wall clock in milliseconds; 0: they do not.
    disk_full: AtomicU64,
    stopping: watch::Sender<bool>,
    changes: Tasks,
}

/// No writes are taken while it lives.
pub(crate) struct HeldWrites(Arc<App>);

impl Drop for HeldWrites {
    fn drop(&mut self) {
        let own = self.0.network().stamp.term;
        // Whatever went wrong after the fence was durable, this manager is not the primary any more.
        if self.0.box_file.fenced().is_some_and(|fence| fence.term > own) {
            self.0.pair.end();
        }
        self.0.pair.release();
    }
}

/// What an [`App`] is made of.
pub(crate) struct Parts {
    pub(crate) name: DeviceName,
    pub(crate) cms: Arc<Cms>,
    pub(crate) config: Database,
    pub(crate) state: Database,
    pub(crate) authority: Authority,
    pub(crate) certificate_sha256: String,
    pub(crate) reports: Reports,
    pub(crate) own: OwnAnswers,
    pub(crate) metrics: ManagerMetrics,
    pub(crate) network: Snapshot,
    pub(crate) api_tokens: Vec<Kept<ApiToken>>,
    pub(crate) users: Vec<User>,
    pub(crate) sessions: Sessions,
    pub(crate) passwords: Passwords,
    pub(crate) software: KeptSoftware,
    pub(crate) updates: KeptUpdates,
    pub(crate) rollouts: Rollouts,
    pub(crate) directory: PathBuf,
    pub(crate) journal: Arc<Journal>,
    pub(crate) box_file: Arc<BoxFile>,
    /// The newest changeset.
    pub(crate) rev: u64,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        let stamp = parts.network.stamp;
        weir_telemetry::log::set_stamp(stamp.term, stamp.generation);
        Self {
            pair: Pair::new(&parts.network, &parts.name),
            journal: parts.journal,
            box_file: parts.box_file,
            name: parts.name,
            cms: parts.cms,
            config: parts.config,
            state: parts.state,
            authority: parts.authority,
            certificate_sha256: parts.certificate_sha256,
            reports: parts.reports,
            series: Series::default(),
            drains: Drains::default(),
            asks: Asks::new(weir_clock::wall_ms()),
            own: parts.own,
            metrics: parts.metrics,
            started_ms: weir_clock::monotonic_ms(),
            requests: AtomicU64::new(0),
            active_requests: AtomicU32::new(0),
            network: watch::Sender::new(Arc::new(parts.network)),
            api_tokens: Mutex::new(Arc::new(parts.api_tokens)),
            users: Mutex::new(Arc::new(parts.users)),
            sessions: parts.sessions,
            passwords: parts.passwords,
            attempts: Attempts::default(),
            software: Arc::new(Shelf::new(&parts.directory, parts.software)),
            updates: Updates::new(parts.updates),
            rollouts: parts.rollouts,
            giving: Giving::default(),
            documents: Documents::default(),
            backups: crate::backup::Shelf::default(),
            events: Events::default(),
            directory: parts.directory,
            changing: tokio::sync::Mutex::new(()),
            kept: watch::Sender::new(parts.rev),
            disk_full: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
            changes: Tasks::new(),
        }
    }

    /// The network now.
    pub(crate) fn network(&self) -> Arc<Snapshot> {
        self.network.borrow().clone()
    }

    /// Told when the stamp rises.
    pub(crate) fn watch_network(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.network.subscribe()
    }

    /// Told of each changeset that is kept: its place in the log.
    pub(crate) fn watch_changesets(&self) -> watch::Receiver<u64> {
        self.kept.subscribe()
    }

    pub(crate) fn api_tokens(&self) -> Arc<Vec<Kept<ApiToken>>> {
        Arc::clone(&self.api_tokens.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who may sign in to the pages.
    pub(crate) fn users(&self) -> Arc<Vec<User>> {
        Arc::clone(&self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What this manager says of itself.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            version: version().to_owned(),
            device: self.name.clone(),
            role: Role::Manager,
            stamp: self.network.borrow().stamp,
        }
    }

    /// Takes a device's report that came at `at_ms` (monotonic) and `received_ms` (wall).
    pub(crate) fn take_report(&self, report: Report, at_ms: u64, received_ms: u64) {
        let before = self.reports.get(&report.hello.device);
        let update = report.update.clone();
        self.series.take(before.as_ref(), &report, received_ms);
        self.reports.take(report, at_ms, received_ms);
        self.updates.heard(before.as_ref().and_then(|before| before.report.update.as_ref()), update.as_ref());
    }

    /// Since when writes find the disk full, wall clock in milliseconds; `None` when the last one did not.
    pub(crate) fn disk_full(&self) -> Option<u64> {
        Some(self.disk_full.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    pub(crate) fn note_disk(&self, error: Option<&DatabaseError>) {
        if let Some(DatabaseError::DiskFull) = error {
            let _ = self.disk_full.compare_exchange(0, weir_clock::wall_ms().max(1), Ordering::Relaxed, Ordering::Relaxed);
        } else {
            self.disk_full.store(0, Ordering::Relaxed);
        }
    }

    /// Becomes true when the manager stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub(crate) fn begin_stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits for the changes under way.
    pub(crate) async fn finish_changes(&self, deadline: std::time::Duration) -> bool {
        self.changes.join(deadline).await
    }

    /// Takes no more writes while what it returns lives, and none afterwards either when a fence counts by then. Those under way are
    /// done when this returns.
    pub(crate) async fn hold_writes(self: &Arc<Self>) -> HeldWrites {
        let _none_under_way = self.changing.lock().await;
        self.pair.hold();
        HeldWrites(Arc::clone(self))
    }

    /// Why the configuration takes no changes.
    pub(crate) fn frozen(&self) -> Option<Frozen> {
        self.box_file.frozen(self.network().stamp.term)
    }

    /// Takes no more changes of the configuration, or takes them again; those under way are done when this returns. It outlives the
    /// process.
    ///
    /// # Errors
    /// This box is no primary any more; `box.json` cannot be written.
    pub(crate) async fn freeze(&self, frozen: Option<Frozen>) -> Result<(), Problem> {
        let _none_under_way = self.changing.lock().await;
        self.pair.writable()?;
        let file = Arc::clone(&self.box_file);
        let written = tokio::task::spawn_blocking(move || file.set_frozen(frozen)).await;
        let written = written.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()));
        written.map_err(|error| Problem::new(Reason::Internal, format!("box.json cannot be written: {error}")))
    }

    /// Starts a task that a stop waits for.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.changes.spawn(name, work);
    }

    /// Runs what must end by itself, whether or not whoever asked waits for it.
    ///
    /// # Errors
    /// The work's; the manager is stopping.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (done, wait) = oneshot::channel();
        self.spawn(name, async move {
            // Whoever asked may have gone.
            let _ = done.send(work.await);
        });
        wait.await.unwrap_or_else(|_| Err(Problem::new(Reason::Unavailable, "the manager is stopping")))
    }

    /// Runs a write that is no change of the configuration while no change is under way.
    pub(crate) async fn alone<T>(&self, write: impl Future<Output = T>) -> T {
        let _none_under_way = self.changing.lock().await;
        write.await
    }

    /// A changeset was kept beside [`App::change`].
    pub(crate) fn kept_up_to(&self, rev: u64) {
        self.kept.send_replace(rev);
    }

    /// Makes a change: all of it, durable and known to everybody when this returns `Ok`, or nothing. While the standby follows it is
    /// durable there too. It runs to its end even when the caller stops waiting.
    pub(crate) async fn change<T, F>(self: &Arc<Self>, caller: Caller, f: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Change<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        self.change_kept(caller, f).await.map(|(value, _)| value)
    }

    /// The same, with the place in the log of the changeset it was kept as; of the newest one when nothing was changed.
    pub(crate) async fn change_kept<T, F>(self: &Arc<Self>, caller: Caller, f: F) -> Result<(T, u64), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Change<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        let (done, wait) = oneshot::channel();
        let app = Arc::clone(self);
        self.changes.spawn("change", async move {
            // Nobody waits any more when the request was dropped.
            let _ = done.send(app.change_now(caller, f).await);
        });
        let Ok(result) = wait.await else {
            return Err(Problem::new(Reason::Unavailable, "the manager is stopping"));
        };
        let (value, newest, kept) = result.map_err(Refusal::into_problem)?;
        if let Some(rev) = kept {
            // Others write meanwhile: nobody waits for the standby but who has written.
            pair::replicated::note(self.pair.acknowledged(rev).await);
        }
        Ok((value, newest))
    }

    /// What a change would come to, and what is said against keeping it: it is made, checked and taken back.
    pub(crate) async fn rehearse<T, F>(&self, caller: Caller, f: F) -> Result<(T, Result<(), Problem>), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Change<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        let _one_at_a_time = self.changing.lock().await;
        self.pair.writable()?;
        self.cms.doubts.writable()?;
        let (before, frozen) = (self.network(), self.frozen());
        let now_ms = weir_clock::wall_ms();
        let rehearsed = self.config.rehearse(move |tx| {
            let change = Change::new(tx, &before, &caller, now_ms)?;
            let value = f(&change)?;
            change.thawed(frozen.as_ref())?;
            Ok::<_, Refusal>((value, change.finish().map(drop)))
        });
        let (value, finished) = rehearsed.await.map_err(Refusal::into_problem)?;
        Ok((value, finished.map_err(Refusal::into_problem)))
    }

    async fn change_now<T, F>(&self, caller: Caller, f: F) -> Result<(T, u64, Option<u64>), Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Change<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        let _one_at_a_time = self.changing.lock().await;
        self.pair.writable()?;
        self.cms.doubts.writable()?;
        let (before, frozen) = (self.network(), self.frozen());
        let now_ms = weir_clock::wall_ms();
        let written = self
            .config
            .write(move |tx| {
                let change = Change::new(tx, &before, &caller, now_ms)?;
                let value = f(&change)?;
                change.thawed(frozen.as_ref())?;
                Ok::<_, Refusal>((value, change.finish()?))
            })
            .await;
        match &written {
            Ok(_) => self.note_disk(None),
            Err(Refusal::Database(error)) => self.note_disk(Some(error)),
            Err(Refusal::Problem(_)) => {}
        }
        let (value, outcome) = written?;
        let kept = outcome.rev;
        self.publish(outcome);
        Ok((value, *self.kept.borrow(), kept))
    }

    fn publish(&self, outcome: Outcome) {
        if let Some(tokens) = outcome.api_tokens {
            *self.api_tokens.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
        }
        if let Some(users) = outcome.users {
            *self.users.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(users);
        }
        if let Some(software) = outcome.software {
            self.software.replace(software);
        }
        if let Some(updates) = outcome.updates {
            self.updates.replace(updates);
        }
        // After the tokens: whoever waits for a changeset judges its own again.
        if let Some(rev) = outcome.rev {
            self.kept.send_replace(rev);
        }
        let Some(network) = outcome.network else { return };
        self.pair.learn(&network, &self.name);
        weir_telemetry::log::set_stamp(network.stamp.term, network.stamp.generation);
        self.network.send_if_modified(|current| {
            let rises = network.stamp > current.stamp;
            *current = Arc::new(network);
            rises
        });
    }
}
