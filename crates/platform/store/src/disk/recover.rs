//! What is in a directory: the index made from its segments, at the start and when the lease is taken.
//!
//! Segments are read from the oldest on, each entry undoing what it replaces or removes. Where something is missing,
//! damaged or unreadable in between, nothing before it is served: it may have been removed there.

use super::{
    desk::{Desk, Disk, Job},
    format::Place,
    log,
    record::Kind,
    segment::{Contents, Segment, numbers},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    sync::{Arc, atomic::Ordering},
};

/// A segment of the directory, and what is in it unless that is known already.
struct Found {
    segment: Arc<Segment>,
    contents: Option<Contents>,
}

/// The directory as it was listed, taken up segment by segment.
struct Adoption {
    newest: Option<u32>,
    before: Option<u32>,
}

impl<H> Disk<H> {
    /// Takes up what a directory holds that nobody has looked into: what is read of it need not be kept until all is.
    pub(crate) fn recover(&self) -> io::Result<()> {
        let there = numbers(&self.directory)?;
        let mut adoption = Adoption { newest: there.last().copied(), before: None };
        for number in there {
            if let Some(found) = self.find_segment(number, &BTreeMap::new())? {
                self.adopt(&mut adoption, &mut self.lock(), found);
            }
        }
        self.adopted(&mut self.lock());
        Ok(())
    }

    /// Takes up what the directory holds now and did not when it was last looked into, all at once: nobody sees what is
    /// removed further on. `seen` is told the hashes of which something was removed in what was read, before anybody else
    /// sees any of it.
    pub(crate) fn look_again(&self, seen: impl FnOnce(&Desk<H>, &HashSet<u64>)) -> io::Result<()> {
        let there = numbers(&self.directory)?;
        let known = self.lock().segments.clone();
        let found = there.iter().filter_map(|number| self.find_segment(*number, &known).transpose()).collect::<io::Result<Vec<_>>>()?;
        let mut adoption = Adoption { newest: there.last().copied(), before: None };
        let there: BTreeSet<u32> = there.into_iter().collect();
        let entries = found.iter().filter_map(|found| found.contents.as_ref()).flat_map(|contents| &contents.entries);
        let tombstones = entries.filter(|entry| entry.kind == Some(Kind::Tombstone)).map(|entry| entry.hash).collect();
        let mut desk = self.lock();
        desk.index.retain(|held| there.contains(&held.place.segment) && there.contains(&held.first));
        desk.segments.clear();
        found.into_iter().for_each(|found| self.adopt(&mut adoption, &mut desk, found));
        self.adopted(&mut desk);
        seen(&desk, &tombstones);
        Ok(())
    }

    /// `None`: its writer removed it meanwhile.
    fn find_segment(&self, number: u32, known: &BTreeMap<u32, Arc<Segment>>) -> io::Result<Option<Found>> {
        let segment = match Segment::open(&self.directory, number, self.codec.reader) {
            Ok(segment) => segment,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(known) = known.get(&number).filter(|known| known.is(&segment) && (known.is_sealed() || !known.is_readable())) {
            return Ok(Some(Found { segment: known.clone(), contents: None }));
        }
        let mut contents = segment.contents(self.codec.reader)?;
        contents.entries.retain(|entry| entry.kind != Some(Kind::Slice));
        contents.entries.shrink_to_fit();
        Ok(Some(Found { segment: Arc::new(segment), contents: Some(contents) }))
    }

    fn adopt(&self, adoption: &mut Adoption, desk: &mut Desk<H>, Found { segment, contents }: Found) {
        let number = segment.number;
        if adoption.before.is_some_and(|before| before + 1 != number) {
            desk.index.retain(|held| held.place.segment >= number);
        }
        adoption.before = Some(number);
        for entry in contents.iter().flat_map(|contents| &contents.entries) {
            let place = Place { segment: number, offset: entry.offset };
            let is_distrusted = desk.distrust_new && entry.kind == Some(Kind::Head) && desk.index.get(entry.hash, place).is_none();
            if desk.index.apply(number, entry, self.codec.reader) {
                self.skipped_newer.fetch_add(1, Ordering::Relaxed);
            }
            if is_distrusted {
                self.forget(desk, entry.hash, place);
            }
        }
        // The newest may end anywhere: there its writer is, or was when it ended.
        let is_whole = segment.is_readable() && !contents.as_ref().is_some_and(|contents| contents.cut);
        if !is_whole && (Some(number) != adoption.newest || segment.is_foreign()) {
            desk.index.retain(|held| held.place.segment > number);
            self.corrupt.fetch_add(u64::from(contents.is_some() && !segment.is_foreign()), Ordering::Relaxed);
        }
        desk.segments.insert(number, segment);
    }

    /// All is taken up: what was removed here and is not written yet is removed again, and what is not whole goes.
    fn adopted(&self, desk: &mut Desk<H>) {
        let pending: Vec<_> = desk.queue.iter().filter_map(Job::tombstone).collect();
        for (hash, target) in pending {
            desk.index.remove_where(hash, |held| target.is_none() || held.place == target);
        }
        if desk.distrust {
            desk.index.clear();
        }
        let segments = &desk.segments;
        desk.index.retain(|held| segments.contains_key(&held.first));
    }

    /// Ends the segments that were left open, cut off behind their last whole record, with a footer; returns the number the
    /// next segment has. Only for who has the lease.
    pub(crate) fn seal_left_open(&self) -> io::Result<u32> {
        let segments: Vec<_> = self.lock().segments.values().cloned().collect();
        for segment in segments.iter().filter(|segment| segment.is_readable() && !segment.is_sealed()) {
            let contents = segment.contents(self.codec.reader)?;
            if !segment.is_sealed() {
                segment.cut(contents.end)?;
                if let Err(error) = log::seal(segment, &contents.entries) {
                    // A full disk has no room for a footer. Without one it is read record by record, and is as good.
                    tracing::warn!(segment = segment.number, error = %error, "a segment stays without a footer");
                    segment.cut(contents.end)?;
                    segment.seal();
                }
            }
        }
        let Some(newest) = segments.last() else { return Ok(1) };
        if newest.is_readable() || newest.is_foreign() {
            return Ok(newest.number + 1);
        }
        // It was begun and nothing is in it: it is begun again, so that no number is missing.
        newest.remove()?;
        self.lock().segments.remove(&newest.number);
        Ok(newest.number)
    }
}
