//! The store: index, queues and account together.

use crate::{
    OBJECT_OVERHEAD_BYTES, OBJECT_SHARE, PASS_SHARE, PASS_WINDOW_BYTES, PASS_WINDOWS_MIN,
    account::{Account, Charge},
    body::Body,
    disk::{Place, Removed, Tier},
    fill::Fill,
    index::{Index, Unlinked},
    object::Object,
    queues::{Queues, Victim},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering};

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

/// Objects in RAM.
pub(crate) struct Ram<H> {
    index: Index<H>,
    queues: Mutex<Queues<H>>,
    account: Arc<Account>,
    /// Windows of bodies that pass through.
    windows: Arc<Account>,
}

impl<H> Ram<H> {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let windows = Account::new((limit_bytes / PASS_SHARE).max(PASS_WINDOWS_MIN * PASS_WINDOW_BYTES));
        Self { index: Index::new(), queues: Mutex::new(Queues::new()), account: Account::new(limit_bytes), windows }
    }
}

pub(crate) struct Inner<H> {
    pub(crate) ram: Ram<H>,
    pub(crate) disk: Option<Tier<H>>,
}

impl<H> Inner<H> {
    fn queues(&self) -> MutexGuard<'_, Queues<H>> {
        self.ram.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an object of `key`, or one that may come back in its place, has its body at a place on disk.
    pub(crate) fn holds(&self, key: &str, place: Place) -> bool {
        let _unchanging = self.queues();
        self.ram.index.any(key, |object| object.holds(place))
    }

    /// Takes out of RAM, for good, what is not right any more; returns how many there were. Readers read on.
    pub(crate) fn retain(&self, is_right: impl Fn(&Object<H>) -> bool) -> usize {
        let mut queues = self.queues();
        let mut gone = Vec::new();
        self.ram.index.for_each(|object| {
            gone.extend(object.retain_displaced(&is_right));
            if !is_right(object) {
                gone.push(object.clone());
            }
        });
        for object in &gone {
            object.disk.set_gone();
            if self.ram.index.unlink(object) {
                queues.forget(object);
            }
        }
        // Bodies are freed without the lock.
        drop(queues);
        gone.len()
    }

    /// Every whole object, those used most first. Weak, so that they can leave meanwhile.
    pub(crate) fn whole(&self) -> Vec<Weak<Object<H>>> {
        let mut objects = Vec::new();
        self.ram.index.for_each(|object| {
            if object.whole().is_some() {
                objects.push((object.uses(), Arc::downgrade(object)));
            }
        });
        objects.sort_by_key(|(uses, _)| std::cmp::Reverse(*uses));
        objects.into_iter().map(|(_, object)| object).collect()
    }
}

/// Objects by key, within a byte limit. Clones share it.
pub struct Store<H> {
    pub(crate) inner: Arc<Inner<H>>,
}

impl<H> Clone for Store<H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<H> Store<H> {
    /// An empty store of at most `limit_bytes`, in RAM only. [`Store::open`] makes one with a disk tier.
    pub fn new(limit_bytes: u64) -> Self {
        Self { inner: Arc::new(Inner { ram: Ram::new(limit_bytes), disk: None }) }
    }

