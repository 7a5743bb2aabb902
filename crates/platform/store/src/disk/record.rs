//! Records: what a segment is made of between its header and its end.

use super::format::{Cursor, Place, line_bytes};
use crate::SLICE_BYTES;
use weir_model::{FIRST_LEVEL, Line};

/// Bytes every record begins with.
pub(crate) const PRELUDE_BYTES: usize = 24;
/// Bytes of a slice record before those of the body.
pub(crate) const SLICE_FRONT_BYTES: usize = PRELUDE_BYTES + 16;
/// Largest head record: a head of usual size and the places of 120 GB of body.
pub(crate) const HEAD_BYTES_MAX: usize = 1024 * 1024;
/// Largest record but a footer: one slice.
pub(crate) const RECORD_BYTES_MAX: usize = SLICE_FRONT_BYTES + SLICE_BYTES;
/// Bytes of an entry of a footer.
pub(crate) const ENTRY_BYTES: usize = 40;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Up to 1 MiB of a body.
    Slice = 1,
    /// Key, head and the places of the slices: with it the object is there.
    Head = 2,
    /// Something before it is removed.
    Tombstone = 3,
    /// What the segment holds.
    Footer = 4,
}

impl Kind {
    fn of(number: u8) -> Option<Self> {
        [Self::Slice, Self::Head, Self::Tombstone, Self::Footer].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// What every record begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prelude {
    /// CRC-32C of everything after it.
    pub(crate) crc: u32,
    /// Bytes of the whole record.
    pub(crate) length: u32,
    /// `None`: a later line's.
    pub(crate) kind: Option<Kind>,
    /// The oldest line that reads it.
    pub(crate) min_reader: Line,
    /// Of the key it belongs to.
    pub(crate) hash: u64,
}

impl Prelude {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut at = Cursor(bytes);
        let (crc, length) = (at.u32()?, at.u32()?);
        let kind = Kind::of(at.u8()?);
        at.bytes(1)?;
        let min_reader = at.line()?;
        at.bytes(2)?;
        Some(Self { crc, length, kind, min_reader, hash: at.u64()? })
    }

    /// Whether `record`, which begins with this prelude, is whole and undamaged.
    pub(crate) fn covers(&self, record: &[u8]) -> bool {
        record.len() == self.length as usize && record.len() >= PRELUDE_BYTES && crc32c::crc32c(&record[4..]) == self.crc
    }
}

/// Lays a record out: room for the prelude, then its own fields; [`seal`] writes the prelude.
fn begin(capacity: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(PRELUDE_BYTES + capacity);
    record.resize(PRELUDE_BYTES, 0);
    record
}

/// Writes the prelude of a record that goes on with `rest`; `None` when it would be too long to be told.
fn seal(mut record: Vec<u8>, rest: &[u8], kind: Kind, min_reader: Line, hash: u64) -> Option<Vec<u8>> {
    let length = u32::try_from(record.len() + rest.len()).ok()?;
    record[4..8].copy_from_slice(&length.to_le_bytes());
    record[8] = kind as u8;
    record[10..14].copy_from_slice(&line_bytes(min_reader));
    record[16..24].copy_from_slice(&hash.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&record[4..]), rest);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    Some(record)
}

/// A slice record up to the bytes of the body, which follow it. `id` is the place of the body's first slice.
pub(crate) fn slice_front(hash: u64, id: Place, index: u32, body: &[u8]) -> Vec<u8> {
    let mut record = begin(SLICE_FRONT_BYTES - PRELUDE_BYTES);
    record.extend_from_slice(&id.number().to_le_bytes());
    record.extend_from_slice(&index.to_le_bytes());
    record.extend_from_slice(&[0; 4]);
    seal(record, body, Kind::Slice, FIRST_LEVEL, hash).expect("a slice is at most 1 MiB")
}

/// Whether an undamaged slice record is this slice of this body.
pub(crate) fn is_slice(record: &[u8], prelude: &Prelude, hash: u64, id: Place, index: u32) -> bool {
    let mut at = Cursor(&record[PRELUDE_BYTES..]);
    prelude.kind == Some(Kind::Slice) && prelude.hash == hash && at.place() == Some(id) && at.u32() == Some(index)
}

/// A head record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) hash: u64,
    pub(crate) min_reader: Line,
    /// The head it takes the place of.
    pub(crate) replaces: Place,
    /// The place of the body's first slice; none for an empty body.
    pub(crate) id: Place,
    /// Bytes of the body.
    pub(crate) length: u64,
    pub(crate) key: String,
    pub(crate) head: Vec<u8>,
    pub(crate) slices: Vec<Place>,
}

