//! What origins and viewers write into the header fields that caching decides by.

use weir_caching::cache_control::Directives;
use weir_caching::conditional::{self, Evaluation, Validators};
use weir_caching::range::{self, RANGES_MAX, Selection};
use weir_caching::{ContentRange, EntityTag, FieldLines, RequestFacts, Vary, date};

/// Lengths that ranges are read against, in bytes.
const LENGTHS: [u64; 4] = [0, 1, 10_000, u64::MAX];

/// Field lines `name: value`, one in each line of the input.
fn lines(bytes: &[u8]) -> FieldLines {
    let line = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(&line[..colon]).trim().to_owned();
        Some((name, line[colon + 1..].trim_ascii().to_vec()))
    };
    bytes.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// Cache-Control and the targeted fields: a directive that forbids is never lost by what stands before it.
pub fn cache_control(bytes: &[u8]) -> bool {
    let fields = lines(bytes);
    let read = Directives::of_response(&fields);
    assert_eq!(read, Directives::of_response(&fields), "the same fields were read otherwise");
    let values: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let before = Directives::parse(values.iter().copied());
    let after = Directives::parse(values.iter().copied().chain([b"no-store, private, no-cache".as_slice()]));
    assert!(after.no_store && after.private.is_whole() && after.no_cache.is_whole(), "{after:?}");
    assert_eq!((before.max_age_s, before.s_maxage_s), (after.max_age_s, after.s_maxage_s), "a later line changed a lifetime");
    read != Directives::default()
}

/// Range and Content-Range: parts lie inside, in bounded number, and are written as they are read.
pub fn range(bytes: &[u8]) -> bool {
    let mut taken = false;
    for length in LENGTHS {
        let parts = match range::parse(bytes, length) {
            Selection::Full | Selection::Unsatisfiable => Vec::new(),
            Selection::Single(part) => vec![part],
            Selection::Multiple(parts) => {
                assert!((2..=RANGES_MAX).contains(&parts.len()), "{} parts", parts.len());
                parts
            }
        };
        taken |= !parts.is_empty();
        for part in &parts {
            assert!(part.start <= part.end && part.end < length, "{part:?} of {length}");
            let written = part.content_range(length);
            assert_eq!(ContentRange::parse(written.to_string().as_bytes()), Some(written));
        }
    }
    if let Some(read) = ContentRange::parse(bytes) {
        assert_eq!(ContentRange::parse(read.to_string().as_bytes()), Some(read));
        taken = true;
    }
    taken
}

/// Preconditions: request fields, an empty line, the stored response's fields. One of our own validators always matches.
pub fn conditional(bytes: &[u8]) -> bool {
    let cut = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (asked, stored) = (lines(&bytes[..cut]), lines(&bytes[cut..]));
    let validators = Validators::of(&stored);
    for method in ["GET", "HEAD", "PUT"] {
        let evaluation = conditional::evaluate(&RequestFacts::new(method, &asked), 200, &validators);
        assert!(method != "PUT" || evaluation == Evaluation::Full, "preconditions are for GET and HEAD");
    }
    let ours: FieldLines =
        conditional::revalidation_fields(&stored).into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    if ours.iter().any(|(name, _)| name.eq_ignore_ascii_case("if-none-match")) && validators.etag.is_some() {
        let evaluation = conditional::evaluate(&RequestFacts::new("GET", &ours), 200, &validators);
        assert_eq!(evaluation, Evaluation::NotModified, "the stored tag does not match itself");
    }
    if let Some(tag) = EntityTag::parse(bytes) {
        assert!(tag.weakly_equals(&tag) && tag.strongly_equals(&tag) != tag.weak);
    }
    if let Some(seconds) = date::parse(bytes) {
        assert_eq!(date::parse(date::format(seconds).as_bytes()), Some(seconds));
    }
    validators != Validators::default()
}

/// An origin's Vary: a response that can be selected is selected by the very request it answered, and `*` by none.
pub fn vary(bytes: &[u8]) -> bool {
    let vary = Vary::of_response(&[("Vary", bytes)][..]);
    let request: &[(&str, &[u8])] = &[("Accept-Encoding", b"gzip, br"), ("Origin", b"https://player.example"), ("X", bytes)];
    let Some(key) = vary.key(request) else { return false };
    assert!(vary.matches(&key, request), "a request does not match its own variant");
    true
}
