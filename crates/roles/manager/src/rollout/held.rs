//! The rollout in memory: as it is kept, what the last round found, and plans that were shown and not started.

use super::{
    comparison::Watch,
    facts::Peaks,
    managers::Managers,
    record::{Kept, RecordError},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;
use weir_model::DeviceName;
use weir_rollout::plan::{ConsoleStep, Hold, Policy, Stay};
use weir_telemetry::Chain;

/// Plans that were shown and can be started.
const DRAFTS_MAX: usize = 32;

/// The rollout of a manager.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    inner: Mutex<Inner>,
    /// Held from looking at a plan until the next one is kept: each is made on top of its parent.
    pub(super) committing: tokio::sync::Mutex<()>,
    pub(super) peaks: tokio::sync::Mutex<Peaks>,
    pub(super) managers: Managers,
    pub(super) watch: Mutex<Watch>,
    /// Rises with everything that a page shows.
    shown: AtomicU64,
    /// Asks for a round.
    nudge: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    kept: Option<Arc<Kept>>,
    /// Why the journal's rollout is not the one that is kept.
    unread: Option<String>,
    found: Arc<Found>,
    drafts: VecDeque<Draft>,
}

/// What the last round found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// By position: why a device does not move; absent of one that does.
    pub(super) stays: Vec<Option<Stay>>,
    /// What the rollout as a whole waits for.
    pub(super) hold: Option<Hold>,
    /// What could not be done of what the last round wanted.
    pub(super) trouble: Option<String>,
}

/// A plan that was shown.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) hash: String,
    /// What it was made from: made from it again, it is the same while the network is.
    pub(super) policy: Policy,
}

impl Rollouts {
    /// As the journal has it. One that cannot be read, say because a later line wrote it, keeps no manager from opening: devices
    /// finish what they have begun, and an operator plans another.
    pub(crate) fn found(read: Result<Option<Kept>, RecordError>) -> Self {
        let (kept, unread) = match read {
            Ok(kept) => (kept, None),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the rollout in the journal cannot be gone on with");
                (None, Some(Chain(&error).to_string()))
            }
        };
        Self { inner: Mutex::new(Inner { kept: kept.map(Arc::new), unread, ..Inner::default() }), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rollout there is, or was last.
    pub(super) fn kept(&self) -> Option<Arc<Kept>> {
        self.lock().kept.clone()
    }

    /// Why the journal's rollout cannot be gone on with, until another one is started.
    pub(super) fn unread(&self) -> Option<String> {
        self.lock().unread.clone()
    }

    /// The rollout and what the last round found of it.
    pub(super) fn shown(&self) -> Option<(Arc<Kept>, Arc<Found>)> {
        let inner = self.lock();
        Some((inner.kept.clone()?, Arc::clone(&inner.found)))
    }

    /// Takes what is kept now.
    pub(super) fn replace(&self, kept: Kept) {
        let mut inner = self.lock();
        inner.unread = None;
        let before = inner.kept.replace(Arc::new(kept));
        let news = before.zip(inner.kept.as_ref()).is_none_or(|(before, kept)| before.plan.stamp != kept.plan.stamp);
        drop(inner);
        if news {
            self.shown.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The step at a command line that the last round found it to wait for.
    pub(crate) fn awaited(&self) -> Option<ConsoleStep> {
        match self.lock().found.hold {
            Some(Hold::AwaitingConsole(step)) => Some(step),
            _ => None,
        }
    }

    /// Takes what a round found.
    pub(super) fn find(&self, found: Found) {
        let mut inner = self.lock();
        if *inner.found != found {
            inner.found = Arc::new(found);
            drop(inner);
            self.shown.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Asks for a round.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Waits until somebody asks for one.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Remembers a plan that was shown.
    pub(super) fn draft(&self, draft: Draft) {
        let mut inner = self.lock();
        inner.drafts.retain(|held| held.hash != draft.hash);
        inner.drafts.push_back(draft);
        if inner.drafts.len() > DRAFTS_MAX {
            inner.drafts.pop_front();
        }
    }

    /// The plans that were shown whose hash begins so.
    pub(super) fn drafts(&self, hash: &str) -> Vec<Draft> {
        self.lock().drafts.iter().filter(|draft| draft.hash.starts_with(hash)).cloned().collect()
    }

    /// Whether an operator lets the device switch although something still runs on it.
    pub(crate) fn forces(&self, device: &DeviceName) -> bool {
        let Some(kept) = self.kept().filter(|kept| !kept.plan.is_over()) else { return false };
        kept.plan.position(device).is_some_and(|position| kept.plan.lanes[position].force)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_rollout::{pair_order::Direction, plan::RolloutProfile};

    #[test]
    fn the_last_plans_that_were_shown_can_be_started() {
        let rollouts = Rollouts::default();
        let profile = RolloutProfile::named("standard").expect("named");
        let policy = Policy::network(Direction::Up, "1.1.0-b1".parse().expect("version"), profile);
        for number in 0..DRAFTS_MAX + 2 {
            rollouts.draft(Draft { hash: format!("{number:04}aa"), policy: policy.clone() });
        }
        rollouts.draft(Draft { hash: "0005aa".into(), policy });
        let hashes = |begin: &str| rollouts.drafts(begin).into_iter().map(|draft| draft.hash).collect::<Vec<_>>();
        assert_eq!(hashes("0000"), Vec::<String>::new());
        assert_eq!(hashes("0001"), Vec::<String>::new());
        assert_eq!(hashes("0005"), ["0005aa"]);
        assert_eq!(hashes("00").len(), DRAFTS_MAX);
    }
}