impl Head {
    /// The record; `None` when it would be larger than [`HEAD_BYTES_MAX`].
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let size = PRELUDE_BYTES + 40 + self.key.len() + self.head.len() + 8 * self.slices.len();
        if size > HEAD_BYTES_MAX {
            return None;
        }
        let mut record = begin(size - PRELUDE_BYTES);
        let count = |count: usize| u32::try_from(count).expect("less than the largest record").to_le_bytes();
        record.extend_from_slice(&self.replaces.number().to_le_bytes());
        record.extend_from_slice(&self.id.number().to_le_bytes());
        record.extend_from_slice(&self.length.to_le_bytes());
        record.extend_from_slice(&count(self.key.len()));
        record.extend_from_slice(&count(self.head.len()));
        record.extend_from_slice(&count(self.slices.len()));
        record.extend_from_slice(&[0; 4]);
        record.extend_from_slice(self.key.as_bytes());
        record.extend_from_slice(&self.head);
        self.slices.iter().for_each(|place| record.extend_from_slice(&place.number().to_le_bytes()));
        seal(record, &[], Kind::Head, self.min_reader, self.hash)
    }

    /// Reads an undamaged record; `None` when it is no head or its parts do not agree.
    pub(crate) fn read(prelude: &Prelude, record: &[u8]) -> Option<Self> {
        if prelude.kind != Some(Kind::Head) {
            return None;
        }
        let mut at = Cursor(&record[PRELUDE_BYTES..]);
        let (replaces, id, length) = (at.place()?, at.place()?, at.u64()?);
        let (key, head, slices) = (at.u32()?, at.u32()?, at.u32()?);
        at.bytes(4)?;
        let key = String::from_utf8(at.bytes(key as usize)?.to_vec()).ok()?;
        let head = at.bytes(head as usize)?.to_vec();
        let places = at.bytes(slices as usize * 8)?;
        if u64::from(slices) != length.div_ceil(SLICE_BYTES as u64) {
            return None;
        }
        let slices = places.chunks_exact(8).map(|place| Cursor(place).place()).collect::<Option<_>>()?;
        Some(Self { hash: prelude.hash, min_reader: prelude.min_reader, replaces, id, length, key, head, slices })
    }

    /// The oldest segment it needs, for a head in segment `own`.
    pub(crate) fn first(&self, own: u32) -> u32 {
        self.slices.first().map_or(own, |place| place.segment.min(own))
    }

    /// Bytes of the body in slice `index`.
    pub(crate) fn slice_bytes(&self, index: usize) -> usize {
        let before = index as u64 * SLICE_BYTES as u64;
        usize::try_from(self.length.saturating_sub(before).min(SLICE_BYTES as u64)).expect("at most a slice")
    }
}

/// A tombstone: `target` is the head it removes; none: every head of the key before it.
pub(crate) fn tombstone(hash: u64, target: Place) -> Vec<u8> {
    let mut record = begin(8);
    record.extend_from_slice(&target.number().to_le_bytes());
    seal(record, &[], Kind::Tombstone, FIRST_LEVEL, hash).expect("a few bytes")
}

/// What a record is to the index: an entry of a footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) offset: u32,
    /// Bytes of the record.
    pub(crate) length: u32,
    /// Head, tombstone, or the first slice of a body; `None`: a later line's.
    pub(crate) kind: Option<Kind>,
    pub(crate) min_reader: Line,
    /// Of a head: the oldest segment it needs.
    pub(crate) first: u32,
    /// Of a head: the head it replaces. Of a tombstone: what it removes.
    pub(crate) target: Place,
}

