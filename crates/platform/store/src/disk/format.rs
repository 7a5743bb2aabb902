//! The fixed parts of a segment file, to the byte: docs/protocols/store.md, format 1. Everything is little-endian.

use std::fmt;
use weir_model::{FIRST_LEVEL, Line};

/// The format of segments this build writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 32;
/// Bytes of a sealed segment's end.
pub(crate) const TRAILER_BYTES: usize = 16;

const SEGMENT_MAGIC: [u8; 8] = *b"WeirSeg\0";
const END_MAGIC: [u8; 8] = *b"WeirEnd\0";

/// Where a record begins. Places rise with time: segment numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

impl Place {
    /// No place: segments are numbered from 1.
    pub(crate) const NONE: Self = Self { segment: 0, offset: 0 };

    pub(crate) fn is_none(self) -> bool {
        self.segment == 0
    }

    pub(crate) fn number(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    pub(crate) fn of_number(number: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
        Self { segment: u32::from_le_bytes([e, f, g, h]), offset: u32::from_le_bytes([a, b, c, d]) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// Reads a structure from front to back.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn place(&mut self) -> Option<Place> {
        self.u64().map(Place::of_number)
    }

    pub(crate) fn line(&mut self) -> Option<Line> {
        Some(Line::new(self.u16()?.into(), self.u16()?.into()))
    }
}

/// A line as it is written: a part that does not fit is the highest, which nobody reads.
pub(crate) fn line_bytes(line: Line) -> [u8; 4] {
    let part = |part: u32| u16::try_from(part).unwrap_or(u16::MAX).to_le_bytes();
    let ([a, b], [c, d]) = (part(line.major), part(line.minor));
    [a, b, c, d]
}

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u32,
    /// What no other segment of this number has, but by chance.
    pub(crate) stamp: u64,
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A segment this build reads.
    Ours(Header),
    /// Another line's segment, or no segment at all.
    Foreign,
    /// A segment that was begun and not written.
    Torn,
}

impl Header {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&line_bytes(FIRST_LEVEL));
        bytes[16..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.stamp.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a file, fewer when it is shorter, for a reader of line `reader`.
    pub(crate) fn read(bytes: &[u8], reader: Line) -> Opening {
        if bytes.len() < HEADER_BYTES {
            return Opening::Torn;
        }
        let mut at = Cursor(&bytes[8..]);
        let fields = (|| Some((at.u32()?, at.line()?, at.u32()?, at.u64()?, at.u32()?)))();
        let Some((format, min_reader, number, stamp, crc)) = fields else { return Opening::Torn };
        match bytes[..8] == SEGMENT_MAGIC {
            // All zero: the file had its length and not yet its bytes when the power went.
            false if bytes[..HEADER_BYTES].iter().all(|byte| *byte == 0) => Opening::Torn,
            false => Opening::Foreign,
            true if format != FORMAT || min_reader > reader => Opening::Foreign,
            true if crc != crc32c::crc32c(&bytes[..28]) => Opening::Torn,
            true => Opening::Ours(Self { number, stamp }),
        }
    }
}

/// What a sealed segment ends with: where its footer begins.
pub(crate) fn trailer(footer: u32) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    bytes[..8].copy_from_slice(&END_MAGIC);
    bytes[8..12].copy_from_slice(&footer.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Where the footer begins, by a file's last bytes.
pub(crate) fn footer_offset(trailer: &[u8]) -> Option<u32> {
    let mut at = Cursor(trailer);
    let is_end = at.bytes(8)? == END_MAGIC;
    let offset = at.u32()?;
    (is_end && at.u32()? == crc32c::crc32c(trailer.get(..12)?)).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_whose_the_segment_is() {
        let header = Header { number: 7, stamp: 0x0102_0304_0506_0708 };
        let bytes = header.to_bytes();
        assert_eq!(Header::read(&bytes, Line::new(1, 0)), Opening::Ours(header));
        assert_eq!(Header::read(&bytes[..31], Line::new(1, 0)), Opening::Torn);
        assert_eq!(Header::read(&[0; 32], Line::new(1, 0)), Opening::Torn);
        assert_eq!(Header::read(&bytes, Line::new(0, 9)), Opening::Foreign);
        for (at, opening) in [(0, Opening::Foreign), (8, Opening::Foreign), (16, Opening::Torn), (27, Opening::Torn), (31, Opening::Torn)] {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            assert_eq!(Header::read(&bytes, Line::new(1, 0)), opening, "byte {at}");
        }
    }

    #[test]
    fn a_trailer_is_taken_whole_or_not_at_all() {
        let bytes = trailer(0x0400_0001);
        assert_eq!(footer_offset(&bytes), Some(0x0400_0001));
        for at in 0..TRAILER_BYTES {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            assert_eq!(footer_offset(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn places_are_ordered_by_time() {
        let place = Place { segment: 3, offset: 9 };
        assert_eq!(Place::of_number(place.number()), place);
        assert!(Place { segment: 2, offset: u32::MAX } < place && place.number() < Place { segment: 3, offset: 10 }.number());
    }
}
