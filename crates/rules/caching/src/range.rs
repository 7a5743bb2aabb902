//! Range requests (RFC 9110 section 14): which bytes of a known length are asked for.

use crate::conditional::{Validators, range_applies};
use crate::fields::{list_members, trim_ows};
use crate::{ContentRange, Fields, RequestFacts};

/// Most ranges one request may ask for; a request with more is answered in full (RFC 9110 section 14.2 allows it).
pub const RANGES_MAX: usize = 16;

/// A part of a representation, in bytes; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// Last byte, inclusive.
    pub end: u64,
}

impl ByteRange {
    /// How many bytes it holds.
    pub fn byte_count(&self) -> u64 {
        self.end - self.start + 1
    }

    /// Its `Content-Range` in a whole of `complete` bytes.
    pub fn content_range(&self, complete: u64) -> ContentRange {
        ContentRange::Part { start: self.start, end: self.end, complete: Some(complete) }
    }
}

/// Which bytes to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything (200): no range asked for, or none that counts.
    Full,
    /// One part (206).
    Single(ByteRange),
    /// Two to [`RANGES_MAX`] parts that do not overlap, in the order asked for (206, `multipart/byteranges`).
    Multiple(Vec<ByteRange>),
    /// Nothing of what was asked for exists (416, with [`ContentRange::Unsatisfied`]).
    Unsatisfiable,
}

/// What a request asks of a stored response of `length` bytes.
///
/// `Range` counts for GET of a 200 only, once, and when `If-Range` holds; evaluate the other preconditions first.
pub fn select<F: Fields + ?Sized>(request: &RequestFacts<'_, F>, status: u16, length: u64, stored: &Validators<'_>) -> Selection {
    match request.fields.single("range") {
        Some(value) if request.method == "GET" && status == 200 && range_applies(request.fields, stored) => parse(value, length),
        _ => Selection::Full,
    }
}

/// Reads a `Range` value against a length in bytes.
///
/// A value that is malformed, of another unit, with overlapping parts or too many is ignored: [`Selection::Full`].
pub fn parse(value: &[u8], length: u64) -> Selection {
    parse_parts(value, length).unwrap_or(Selection::Full)
}

fn parse_parts(value: &[u8], length: u64) -> Option<Selection> {
    let value = trim_ows(value);
    let equals = value.iter().position(|byte| *byte == b'=')?;
    if !value[..equals].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut asked = 0;
    let mut parts = Vec::new();
    for spec in list_members(&value[equals + 1..]) {
        asked += 1;
        if asked > RANGES_MAX {
            return None;
        }
        match parse_spec(spec, length)? {
            Part::Bytes(range) => parts.push(range),
            Part::Outside => {}
            Part::Everything => return None,
        }
    }
    match parts.as_slice() {
        [] if asked == 0 => None,
        [] => Some(Selection::Unsatisfiable),
        [only] => Some(Selection::Single(*only)),
        _ if overlap(&parts) => None,
        _ => Some(Selection::Multiple(parts)),
    }
}

enum Part {
    Bytes(ByteRange),
    Outside,
    /// A suffix of an empty representation: satisfiable, but no `Content-Range` can state it.
    Everything,
}

fn parse_spec(spec: &[u8], length: u64) -> Option<Part> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        return Some(match number(last)? {
            0 => Part::Outside,
            _ if length == 0 => Part::Everything,
            suffix => Part::Bytes(ByteRange { start: length.saturating_sub(suffix), end: length - 1 }),
        });
    }
    let start = number(first)?;
    let end = if last.is_empty() { u64::MAX } else { number(last)? };
    if end < start {
        return None;
    }
    Some(if start < length { Part::Bytes(ByteRange { start, end: end.min(length - 1) }) } else { Part::Outside })
}

/// Digits only; a number that does not fit is the largest one, which lies outside of everything.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

