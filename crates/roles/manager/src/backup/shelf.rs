//! What of backups is in memory: orders, the one that is being made, what engines give back, what is to be alarmed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot, watch};
use weir_model::DeviceName;
use weir_operator_api::{Backup, BackupUnderWay, Problem, Reason};

/// Orders that wait for the one that is being made.
const ORDERS_MAX: usize = 4;

/// An order of a backup.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) actor: String,
    pub(super) rehearse: bool,
    /// Nobody may wait any more; it is made all the same.
    pub(super) done: oneshot::Sender<Result<Backup, Problem>>,
}

/// What an engine gave back of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    /// The same bytes.
    Same,
    /// Others, and how.
    Other(String),
}

/// Texts of the alarms that stand, as far as backups and the key go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// BACKUP_UNPROVEN.
    pub(super) unproven: Option<String>,
    /// KEY_NOT_ESCROWED: nobody has confirmed this key.
    pub(super) unconfirmed: bool,
}

/// What of backups is in memory.
#[derive(Debug)]
pub(crate) struct Shelf {
    orders: mpsc::Sender<Order>,
    taken: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    under_way: Mutex<Option<BackupUnderWay>>,
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
    /// Orders a backup; what is returned resolves when it is made.
    pub(super) fn order(&self, actor: String, rehearse: bool) -> Result<oneshot::Receiver<Result<Backup, Problem>>, Problem> {
        let (done, made) = oneshot::channel();
        match self.orders.try_send(Order { actor, rehearse, done }) {
            Ok(()) => Ok(made),
            Err(_) => Err(Problem::new(Reason::Unavailable, format!("{ORDERS_MAX} backups wait to be made already"))),
        }
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

    /// What is expected back from an engine is forgotten, before it is asked.
    pub(super) fn expect(&self, engine: &DeviceName, sha256: &str) {
        locked(&self.returned).remove(&(engine.clone(), sha256.to_owned()));
    }

    /// An engine gave back what it has.
    pub(crate) fn note_returned(&self, engine: &DeviceName, sha256: &str, what: Returned) {
        locked(&self.returned).insert((engine.clone(), sha256.to_owned()), what);
    }

    pub(super) fn take_returned(&self, engine: &DeviceName, sha256: &str) -> Option<Returned> {
        locked(&self.returned).remove(&(engine.clone(), sha256.to_owned()))
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
