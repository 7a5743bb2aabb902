//! Every software file in memory: what is kept, and what moves while one is fetched, uploaded or checked. Pages and API read it.

use super::{
    newest::Newest,
    outcome::withdrawn,
    record::{Live, Record},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use weir_model::{Lineage, SoftwareState, SourceAllow};
use weir_operator_api::{Problem, Reason, SoftwareCheckRow, SoftwareProgress};

/// Uploads at once.
const UPLOADS_MAX: usize = 4;
/// Open pages are told of progress at most this often, in milliseconds.
const PROGRESS_MS: u64 = 200;

/// What is kept of software, as a change leaves it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) records: Vec<Record>,
    pub(crate) allow: SourceAllow,
}

/// The software files of a manager.
pub(crate) struct Shelf {
    /// Where archives lie.
    pub(crate) archives: PathBuf,
    /// The trust store.
    pub(crate) trust: PathBuf,
    inner: Mutex<Inner>,
    /// Rises with everything that a page shows.
    shown: watch::Sender<u64>,
    /// Rises with every change that is kept, and when a validation or an upload ends.
    kept: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    records: BTreeMap<i64, Arc<Record>>,
    allow: Arc<SourceAllow>,
    newest: Option<Arc<Newest>>,
    live: BTreeMap<i64, Live>,
    told_ms: u64,
    uploading: BTreeSet<i64>,
    validating: BTreeSet<i64>,
    /// Validations that ended without an outcome.
    broken: BTreeSet<i64>,
}

impl Shelf {
    /// The shelf of the manager whose state is in `directory`.
    pub(crate) fn new(directory: &Path, kept: Kept) -> Self {
        let shelf = Self {
            archives: directory.join("software"),
            trust: directory.join("trust"),
            inner: Mutex::default(),
            shown: watch::Sender::new(0),
            kept: watch::Sender::new(0),
        };
        shelf.replace(kept);
        shelf
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, signal: &watch::Sender<u64>) {
        signal.send_modify(|number| *number += 1);
    }

    /// Takes what a change has left.
    pub(crate) fn replace(&self, kept: Kept) {
        let mut inner = self.lock();
        inner.records = kept.records.into_iter().map(|record| (record.id, Arc::new(record))).collect();
        inner.allow = Arc::new(kept.allow);
        let Inner { live, records, .. } = &mut *inner;
        live.retain(|id, _| records.contains_key(id));
        drop(inner);
        self.raise(&self.shown);
        self.raise(&self.kept);
    }

    /// Rises with everything that a page shows.
    pub(crate) fn version(&self) -> u64 {
        *self.shown.borrow()
    }

    pub(super) fn watch_kept(&self) -> watch::Receiver<u64> {
        self.kept.subscribe()
    }

    pub(crate) fn allow(&self) -> Arc<SourceAllow> {
        Arc::clone(&self.lock().allow)
    }

    /// The newest signed lineage.
    pub(crate) fn lineage(&self) -> Lineage {
        self.newest().map_or_else(Lineage::default, |newest| newest.lineage.clone())
    }

    /// The newest signed metadata that this manager has seen since it started, which everything here is judged by.
    pub(super) fn newest(&self) -> Option<Arc<Newest>> {
        self.lock().newest.clone()
    }

    /// Takes signed metadata in, unless what is here is as new: of two validations at once the one that saw the older may end last.
    pub(super) fn learn(&self, newest: Newest) {
        let mut inner = self.lock();
        if inner.newest.as_ref().is_some_and(|held| held.version >= newest.version) {
            return;
        }
        inner.newest = Some(Arc::new(newest));
        drop(inner);
        self.raise(&self.shown);
        self.raise(&self.kept);
    }

    /// Whether a software file is still to be withdrawn, since the newest metadata does not list it.
    pub(super) fn holds_unlisted(&self) -> bool {
        let Inner { records, newest, .. } = &*self.lock();
        let goes = |record: &Arc<Record>, newest: &Newest| withdrawn(record.state(), record.release.as_ref(), &newest.images).is_some();
        newest.as_ref().is_some_and(|newest| records.values().any(|record| goes(record, newest)))
    }

