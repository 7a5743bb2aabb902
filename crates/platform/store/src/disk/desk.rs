//! What the threads of a disk tier share: the queue of the writer, the index, the segments.

use super::{
    Codec,
    format::Place,
    hash_of,
    index::DiskIndex,
    segment::{SEGMENT_BYTES, SEGMENT_BYTES_MIN, SEGMENT_SHARE, Segment},
};
use crate::object::Object;
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

/// Objects that wait for the writer.
const QUEUE_OBJECTS: usize = 4096;
/// Their bodies together may take this fraction of the RAM limit (1/8): they cannot be evicted meanwhile.
const QUEUE_SHARE: u64 = 8;
/// Removals that wait for the writer, or for the lease. More: everything on the disk is given up, so that nothing that
/// was removed comes back.
const TOMBSTONES_MAX: usize = 65_536;
/// With as many waiting, removals of keys of which nothing is known are not kept one by one (half of the above): what others
/// wrote since is given up instead, as that is where such keys can be.
const UNKNOWN_MAX: usize = TOMBSTONES_MAX / 2;
/// An object may take this fraction of the disk's limit (1/4).
const OBJECT_SHARE: u64 = 4;

/// What the writer is to write.
pub(crate) enum Job<H> {
    Object(Arc<Object<H>>),
    /// `target` as in the record; `through`: the newest segment it takes something from, as far as is known.
    Tombstone {
        hash: u64,
        target: Place,
        through: Option<u32>,
    },
}

impl<H> Job<H> {
    pub(crate) fn object(&self) -> Option<&Arc<Object<H>>> {
        if let Job::Object(object) = self { Some(object) } else { None }
    }

    /// Hash and target of a tombstone.
    pub(crate) fn tombstone(&self) -> Option<(u64, Place)> {
        if let Job::Tombstone { hash, target, .. } = self { Some((*hash, *target)) } else { None }
    }
}

/// Somebody waits until the lease is given up.
pub(crate) struct GiveUp {
    pub(crate) deadline: Instant,
    pub(crate) done: oneshot::Sender<()>,
}

pub(crate) struct Desk<H> {
    pub(crate) queue: VecDeque<Job<H>>,
    queued_objects: usize,
    tombstones: usize,
    /// Hashes of whole keys whose removal waits for the lease.
    waiting: HashSet<u64>,
    /// What the writer is at.
    pub(crate) writing: Option<Arc<Object<H>>>,
    pub(crate) index: DiskIndex,
    pub(crate) segments: BTreeMap<u32, Arc<Segment>>,
    /// Keys that are being looked for on the disk, by hash.
    pub(crate) loading: HashMap<u64, Arc<Notify>>,
    pub(crate) limit: u64,
    pub(crate) wants_lease: bool,
    pub(crate) give_up: Vec<GiveUp>,
    pub(crate) stop: bool,
    /// Why nothing is written any more.
    pub(crate) error: Option<String>,
    /// The writer is to try again after an error.
    pub(crate) reopen: bool,
    /// More was removed than can be told: nothing on the disk is right any more.
    pub(crate) distrust: bool,
    /// The same, of what is found when the directory is looked into again.
    pub(crate) distrust_new: bool,
}

/// Shared by a store, its writer and its loaders.
pub(crate) struct Disk<H> {
    pub(crate) directory: PathBuf,
    pub(crate) codec: Codec<H>,
    pub(crate) segment_bytes: u64,
    ram_bytes: u64,
    desk: Mutex<Desk<H>>,
    /// The writer waits here.
    pub(crate) wake: Condvar,
    pub(crate) is_writer: watch::Sender<bool>,
    /// Whether objects are written now.
    pub(crate) admits: AtomicBool,
    queued_bytes: AtomicU64,
    pub(crate) loads_left: Arc<Semaphore>,
    pub(crate) skipped_newer: AtomicU64,
    pub(crate) corrupt: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) loads: AtomicU64,
}

impl<H> Disk<H> {
    pub(crate) fn new(directory: PathBuf, codec: Codec<H>, limit: u64, ram_bytes: u64, loads: usize) -> Self {
        let desk = Desk {
            queue: VecDeque::new(),
            queued_objects: 0,
            tombstones: 0,
            waiting: HashSet::new(),
            writing: None,
            index: DiskIndex::new(),
            segments: BTreeMap::new(),
            loading: HashMap::new(),
            limit,
            wants_lease: false,
            give_up: Vec::new(),
            stop: false,
            error: None,
            reopen: false,
            distrust: false,
            distrust_new: false,
        };
        Self {
            directory,
            codec,
            segment_bytes: (limit / SEGMENT_SHARE).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES),
            ram_bytes,
            desk: Mutex::new(desk),
            wake: Condvar::new(),
            is_writer: watch::Sender::new(false),
            admits: AtomicBool::new(false),
            queued_bytes: AtomicU64::new(0),
            loads_left: Arc::new(Semaphore::new(loads)),
            skipped_newer: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            loads: AtomicU64::new(0),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Desk<H>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, bytes: u64) -> bool {
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        queued == 0 || queued + bytes <= self.ram_bytes / QUEUE_SHARE
    }

