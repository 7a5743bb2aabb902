//! The disk tier as the engine uses it: what is not in memory is looked for there before anything is fetched.
//!
//! The store decides what is written and when; the engine says what a head is ([`crate::head::codec`]), asks for an object that
//! memory does not have, once however many want it, and from then on treats it as it treats every other.

mod trial;

use crate::{
    engine::Inner,
    exchange::Exchange,
    head::{StoredHead, codec},
    place::Place,
    serve::{Looked, Stored},
    steady,
};
use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
};
use tokio::task::{self, JoinHandle};
use weir_caching::decision::{Candidate, Decision, decide};
use weir_device_api::Condition;
use weir_model::AlarmReason;
use weir_store::{DiskSettings, Durable, Store, StoreSettings};

/// The store's directory, below `<data>/state/engine`.
const STORE: &str = "store";
/// The moment a worker leaves to the next.
const CLOCK: &str = "clock";
/// Where the self-test stores and removes something.
const TRIAL: &str = "store-self-test";
/// How often a disk that does not take what is written is tried again.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(60);
/// How long a worker that may serve waits for the one before it to let go of the disk before it serves.
const TAKE_WAIT: Duration = Duration::from_millis(200);
/// How often a worker that writes leaves its moment: a power cut loses no more.
const LEAVE_EVERY: Duration = Duration::from_secs(60);
/// How long who lets go of the disk waits until its moment is left.
const LEAVE_WAIT: Duration = Duration::from_millis(200);
/// How much longer than it may write it is waited for: one write that takes its time, and the sync after it.
const GIVE_UP_SLACK: Duration = Duration::from_millis(500);

impl Durable for StoredHead {
    fn write(&self, out: &mut Vec<u8>) -> bool {
        codec::write(self, steady::now(), out)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        codec::read(bytes, steady::now())
    }

    fn memory_bytes(&self) -> u64 {
        self.bytes()
    }
}

/// The disk tier of one engine.
#[derive(Debug)]
pub(crate) struct Disk {
    /// There is one, it could be opened, and it gave back what was stored.
    is_used: AtomicBool,
    /// Why it is not used although it should be.
    refused: Mutex<Option<String>>,
    /// What the self-test could not read.
    unreadable: Mutex<Option<Unreadable>>,
    /// The self-test may fail: there is a build to go back to.
    is_on_trial: AtomicBool,
    /// When this worker last left its moment, and whether it is done with it.
    left: Mutex<Option<(Instant, JoinHandle<()>)>>,
    /// When it was last tried again.
    tried: Mutex<Option<Instant>>,
    /// The moment a worker leaves to the next.
    clock: PathBuf,
    /// Directory of the self-test, removed by it.
    trial: PathBuf,
}

/// Nothing that was sampled reads back right.
#[derive(Debug)]
struct Unreadable {
    text: String,
    /// Objects read back by then; one more, and it is over.
    loads: u64,
}

impl Disk {
    /// Opens the store of an engine that keeps its files in `state`. A disk that cannot be used is reported: who has memory
    /// serves.
    pub(crate) fn open(state: &Path, ram_bytes: u64, disk_bytes: Option<u64>) -> (Store<StoredHead>, Self) {
        let disk = disk_bytes.map(|bytes| DiskSettings { directory: state.join(STORE), bytes });
        let this = Self {
            is_used: AtomicBool::new(disk.is_some()),
            refused: Mutex::default(),
            unreadable: Mutex::default(),
            is_on_trial: AtomicBool::new(false),
            left: Mutex::default(),
            tried: Mutex::default(),
            clock: state.join(CLOCK),
            trial: state.join(TRIAL),
        };
        steady::recall(&this.clock);
        let store = Store::open(StoreSettings { ram_bytes, disk }).unwrap_or_else(|error| {
            tracing::error!(error = %error, "disk store not opened; content is kept in memory only");
            this.refuse(error.to_string());
            Store::new(ram_bytes)
        });
        (store, this)
    }

    /// Whether content is kept on it.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Content is kept in memory only from now on.
    fn refuse(&self, why: String) {
        self.is_used.store(false, Ordering::Relaxed);
        *lock(&self.refused) = Some(why);
    }

    /// Whether a build that does not get its own bytes back fails its self-test: it does where another can take its place.
    pub(crate) fn set_on_trial(&self, is_on_trial: bool) {
        self.is_on_trial.store(is_on_trial, Ordering::Relaxed);
    }

