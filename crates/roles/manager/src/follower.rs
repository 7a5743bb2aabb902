//! The standby's side of the pair: it polls the primary, applies what it sends, and takes a snapshot when it cannot go on.
//!
//! ```text
//! poll(HELLO) ──> verdict ── matched: apply each changeset in a transaction ── the next poll acknowledges
//!                         ── resync: snapshot, checked, in the place of config.db
//!                         ── whatever it is: the journal is mirrored
//! ```
//! Works without a `config.db` too: then it mirrors the journal and asks for a snapshot. Page: `docs/protocols/pair.md`.

mod apply;
mod archives;
mod client;
mod consent;
mod round;
mod snapshot;
pub(crate) mod unreplicated;
mod view;

use crate::{
    cms::{BoxFile, Fence},
    journal::Journal,
    tables::{migrations, settings},
};
use client::{Answered, Client};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use weir_database::{Database, DatabaseError};
use weir_device_api::{Listeners, OrderedBy, PairHello, Verdict, YieldAnswer, YieldRequest, pair::Overwrite, paths};
use weir_model::DeviceName;
use weir_operator_api::{Problem, Reason};
use weir_telemetry::Tasks;

/// What a follower is made of.
pub(crate) struct FollowerParts {
    /// Its device name.
    pub(crate) name: DeviceName,
    /// The manager's state directory.
    pub(crate) directory: PathBuf,
    /// `config.db`, open; `None` when this box has none yet.
    pub(crate) config: Option<Database>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) box_file: Arc<BoxFile>,
    /// The network's CA, PEM.
    pub(crate) ca_pem: String,
    /// The certificate it shows and its key, PEM.
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    /// Device API of the manager it was enrolled with.
    pub(crate) manager: Option<SocketAddr>,
    /// Where it listens itself.
    pub(crate) listeners: Listeners,
}

/// What was last heard of the primary.
#[derive(Debug, Clone)]
pub(crate) struct PrimarySeen {
    pub(crate) hello: PairHello,
    /// Monotonic milliseconds.
    pub(crate) at_ms: u64,
    /// What it makes of this box.
    pub(crate) verdict: Verdict,
}

/// What follows a primary.
pub(crate) struct Follower {
    name: DeviceName,
    directory: PathBuf,
    journal: Arc<Journal>,
    box_file: Arc<BoxFile>,
    listeners: Listeners,
    manager: Option<SocketAddr>,
    client: Client,
    inner: Mutex<Inner>,
    /// Rises with each poll that was answered, each changeset and each snapshot.
    moved: watch::Sender<u64>,
    take_over: watch::Sender<bool>,
    /// Who asked for that last.
    take_over_by: Mutex<Option<OrderedBy>>,
    closing: watch::Sender<bool>,
    /// The changes this box acknowledged alone.
    unreplicated: unreplicated::Counted,
    /// Held while `config.db` is changed.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Inner {
    config: Option<Database>,
    /// Where this box stands, as its database says; the journal's end is added when it is told.
    stand: Option<PairHello>,
    /// The generation there.
    generation: u64,
    seen: Option<PrimarySeen>,
    /// Why it cannot go on from where it is.
    resync: Option<String>,
    /// A snapshot is being taken.
    syncing: bool,
    /// Where the manager that answered last is.
    primary_at: Option<SocketAddr>,
    /// What went wrong last with a manager that was asked.
    trouble: Option<String>,
    /// Why what was sent cannot be applied although it fits, or why no snapshot can be taken.
    hindrance: Option<String>,
    /// An operator has said that what is here may be overwritten, and by what.
    overwrite: Option<Overwrite>,
    /// Answers in a row that were cut off.
    cuts: u32,
    /// Snapshots in a row that failed, and when the next may be tried, monotonic milliseconds.
    failed_snapshots: u32,
    snapshot_after_ms: u64,
    /// When the journal is written again after it could not be, monotonic milliseconds; none: it can.
    journal_after_ms: Option<u64>,
}