    fn queues(&self) -> MutexGuard<'_, Queues<H>> {
        self.inner.queues()
    }

    /// The newest variant of `key` in RAM that `wanted` accepts; counts as a use of it. Never looks on the disk.
    pub fn find(&self, key: &str, wanted: impl Fn(&H) -> bool) -> Option<Arc<Object<H>>> {
        let object = self.inner.ram.index.find(key, wanted)?;
        if let Some(tier) = &self.inner.disk {
            tier.disk.seen(&object);
        }
        Some(object)
    }

    /// Begins an object: it is in the index at once and can be read while it fills.
    ///
    /// With a disk tier ask [`Store::load`] first and hold what it or [`Store::find`] returned until here: what is replaced is
    /// what is in RAM, and on disk what belongs to that.
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
        let body = Body::new(&self.inner.ram.account);
        let object = Arc::new(Object::new(key.into(), self.inner.ram.index.hash(key), head, announced, body, charge));
        self.link(self.queues(), &object, |o| replaces(o.head()));
        Ok(Fill::new(self.clone(), object))
    }

    /// Puts a new head on a whole object's body: what a 304 does (RFC 9111 section 4.3.4). `None` when there is no room
    /// for the head, the object is not whole, or it has left the index meanwhile.
    pub fn refresh(&self, object: &Arc<Object<H>>, head: H, head_bytes: u64) -> Option<Arc<Object<H>>> {
        let charge = self.reserve(overhead(object.key(), head_bytes))?;
        let queues = self.queues();
        if object.whole().is_none() || !self.inner.ram.index.holds(object) {
            return None;
        }
        let body = object.body.clone();
        let fresh = Arc::new(Object::new(object.shared_key(), object.hash(), head, object.announced(), body, charge));
        fresh.set_uses(object.uses());
        fresh.weight.store(object.weight.load(Ordering::Relaxed), Ordering::Relaxed);
        if object.disk.was_used() {
            fresh.disk.used();
        }
        self.link(queues, &fresh, |o| std::ptr::eq(o, &raw const **object));
        if let Some(tier) = &self.inner.disk {
            tier.disk.refreshed(object, &fresh);
        }
        Some(fresh)
    }

    /// The index and the queues change together under the queues' lock (queues first, then a shard).
    fn link(&self, mut queues: MutexGuard<'_, Queues<H>>, object: &Arc<Object<H>>, replaces: impl Fn(&Object<H>) -> bool) {
        let gone = self.inner.ram.index.insert(object.clone(), replaces);
        gone.replaced.iter().chain(&gone.pushed_out).for_each(|o| queues.forget(o));
        queues.insert(object);
        let broken = if object.whole().is_none() { object.displace(gone.replaced) } else { Vec::new() };
        drop(queues);
        self.let_go(broken);
        if let Some(tier) = &self.inner.disk {
            gone.pushed_out.iter().for_each(|object| tier.disk.left_unwritten(object));
        }
    }

    /// Lets go of objects that were replaced for good.
    pub(crate) fn let_go(&self, replaced: Vec<Arc<Object<H>>>) {
        if let Some(tier) = &self.inner.disk {
            replaced.iter().for_each(|object| tier.disk.retire(object));
        }
    }

    /// Begins an object that is brought back from disk; it is found once [`Store::link_load`] has linked it.
    pub(crate) fn begin_load(&self, key: &str, head: H, head_bytes: u64, length: u64, place: Place) -> Option<Fill<H>> {
        if length > self.object_limit() {
            return None;
        }
        let charge = self.reserve(overhead(key, head_bytes))?;
        let body = Body::new(&self.inner.ram.account);
        let object = Object::new(key.into(), self.inner.ram.index.hash(key), head, Some(length), body, charge).loaded(place);
        Some(Fill::new(self.clone(), Arc::new(object)))
    }

    /// Lets an object that is brought back be found, behind what is here.
    pub(crate) fn link_load(&self, object: &Arc<Object<H>>) {
        object.used();
        let mut queues = self.queues();
        if self.inner.ram.index.insert_last(object.clone()) {
            queues.insert(object);
        }
    }

    /// Takes back an object that left RAM and was not written yet.
    pub(crate) fn put_back(&self, object: Arc<Object<H>>) -> Arc<Object<H>> {
        object.used();
        let mut queues = self.queues();
        if !object.disk.is_gone() && !self.inner.ram.index.holds(&object) && self.inner.ram.index.insert_last(object.clone()) {
            queues.insert(&object);
        }
        drop(queues);
        object
    }

    /// Removes every variant of a key, on disk too; returns how many there were. Readers read on.
    ///
    /// On disk a removal is durable within a second, and when the lease is given up; a store that does not write keeps it
    /// in mind until it does.
    pub fn remove(&self, key: &str) -> usize {
        self.remove_where(key, |_| true)
    }

    /// Removes the variants of a key that `unwanted` names; returns how many there were. Readers read on. Of what is only on
    /// disk every variant goes, as its head is not read for this.
    pub fn remove_where(&self, key: &str, unwanted: impl Fn(&H) -> bool) -> usize {
        match &self.inner.disk {
            Some(tier) => tier.disk.remove(key, &unwanted, || self.remove_in_ram(key, &unwanted)),
            None => self.remove_in_ram(key, unwanted).gone.len(),
        }
    }

    fn remove_in_ram(&self, key: &str, unwanted: impl Fn(&H) -> bool) -> Removed<H> {
        let mut queues = self.queues();
        let gone = self.inner.ram.index.remove(key, unwanted);
        gone.iter().for_each(|o| queues.forget(o));
        drop(queues);
        Removed { gone, stay: if self.inner.disk.is_some() { self.inner.ram.index.variants(key) } else { Vec::new() } }
    }

    /// Takes an aborted object out of the index and puts back what it displaced, if it is still there itself.
    pub(crate) fn withdraw(&self, object: &Arc<Object<H>>) {
        let mut queues = self.queues();
        let before = object.take_displaced();
        let pushed_out = self.inner.ram.index.restore(object, &before);
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
        self.inner.ram.windows.take(PASS_WINDOW_BYTES)
    }

    pub(crate) fn unlink(&self, object: &Arc<Object<H>>) {
        let mut queues = self.queues();
        if self.inner.ram.index.unlink(object) {
            queues.forget(object);
        }
    }

    pub(crate) fn weigh(&self, object: &Object<H>, bytes: u64) {
        self.queues().weigh(object, bytes);
    }

    /// Takes `bytes` from the limit, evicting until there is room; `None` when nothing more can be freed.
    pub(crate) fn reserve(&self, bytes: u64) -> Option<Charge> {
        loop {
            if let Some(charge) = self.inner.ram.account.take(bytes) {
                return Some(charge);
            }
            if bytes > self.inner.ram.account.limit() {
                return None;
            }
            let victim = self.queues().victim(self.inner.ram.account.limit())?;
            if let Some(tier) = &self.inner.disk {
                tier.disk.leaves(&victim.object);
            }
            self.evict(&victim);
        }
    }

    /// Takes a victim out of the index, unless somebody found it since it was chosen: what is held is here, so that who
    /// fills its key next replaces it, on disk too.
    fn evict(&self, victim: &Victim<H>) {
        let mut queues = self.queues();
        match self.inner.ram.index.unlink_where(&victim.object, |object| object.uses() == victim.uses) {
            Unlinked::Yes => queues.forget(&victim.object),
            Unlinked::Refused => queues.insert_again(&victim.object),
            Unlinked::NotThere => {}
        }
    }

    /// Largest body stored, bytes.
    pub fn object_limit(&self) -> u64 {
        self.inner.ram.account.limit() / OBJECT_SHARE
    }

    /// Bytes and objects held now. Counting objects visits every shard: for metrics, not for requests.
    pub fn stats(&self) -> Stats {
        Stats { bytes: self.inner.ram.account.used(), passing_bytes: self.inner.ram.windows.used(), objects: self.inner.ram.index.count() }
    }

    /// Bytes held now.
    pub fn used_bytes(&self) -> u64 {
        self.inner.ram.account.used()
    }
}

fn overhead(key: &str, head_bytes: u64) -> u64 {
    OBJECT_OVERHEAD_BYTES + key.len() as u64 + head_bytes
}