    /// Every record, by number.
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        self.lock().records.values().cloned().collect()
    }

    pub(crate) fn get(&self, id: i64) -> Option<Arc<Record>> {
        self.lock().records.get(&id).cloned()
    }

    /// Calls `f` with each record and what moves of it, by number.
    pub(super) fn map<T>(&self, f: impl Fn(&Record, Option<&Live>) -> T) -> Vec<T> {
        let inner = self.lock();
        inner.records.values().map(|record| f(record, inner.live.get(&record.id))).collect()
    }

    /// Waits until there is no software file `id` any more.
    pub(super) async fn gone(&self, id: i64) {
        let mut kept = self.watch_kept();
        // The sender lives as long as `self`.
        let _ = kept.wait_for(|_| self.get(id).is_none()).await;
    }

    pub(super) fn show_checks(&self, id: i64, checks: Vec<SoftwareCheckRow>) {
        self.lock().live.entry(id).or_default().checks = checks;
        self.raise(&self.shown);
    }

    /// How far a download or an upload is; `None` when it has ended.
    pub(super) fn show_progress(&self, id: i64, progress: Option<SoftwareProgress>) {
        let now_ms = weir_clock::monotonic_ms();
        let mut inner = self.lock();
        inner.live.entry(id).or_default().progress = progress;
        if progress.is_some() && now_ms.saturating_sub(inner.told_ms) < PROGRESS_MS {
            return;
        }
        inner.told_ms = now_ms;
        drop(inner);
        self.raise(&self.shown);
    }

    /// How the copies of a software file stand; `None` when none are being made.
    pub(super) fn show_copies(&self, id: i64, copies: Option<String>) {
        let mut inner = self.lock();
        if inner.live.get(&id).and_then(|live| live.copies.as_ref()) == copies.as_ref() {
            return;
        }
        inner.live.entry(id).or_default().copies = copies;
        drop(inner);
        self.raise(&self.shown);
    }

    /// The place of an upload of `id`: one at a time.
    pub(super) fn begin_upload(self: &Arc<Self>, id: i64) -> Result<Uploading, Problem> {
        let mut inner = self.lock();
        if inner.uploading.contains(&id) {
            return Err(Problem::new(Reason::SoftwareState, format!("software file {id} is being uploaded already")));
        }
        if inner.uploading.len() >= UPLOADS_MAX {
            return Err(Problem::new(Reason::Unavailable, format!("{UPLOADS_MAX} uploads are under way")));
        }
        inner.uploading.insert(id);
        Ok(Uploading { shelf: Arc::clone(self), id })
    }

    /// The next software file whose checks are to be made, unless `max` are under way: the one that has waited longest.
    pub(super) fn begin_validation(self: &Arc<Self>, max: usize) -> Option<(Arc<Record>, Validating)> {
        let mut inner = self.lock();
        if inner.validating.len() >= max {
            return None;
        }
        let waits = |record: &&Arc<Record>| record.state() == SoftwareState::Validating && !inner.validating.contains(&record.id);
        let idle = |record: &&Arc<Record>| !inner.broken.contains(&record.id);
        let next = inner.records.values().filter(waits).filter(idle).min_by_key(|record| (record.queued_ms, record.id)).cloned()?;
        inner.validating.insert(next.id);
        let place = Validating { shelf: Arc::clone(self), id: next.id, ended: false };
        Some((next, place))
    }

    /// Validations that ended without an outcome: they are not begun again by themselves.
    pub(super) fn broken(&self) -> BTreeSet<i64> {
        self.lock().broken.clone()
    }

    /// A validation that ended without an outcome has one now, or needs none.
    pub(super) fn mended(&self, id: i64) {
        self.lock().broken.remove(&id);
    }
}

/// The place of an upload; dropped, it has ended.
pub(super) struct Uploading {
    shelf: Arc<Shelf>,
    id: i64,
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let mut inner = self.shelf.lock();
        inner.uploading.remove(&self.id);
        inner.live.remove(&self.id);
        drop(inner);
        self.shelf.raise(&self.shelf.shown);
        self.shelf.raise(&self.shelf.kept);
    }
}

/// The place of a validation; dropped before [`Validating::end`], it has ended without an outcome.
pub(super) struct Validating {
    shelf: Arc<Shelf>,
    id: i64,
    ended: bool,
}

impl Validating {
    /// Its outcome is kept, or there is none to be kept.
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Validating {
    fn drop(&mut self) {
        let mut inner = self.shelf.lock();
        inner.validating.remove(&self.id);
        inner.live.remove(&self.id);
        if !self.ended {
            inner.broken.insert(self.id);
        }
        drop(inner);
        self.shelf.raise(&self.shelf.shown);
        self.shelf.raise(&self.shelf.kept);
    }
}

#[cfg(test)]
mod tests;