fn overlap(parts: &[ByteRange]) -> bool {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by_key(|part| part.start);
    sorted.windows(2).any(|pair| pair[1].start <= pair[0].end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange { start, end }
    }

    #[test]
    fn values_against_ten_bytes() {
        use Selection::*;
        let cases: &[(&str, Selection)] = &[
            ("bytes=0-4", Single(range(0, 4))),
            ("BYTES=0-4", Single(range(0, 4))),
            ("bytes=5-", Single(range(5, 9))),
            ("bytes=0-999", Single(range(0, 9))),
            ("bytes=9-9", Single(range(9, 9))),
            ("bytes=-3", Single(range(7, 9))),
            ("bytes=-30", Single(range(0, 9))),
            ("bytes=0-99999999999999999999999", Single(range(0, 9))),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-20", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=0-1, 4-5", Multiple(vec![range(0, 1), range(4, 5)])),
            ("bytes=4-5,,0-1", Multiple(vec![range(4, 5), range(0, 1)])),
            ("bytes=0-4, -5", Multiple(vec![range(0, 4), range(5, 9)])),
            ("bytes=0-1, 20-", Single(range(0, 1))),
            ("bytes=20-, -0", Unsatisfiable),
            ("bytes=0-5, 5-6", Full),
            ("bytes=0-, -1", Full),
            ("bytes=5-4", Full),
            ("bytes=", Full),
            ("bytes=,", Full),
            ("bytes=-", Full),
            ("bytes=--1", Full),
            ("bytes=a-b", Full),
            ("bytes=0-1, x", Full),
            ("bytes=0 - 1", Full),
            ("bytes=+0-1", Full),
            ("bytes", Full),
            ("bytes 0-1", Full),
            ("items=0-1", Full),
            ("", Full),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(value.as_bytes(), 10), *expected, "{value}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Unsatisfiable);
        assert_eq!(parse(b"bytes=-5", 0), Full);
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        let value = |count: usize| format!("bytes={}", (0..count).map(|n| format!("{0}-{0}", n * 2)).collect::<Vec<_>>().join(","));
        assert!(matches!(parse(value(RANGES_MAX).as_bytes(), 100), Selection::Multiple(parts) if parts.len() == RANGES_MAX));
        assert_eq!(parse(value(RANGES_MAX + 1).as_bytes(), 100), Selection::Full);
    }

    #[test]
    fn range_counts_for_get_of_200_under_if_range() {
        let stored_fields: &[(&str, &[u8])] = &[("etag", b"\"a\"")];
        let stored = Validators::of(stored_fields);
        let of = |method, status, fields: &[(&str, &[u8])]| select(&RequestFacts::new(method, fields), status, 10, &stored);
        let part = Selection::Single(range(0, 1));
        assert_eq!(of("GET", 200, &[("Range", b"bytes=0-1")]), part);
        assert_eq!(of("GET", 200, &[("Range", b"bytes=0-1"), ("If-Range", b"\"a\"")]), part);
        assert_eq!(of("GET", 200, &[("Range", b"bytes=0-1"), ("If-Range", b"\"b\"")]), Selection::Full);
        assert_eq!(of("GET", 200, &[("Range", b"bytes=0-1"), ("Range", b"bytes=0-1")]), Selection::Full);
        assert_eq!(of("HEAD", 200, &[("Range", b"bytes=0-1")]), Selection::Full);
        assert_eq!(of("GET", 404, &[("Range", b"bytes=0-1")]), Selection::Full);
        assert_eq!(of("GET", 200, &[]), Selection::Full);
    }

    proptest! {
        #[test]
        fn parts_lie_inside_and_apart(value in "bytes=([0-9]{0,3}-[0-9]{0,3},? ?){0,18}", length in 0u64..1200) {
            let parts = match parse(value.as_bytes(), length) {
                Selection::Single(part) => vec![part],
                Selection::Multiple(parts) => {
                    prop_assert!((2..=RANGES_MAX).contains(&parts.len()));
                    parts
                }
                Selection::Full | Selection::Unsatisfiable => Vec::new(),
            };
            for part in &parts {
                prop_assert!(part.start <= part.end && part.end < length);
            }
            prop_assert!(parts.iter().map(ByteRange::byte_count).sum::<u64>() <= length);
        }

        #[test]
        fn parse_never_panics(value in proptest::collection::vec(any::<u8>(), 0..80), length in any::<u64>()) {
            let _ = parse(&value, length);
        }

        #[test]
        fn a_part_is_read_back(start in 0u64..500, count in 1u64..500, beyond in 0u64..500) {
            let (end, length) = (start + count - 1, start + count + beyond);
            let selection = parse(format!("bytes={start}-{end}").as_bytes(), length);
            prop_assert_eq!(selection, Selection::Single(range(start, end)));
        }
    }
}