    /// Becomes the one writer, as soon as nobody else is.
    pub(crate) async fn take(&self, store: &Store<StoredHead>) {
        if !self.is_used() {
            return;
        }
        steady::recall(&self.clock);
        // The store goes on wishing when it is not waited for.
        if tokio::time::timeout(TAKE_WAIT, store.take_writer()).await.is_err() {
            tracing::info!("the disk store is another worker's still");
        }
    }

    /// Lets another worker write: writes for `within`, and waits little longer, also for a disk that does not answer.
    pub(crate) async fn give_up(&self, store: &Store<StoredHead>, within: Duration) {
        if !self.is_used() {
            return;
        }
        // First: whoever hands over waits for the writing no longer than it must.
        if tokio::time::timeout(LEAVE_WAIT, self.leave()).await.is_err() {
            tracing::warn!("the clock of the disk store is not left in time");
        }
        if tokio::time::timeout(within + GIVE_UP_SLACK, store.give_up_writer(within)).await.is_err() {
            tracing::warn!("the disk does not answer; it is let go of when it does");
        }
    }

    /// Leaves this moment for the next worker; not on this thread, which a disk may hold up.
    fn leave(&self) -> JoinHandle<()> {
        let clock = self.clock.clone();
        task::spawn_blocking(move || {
            if let Err(error) = steady::leave(&clock) {
                tracing::warn!(error = %error, "the clock of the disk store is not left");
            }
        })
    }

    /// Leaves this moment once a minute, while this worker writes. Returns at once; to be asked often.
    pub(crate) fn keep_time(&self, store: &Store<StoredHead>, now: Instant) {
        if !self.is_used() || !store.disk_stats().is_some_and(|stats| stats.is_writer) {
            return;
        }
        let mut left = lock(&self.left);
        // One that the disk holds up is waited for: they must not pile up.
        let is_time = |(at, task): &(Instant, JoinHandle<()>)| now.saturating_duration_since(*at) >= LEAVE_EVERY && task.is_finished();
        if left.as_ref().is_none_or(is_time) {
            *left = Some((now, self.leave()));
        }
    }

    /// Tries to write again on a disk that did not take it: somebody may have made room. Returns at once; to be asked often.
    pub(crate) fn try_again(&self, store: &Store<StoredHead>, now: Instant) {
        let has_failed = store.disk_stats().is_some_and(|stats| stats.is_writer && stats.error.is_some());
        let mut tried = lock(&self.tried);
        if !has_failed || tried.is_some_and(|tried| now.saturating_duration_since(tried) < TRY_AGAIN_EVERY) {
            return;
        }
        *tried = Some(now);
        // The first look at it tells the writer; the end of it is not waited for.
        let _ = pin!(store.take_writer()).poll(&mut Context::from_waker(Waker::noop()));
    }

    /// What is wrong: it could not be opened, takes nothing more, or gives nothing back.
    pub(crate) fn condition(&self, store: &Store<StoredHead>) -> Option<Condition> {
        let error = lock(&self.refused).clone().or_else(|| store.disk_stats()?.error);
        let text = match error {
            Some(error) => format!("content is kept in memory only: {error}"),
            None => self.still_unreadable(store)?,
        };
        Some(Condition { reason: AlarmReason::DiskFull, object: STORE.to_owned(), text })
    }

    /// What the self-test could not read, until something is read back or nothing is left of it.
    fn still_unreadable(&self, store: &Store<StoredHead>) -> Option<String> {
        let stats = store.disk_stats()?;
        let mut unreadable = lock(&self.unreadable);
        *unreadable = unreadable.take().filter(|then| stats.loads == then.loads && stats.objects > 0);
        unreadable.as_ref().map(|then| then.text.clone())
    }
}

/// What it guards is right after each statement.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks on disk for what memory does not have, where it may answer the request at all.
pub(crate) async fn look_further(engine: &Inner, place: &Place<'_>, exchange: &mut Exchange<'_>, looked: Looked) -> Looked {
    if looked.held.is_some() || !engine.disk.is_used() || matches!(looked.decision, Decision::Bypass(_)) {
        return looked;
    }
    let key = place.key();
    let Some(object) = engine.store.load(&key, |head| head.answers(&exchange.asked)).await else { return looked };
    let decision = decide(&exchange.facts(), Candidate::Stored(&object.head().freshness), exchange.now);
    // Only a whole body can be validated or stand in for what does not come.
    if decision != Decision::Hit && !is_whole(&object).await {
        return looked;
    }
    if object.aborted().is_some() {
        return looked;
    }
    exchange.is_from_disk = true;
    Looked { decision, held: Some(object), sibling: None }
}