impl Follower {
    /// Begins to follow; ends with [`Follower::close`] or with its tasks. With a certificate or key that cannot be used it says so
    /// and asks nobody.
    pub(crate) fn start(parts: FollowerParts, tasks: &Tasks) -> Arc<Self> {
        let client = Client::new(&parts.ca_pem, &parts.certificate_pem, &parts.key_pem);
        let follower = Arc::new(Self {
            name: parts.name,
            directory: parts.directory,
            journal: parts.journal,
            box_file: parts.box_file,
            listeners: parts.listeners,
            manager: parts.manager,
            client,
            inner: Mutex::new(Inner { config: parts.config, ..Inner::default() }),
            moved: watch::Sender::new(0),
            take_over: watch::Sender::new(false),
            take_over_by: Mutex::default(),
            closing: watch::Sender::new(false),
            unreplicated: unreplicated::Counted::default(),
            changing: tokio::sync::Mutex::new(()),
        });
        tasks.spawn("follow", round::run(Arc::clone(&follower)));
        tasks.spawn("follow-archives", archives::run(Arc::clone(&follower)));
        tasks.spawn("follow-recount", apply::recount(Arc::clone(&follower)));
        follower
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `config.db` as it is now; a snapshot puts another one in its place. `None` before the first snapshot, and while one is put
    /// in place.
    pub(crate) fn database(&self) -> Option<Database> {
        self.lock().config.clone()
    }

    /// What was last heard of the primary.
    pub(crate) fn primary_seen(&self) -> Option<PrimarySeen> {
        self.lock().seen.clone()
    }

    /// Becomes true when the primary says that an operator wants this box to take over.
    pub(crate) fn take_over_asked(&self) -> watch::Receiver<bool> {
        self.take_over.subscribe()
    }

    /// Who asked for that last, as the primary names them.
    pub(crate) fn take_over_by(&self) -> Option<OrderedBy> {
        self.take_over_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stamp of the configuration this box holds; `None` before it has one.
    pub(crate) fn stamp(&self) -> Option<weir_model::Stamp> {
        let inner = self.lock();
        inner.stand.as_ref().map(|stand| weir_model::Stamp { term: stand.term, generation: inner.generation })
    }

    /// What was asked was tried.
    pub(crate) fn take_over_done(&self) {
        self.take_over.send_replace(false);
    }

    /// Where this box stands.
    pub(crate) fn hello(&self) -> PairHello {
        let (journal, journal_hash) = self.journal.end();
        let stand = self.lock().stand.clone();
        let base = stand.unwrap_or_else(|| self.nothing());
        PairHello { heard: base.term.max(self.fence_term()), journal, journal_hash, ..base }
    }

    /// Runs what only looks at `config.db` in the way of a write, and is taken back.
    ///
    /// # Errors
    /// What it says; there is no `config.db`, or no room beside it for what comes of it.
    pub(crate) async fn rehearse<F>(&self, work: F) -> Result<(), Problem>
    where
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<(), crate::change::Refusal> + Send + 'static,
    {
        snapshot::room_for(&self.directory, 0).map_err(|error| Problem::new(Reason::DiskFull, error.to_string()))?;
        let Some(config) = self.database() else { return Err(Problem::new(Reason::CmsState, "this box has no configuration yet")) };
        config.rehearse(work).await.map_err(crate::change::Refusal::into_problem)
    }

    fn fence_term(&self) -> u64 {
        self.box_file.fenced().map_or(0, |fence| fence.term)
    }

    /// What it says before it has a database.
    fn nothing(&self) -> PairHello {
        PairHello {
            name: self.name.clone(),
            version: weir_model::version().to_owned(),
            primary: false,
            term: 0,
            heard: 0,
            step: 0,
            rev: 0,
            hash: String::new(),
            digest: String::new(),
            journal: 0,
            journal_hash: String::new(),
            device: self.listeners.device,
            api: self.listeners.https,
            cms: String::new(),
            switch: None,
        }
    }

    /// Reads where this box stands from its database.
    async fn look(&self) -> Result<(), DatabaseError> {
        let base = PairHello { step: migrations::newest(), ..self.nothing() };
        let stand = match self.database() {
            None => None,
            Some(config) => {
                let read = config.read(move |tx| {
                    let term = settings::number(tx, settings::TERM)?;
                    let generation = settings::number(tx, settings::GENERATION)?;
                    Ok::<_, DatabaseError>((crate::pair::stand(tx, PairHello { term, ..base })?, generation))
                });
                Some(read.await?)
            }
        };
        let (stand, generation) = stand.unzip();
        {
            let mut inner = self.lock();
            (inner.stand, inner.generation) = (stand, generation.unwrap_or_default());
        }
        self.moved.send_modify(|moves| *moves += 1);
        Ok(())
    }

    /// Where the primary may be, the most likely first.
    fn candidates(&self, of_config: &[SocketAddr]) -> Vec<SocketAddr> {
        let own = self.listeners.device;
        let last = self.lock().primary_at;
        let fence = self.box_file.fenced().and_then(|Fence { address, .. }| address);
        let all = last.into_iter().chain(fence).chain(of_config.iter().copied()).chain(self.manager);
        let mut candidates = Vec::new();
        for address in all.filter(|address| Some(*address) != own) {
            if !candidates.contains(&address) {
                candidates.push(address);
            }
        }
        candidates
    }

    /// Asks the primary to make way: it is fenced when this returns `Ok`. `resume`: it was asked before, and only has to say so again.
    ///
    /// # Errors
    /// Its refusal; [`Reason::NoStandby`]'s counterpart when it cannot be reached is [`Reason::Unavailable`].
    pub(crate) async fn ask_yield(&self, term: u64, resume: bool) -> Result<YieldAnswer, Problem> {
        let request = YieldRequest { hello: self.hello(), term, resume };
        let at = self.lock().primary_at;
        let known = self.managers().await;
        let mut last = Problem::new(Reason::Unavailable, "no other manager is known to this box");
        for address in at.into_iter().chain(self.candidates(&known).into_iter().filter(|a| Some(*a) != at)) {
            match self.client.post::<YieldAnswer>(address, paths::PAIR_YIELD, &request, client::YIELD_PATIENCE).await {
                Ok(answer) => return Ok(answer),
                Err(Answered::Refused(problem)) if problem.reason != Reason::NotPrimary => return Err(*problem),
                Err(error) => last = Problem::new(Reason::Unavailable, format!("the primary at {address} does not make way: {error}")),
            }
        }
        Err(last)
    }

    /// Waits until this box stands at this place with this digest.
    ///
    /// # Errors
    /// [`Reason::NoStandby`] when it does not within so long.
    pub(crate) async fn wait_for(&self, rev: u64, digest: &str, patience: Duration) -> Result<(), Problem> {
        let mut moved = self.moved.subscribe();
        let stands = |hello: &PairHello| hello.rev == rev && hello.digest == digest;
        let wait = moved.wait_for(|_| self.lock().stand.as_ref().is_some_and(stands));
        if let Ok(Ok(_)) = tokio::time::timeout(patience, wait).await {
            return Ok(());
        }
        let hello = self.hello();
        let detail = format!("this box stands at changeset {} and not at {rev} with the primary's digest", hello.rev);
        Err(Problem::new(Reason::NoStandby, detail))
    }

    /// Answers a yield that this box, then primary, has answered before: a standby that crashed between asks again.
    ///
    /// # Errors
    /// [`Reason::NotPrimary`]: it is for somebody else to make way.
    pub(crate) fn answer_yield(&self, request: &YieldRequest) -> Result<YieldAnswer, Problem> {
        let fence = self.box_file.fenced();
        if fence.is_some_and(|fence| fence.term == request.term && fence.name.as_ref() == Some(&request.hello.name)) {
            return Ok(YieldAnswer { hello: self.hello() });
        }
        Err(Problem::new(Reason::NotPrimary, format!("{} is not the primary", self.name)))
    }

    /// Ends following and closes `config.db`: whoever takes over opens it anew.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let _nothing_under_way = self.changing.lock().await;
        let config = self.lock().config.take();
        if let Some(config) = config {
            config.close().await;
        }
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }
}