    /// An object was found in RAM: one that was not written yet and is whole is offered to the writer.
    pub(crate) fn seen(&self, object: &Arc<Object<H>>) {
        if self.admits.load(Ordering::Relaxed) && object.disk.is_new() && object.whole().is_some() {
            self.offer(object);
        }
    }

    /// An object is about to leave RAM.
    pub(crate) fn leaves(&self, object: &Arc<Object<H>>) {
        self.offer_last(object);
        self.left_unwritten(object);
    }

    /// An object left RAM, or this store is to end. A confirmed head that was not written leaves the one before it on disk,
    /// which is not right any more (RFC 9111 section 4.3.4).
    pub(crate) fn left_unwritten(&self, object: &Object<H>) {
        if object.disk.is_offered() || object.disk.is_gone() || object.disk.place().is_none() {
            return;
        }
        let mut desk = self.lock();
        // Without a writer a removal takes whole segments with it: too much for a head that is only older.
        if desk.error.is_some() && (self.codec.write)(object.head(), &mut Vec::new()) {
            desk.index.remove(hash_of(object.key()), object.disk.place());
        } else {
            self.forget_place(&mut desk, object);
        }
    }

    /// Forgets the head on disk that an object's body was written with.
    pub(crate) fn forget_place(&self, desk: &mut Desk<H>, object: &Object<H>) {
        let place = object.disk.place();
        if !place.is_none() {
            self.forget(desk, hash_of(object.key()), place);
            object.disk.set_place(Place::NONE);
        }
    }

    fn offer_last(&self, object: &Arc<Object<H>>) {
        if !object.disk.may_be_written() || !object.disk.was_used() || object.whole().is_none() {
            return;
        }
        let place = object.disk.place();
        if object.disk.is_offered() {
            if place.is_none() || self.lock().index.mark_used(hash_of(object.key()), place) {
                return;
            }
            // Its segment was the oldest, and is gone.
            object.disk.withdraw_offer();
        }
        self.offer(object);
    }

    /// Queues a whole object; without room it stays as it is.
    fn offer(&self, object: &Arc<Object<H>>) {
        let bytes = object.length().unwrap_or(0);
        if !self.admits.load(Ordering::Relaxed) || !self.has_room(bytes) || !object.disk.offer() {
            return;
        }
        let mut desk = self.lock();
        // Again, now that nobody else changes them.
        if !self.fits(&desk, object) {
            object.disk.set_never();
            self.forget_place(&mut desk, object);
        } else if !self.admits.load(Ordering::Relaxed) || desk.queued_objects >= QUEUE_OBJECTS || !self.has_room(bytes) {
            object.disk.withdraw_offer();
        } else {
            desk.queued_objects += 1;
            self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            desk.queue.push_back(Job::Object(object.clone()));
            drop(desk);
            self.wake.notify_all();
        }
    }

    /// Whether an object is small enough for the disk.
    pub(crate) fn fits(&self, desk: &Desk<H>, object: &Object<H>) -> bool {
        object.length().is_some_and(|length| length <= desk.limit / OBJECT_SHARE)
    }

    /// The next job; an object becomes what the writer is at.
    pub(crate) fn next(&self, desk: &mut Desk<H>) -> Option<Job<H>> {
        let job = desk.queue.pop_front()?;
        match &job {
            Job::Object(object) => {
                desk.queued_objects -= 1;
                self.queued_bytes.fetch_sub(object.length().unwrap_or(0), Ordering::Relaxed);
                desk.writing = Some(object.clone());
            }
            Job::Tombstone { hash, .. } => {
                desk.tombstones -= 1;
                desk.waiting.remove(hash);
            }
        }
        Some(job)
    }

    /// Takes every object off the queue, as if it had not been offered.
    pub(crate) fn drop_objects(&self, desk: &mut Desk<H>) {
        desk.queue.retain(|job| match job {
            Job::Object(object) => {
                object.disk.withdraw_offer();
                false
            }
            Job::Tombstone { .. } => true,
        });
        desk.queued_objects = 0;
        self.queued_bytes.store(0, Ordering::Relaxed);
    }

    /// Takes every removal off the queue: there is nothing left they could be about.
    pub(crate) fn drop_tombstones(&self, desk: &mut Desk<H>) {
        desk.queue.retain(|job| job.object().is_some());
        desk.waiting.clear();
        desk.tombstones = 0;
    }

    /// A new head was put on the body of `before`: the next record of it need not hold the body again.
    pub(crate) fn refreshed(&self, before: &Object<H>, after: &Arc<Object<H>>) {
        let mut desk = self.lock();
        before.disk.set_gone();
        let (hash, place) = (hash_of(after.key()), before.disk.place());
        if place.is_none() {
            return;
        }
        if desk.index.get(hash, place).is_none() {
            // It was copied away a moment ago, or its segment is gone: then nothing of the key is certain.
            self.forget_key(&mut desk, hash);
            return;
        }
        if after.disk.is_gone() {
            self.forget(&mut desk, hash, place);
            return;
        }
        after.disk.set_place(place);
        drop(desk);
        self.offer(after);
    }

