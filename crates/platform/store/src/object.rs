//! An object: a head that does not change and the body it belongs to.

use crate::{
    account::Charge,
    body::{AbortReason, Body, End},
    disk::{OnDisk, Place},
    reader::{Aborted, Reader},
};
use bytes::Bytes;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};

/// Highest count S3-FIFO keeps of an object's uses.
const USES_MAX: u8 = 3;

/// A stored, or still filling, response.
pub struct Object<H> {
    key: Arc<str>,
    hash: u64,
    head: H,
    announced: Option<u64>,
    pub(crate) body: Arc<Body>,
    uses: AtomicU8,
    pub(crate) disk: OnDisk,
    /// Bytes the eviction queues count for it.
    pub(crate) weight: AtomicU64,
    pub(crate) place: AtomicU8,
    /// Which of the entries the queues have had for it is valid.
    pub(crate) turn: AtomicU32,
    /// Whole variants it displaced, kept until its own body is. Changed under the queues' lock only.
    displaced: Mutex<Vec<Arc<Object<H>>>>,
    _charge: Charge,
}

impl<H> Object<H> {
    pub(crate) fn new(key: Arc<str>, hash: u64, head: H, announced: Option<u64>, body: Arc<Body>, charge: Charge) -> Self {
        let weight = AtomicU64::new(announced.unwrap_or(0));
        Self {
            key,
            hash,
            head,
            announced,
            body,
            uses: AtomicU8::new(0),
            disk: OnDisk::new(),
            weight,
            place: AtomicU8::new(0),
            turn: AtomicU32::new(0),
            displaced: Mutex::default(),
            _charge: charge,
        }
    }

    /// The same, brought back from a place on disk.
    pub(crate) fn loaded(self, place: Place) -> Self {
        Self { disk: OnDisk::at(place), ..self }
    }

    /// Keeps what this object displaced: whole variants, and in place of one that was filling still what that one kept.
    /// Returns those that were filling.
    pub(crate) fn displace(&self, gone: Vec<Arc<Object<H>>>) -> Vec<Arc<Object<H>>> {
        let (mut kept, filling): (Vec<_>, Vec<_>) = gone.into_iter().partition(|object| object.whole().is_some());
        filling.iter().for_each(|object| kept.append(&mut object.take_displaced()));
        *self.displaced.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        filling
    }

    /// Whether it, or what it displaced, has its body at a place on disk.
    pub(crate) fn holds(&self, place: Place) -> bool {
        let displaced = self.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.place() == place || displaced.iter().any(|object| object.disk.place() == place)
    }

    /// Takes out of what it displaced what is not right any more.
    pub(crate) fn retain_displaced(&self, is_right: impl Fn(&Object<H>) -> bool) -> Vec<Arc<Object<H>>> {
        let mut displaced = self.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        displaced.extract_if(.., |object| !is_right(object)).collect()
    }

    pub(crate) fn take_displaced(&self) -> Vec<Arc<Object<H>>> {
        std::mem::take(&mut *self.displaced.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn shared_key(&self) -> Arc<str> {
        self.key.clone()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// What came before the body.
    pub fn head(&self) -> &H {
        &self.head
    }

    /// Length of the body in bytes, when it is known: announced, or complete.
    pub fn length(&self) -> Option<u64> {
        match self.body.whole() {
            Some(slices) => Some(slices.iter().map(|s| s.len() as u64).sum()),
            None => self.announced,
        }
    }

    pub(crate) fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// The body's slices once all are here.
    pub fn whole(&self) -> Option<&Arc<[Bytes]>> {
        self.body.whole()
    }

    /// Why its fill ended early, if it did.
    pub fn aborted(&self) -> Option<AbortReason> {
        match self.body.end() {
            End::Aborted(reason) => Some(reason),
            End::Filling | End::Complete => None,
        }
    }

    /// Bytes of the body in memory now.
    pub fn held_bytes(&self) -> u64 {
        self.body.held_bytes()
    }

    /// Reads the body from byte `from` to before byte `until` (`u64::MAX`: to the end).
    ///
    /// Refused with [`AbortReason::Passed`] when the object passes through and byte `from` is gone.
    pub fn read(&self, from: u64, until: u64) -> Result<Reader, Aborted> {
        Reader::new(self.body.clone(), from, until)
    }

    pub(crate) fn used(&self) {
        self.disk.used();
        if self.uses.load(Ordering::Relaxed) < USES_MAX {
            self.uses.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn uses(&self) -> u8 {
        self.uses.load(Ordering::Acquire)
    }

    pub(crate) fn set_uses(&self, uses: u8) {
        self.uses.store(uses, Ordering::Relaxed);
    }
}
