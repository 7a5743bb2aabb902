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
    sync::{Mutex, PoisonError},
    task::{Context, Waker},
    time::{Duration, Instant},
};
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

impl Durable for StoredHead {
    fn write(&self, out: &mut Vec<u8>) -> bool {
        codec::write(self, steady::now(), out)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let head = codec::read(bytes, steady::now());
        if let Some(written_s) = codec::written_s(bytes) {
            steady::learn(written_s);
        }
        head
    }

    fn memory_bytes(&self) -> u64 {
        self.bytes()
    }
}

/// The disk tier of one engine.
#[derive(Debug)]
pub(crate) struct Disk {
    /// There is one, and it could be opened.
    pub(crate) is_used: bool,
    /// Why there is none although there should be.
    refused: Option<String>,
    /// When it was last tried again.
    tried: Mutex<Option<Instant>>,
    /// The moment a worker leaves to the next.
    clock: PathBuf,
    /// Directory of the self-test, removed by it.
    trial: PathBuf,
}

impl Disk {
    /// Opens the store of an engine that keeps its files in `state`. A disk that cannot be used is reported: who has memory
    /// serves.
    pub(crate) fn open(state: &Path, ram_bytes: u64, disk_bytes: Option<u64>) -> (Store<StoredHead>, Self) {
        let disk = disk_bytes.map(|bytes| DiskSettings { directory: state.join(STORE), bytes });
        let mut this =
            Self { is_used: disk.is_some(), refused: None, tried: Mutex::default(), clock: state.join(CLOCK), trial: state.join(TRIAL) };
        steady::recall(&this.clock);
        let store = Store::open(StoreSettings { ram_bytes, disk }).unwrap_or_else(|error| {
            tracing::error!(error = %error, "disk store not opened; content is kept in memory only");
            this.is_used = false;
            this.refused = Some(error.to_string());
            Store::new(ram_bytes)
        });
        (store, this)
    }

    /// Becomes the one writer, as soon as nobody else is.
    pub(crate) async fn take(&self, store: &Store<StoredHead>) {
        if !self.is_used {
            return;
        }
        steady::recall(&self.clock);
        // The store goes on wishing when it is not waited for.
        if tokio::time::timeout(TAKE_WAIT, store.take_writer()).await.is_err() {
            tracing::info!("the disk store is another worker's still");
        }
    }

    /// Lets another worker write.
    pub(crate) async fn give_up(&self, store: &Store<StoredHead>, within: Duration) {
        if !self.is_used {
            return;
        }
        // First: whoever hands over waits for the writing no longer than it must.
        if let Err(error) = steady::leave(&self.clock) {
            tracing::warn!(error = %error, "the clock of the disk store is not left");
        }
        store.give_up_writer(within).await;
    }

    /// Tries to write again on a disk that did not take it: somebody may have made room. Returns at once; to be asked often.
    pub(crate) fn try_again(&self, store: &Store<StoredHead>, now: Instant) {
        let has_failed = store.disk_stats().is_some_and(|stats| stats.is_writer && stats.error.is_some());
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if !has_failed || tried.is_some_and(|tried| now.saturating_duration_since(tried) < TRY_AGAIN_EVERY) {
            return;
        }
        *tried = Some(now);
        // The first look at it tells the writer; the end of it is not waited for.
        let _ = pin!(store.take_writer()).poll(&mut Context::from_waker(Waker::noop()));
    }

    /// What is wrong: it could not be opened, or takes nothing more.
    pub(crate) fn condition(&self, store: &Store<StoredHead>) -> Option<Condition> {
        let error = self.refused.clone().or_else(|| store.disk_stats()?.error)?;
        let text = format!("content is kept in memory only: {error}");
        Some(Condition { reason: AlarmReason::DiskFull, object: STORE.to_owned(), text })
    }
}

/// Looks on disk for what memory does not have, where it may answer the request at all.
pub(crate) async fn look_further(engine: &Inner, place: &Place<'_>, exchange: &mut Exchange<'_>, looked: Looked) -> Looked {
    if looked.held.is_some() || !engine.disk.is_used || matches!(looked.decision, Decision::Bypass(_)) {
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