impl Entry {
    /// The entry of an undamaged record at `place`; `None` when the index does not need it.
    pub(crate) fn of(place: Place, prelude: &Prelude, record: &[u8]) -> Option<Self> {
        let entry = |first, target| Self {
            hash: prelude.hash,
            offset: place.offset,
            length: prelude.length,
            kind: prelude.kind,
            min_reader: prelude.min_reader,
            first,
            target,
        };
        let mut at = Cursor(&record[PRELUDE_BYTES..]);
        match prelude.kind? {
            Kind::Slice => {
                at.bytes(8)?;
                (at.u32()? == 0).then(|| entry(place.segment, Place::NONE))
            }
            Kind::Head => Head::read(prelude, record).map(|head| entry(head.first(place.segment), head.replaces)),
            Kind::Tombstone => Some(entry(0, at.place()?)),
            Kind::Footer => None,
        }
    }

    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.offset.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16] = self.kind.map_or(0, |kind| kind as u8);
        bytes[18..22].copy_from_slice(&line_bytes(self.min_reader));
        bytes[24..28].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..].copy_from_slice(&self.target.number().to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut at = Cursor(bytes);
        let (hash, offset, length, kind) = (at.u64()?, at.u32()?, at.u32()?, Kind::of(at.u8()?));
        at.bytes(1)?;
        let min_reader = at.line()?;
        at.bytes(2)?;
        let first = at.u32()?;
        at.bytes(4)?;
        Some(Self { hash, offset, length, kind, min_reader, first, target: at.place()? })
    }
}

/// Bytes of a footer of so many entries.
pub(crate) fn footer_bytes(entries: usize) -> usize {
    PRELUDE_BYTES + entries * ENTRY_BYTES
}

/// A footer.
pub(crate) fn footer(entries: &[Entry]) -> Vec<u8> {
    let mut record = begin(entries.len() * ENTRY_BYTES);
    entries.iter().for_each(|entry| record.extend_from_slice(&entry.to_bytes()));
    seal(record, &[], Kind::Footer, FIRST_LEVEL, 0).expect("a footer is smaller than its segment")
}

/// The entries of an undamaged footer for a reader of line `reader`.
pub(crate) fn read_footer(prelude: &Prelude, record: &[u8], reader: Line) -> Option<Vec<Entry>> {
    let entries = record[PRELUDE_BYTES..].chunks_exact(ENTRY_BYTES);
    let is_ours = prelude.kind == Some(Kind::Footer) && prelude.min_reader <= reader && entries.remainder().is_empty();
    if is_ours { entries.map(Entry::read).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            hash: 5,
            min_reader: Line::new(1, 1),
            replaces: Place { segment: 2, offset: 40 },
            id: Place { segment: 2, offset: 72 },
            length: SLICE_BYTES as u64 + 3,
            key: "k\u{e9}y".into(),
            head: vec![1, 2, 3],
            slices: vec![Place { segment: 2, offset: 72 }, Place { segment: 3, offset: 32 }],
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let bytes = head().to_bytes().expect("small");
        let prelude = Prelude::read(&bytes).expect("prelude");
        assert!(prelude.covers(&bytes));
        assert_eq!(Head::read(&prelude, &bytes), Some(head()));
        let entry = Entry::of(Place { segment: 3, offset: 900 }, &prelude, &bytes).expect("entry");
        assert_eq!((entry.first, entry.target, entry.min_reader), (2, head().replaces, Line::new(1, 1)));
        assert_eq!((head().slice_bytes(0), head().slice_bytes(1)), (SLICE_BYTES, 3));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bytes in [head().to_bytes().expect("small"), tombstone(7, Place { segment: 1, offset: 32 })] {
            for at in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[at / 8] ^= 1 << (at % 8);
                assert!(!Prelude::read(&bytes).is_some_and(|prelude| prelude.covers(&bytes)), "bit {at}");
            }
        }
    }

    #[test]
    fn a_footer_is_read_as_it_was_written_by_lines_that_may() {
        let bytes = head().to_bytes().expect("small");
        let entry = Entry::of(Place { segment: 3, offset: 900 }, &Prelude::read(&bytes).expect("prelude"), &bytes).expect("entry");
        let footer = footer(&[entry, entry]);
        assert_eq!(footer.len(), footer_bytes(2));
        let prelude = Prelude::read(&footer).expect("prelude");
        assert!(prelude.covers(&footer));
        assert_eq!(read_footer(&prelude, &footer, Line::new(1, 0)), Some(vec![entry, entry]));
        assert_eq!(read_footer(&prelude, &footer, Line::new(0, 9)), None);
    }

    #[test]
    fn parts_that_do_not_agree_are_no_head() {
        let mut wrong = head();
        wrong.length += SLICE_BYTES as u64;
        let bytes = wrong.to_bytes().expect("small");
        assert_eq!(Head::read(&Prelude::read(&bytes).expect("prelude"), &bytes), None);
        assert!(Head { head: vec![0; HEAD_BYTES_MAX], ..head() }.to_bytes().is_none());
    }
}
