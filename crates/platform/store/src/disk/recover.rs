//! What is in a directory: the index made from its segments, at the start and when the lease is taken.
//!
//! Segments are read from the oldest on, each entry undoing what it replaces or removes. Where something is missing,
//! damaged or unreadable in between, nothing before it is served: it may have been removed there.

use super::{
    desk::{Desk, Disk, Job},
    log,
    segment::{Contents, Segment, numbers},
};
use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, atomic::Ordering},
};

/// A segment of the directory, and what is in it unless that is known already.
struct Found {
    segment: Arc<Segment>,
    contents: Option<Contents>,
}

impl<H> Disk<H> {
    /// Takes up what the directory holds now and did not when this was last called.
    pub(crate) fn recover(&self) -> io::Result<()> {
        let found = self.survey()?;
        let mut desk = self.lock();
        self.adopt(&mut desk, found);
        Ok(())
    }

    fn survey(&self) -> io::Result<Vec<Found>> {
        let known = self.lock().segments.clone();
        let mut found = Vec::new();
        for number in numbers(&self.directory)? {
            let segment = match Segment::open(&self.directory, number, self.codec.reader) {
                Ok(segment) => segment,
                // Its writer removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match known.get(&number).filter(|known| known.is(&segment)) {
                Some(known) if known.is_sealed() || !known.is_readable() => found.push(Found { segment: known.clone(), contents: None }),
                _ => {
                    let contents = segment.contents(self.codec.reader)?;
                    found.push(Found { segment: Arc::new(segment), contents: Some(contents) });
                }
            }
        }
        Ok(found)
    }

    fn adopt(&self, desk: &mut Desk<H>, found: Vec<Found>) {
        let there: BTreeSet<u32> = found.iter().map(|found| found.segment.number).collect();
        desk.index.retain(|held| there.contains(&held.place.segment) && there.contains(&held.first));
        let newest = there.last().copied();
        let mut before = None;
        desk.segments.clear();
        for Found { segment, contents } in found {
            let number = segment.number;
            if before.is_some_and(|before| before + 1 != number) {
                desk.index.retain(|held| held.place.segment >= number);
            }
            before = Some(number);
            for entry in contents.iter().flat_map(|contents| &contents.entries) {
                if desk.index.apply(number, entry, self.codec.reader) {
                    self.skipped_newer.fetch_add(1, Ordering::Relaxed);
                }
            }
            // The newest may end anywhere: there its writer is, or was when it ended.
            let is_whole = segment.is_readable() && !contents.as_ref().is_some_and(|contents| contents.cut);
            if !is_whole && (Some(number) != newest || segment.is_foreign()) {
                desk.index.retain(|held| held.place.segment > number);
                self.corrupt.fetch_add(u64::from(contents.is_some() && !segment.is_foreign()), Ordering::Relaxed);
            }
            desk.segments.insert(number, segment);
        }
        // What was removed here since, and is not written yet.
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
                log::seal(segment, &contents.entries)?;
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
