//! What of backups is in memory: orders, the one that is being made, what engines give back, what is to be alarmed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot, watch};
use weir_model::DeviceName;
use weir_operator_api::{Backup, BackupUnderWay, Problem, Reason};

/// Orders that wait for the one that is being made.
const ORDERS_MAX: usize = 4;

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// A backup, and whether it is rehearsed.
    Make(bool),
    /// A backup that a rollout asks for: rehearsed, by this program too where one is named, and on another machine.
    Prove(Option<PathBuf>),
    /// A rehearsal of the one of this name.
    Rehearse(String),
    /// The one of this name, back from an engine's vault.
    Recover(String, DeviceName),
}

/// An order of one piece of work.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) actor: String,
    pub(super) work: Work,
    /// Nobody may wait any more; it is done all the same.
    pub(super) done: oneshot::Sender<Result<Backup, Problem>>,
}

/// What an engine gave back of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    /// Bytes that ended where their sender ended them.
    Came {
        /// How many.
        bytes: u64,
        /// Their SHA-256, hex.
        sha256: String,
    },
    /// They broke off, or were not kept; how.
    Broken(String),
}

/// A backup that an engine is asked to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Most bytes it may have.
    pub(crate) bytes_max: u64,
    /// A new file that keeps what comes; absent: it is only hashed.
    pub(crate) keep: Option<PathBuf>,
}

/// Texts of the alarms that stand, as far as backups and the key go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// BACKUP_UNPROVEN: the newest backup of the schedule is not worth what it should be.
    pub(super) unproven: Option<String>,
    /// BACKUP_UNPROVEN: the last try of the schedule failed; until one succeeds.
    pub(super) failed: Option<String>,
    /// KEY_NOT_ESCROWED: nobody has confirmed this key.
    pub(super) unconfirmed: bool,
}

/// What of backups is in memory.
#[derive(Debug)]
pub(crate) struct Shelf {
    orders: mpsc::Sender<Order>,
    taken: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    under_way: Mutex<Option<BackupUnderWay>>,
    /// Engines that are asked to keep a backup, with its SHA-256, hex.
    lent: Mutex<BTreeSet<(DeviceName, String)>>,
    wanted: Mutex<BTreeMap<(DeviceName, String), Wanted>>,
    returned: Mutex<BTreeMap<(DeviceName, String), Returned>>,
    standing: Mutex<Standing>,
    /// Rises with everything that a page shows.
    shown: watch::Sender<u64>,
    /// Told when the schedule is another one.
    rescheduled: tokio::sync::Notify,
}

impl Default for Shelf {
    fn default() -> Self {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        Self {
            orders,
            taken: tokio::sync::Mutex::new(taken),
            under_way: Mutex::default(),
            lent: Mutex::default(),
            wanted: Mutex::default(),
            returned: Mutex::default(),
            standing: Mutex::default(),
            shown: watch::Sender::new(0),
            rescheduled: tokio::sync::Notify::new(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    /// Orders something and waits until it is done, which it is whether or not anybody waits.
    pub(super) async fn order(&self, actor: String, work: Work) -> Result<Backup, Problem> {
        let (done, made) = oneshot::channel();
        if self.orders.try_send(Order { actor, work, done }).is_err() {
            return Err(Problem::new(Reason::Unavailable, format!("{ORDERS_MAX} orders of backups wait already")));
        }
        made.await.unwrap_or_else(|_| Err(Problem::new(Reason::Unavailable, "the manager is stopping")))
    }

    /// The next order; for the one task that makes them.
    pub(super) async fn next_order(&self) -> Option<Order> {
        self.taken.lock().await.recv().await
    }

    /// The backup that is being made.
    pub(crate) fn under_way(&self) -> Option<BackupUnderWay> {
        locked(&self.under_way).clone()
    }

    /// Begins one; it is none any more when the guard goes.
    pub(super) fn begin(&self, actor: &str) -> UnderWay<'_> {
        let begun = BackupUnderWay { actor: actor.to_owned(), since_ms: weir_clock::wall_ms(), stage: "copy".to_owned() };
        *locked(&self.under_way) = Some(begun);
        self.raise();
        UnderWay(self)
    }

    /// Rises with everything that a page shows.
    pub(crate) fn version(&self) -> u64 {
        *self.shown.borrow()
    }

    pub(super) fn raise(&self) {
        self.shown.send_modify(|number| *number += 1);
    }

    /// An engine is about to be asked to keep a backup: it may fetch it until the guard goes.
    pub(super) fn lend(&self, engine: &DeviceName, sha256: &str) -> Lending<'_> {
        let of = (engine.clone(), sha256.to_owned());
        locked(&self.lent).insert(of.clone());
        Lending(self, of)
    }

    /// Whether an engine is asked to keep this backup now.
    pub(crate) fn is_lent(&self, engine: &DeviceName, sha256: &str) -> bool {
        locked(&self.lent).contains(&(engine.clone(), sha256.to_owned()))
    }

    /// An engine is about to be asked for a backup: what it gave before is forgotten, and it may give this one until the guard goes.
    pub(super) fn want(&self, engine: &DeviceName, sha256: &str, wanted: Wanted) -> Wanting<'_> {
        let of = (engine.clone(), sha256.to_owned());
        locked(&self.returned).remove(&of);
        locked(&self.wanted).insert(of.clone(), wanted);
        Wanting(self, of)
    }

    /// What an engine was asked for.
    pub(crate) fn wanted(&self, engine: &DeviceName, sha256: &str) -> Option<Wanted> {
        locked(&self.wanted).get(&(engine.clone(), sha256.to_owned())).cloned()
    }

    /// An engine gave back what it has.
    pub(crate) fn note_returned(&self, engine: &DeviceName, sha256: &str, what: Returned) {
        locked(&self.returned).insert((engine.clone(), sha256.to_owned()), what);
    }

    pub(super) fn standing(&self) -> Standing {
        locked(&self.standing).clone()
    }

    pub(super) fn stand(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut locked(&self.standing));
        self.raise();
    }

    /// The key was confirmed, or is another one.
    pub(crate) fn note_key(&self, confirmed: bool) {
        self.stand(|standing| standing.unconfirmed = !confirmed);
    }

    pub(super) fn reschedule(&self) {
        self.rescheduled.notify_one();
    }

    pub(super) async fn rescheduled(&self) {
        self.rescheduled.notified().await;
    }
}

/// A backup that is being made.
pub(super) struct UnderWay<'a>(&'a Shelf);

impl UnderWay<'_> {
    /// What is done now.
    pub(super) fn stage(&self, stage: impl Into<String>) {
        if let Some(under_way) = &mut *locked(&self.0.under_way) {
            under_way.stage = stage.into();
        }
        self.0.raise();
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *locked(&self.0.under_way) = None;
        self.0.raise();
    }
}

/// An engine that may fetch a backup.
pub(super) struct Lending<'a>(&'a Shelf, (DeviceName, String));

impl Drop for Lending<'_> {
    fn drop(&mut self) {
        locked(&self.0.lent).remove(&self.1);
    }
}

/// An engine that was asked for a backup.
pub(super) struct Wanting<'a>(&'a Shelf, (DeviceName, String));

impl Wanting<'_> {
    /// What it gave.
    pub(super) fn take(self) -> Option<Returned> {
        locked(&self.0.returned).remove(&self.1)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        locked(&self.0.wanted).remove(&self.1);
        locked(&self.0.returned).remove(&self.1);
    }
}