/// Waits until a body has been read to its end.
async fn is_whole(object: &Stored) -> bool {
    let Ok(mut reader) = object.read(0, u64::MAX) else { return false };
    while let Ok(Some(_)) = reader.next().await {}
    object.whole().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::fs;

    /// Longest wait for the writer.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn error(store: &Store<StoredHead>) -> Option<String> {
        store.disk_stats().expect("a disk").error
    }

    #[test]
    fn a_head_from_the_future_is_stale_and_moves_no_clock() {
        let before = steady::now();
        let later = steady::Moment { steady_s: before.steady_s + 1_000_000, ..before };
        let mut bytes = Vec::new();
        assert!(codec::write(&trial::head(), later, &mut bytes));
        for turn in 1..=2 {
            let freshness = <StoredHead as Durable>::read(&bytes).expect("a head").freshness;
            assert!(freshness.age_at(freshness.arrived_at) >= freshness.lifetime_s, "stale at read {turn}");
        }
        assert!(steady::now().steady_s < later.steady_s, "the clock goes on as it did");
    }

    #[tokio::test]
    async fn who_writes_leaves_its_moment_each_minute() {
        let state = tempfile::tempdir().expect("directory");
        let (store, disk) = Disk::open(state.path(), 1024 * 1024, Some(256 * 1024 * 1024));
        let (clock, start) = (state.path().join(CLOCK), weir_clock::monotonic());
        disk.keep_time(&store, start);
        assert!(lock(&disk.left).is_none(), "another worker may write");
        disk.take(&store).await;
        for (case, after, leaves) in [
            ("at first", Duration::ZERO, true),
            ("too early", LEAVE_EVERY - Duration::from_millis(1), false),
            ("a minute later", LEAVE_EVERY, true),
        ] {
            disk.keep_time(&store, start + after);
            let done = async {
                while !lock(&disk.left).as_ref().expect("left").1.is_finished() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(PATIENCE, done).await.expect("in time");
            assert_eq!(clock.exists(), leaves, "{case}");
            fs::remove_file(&clock).ok();
        }
    }

    /// Stores an object and uses it until something holds.
    async fn use_until(store: &Store<StoredHead>, key: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                let head = trial::head();
                let bytes = head.bytes();
                let mut fill = store.begin(key, head, bytes, Some(1), |_| true).map_err(|(_, refused)| refused).expect("room");
                fill.append(Bytes::from_static(b"x"));
                fill.finish().expect("whole");
                drop((store.find(key, |_| true), store.find(key, |_| true)));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("in time");
    }

    #[tokio::test]
    async fn a_disk_that_does_not_take_what_is_written_is_reported_and_tried_again() {
        let state = tempfile::tempdir().expect("directory");
        let (store, disk) = Disk::open(state.path(), 1024 * 1024, Some(256 * 1024 * 1024));
        disk.take(&store).await;
        assert!(disk.condition(&store).is_none());
        fs::remove_dir_all(state.path().join(STORE)).expect("removes");
        use_until(&store, "a", || error(&store).is_some()).await;
        let condition = disk.condition(&store).expect("reported");
        assert_eq!((condition.reason, condition.object.as_str()), (AlarmReason::DiskFull, "store"));
        let now = weir_clock::monotonic();
        let is_tried_at = |later: Duration| {
            disk.try_again(&store, now + later);
            *disk.tried.lock().expect("whole") == Some(now + later)
        };
        assert!(is_tried_at(Duration::ZERO));
        fs::create_dir(state.path().join(STORE)).expect("makes");
        assert!(!is_tried_at(TRY_AGAIN_EVERY - Duration::from_millis(1)));
        assert!(is_tried_at(TRY_AGAIN_EVERY));
        use_until(&store, "b", || error(&store).is_none() && store.disk_stats().expect("a disk").objects > 0).await;
        assert!(disk.condition(&store).is_none());
    }
}
