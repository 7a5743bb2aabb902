//! Freeing the oldest segment; what was read since it was written is copied to the newest first.

use super::{
    desk::Disk,
    record::{Head, SLICE_FRONT_BYTES, is_slice, slice_front},
    segment::{ReadError, Segment},
    table::Held,
    writer::Writer,
};
use std::{
    collections::HashSet,
    fs, io,
    sync::{Arc, atomic::Ordering},
};

/// Of each segment this share may be copies (1/2), so that one is always freed for what is new.
const COPY_SHARE: u64 = 2;

impl<H> Writer<H> {
    /// Removes the oldest segments until the open one fits below the limit when it is full.
    pub(crate) fn reclaim(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.oldest_to_go() {
            let hashes = self.copy_used(&oldest)?;
            // First: a file that stays while nothing is known of it would be taken up again, without what was removed since.
            oldest.remove()?;
            let mut desk = self.disk.lock();
            match hashes {
                Some(hashes) => hashes.into_iter().for_each(|hash| {
                    desk.index.remove_where(hash, |held| held.first <= oldest.number);
                }),
                None => desk.index.retain(|held| held.first > oldest.number),
            }
            desk.segments.remove(&oldest.number);
        }
        Ok(())
    }

    fn oldest_to_go(&self) -> Option<Arc<Segment>> {
        let desk = self.disk.lock();
        let (number, oldest) = desk.segments.first_key_value()?;
        let others: u64 = desk.segments.values().filter(|s| Some(s.number) != self.log.open_number()).map(|s| s.bytes()).sum();
        let needed = others + self.disk.segment_bytes + self.disk.segment_bytes / COPY_SHARE;
        (Some(*number) != self.log.open_number() && needed > desk.limit).then(|| oldest.clone())
    }

    /// Copies what was used of a segment; returns the hashes of what is in it, unless that cannot be read.
    fn copy_used(&mut self, oldest: &Segment) -> io::Result<Option<HashSet<u64>>> {
        let Some(contents) = oldest.contents(self.disk.codec.reader).ok().filter(|contents| !contents.cut) else { return Ok(None) };
        let hashes: HashSet<u64> = contents.entries.iter().map(|entry| entry.hash).collect();
        for hash in &hashes {
            let used = self.disk.lock().index.of(*hash);
            for held in used.iter().filter(|held| held.used && held.first <= oldest.number) {
                self.copy(*hash, *held)?;
            }
        }
        Ok(Some(hashes))
    }

    /// Copies an object unless it is in RAM, from where it will be written again, or there is no room.
    fn copy(&mut self, hash: u64, held: Held) -> io::Result<()> {
        let Ok(head) = self.disk.head(hash, &held) else { return Ok(()) };
        let ram = self.ram.upgrade();
        let in_ram = |head: &Head| ram.as_ref().is_some_and(|ram| ram.holds(&head.key, held.place));
        let bytes = head.length + u64::from(held.length);
        if in_ram(&head) || self.copied + bytes > self.disk.segment_bytes / COPY_SHARE {
            return Ok(());
        }
        let mut slices = Vec::with_capacity(head.slices.len());
        for index in 0..head.slices.len() {
            let Ok(record) = self.disk.slice(&head, index) else { return Ok(()) };
            let body = &record[SLICE_FRONT_BYTES..];
            let Some(place) = self.log.place().filter(|_| !self.log.is_full_for(record.len())) else { return Ok(()) };
            let id = slices.first().copied().unwrap_or(place);
            let index = u32::try_from(index).expect("fewer slices than a head record can name");
            slices.push(self.log.append(&slice_front(hash, id, index, body), body)?);
            self.copied += record.len() as u64;
        }
        let id = slices.first().copied().unwrap_or(head.id);
        let copy = Head { replaces: held.place, id, slices, ..head };
        let Some(record) = copy.to_bytes().filter(|record| !self.log.is_full_for(record.len())) else { return Ok(()) };
        let place = self.log.append(&record, &[])?;
        self.copied += record.len() as u64;
        let mut desk = self.disk.lock();
        if desk.index.get(hash, held.place).is_some() && !in_ram(&copy) && !self.disk.is_queued_at(&desk, held.place) {
            desk.index.remove(hash, held.place);
            desk.index.insert(hash, Held { place, first: copy.first(place.segment), used: false, ..held });
        } else {
            // It was removed or came back to RAM meanwhile, which knows only of the old place.
            self.disk.tombstone(&mut desk, hash, place, Some(place.segment));
        }
        drop(desk);
        Ok(())
    }
}

impl<H> Disk<H> {
    /// Reads the head of an object.
    pub(crate) fn head(&self, hash: u64, held: &Held) -> Result<Head, ReadError> {
        let segment = self.lock().segments.get(&held.place.segment).cloned().ok_or(ReadError::Gone)?;
        let record = segment.record(held.place.offset, Some(held.length))?;
        Head::read(&record.prelude, &record.bytes).filter(|head| head.hash == hash).ok_or(ReadError::Damaged)
    }

    /// Reads a slice: the whole record, the bytes of the body from [`SLICE_FRONT_BYTES`] on.
    pub(crate) fn slice(&self, head: &Head, index: usize) -> Result<Vec<u8>, ReadError> {
        let place = head.slices[index];
        let segment = self.lock().segments.get(&place.segment).cloned().ok_or(ReadError::Gone)?;
        let length = u32::try_from(SLICE_FRONT_BYTES + head.slice_bytes(index)).expect("a slice is at most 1 MiB");
        let record = segment.record(place.offset, Some(length))?;
        let index = u32::try_from(index).expect("fewer slices than a head record can name");
        let is_it = is_slice(&record.bytes, &record.prelude, head.hash, head.id, index);
        if is_it { Ok(record.bytes) } else { Err(ReadError::Damaged) }
    }

    /// Removes every segment up to `last`, or all of them; returns the bytes that this freed.
    pub(crate) fn drop_through(&self, last: Option<u32>) -> u64 {
        let mut desk = self.lock();
        let last = last.unwrap_or(u32::MAX);
        let kept = desk.segments.split_off(&last.saturating_add(1));
        let gone = std::mem::replace(&mut desk.segments, kept);
        desk.index.retain(|held| held.first > last && held.place.segment > last);
        drop(desk);
        let mut freed = 0;
        for (number, segment) in gone {
            match segment.remove() {
                Ok(()) => freed += segment.bytes(),
                Err(error) => {
                    tracing::warn!(segment = number, error = %error, "a segment cannot be removed");
                    // Known, so that its heads are not taken up again; and its bytes count.
                    segment.seal();
                    self.lock().segments.insert(number, segment);
                }
            }
        }
        if let Err(error) = fs::File::open(&self.directory).and_then(|directory| directory.sync_all()) {
            tracing::warn!(error = %error, "the removal of segments is not durable");
        }
        freed
    }

    /// Removes the oldest segments until `bytes` are free; returns the bytes of those removed.
    pub(crate) fn free(&self, bytes: u64) -> u64 {
        let (mut found, mut last) = (0, None);
        for segment in self.lock().segments.values() {
            if found >= bytes {
                break;
            }
            found += segment.bytes();
            last = Some(segment.number);
        }
        if last.is_none() {
            return 0;
        }
        let freed = self.drop_through(last);
        let mut desk = self.lock();
        desk.limit = desk.limit.saturating_sub(freed);
        if desk.limit < 2 * self.segment_bytes {
            self.admits.store(false, Ordering::Relaxed);
        }
        freed
    }
}