    /// An object was replaced for good.
    pub(crate) fn retire(&self, object: &Object<H>) {
        // Under the lock: the writer may be at it, and looks there whether it is gone before it says where it is.
        let mut desk = self.lock();
        object.disk.set_gone();
        let place = object.disk.place();
        if place.is_none() {
            return;
        }
        let hash = hash_of(object.key());
        if !self.forget(&mut desk, hash, place) {
            // It was copied away a moment ago, or its segment is gone: then nothing of the key is certain.
            self.forget_key(&mut desk, hash);
        }
    }

    /// Takes one head off the index, for good.
    pub(crate) fn forget(&self, desk: &mut Desk<H>, hash: u64, place: Place) -> bool {
        let was_there = desk.index.remove(hash, place);
        if was_there {
            self.tombstone(desk, hash, place, Some(place.segment));
        }
        was_there
    }

    /// Takes every head of a key off the index, for good.
    pub(crate) fn forget_key(&self, desk: &mut Desk<H>, hash: u64) {
        let removed = desk.index.remove_where(hash, |_| true);
        if let Some(newest) = removed.iter().max() {
            self.tombstone(desk, hash, Place::NONE, Some(newest.segment));
        }
    }

    /// Queues a tombstone.
    pub(crate) fn tombstone(&self, desk: &mut Desk<H>, hash: u64, target: Place, through: Option<u32>) {
        if desk.tombstones >= TOMBSTONES_MAX {
            desk.index.clear();
            desk.distrust = true;
        } else if !desk.distrust {
            desk.tombstones += 1;
            desk.queue.push_back(Job::Tombstone { hash, target, through });
        }
        self.wake.notify_all();
    }

    /// Keeps the removal of a whole key until there is a lease.
    fn keep_in_mind(&self, desk: &mut Desk<H>, hash: u64, is_known: bool) {
        if desk.distrust || desk.waiting.contains(&hash) {
            return;
        }
        if !is_known && desk.tombstones >= UNKNOWN_MAX {
            desk.distrust_new = true;
        } else {
            desk.waiting.insert(hash);
            self.tombstone(desk, hash, Place::NONE, None);
        }
    }

    /// Removes what the disk and the queue hold of a key, but for heads whose objects stay in RAM. `in_ram` removes there:
    /// it returns what it removed and what stays.
    pub(crate) fn remove(&self, key: &str, unwanted: impl Fn(&H) -> bool, in_ram: impl FnOnce() -> Removed<H>) -> usize {
        let hash = hash_of(key);
        let mut desk = self.lock();
        // Before RAM: one that is put back there was not gone yet.
        let queued = desk.queue.iter().filter_map(Job::object).chain(&desk.writing);
        queued.filter(|object| object.key() == key && unwanted(object.head())).for_each(|object| object.disk.set_gone());
        let Removed { gone, stay } = in_ram();
        gone.iter().for_each(|object| object.disk.set_gone());
        let kept: Vec<Place> = stay.iter().map(|object| object.disk.place()).collect();
        let removed = desk.index.remove_where(hash, |held| !kept.contains(&held.place));
        let newest = removed.iter().map(|place| place.segment).max();
        let queued = desk.queue.iter().filter_map(Job::object).chain(&desk.writing);
        let some_stay = !stay.is_empty() || queued.into_iter().any(|object| object.key() == key && !object.disk.is_gone());
        if !*self.is_writer.borrow() {
            // Who cannot write does not know what the one who can has written meanwhile.
            let is_known = newest.is_some() || gone.iter().any(|object| !object.disk.place().is_none());
            self.keep_in_mind(&mut desk, hash, is_known);
        } else if some_stay {
            removed.iter().for_each(|place| self.tombstone(&mut desk, hash, *place, Some(place.segment)));
        } else if newest.is_some() {
            self.tombstone(&mut desk, hash, Place::NONE, newest);
        }
        let places: Vec<Place> = gone.iter().map(|object| object.disk.place()).collect();
        gone.len() + removed.iter().filter(|place| !places.contains(place)).count()
    }

    /// Whether a queued object has its body at a place.
    pub(crate) fn is_queued_at(&self, desk: &Desk<H>, place: Place) -> bool {
        desk.queue.iter().filter_map(Job::object).chain(&desk.writing).any(|object| object.disk.place() == place)
    }
}

/// What was removed from RAM, and what of the key stays there.
pub(crate) struct Removed<H> {
    pub(crate) gone: Vec<Arc<Object<H>>>,
    pub(crate) stay: Vec<Arc<Object<H>>>,
}

impl<H> Desk<H> {
    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes()).sum()
    }
}
