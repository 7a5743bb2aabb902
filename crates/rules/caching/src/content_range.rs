//! The `Content-Range` field (RFC 9110 section 14.4).

use std::fmt;

/// What a `Content-Range` states, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentRange {
    /// The content is this part (206).
    Part {
        /// First byte.
        start: u64,
        /// Last byte, inclusive.
        end: u64,
        /// Length of the whole; absent when the sender does not know it.
        complete: Option<u64>,
    },
    /// No part was satisfiable; the whole has this length (416).
    Unsatisfied {
        /// Length of the whole.
        complete: u64,
    },
}

impl ContentRange {
    /// Reads a field value; another unit, a part outside the whole or a number that does not fit is refused.
    pub fn parse(value: &[u8]) -> Option<ContentRange> {
        let text = std::str::from_utf8(crate::fields::trim_ows(value)).ok()?;
        let (unit, rest) = text.split_once(' ')?;
        let (part, complete) = rest.split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        if part == "*" {
            return Some(ContentRange::Unsatisfied { complete: number(complete)? });
        }
        let (start, end) = part.split_once('-')?;
        let (start, end) = (number(start)?, number(end)?);
        let complete = if complete == "*" { None } else { Some(number(complete)?) };
        let inside = start <= end && complete.is_none_or(|complete| end < complete);
        inside.then_some(ContentRange::Part { start, end, complete })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentRange::Part { start, end, complete: Some(complete) } => write!(out, "bytes {start}-{end}/{complete}"),
            ContentRange::Part { start, end, complete: None } => write!(out, "bytes {start}-{end}/*"),
            ContentRange::Unsatisfied { complete } => write!(out, "bytes */{complete}"),
        }
    }
}

/// Digits only: `u64::from_str` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_section_14_4() {
        let part = |start, end, complete| Some(ContentRange::Part { start, end, complete });
        assert_eq!(ContentRange::parse(b"bytes 42-1233/1234"), part(42, 1233, Some(1234)));
        assert_eq!(ContentRange::parse(b"bytes 42-1233/*"), part(42, 1233, None));
        assert_eq!(ContentRange::parse(b"bytes */1234"), Some(ContentRange::Unsatisfied { complete: 1234 }));
        let bad = [
            "bytes 1-0/5",
            "bytes 0-5/5",
            "bytes */*",
            "bytes 0-1",
            "bytes=0-1/2",
            "bytes  0-1/2",
            "items 0-1/2",
            "bytes +0-1/2",
            "bytes -1/2",
            "bytes 0-/2",
            "bytes 0-1/99999999999999999999",
            "bytes 0-1/2, bytes 0-1/2",
            "",
        ];
        for bad in bad {
            assert_eq!(ContentRange::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn written_parts_are_read_back(start in any::<u64>(), length in 0u64..1 << 40, rest in 1u64..1 << 40, known in any::<bool>()) {
            let end = start.saturating_add(length);
            let complete = end.checked_add(rest).filter(|_| known);
            let range = ContentRange::Part { start, end, complete };
            prop_assert_eq!(ContentRange::parse(range.to_string().as_bytes()), Some(range));
        }

        #[test]
        fn parse_never_panics(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = ContentRange::parse(&value);
        }
    }
}
