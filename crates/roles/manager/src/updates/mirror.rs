//! The updates of all devices in memory: what is kept, and what the last round found.

use super::{advice::Waiting, record::Kept};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;
use weir_device_api::UpdateReport;
use weir_model::DeviceName;

/// How long a keeper that was told to start anew may take until it is the one of the slot that runs, in milliseconds.
const KEEPER_PATIENCE_MS: u64 = 120_000;

/// The updates of a manager.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    inner: Mutex<Inner>,
    /// Rises with everything that a page shows.
    shown: AtomicU64,
    /// Asks for a round.
    nudge: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    kept: Arc<Kept>,
    found: Found,
    keepers: BTreeMap<DeviceName, KeeperTry>,
    /// The revision of the word that each device's poll was last woken for.
    told: BTreeMap<DeviceName, u64>,
}

/// What a round found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What keeps an offload from being granted.
    pub(super) waits: BTreeMap<DeviceName, Waiting>,
    /// Devices whose keeper may start anew now.
    pub(super) restart: BTreeSet<DeviceName>,
    /// Devices with an update under way.
    pub(super) open: BTreeSet<DeviceName>,
}

/// A keeper that was told to start anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeeperTry {
    /// The MANIFEST of the slot whose keeper was meant.
    manifest: String,
    /// Monotonic milliseconds.
    since_ms: u64,
}

impl Updates {
    pub(crate) fn new(kept: Kept) -> Self {
        Self { inner: Mutex::new(Inner { kept: Arc::new(kept), ..Inner::default() }), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) {
        self.shown.fetch_add(1, Ordering::Relaxed);
        self.nudge.notify_one();
    }

    /// Takes what a change has left.
    pub(crate) fn replace(&self, kept: Kept) {
        self.lock().kept = Arc::new(kept);
        self.changed();
    }

    /// A report came in the place of another one.
    pub(crate) fn heard(&self, before: Option<&UpdateReport>, report: Option<&UpdateReport>) {
        let settled = |report: &UpdateReport| report.state.stage.at_rest();
        if report.is_some_and(|report| !settled(report)) || !same(before, report) {
            self.changed();
        }
    }

    /// Waits until a round is worth while.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    pub(super) fn version(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    pub(crate) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.lock().kept)
    }

    pub(super) fn waiting(&self, device: &DeviceName) -> Option<Waiting> {
        self.lock().found.waits.get(device).cloned()
    }

    /// Whether the device's keeper may start anew now.
    pub(super) fn restarts(&self, device: &DeviceName) -> bool {
        self.lock().found.restart.contains(device)
    }

    /// Devices the last round found something under way of: their word may change when it is over.
    pub(super) fn under_way(&self) -> BTreeSet<DeviceName> {
        let inner = self.lock();
        inner.found.open.union(&inner.found.restart).cloned().collect()
    }

    /// Takes what a round found.
    pub(super) fn find(&self, found: Found, now_ms: u64, manifest: impl Fn(&DeviceName) -> String) {
        let mut inner = self.lock();
        for device in &found.restart {
            let tried = || KeeperTry { manifest: manifest(device), since_ms: now_ms };
            inner.keepers.entry(device.clone()).or_insert_with(tried);
        }
        if inner.found != found {
            inner.found = found;
            drop(inner);
            self.shown.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the keeper of the slot with this MANIFEST was told to start anew, and did not come in time.
    pub(super) fn gave_up(&self, device: &DeviceName, manifest: &str, now_ms: u64) -> bool {
        let inner = self.lock();
        let tried = inner.keepers.get(device).filter(|tried| tried.manifest == manifest);
        tried.is_some_and(|tried| now_ms.saturating_sub(tried.since_ms) >= KEEPER_PATIENCE_MS)
    }

    /// Whether the device's keeper was told to start anew and may still come.
    pub(super) fn is_tried(&self, device: &DeviceName, now_ms: u64) -> bool {
        let inner = self.lock();
        inner.keepers.get(device).is_some_and(|tried| now_ms.saturating_sub(tried.since_ms) < KEEPER_PATIENCE_MS)
    }

    /// The keeper is the one of the slot that runs, or of another slot than was meant.
    pub(super) fn keeper_settled(&self, device: &DeviceName, manifest: Option<&str>) {
        let mut inner = self.lock();
        if inner.keepers.get(device).is_some_and(|tried| manifest.is_none_or(|manifest| tried.manifest != manifest)) {
            inner.keepers.remove(device);
        }
    }

    /// Whether this is another word than the device's poll was last woken for.
    pub(super) fn is_news(&self, device: &DeviceName, revision: u64) -> bool {
        self.lock().told.insert(device.clone(), revision) != Some(revision)
    }

    pub(crate) fn forget(&self, device: &DeviceName) {
        let mut inner = self.lock();
        inner.told.remove(device);
        inner.keepers.remove(device);
    }
}

/// Whether two reports say the same of a device, time apart.
fn same(before: Option<&UpdateReport>, report: Option<&UpdateReport>) -> bool {
    match (before, report) {
        (Some(before), Some(report)) => UpdateReport { for_ms: report.for_ms, ..before.clone() } == *report,
        (before, report) => before.is_none() && report.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::updates::fixture::{at, order};
    use weir_rollout::update::Stage;

    #[test]
    fn a_keeper_has_its_time_and_is_given_up_for_that_slot_alone() {
        let (updates, device): (Updates, DeviceName) = (Updates::default(), "east-1".parse().expect("name"));
        let restart = |now_ms| {
            let found = Found { restart: BTreeSet::from([device.clone()]), ..Found::default() };
            updates.find(found, now_ms, |_| "aa".to_owned());
        };
        restart(1_000);
        assert!(updates.restarts(&device));
        restart(50_000);
        assert!(!updates.gave_up(&device, "aa", 1_000 + KEEPER_PATIENCE_MS - 1), "it counts from the first time");
        assert!(updates.is_tried(&device, 1_000 + KEEPER_PATIENCE_MS - 1));
        assert!(updates.gave_up(&device, "aa", 1_000 + KEEPER_PATIENCE_MS));
        assert!(!updates.is_tried(&device, 1_000 + KEEPER_PATIENCE_MS), "it keeps nobody waiting any more");
        assert!(!updates.gave_up(&device, "bb", 1_000 + KEEPER_PATIENCE_MS), "another slot is another keeper");
        updates.keeper_settled(&device, Some("aa"));
        assert!(updates.gave_up(&device, "aa", 1_000 + KEEPER_PATIENCE_MS), "nothing is settled");
        updates.keeper_settled(&device, None);
        assert!(!updates.gave_up(&device, "aa", 1_000 + KEEPER_PATIENCE_MS));
    }

    #[test]
    fn pages_are_told_of_what_is_new_and_of_all_that_moves() {
        let updates = Updates::default();
        let (resting, moving) = (at(Stage::Done, Some(&order(1))), at(Stage::Draining, Some(&order(1))));
        let mut version = updates.version();
        let mut tells = |before: Option<&UpdateReport>, now: Option<&UpdateReport>| {
            updates.heard(before, now);
            std::mem::replace(&mut version, updates.version()) != updates.version()
        };
        let later = UpdateReport { for_ms: 9_000, ..resting.clone() };
        assert!(!tells(None, None));
        assert!(!tells(Some(&resting), Some(&later)), "time alone is no news");
        assert!(tells(Some(&moving), Some(&moving)), "its sessions are shown");
        assert!(tells(Some(&moving), Some(&resting)));
        assert!(tells(None, Some(&resting)));
    }
}
