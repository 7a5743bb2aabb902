//! Which bytes of a file a request asks for: one range, or all (RFC 9110 section 14). Pure.

use std::ops::Range;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it, with 200.
    Whole,
    /// These bytes, with 206.
    Part(Range<u64>),
    /// None of it, with 416.
    Unsatisfiable,
}

/// Reads the `Range` of a request for a file of `length` bytes. What is not one range of bytes is ignored, as section 14.2 allows: a
/// server need not know other units, nor give several ranges.
pub(super) fn wanted(range: Option<&str>, length: u64) -> Wanted {
    let Some((first, last)) = range.and_then(one_range) else { return Wanted::Whole };
    let part = match (first, last) {
        (Some(first), Some(last)) if last < first => return Wanted::Whole,
        (Some(first), last) => first..last.map_or(length, |last| last.saturating_add(1).min(length)),
        // The last bytes; asked for more than there are, all of them.
        (None, Some(last)) => length.saturating_sub(last)..length,
        (None, None) => return Wanted::Whole,
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Unsatisfiable }
}

fn one_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    Some((position(first)?, position(last)?))
}

/// A position, or its absence; `None` where the text is neither.
fn position(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges() {
        use Wanted::{Part, Unsatisfiable, Whole};
        for (text, expected) in [
            ("bytes=0-9", Part(0..10)),
            ("Bytes = 0-0", Part(0..1)),
            ("bytes=90-", Part(90..100)),
            ("bytes=90-99999999999999999999999", Part(90..100)),
            ("bytes=-10", Part(90..100)),
            ("bytes=-1000", Part(0..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=9-8", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=a-b", Whole),
            ("lines=0-1", Whole),
            ("bytes 0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(wanted(Some(text), 100), expected, "{text}");
        }
        assert_eq!(wanted(None, 100), Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_is_inside_the_file(text in "bytes=[0-9]{0,20}-[0-9]{0,20}", length in 0u64..1_000) {
            if let Wanted::Part(part) = wanted(Some(&text), length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
