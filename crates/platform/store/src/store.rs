//! The store: index, queues and account together.

use crate::{
    OBJECT_OVERHEAD_BYTES, OBJECT_SHARE, PASS_SHARE, PASS_WINDOW_BYTES, PASS_WINDOWS_MIN,
    account::{Account, Charge},
    body::Body,
    fill::Fill,
    index::Index,
    object::Object,
    queues::Queues,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why an object is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its announced length is more than its share of the limit.
    #[error("the object is larger than a quarter of the store")]
    TooLarge,
    /// Everything in the store is being read or filled.
    #[error("the store has no room")]
    Full,
}

/// What the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Bytes in memory, overhead included, also of objects that left the index and are still being read.
    pub bytes: u64,
    /// Bytes set aside for the windows of bodies that pass through, which are not in `bytes`.
    pub passing_bytes: u64,
    /// Objects in the index.
    pub objects: u64,
}

struct Inner<H> {
    index: Index<H>,
    queues: Mutex<Queues<H>>,
    account: Arc<Account>,
    /// Windows of bodies that pass through.
    windows: Arc<Account>,
}

/// Objects by key, within a byte limit. Clones share it.
pub struct Store<H> {
    inner: Arc<Inner<H>>,
}

impl<H> Clone for Store<H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<H> Store<H> {
    /// An empty store of at most `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        let windows = Account::new((limit_bytes / PASS_SHARE).max(PASS_WINDOWS_MIN * PASS_WINDOW_BYTES));
        let inner = Inner { index: Index::new(), queues: Mutex::new(Queues::new()), account: Account::new(limit_bytes), windows };
        Self { inner: Arc::new(inner) }
    }

    fn queues(&self) -> MutexGuard<'_, Queues<H>> {
        self.inner.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest variant of `key` that `wanted` accepts; counts as a use of it.
    pub fn find(&self, key: &str, wanted: impl Fn(&H) -> bool) -> Option<Arc<Object<H>>> {
        let object = self.inner.index.find(key, wanted)?;
        object.used();
        Some(object)
    }

    /// Begins an object: it is in the index at once and can be read while it fills.
    ///
    /// `head_bytes` is the memory the head takes, `announced` the body's length if known; variants of the same key for
    /// which `replaces` holds leave the index (their readers read on) and come back should this fill abort.
    pub fn begin(
        &self,
        key: &str,
        head: H,
        head_bytes: u64,
        announced: Option<u64>,
        replaces: impl Fn(&H) -> bool,
    ) -> Result<Fill<H>, (H, Refused)> {
        if announced.is_some_and(|length| length > self.object_limit()) {
            return Err((head, Refused::TooLarge));
        }
        let Some(charge) = self.reserve(overhead(key, head_bytes)) else { return Err((head, Refused::Full)) };
        let body = Body::new(&self.inner.account);
        let object = Arc::new(Object::new(key.into(), self.inner.index.hash(key), head, announced, body, charge));
        self.link(self.queues(), &object, |o| replaces(o.head()));
        Ok(Fill::new(self.clone(), object))
    }

    /// Puts a new head on a whole object's body: what a 304 does (RFC 9111 section 4.3.4). `None` when there is no room
    /// for the head, the object is not whole, or it has left the index meanwhile.
    pub fn refresh(&self, object: &Arc<Object<H>>, head: H, head_bytes: u64) -> Option<Arc<Object<H>>> {
        let charge = self.reserve(overhead(object.key(), head_bytes))?;
        let queues = self.queues();
        if object.whole().is_none() || !self.inner.index.holds(object) {
            return None;
        }
        let body = object.body.clone();
        let fresh = Arc::new(Object::new(object.shared_key(), object.hash(), head, object.announced(), body, charge));
        fresh.set_uses(object.uses());
        fresh.weight.store(object.weight.load(std::sync::atomic::Ordering::Relaxed), std::sync::atomic::Ordering::Relaxed);
        self.link(queues, &fresh, |o| std::ptr::eq(o, &raw const **object));
        Some(fresh)
    }

    /// The index and the queues change together under the queues' lock (queues first, then a shard).
    fn link(&self, mut queues: MutexGuard<'_, Queues<H>>, object: &Arc<Object<H>>, replaces: impl Fn(&Object<H>) -> bool) {
        let gone = self.inner.index.insert(object.clone(), replaces);
        gone.replaced.iter().chain(&gone.pushed_out).for_each(|o| queues.forget(o));
        queues.insert(object);
        if object.whole().is_none() {
            object.displace(gone.replaced);
        }
        drop(queues);
        drop(gone.pushed_out);
    }

    /// Removes every variant of a key; returns how many there were. Readers read on.
    pub fn remove(&self, key: &str) -> usize {
        self.remove_where(key, |_| true)
    }

    /// Removes the variants of a key that `unwanted` names; returns how many there were. Readers read on.
    pub fn remove_where(&self, key: &str, unwanted: impl Fn(&H) -> bool) -> usize {
        let mut queues = self.queues();
        let gone = self.inner.index.remove(key, unwanted);
        gone.iter().for_each(|o| queues.forget(o));
        drop(queues);
        gone.len()
    }

    /// Takes an aborted object out of the index and puts back what it displaced, if it is still there itself.
    pub(crate) fn withdraw(&self, object: &Arc<Object<H>>) {
        let mut queues = self.queues();
        let before = object.take_displaced();
        let pushed_out = self.inner.index.restore(object, &before);
        if let Some(pushed_out) = &pushed_out {
            queues.forget(object);
            before.iter().for_each(|o| queues.insert(o));
            pushed_out.iter().for_each(|o| queues.forget(o));
        }
        // Bodies are freed without the lock.
        drop(queues);
        drop((before, pushed_out));
    }

    /// What an object displaced; from now on it is gone for good.
    pub(crate) fn take_displaced(&self, object: &Object<H>) -> Vec<Arc<Object<H>>> {
        let _changing = self.queues();
        object.take_displaced()
    }

    /// Room for one more body to pass through.
    pub(crate) fn reserve_window(&self) -> Option<Charge> {
        self.inner.windows.take(PASS_WINDOW_BYTES)
    }

    pub(crate) fn unlink(&self, object: &Arc<Object<H>>) {
        let mut queues = self.queues();
        if self.inner.index.unlink(object) {
            queues.forget(object);
        }
    }

    pub(crate) fn weigh(&self, object: &Object<H>, bytes: u64) {
        self.queues().weigh(object, bytes);
    }

    /// Takes `bytes` from the limit, evicting until there is room; `None` when nothing more can be freed.
    pub(crate) fn reserve(&self, bytes: u64) -> Option<Charge> {
        loop {
            if let Some(charge) = self.inner.account.take(bytes) {
                return Some(charge);
            }
            if bytes > self.inner.account.limit() {
                return None;
            }
            let victim = self.queues().victim(self.inner.account.limit())?;
            self.inner.index.unlink(&victim);
        }
    }

    /// Largest body stored, bytes.
    pub fn object_limit(&self) -> u64 {
        self.inner.account.limit() / OBJECT_SHARE
    }

    /// Bytes and objects held now. Counting objects visits every shard: for metrics, not for requests.
    pub fn stats(&self) -> Stats {
        Stats { bytes: self.inner.account.used(), passing_bytes: self.inner.windows.used(), objects: self.inner.index.count() }
    }

    /// Bytes held now.
    pub fn used_bytes(&self) -> u64 {
        self.inner.account.used()
    }
}

fn overhead(key: &str, head_bytes: u64) -> u64 {
    OBJECT_OVERHEAD_BYTES + key.len() as u64 + head_bytes
}
