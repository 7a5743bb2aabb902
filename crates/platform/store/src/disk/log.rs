//! Appending: the one open segment, and the records that go into it.

use super::{
    format::{HEADER_BYTES, Place, TRAILER_BYTES, trailer},
    record::{ENTRY_BYTES, Entry, Prelude, footer, footer_bytes},
    segment::Segment,
};
use std::{io, path::Path, sync::Arc};

/// The open segment and what its footer will say.
pub(crate) struct Log {
    open: Option<Arc<Segment>>,
    entries: Vec<Entry>,
    next: u32,
    segment_bytes: u64,
    unsynced: u64,
}

impl Log {
    /// A log that begins with segment `next`.
    pub(crate) fn new(next: u32, segment_bytes: u64) -> Self {
        Self { open: None, entries: Vec::new(), next, segment_bytes, unsynced: 0 }
    }

    /// The number of the open segment.
    pub(crate) fn open_number(&self) -> Option<u32> {
        self.open.as_ref().map(|segment| segment.number)
    }

    /// Bytes that are not yet durable.
    pub(crate) fn unsynced(&self) -> u64 {
        self.unsynced
    }

    /// Whether a record of so many bytes needs another segment.
    pub(crate) fn is_full_for(&self, bytes: usize) -> bool {
        let Some(open) = &self.open else { return true };
        let footer = footer_bytes(self.entries.len()) + ENTRY_BYTES + TRAILER_BYTES;
        // A record larger than a whole segment has one of its own.
        open.bytes() > HEADER_BYTES as u64 && open.bytes() + bytes as u64 + footer as u64 > self.segment_bytes
    }

    /// Begins the next segment.
    pub(crate) fn begin(&mut self, directory: &Path) -> io::Result<Arc<Segment>> {
        let segment = Arc::new(Segment::create(directory, self.next)?);
        self.next += 1;
        self.entries.clear();
        self.open = Some(segment.clone());
        Ok(segment)
    }

    /// Where the next record will be.
    pub(crate) fn place(&self) -> Option<Place> {
        let open = self.open.as_ref()?;
        Some(Place { segment: open.number, offset: u32::try_from(open.bytes()).expect("a segment is far smaller than 4 GiB") })
    }

    /// Appends a record: `front`, which begins with its prelude, and the bytes of a slice behind it.
    pub(crate) fn append(&mut self, front: &[u8], rest: &[u8]) -> io::Result<Place> {
        let (place, open) = self.place().zip(self.open.as_ref()).expect("a segment is begun before a record is appended");
        open.append(&[front, rest])?;
        self.unsynced += (front.len() + rest.len()) as u64;
        let prelude = Prelude::read(front).expect("a record begins with its prelude");
        self.entries.extend(Entry::of(place, &prelude, front));
        Ok(place)
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Some(open) = &self.open {
            open.sync()?;
        }
        self.unsynced = 0;
        Ok(())
    }

    /// Ends the open segment with its footer, durably.
    pub(crate) fn seal(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.unsynced = 0;
        seal(&open, &std::mem::take(&mut self.entries))
    }

    /// Leaves the open segment as it is: it was removed, or cannot be written.
    pub(crate) fn abandon(&mut self) {
        self.open = None;
        self.entries.clear();
        self.unsynced = 0;
    }
}

/// Ends a segment with a footer.
pub(crate) fn seal(segment: &Segment, entries: &[Entry]) -> io::Result<()> {
    let at = u32::try_from(segment.bytes()).expect("a segment is far smaller than 4 GiB");
    segment.append(&[&footer(entries), &trailer(at)])?;
    segment.sync()?;
    segment.seal();
    Ok(())
}
