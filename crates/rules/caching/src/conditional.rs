//! Conditional requests: answering them from what is stored, and asking upstream (RFC 9110 section 13, RFC 9111 section 4.3).

use crate::{EntityTag, Fields, RequestFacts, date, entity_tag::tags};

/// Seconds `Date` must be past `Last-Modified` for the latter to be a strong validator (RFC 9110 section 8.8.2.2).
const STRONG_DATE_SECONDS: u64 = 1;

/// What a stored response can be compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validators<'a> {
    /// Its entity tag.
    pub etag: Option<EntityTag<'a>>,
    /// Its `Last-Modified`, in seconds since 1970.
    pub last_modified: Option<u64>,
    /// Its `Date`, in seconds since 1970.
    pub date: Option<u64>,
}

impl<'a> Validators<'a> {
    /// The validators among a response's fields; repeated or malformed ones count as absent.
    pub fn of<F: Fields + ?Sized>(response: &'a F) -> Validators<'a> {
        Validators {
            etag: response.single("etag").and_then(EntityTag::parse),
            last_modified: response.single("last-modified").and_then(date::parse),
            date: response.single("date").and_then(date::parse),
        }
    }
}

/// How a request's preconditions come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluation {
    /// Answer as without preconditions.
    Full,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

/// Evaluates a GET or HEAD request's preconditions against the response that would answer it, in the order of RFC 9110
/// section 13.2.2; any other method, or a status that is not 2xx, ignores them (section 13.2.1).
pub fn evaluate<F: Fields + ?Sized>(request: &RequestFacts<'_, F>, status: u16, stored: &Validators<'_>) -> Evaluation {
    if !matches!(request.method, "GET" | "HEAD") || !(200..300).contains(&status) {
        return Evaluation::Full;
    }
    if !may_proceed(request.fields, stored) {
        return Evaluation::PreconditionFailed;
    }
    if is_unchanged(request.fields, stored) { Evaluation::NotModified } else { Evaluation::Full }
}

/// `If-Match`, or `If-Unmodified-Since` where there is none (steps 1 and 2).
fn may_proceed<F: Fields + ?Sized>(request: &F, stored: &Validators<'_>) -> bool {
    if request.has("if-match") {
        return matches_any(request, "if-match", stored, |tag, etag| tag.strongly_equals(etag));
    }
    match (request.single("if-unmodified-since").and_then(date::parse), stored.last_modified) {
        (Some(limit), Some(last_modified)) => last_modified <= limit,
        _ => true,
    }
}

/// `If-None-Match`, or `If-Modified-Since` where there is none (steps 3 and 4).
///
/// Without `Last-Modified` the response's `Date` is compared (RFC 9111 section 4.3.2).
fn is_unchanged<F: Fields + ?Sized>(request: &F, stored: &Validators<'_>) -> bool {
    if request.has("if-none-match") {
        return matches_any(request, "if-none-match", stored, |tag, etag| tag.weakly_equals(etag));
    }
    match (request.single("if-modified-since").and_then(date::parse), stored.last_modified.or(stored.date)) {
        (Some(limit), Some(modified)) => modified <= limit,
        _ => false,
    }
}

/// Whether a list of entity tags holds the stored one; `*` alone matches whatever is stored, a malformed tag nothing.
fn matches_any<F: Fields + ?Sized>(
    request: &F,
    name: &str,
    stored: &Validators<'_>,
    equals: impl Fn(&EntityTag<'_>, &EntityTag<'_>) -> bool,
) -> bool {
    if request.single(name).map(crate::fields::trim_ows) == Some(b"*") {
        return true;
    }
    let Some(etag) = stored.etag else { return false };
    request.values(name).flat_map(tags).any(|tag| equals(&tag, &etag))
}

/// Whether `If-Range` lets `Range` count: absent, or exactly and strongly what is stored (RFC 9110 section 13.1.5).
pub fn range_applies<F: Fields + ?Sized>(request: &F, stored: &Validators<'_>) -> bool {
    if !request.has("if-range") {
        return true;
    }
    let Some(value) = request.single("if-range") else { return false };
    if let Some(tag) = EntityTag::parse(value) {
        return stored.etag.is_some_and(|etag| etag.strongly_equals(&tag));
    }
    match (date::parse(value), stored.last_modified, stored.date) {
        (Some(stated), Some(last_modified), Some(date)) => {
            stated == last_modified && date >= last_modified.saturating_add(STRONG_DATE_SECONDS)
        }
        _ => false,
    }
}

/// The fields that make a request upstream conditional on what is stored (RFC 9111 section 4.3.1); empty without a validator.
///
/// They replace the client's own preconditions, which are evaluated against the outcome.
pub fn revalidation_fields<F: Fields + ?Sized>(stored: &F) -> Vec<(&'static str, &[u8])> {
    let etag = stored.single("etag").filter(|value| EntityTag::parse(value).is_some());
    let last_modified = stored.single("last-modified").filter(|value| date::parse(value).is_some());
    let mut fields = Vec::with_capacity(2);
    fields.extend(etag.map(|value| ("if-none-match", value)));
    fields.extend(last_modified.map(|value| ("if-modified-since", value)));
    fields
}

/// Request fields that ask for less than the whole response; a fill that stores leaves the client's out.
pub fn is_precondition_or_range(name: &str) -> bool {
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a stored field goes into a 304 made from it: not what describes the content that is not sent
/// (RFC 9110 section 15.4.5).
pub fn is_sent_with_not_modified(name: &str) -> bool {
    !["content-encoding", "content-language", "content-length", "content-range", "content-type"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODIFIED: u64 = 1_800_000_000;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn lines<'a>(lines: &'a [(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
        lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    fn stored(etag: &str) -> Validators<'_> {
        Validators { etag: EntityTag::parse(etag.as_bytes()), last_modified: Some(MODIFIED), date: Some(MODIFIED + 60) }
    }

    #[test]
    fn precedence_of_section_13_2_2() {
        use Evaluation::*;
        let before = date::format(MODIFIED - 1);
        let same = date::format(MODIFIED);
        let cases: &[(Lines<'_>, Evaluation)] = &[
            (&[], Full),
            (&[("If-None-Match", "\"a\"")], NotModified),
            (&[("If-None-Match", "W/\"a\"")], NotModified),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"x\", \"a\" , \"y\"")], NotModified),
            (&[("If-None-Match", "\"x\""), ("if-none-match", "\"a\"")], NotModified),
            (&[("If-None-Match", "\"x,\", \"a\"")], NotModified),
            (&[("If-None-Match", "\"x, \"a\"")], Full),
            (&[("If-None-Match", "\"x\"")], Full),
            (&[("If-None-Match", "a")], Full),
            (&[("If-None-Match", "")], Full),
            (&[("If-None-Match", "\"a\""), ("If-Modified-Since", &before)], NotModified),
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", &same)], Full),
            (&[("If-Modified-Since", &same)], NotModified),
            (&[("If-Modified-Since", &before)], Full),
            (&[("If-Modified-Since", "0")], Full),
            (&[("If-Modified-Since", &same), ("If-Modified-Since", &same)], Full),
            (&[("If-Match", "\"a\"")], Full),
            (&[("If-Match", "*")], Full),
            (&[("If-Match", "W/\"a\"")], PreconditionFailed),
            (&[("If-Match", "\"x\"")], PreconditionFailed),
            (&[("If-Match", "\"x\""), ("If-Unmodified-Since", &same)], PreconditionFailed),
            (&[("If-Match", "\"a\""), ("If-Unmodified-Since", &before)], Full),
            (&[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], NotModified),
            (&[("If-Unmodified-Since", &same)], Full),
            (&[("If-Unmodified-Since", &before)], PreconditionFailed),
            (&[("If-Unmodified-Since", "junk")], Full),
        ];
        for (fields, expected) in cases {
            let fields = lines(fields);
            let request = RequestFacts::new("GET", &fields[..]);
            assert_eq!(evaluate(&request, 200, &stored("\"a\"")), *expected, "{fields:?}");
        }
    }

    #[test]
    fn preconditions_count_for_get_and_head_of_2xx_only() {
        let fields = lines(&[("If-None-Match", "\"a\"")]);
        let of = |method, status| evaluate(&RequestFacts::new(method, &fields[..]), status, &stored("\"a\""));
        assert_eq!(of("HEAD", 200), Evaluation::NotModified);
        for (method, status) in [("POST", 200), ("GET", 404), ("GET", 301), ("GET", 500)] {
            assert_eq!(of(method, status), Evaluation::Full, "{method} {status}");
        }
    }

    #[test]
    fn date_stands_in_for_last_modified() {
        let dated = Validators { date: Some(MODIFIED), ..Validators::default() };
        let at = |seconds| {
            let since = date::format(seconds);
            let fields =
                lines(&[("If-Modified-Since", since.as_str())]).iter().map(|(n, v)| (n.to_string(), v.to_vec())).collect::<Vec<_>>();
            evaluate(&RequestFacts::new("GET", &fields), 200, &dated)
        };
        assert_eq!(at(MODIFIED), Evaluation::NotModified);
        assert_eq!(at(MODIFIED - 1), Evaluation::Full);
    }

    #[test]
    fn if_range_needs_a_strong_match() {
        let (same, other) = (date::format(MODIFIED), date::format(MODIFIED + 1));
        let weak_date = Validators { date: Some(MODIFIED), ..stored("\"a\"") };
        let cases: &[(Lines<'_>, Validators<'_>, bool)] = &[
            (&[], stored("\"a\""), true),
            (&[("If-Range", "\"a\"")], stored("\"a\""), true),
            (&[("If-Range", "\"b\"")], stored("\"a\""), false),
            (&[("If-Range", "W/\"a\"")], stored("W/\"a\""), false),
            (&[("If-Range", "\"a\"")], stored("W/\"a\""), false),
            (&[("If-Range", &same)], stored("\"a\""), true),
            (&[("If-Range", &other)], stored("\"a\""), false),
            (&[("If-Range", &same)], weak_date, false),
            (&[("If-Range", "a")], stored("\"a\""), false),
            (&[("If-Range", "\"a\""), ("If-Range", "\"a\"")], stored("\"a\""), false),
        ];
        for (fields, stored, expected) in cases {
            assert_eq!(range_applies(&lines(fields)[..], stored), *expected, "{fields:?}");
        }
    }

    #[test]
    fn revalidation_sends_what_is_stored_and_valid() {
        let modified = date::format(MODIFIED);
        let fields = [("ETag", "W/\"a\""), ("Last-Modified", modified.as_str())];
        let both = lines(&fields);
        assert_eq!(revalidation_fields(&both[..]), [("if-none-match", &b"W/\"a\""[..]), ("if-modified-since", modified.as_bytes())]);
        assert!(revalidation_fields(&lines(&[("ETag", "a"), ("Last-Modified", "0")])[..]).is_empty());
    }

    proptest! {
        #[test]
        fn any_fields_give_an_evaluation(value in proptest::collection::vec(any::<u8>(), 0..60), pick in 0usize..5) {
            let name = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"][pick];
            let fields: &[(&str, &[u8])] = &[(name, &value)];
            let _ = evaluate(&RequestFacts::new("GET", fields), 200, &stored("\"a\""));
            let _ = range_applies(fields, &stored("\"a\""));
        }
    }
}
