//! The writer: the one thread that writes to the disk tier, while its store has the lease.

use super::{
    desk::{Desk, Disk, GiveUp, Job},
    format::Place,
    hash_of,
    lease::Lease,
    log::Log,
    record::{HEAD_BYTES_MAX, Head, SLICE_FRONT_BYTES, slice_front, tombstone},
    table::Held,
};
use crate::{object::Object, store::Inner};
use bytes::Bytes;
use std::{
    collections::HashSet,
    hash::BuildHasher,
    io,
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

/// Between two attempts to take a lease that another store holds: it tells nobody when it lets go.
const LEASE_EVERY: Duration = Duration::from_millis(50);
/// Between two attempts to take a lease or read a directory after an error.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// What is written is durable after this time, removals included.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// What is written in one go is made durable in portions of this size, so that the last one does not take long.
const SYNC_BYTES: u64 = 32 * 1024 * 1024;

/// What the writer does next.
enum Turn<H> {
    Stop,
    GiveUp(Vec<GiveUp>),
    Take,
    Reopen,
    Distrust,
    Sync,
    Write(Job<H>),
}

pub(crate) struct Writer<H> {
    pub(crate) disk: Arc<Disk<H>>,
    pub(crate) ram: Weak<Inner<H>>,
    pub(crate) log: Log,
    pub(crate) lease: Option<Lease>,
    /// What tells this store from others in the lease.
    mark: u64,
    had_lease: bool,
    /// Others had the lease since what is in RAM was last held against the disk.
    others_wrote: bool,
    take_at: Instant,
    /// When the lease is to be given up: what is not written by then is not.
    deadline: Option<Instant>,
    sync_at: Option<Instant>,
    /// Bytes copied into the open segment.
    pub(crate) copied: u64,
}

impl<H> Writer<H> {
    pub(crate) fn new(disk: Arc<Disk<H>>, ram: Weak<Inner<H>>) -> Self {
        let log = Log::new(1, disk.segment_bytes);
        Self {
            disk,
            ram,
            log,
            lease: None,
            mark: std::hash::RandomState::new().hash_one(std::process::id()),
            had_lease: false,
            others_wrote: false,
            take_at: weir_clock::monotonic(),
            deadline: None,
            sync_at: None,
            copied: 0,
        }
    }

    pub(crate) fn run(mut self) {
        loop {
            match self.wait() {
                Turn::Stop => break,
                Turn::GiveUp(asked) => self.give_up(asked),
                Turn::Take => self.take(),
                Turn::Reopen => self.reopen(),
                Turn::Distrust => self.drop_all(),
                Turn::Sync => self.sync(),
                Turn::Write(job) => self.write(job),
            }
        }
        self.write_removals();
        self.let_go();
    }

    fn wait(&mut self) -> Turn<H> {
        let disk = self.disk.clone();
        let mut desk = disk.lock();
        loop {
            let now = weir_clock::monotonic();
            if let Some(turn) = self.turn(&mut desk, now) {
                return turn;
            }
            let take_at = (self.lease.is_none() && desk.wants_lease).then_some(self.take_at);
            let until = [take_at, self.sync_at].into_iter().flatten().min();
            desk = match until {
                Some(until) => {
                    let wait = until.saturating_duration_since(now);
                    disk.wake.wait_timeout(desk, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => disk.wake.wait(desk).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn turn(&self, desk: &mut Desk<H>, now: Instant) -> Option<Turn<H>> {
        if desk.stop {
            return Some(Turn::Stop);
        }
        if !desk.give_up.is_empty() {
            return Some(Turn::GiveUp(std::mem::take(&mut desk.give_up)));
        }
        if self.lease.is_none() {
            return (desk.wants_lease && now >= self.take_at).then_some(Turn::Take);
        }
        if std::mem::take(&mut desk.reopen) {
            return Some(Turn::Reopen);
        }
        if desk.distrust {
            return Some(Turn::Distrust);
        }
        if self.sync_at.is_some_and(|at| now >= at) {
            return Some(Turn::Sync);
        }
        self.disk.next(desk).map(Turn::Write)
    }

    fn take(&mut self) {
        let taken = Lease::take(&self.disk.directory, self.mark).and_then(|lease| {
            let Some(lease) = lease else { return Ok(None) };
            self.others_wrote |= lease.before != Some(self.mark);
            self.open_log().map(|()| Some(lease))
        });
        let now = weir_clock::monotonic();
        match taken {
            Ok(Some(lease)) => {
                self.lease = Some(lease);
                self.had_lease = true;
                self.admit();
            }
            Ok(None) => self.take_at = now + LEASE_EVERY,
            Err(error) => {
                self.take_at = now + RETRY_EVERY;
                self.fail("take up the directory", &error);
            }
        }
    }

    fn reopen(&mut self) {
        match self.open_log() {
            Ok(()) => self.admit(),
            Err(error) => self.fail("take up the directory", &error),
        }
    }

    fn open_log(&mut self) -> io::Result<()> {
        let ram = self.ram.upgrade().filter(|_| self.others_wrote);
        self.disk.look_again(|desk, tombstones| {
            // Borrowed: the last handle of a store must not end under the lock.
            if let Some(ram) = &ram {
                let gone = ram.retain(|object| is_right(desk, tombstones, self.had_lease, object));
                tracing::info!(gone, "another store wrote meanwhile: what it may have removed leaves memory");
            }
        })?;
        self.others_wrote = false;
        self.log = Log::new(self.disk.seal_left_open()?, self.disk.segment_bytes);
        Ok(())
    }

    fn admit(&self) {
        let mut desk = self.disk.lock();
        desk.error = None;
        desk.distrust_new = false;
        self.disk.admits.store(desk.limit >= 2 * self.disk.segment_bytes, Ordering::Relaxed);
        drop(desk);
        self.disk.is_writer.send_replace(true);
    }

    /// Nothing is written from now on; what is there is still read.
    fn fail(&mut self, what: &str, error: &io::Error) {
        tracing::warn!(what, error = %error, directory = %self.disk.directory.display(), "content is not written to disk");
        self.disk.admits.store(false, Ordering::Relaxed);
        let mut desk = self.disk.lock();
        desk.error = Some(format!("cannot {what}: {error}"));
        self.disk.drop_objects(&mut desk);
        drop(desk);
        self.log.abandon();
        self.sync_at = None;
    }

    fn has_failed(&self) -> bool {
        self.disk.lock().error.is_some()
    }

    fn sync(&mut self) {
        self.sync_at = None;
        if let Err(error) = self.log.sync() {
            self.fail("sync a segment", &error);
        }
    }

    fn write(&mut self, job: Job<H>) {
        match job {
            Job::Object(object) => self.write_object(&object),
            Job::Tombstone { hash, target, through } => self.write_removal(hash, target, through),
        }
        if self.sync_at.is_none() && self.log.unsynced() > 0 {
            self.sync_at = Some(weir_clock::monotonic() + SYNC_EVERY);
        }
    }

    /// Writes the tombstones of the queue.
    fn write_removals(&mut self) {
        self.disk.admits.store(false, Ordering::Relaxed);
        let disk = self.disk.clone();
        disk.drop_objects(&mut disk.lock());
        while self.lease.is_some() {
            let Some(job) = disk.next(&mut disk.lock()) else { return };
            self.write(job);
        }
    }

    /// A removal that cannot be written takes what it removes with it, and everything before that: a tombstone among
    /// it may be all that keeps something older from coming back.
    fn write_removal(&mut self, hash: u64, target: Place, through: Option<u32>) {
        if self.has_failed() {
            self.disk.drop_through(through);
        } else if let Err(error) = self.append(&tombstone(hash, target), &[]) {
            self.fail("write a removal", &error);
            self.disk.drop_through(through);
        }
    }

    fn write_object(&mut self, object: &Arc<Object<H>>) {
        let hash = hash_of(object.key());
        let written = self.append_object(hash, object);
        let before = object.disk.place();
        let mut desk = self.disk.lock();
        desk.writing = None;
        match written {
            // What it was before it was confirmed is not right any more (RFC 9111 section 4.3.4).
            Ok(None) if !object.disk.is_gone() => {
                // There was no time: another attempt may follow.
                object.disk.withdraw_offer();
                self.disk.forget_place(&mut desk, object);
            }
            Ok(None) => {}
            Ok(Some(held)) => {
                let is_there = desk.segments.contains_key(&held.first) && desk.segments.contains_key(&held.place.segment);
                if object.disk.is_gone() || !is_there {
                    self.disk.tombstone(&mut desk, hash, held.place, Some(held.place.segment));
                } else {
                    if !before.is_none() {
                        desk.index.remove(hash, before);
                    }
                    desk.index.insert(hash, held);
                    object.disk.set_written(held.place);
                    self.disk.writes.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) => {
                object.disk.withdraw_offer();
                drop(desk);
                self.fail("write an object", &error);
            }
        }
    }

    /// Appends an object, or a new head of one whose body is there; `None` when it is not for the disk.
    fn append_object(&mut self, hash: u64, object: &Object<H>) -> io::Result<Option<Held>> {
        let Some(slices) = object.whole().filter(|_| object.disk.may_be_written()) else { return Ok(None) };
        let mut head = Vec::new();
        let is_durable = (self.disk.codec.write)(object.head(), &mut head);
        if !is_durable || head.len() + object.key().len() + 8 * slices.len() + 64 > HEAD_BYTES_MAX {
            object.disk.set_never();
            return Ok(None);
        }
        let replaces = object.disk.place();
        let (id, places) = match self.body_at(hash, replaces) {
            Some(before) => (before.id, before.slices),
            None => match self.append_slices(hash, slices)? {
                Some(appended) => appended,
                None => return Ok(None),
            },
        };
        let head = Head {
            hash,
            min_reader: (self.disk.codec.min_reader)(object.head()),
            replaces,
            id,
            length: slices.iter().map(|slice| slice.len() as u64).sum(),
            key: object.key().into(),
            head,
            slices: places,
        };
        let Some(record) = head.to_bytes() else {
            object.disk.set_never();
            return Ok(None);
        };
        let place = self.append(&record, &[])?;
        let length = u32::try_from(record.len()).expect("a head record is at most 1 MiB");
        Ok(Some(Held { place, first: head.first(place.segment), length, used: false }))
    }

    /// The head at a place whose body the new one shares, if all of it is still there.
    fn body_at(&self, hash: u64, place: Place) -> Option<Head> {
        let desk = self.disk.lock();
        let held = desk.index.get(hash, place)?;
        let segment = desk.segments.get(&place.segment)?.clone();
        drop(desk);
        let record = segment.record(place.offset, Some(held.length)).ok()?;
        let head = Head::read(&record.prelude, &record.bytes)?;
        let desk = self.disk.lock();
        head.slices.iter().all(|slice| desk.segments.contains_key(&slice.segment)).then_some(head)
    }

    /// Appends a body; `None` when there is no time for all of it.
    fn append_slices(&mut self, hash: u64, slices: &[Bytes]) -> io::Result<Option<(Place, Vec<Place>)>> {
        let mut places: Vec<Place> = Vec::with_capacity(slices.len());
        for (index, slice) in slices.iter().enumerate() {
            if self.is_late() {
                return Ok(None);
            }
            self.room(SLICE_FRONT_BYTES + slice.len())?;
            let place = self.log.place().expect("there is room in a segment");
            let id = places.first().copied().unwrap_or(place);
            let index = u32::try_from(index).expect("fewer slices than a head record can name");
            places.push(self.log.append(&slice_front(hash, id, index, slice), slice)?);
        }
        Ok(Some((places.first().copied().unwrap_or(Place::NONE), places)))
    }

    fn append(&mut self, front: &[u8], rest: &[u8]) -> io::Result<Place> {
        self.room(front.len() + rest.len())?;
        self.log.append(front, rest)
    }

    /// Sees to an open segment with room for so many bytes.
    fn room(&mut self, bytes: usize) -> io::Result<()> {
        let was_removed = |number: &u32| !self.disk.lock().segments.contains_key(number);
        if self.log.open_number().is_some_and(|number| was_removed(&number)) {
            self.log.abandon();
        }
        if !self.log.is_full_for(bytes) {
            return Ok(());
        }
        self.log.seal()?;
        let segment = self.log.begin(&self.disk.directory)?;
        self.disk.lock().segments.insert(segment.number, segment);
        self.copied = 0;
        self.reclaim()
    }

    fn give_up(&mut self, asked: Vec<GiveUp>) {
        if self.lease.is_some() {
            self.disk.admits.store(false, Ordering::Relaxed);
            self.deadline = asked.iter().map(|asked| asked.deadline).min();
            self.write_queue();
            self.write_ram();
            self.deadline = None;
            self.write_removals();
            self.let_go();
        }
        for asked in asked {
            // Who asked may have stopped waiting.
            asked.done.send(()).ok();
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| weir_clock::monotonic() >= deadline)
    }

    fn write_queue(&mut self) {
        while !self.is_late() {
            let Some(job) = self.disk.next(&mut self.disk.lock()) else { return };
            self.write(job);
        }
    }

    /// Writes what is whole in RAM and not on disk, those used most first.
    fn write_ram(&mut self) {
        let Some(objects) = self.ram.upgrade().map(|ram| ram.whole()) else { return };
        for object in objects {
            let Some(object) = object.upgrade() else { continue };
            if self.is_late() || self.has_failed() {
                self.disk.left_unwritten(&object);
                continue;
            }
            if self.log.unsynced() >= SYNC_BYTES {
                self.sync();
            }
            let mut desk = self.disk.lock();
            let place = object.disk.place();
            let is_there = object.disk.is_offered() && desk.index.get(hash_of(object.key()), place).is_some();
            if !is_there && object.disk.may_be_written() && self.disk.fits(&desk, &object) {
                object.disk.offer();
                desk.writing = Some(object.clone());
                drop(desk);
                self.write(Job::Object(object));
            }
        }
    }

    /// Ends the open segment and lets another store write.
    fn let_go(&mut self) {
        if self.lease.is_none() {
            return;
        }
        if let Err(error) = self.log.seal() {
            self.fail("end a segment", &error);
        }
        self.sync_at = None;
        self.lease = None;
        self.disk.is_writer.send_replace(false);
    }

    /// Removes everything: what was removed could not be told any more.
    fn drop_all(&mut self) {
        tracing::warn!(directory = %self.disk.directory.display(), "too much was removed at once: the disk is emptied");
        self.log.abandon();
        self.disk.drop_through(None);
        let mut desk = self.disk.lock();
        self.disk.drop_tombstones(&mut desk);
        desk.distrust = false;
    }
}

/// Whether an object in RAM is still right after others wrote. What has a place is where it was. What has none may have
/// been removed by a store that knew nothing of it, and told nobody: it stays in a store that never had the lease, unless
/// something of its key was removed.
fn is_right<H>(desk: &Desk<H>, tombstones: &HashSet<u64>, had_lease: bool, object: &Object<H>) -> bool {
    let place = object.disk.place();
    if place.is_none() {
        return !had_lease && (tombstones.is_empty() || !tombstones.contains(&hash_of(object.key())));
    }
    desk.index.get(hash_of(object.key()), place).is_some()
}
