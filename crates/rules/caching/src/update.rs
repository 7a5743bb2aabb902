//! What a 304 does to a stored response (RFC 9111 sections 3.2, 4.3.3 and 4.3.4).

use crate::storage::{self, NoStoreReason, Storable};
use crate::{EntityTag, FieldLines, Fields, HopByHop, Policy, RequestFacts, ResponseFacts, date};

/// Fields that describe the stored body as it lies, in lower case: a 304 does not change them (RFC 9111 section 3.2).
const DESCRIBES_STORED_BODY: [&str; 3] = ["content-encoding", "content-length", "content-range"];

/// What becomes of a stored response after a 304.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshened {
    /// It is valid: serve its body with these fields, and keep them.
    Kept(Storable),
    /// It is valid for this request, with these fields, but may no longer be kept.
    ServedOnce(FieldLines, NoStoreReason),
    /// The 304 speaks of another representation than the one stored: drop it and ask without conditions.
    OtherRepresentation,
}

/// Applies a 304 that answered our own conditional request for one stored response.
///
/// `status` and `stored` are the stored response's, `request` the client's. Fields of the 304 replace those stored under
/// the same name; `Age` and `Date` always become the 304's, so that the age counts from this validation.
pub fn freshen<Q: Fields + ?Sized, S: Fields + ?Sized, R: Fields + ?Sized>(
    request: &RequestFacts<'_, Q>,
    status: u16,
    stored: &S,
    not_modified: &ResponseFacts<'_, R>,
    policy: &Policy,
) -> Freshened {
    if !is_same_representation(stored, not_modified.fields) {
        return Freshened::OtherRepresentation;
    }
    let fields = merge(stored, not_modified.fields, policy);
    let ResponseFacts { requested_at, received_at, arrived_at, .. } = *not_modified;
    let merged = ResponseFacts { status, fields: &fields, requested_at, received_at, arrived_at };
    // What is stored answered a GET, whatever the client asks for now.
    let request = RequestFacts { method: "GET", ..*request };
    match storage::may_store(&request, &merged, policy) {
        Ok(storable) => Freshened::Kept(storable),
        Err(reason) => Freshened::ServedOnce(fields, reason),
    }
}

/// Section 4.3.4, for the one response that was asked about: a validator the 304 states must be the stored one.
///
/// Entity tags compare weakly: a 304 may weaken the tag of what it confirms.
fn is_same_representation<S: Fields + ?Sized, R: Fields + ?Sized>(stored: &S, not_modified: &R) -> bool {
    let tags = (stored.single("etag").and_then(EntityTag::parse), not_modified.single("etag").and_then(EntityTag::parse));
    if let (Some(stored), Some(stated)) = tags {
        return stored.weakly_equals(&stated);
    }
    match (stored.single("last-modified").and_then(date::parse), not_modified.single("last-modified").and_then(date::parse)) {
        (Some(stored), Some(stated)) => stored == stated,
        _ => true,
    }
}

fn merge<S: Fields + ?Sized, R: Fields + ?Sized>(stored: &S, not_modified: &R, policy: &Policy) -> FieldLines {
    let hop_by_hop = HopByHop::of(not_modified);
    let updates = |name: &str| {
        !hop_by_hop.contains(name)
            && !DESCRIBES_STORED_BODY.iter().any(|known| known.eq_ignore_ascii_case(name))
            && (policy.store_set_cookie || !name.eq_ignore_ascii_case("set-cookie"))
    };
    let is_replaced =
        |name: &str| name.eq_ignore_ascii_case("age") || name.eq_ignore_ascii_case("date") || (updates(name) && not_modified.has(name));
    let kept = stored.lines().filter(|(name, _)| !is_replaced(name));
    let new = not_modified.lines().filter(|(name, _)| updates(name));
    kept.chain(new).map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn lines(lines: &[(&str, &str)]) -> FieldLines {
        lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    fn apply(stored: &[(&str, &str)], not_modified: &[(&str, &str)]) -> Freshened {
        let (request, stored, fields) = (lines(&[]), lines(stored), lines(not_modified));
        let not_modified = ResponseFacts { status: 304, fields: &fields, requested_at: NOW, received_at: NOW, arrived_at: 7 };
        freshen(&RequestFacts::new("GET", &request), 200, &stored, &not_modified, &Policy::default())
    }

    fn kept(stored: &[(&str, &str)], not_modified: &[(&str, &str)]) -> Storable {
        match apply(stored, not_modified) {
            Freshened::Kept(storable) => storable,
            other => panic!("not kept: {other:?}"),
        }
    }

    fn text(fields: &FieldLines, name: &str) -> Vec<String> {
        fields.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    #[test]
    fn named_fields_are_replaced_and_the_body_keeps_its_description() {
        let old = date::format(NOW - 500);
        let stored = [
            ("Cache-Control", "max-age=1"),
            ("ETag", "\"a\""),
            ("Date", &*old),
            ("Content-Length", "10"),
            ("Content-Encoding", "gzip"),
            ("Content-Type", "text/plain"),
            ("X-Two", "1"),
            ("X-Two", "2"),
            ("X-Kept", "yes"),
        ];
        let not_modified = [
            ("cache-control", "max-age=3600"),
            ("content-length", "0"),
            ("content-encoding", "br"),
            ("content-range", "bytes 0-1/2"),
            ("content-type", "text/html"),
            ("x-two", "3"),
            ("set-cookie", "a=b"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("age", "7"),
        ];
        let storable = kept(&stored, &not_modified);
        let fields = &storable.fields;
        assert_eq!(text(fields, "cache-control"), ["max-age=3600"]);
        assert_eq!(text(fields, "content-length"), ["10"]);
        assert_eq!(text(fields, "content-encoding"), ["gzip"]);
        assert_eq!(text(fields, "content-type"), ["text/html"]);
        assert_eq!(text(fields, "x-two"), ["3"]);
        assert_eq!(text(fields, "x-kept"), ["yes"]);
        assert_eq!(text(fields, "etag"), ["\"a\""]);
        assert_eq!(text(fields, "date"), [date::format(NOW)], "a 304 without Date counts from its arrival");
        for gone in ["content-range", "set-cookie", "connection", "x-hop", "transfer-encoding", "age"] {
            assert!(!fields.has(gone), "{gone}");
        }
        assert_eq!((storable.freshness.arrived_at, storable.freshness.initial_age_s, storable.freshness.lifetime_s), (7, 7, 3600));
    }

    #[test]
    fn another_validator_is_another_representation() {
        let old = date::format(NOW - 500);
        let older = date::format(NOW - 900);
        let with_tag = [("ETag", "\"a\""), ("Cache-Control", "max-age=1")];
        let with_date = [("Last-Modified", &*old), ("Cache-Control", "max-age=1")];
        assert_eq!(apply(&with_tag, &[("etag", "\"b\"")]), Freshened::OtherRepresentation);
        assert_eq!(apply(&with_date, &[("last-modified", &older)]), Freshened::OtherRepresentation);
        for same in [&[("etag", "\"a\"")][..], &[("etag", "W/\"a\"")], &[]] {
            kept(&with_tag, same);
        }
        kept(&with_date, &[("last-modified", &old)]);
        kept(&with_date, &[]);
    }

    #[test]
    fn a_head_request_may_validate_what_a_get_stored() {
        let (request, stored) = (lines(&[]), lines(&[("ETag", "\"a\"")]));
        let not_modified = ResponseFacts { status: 304, fields: &lines(&[]), requested_at: NOW, received_at: NOW, arrived_at: 7 };
        let freshened = freshen(&RequestFacts::new("HEAD", &request), 200, &stored, &not_modified, &Policy::default());
        assert!(matches!(freshened, Freshened::Kept(_)), "{freshened:?}");
    }

    #[test]
    fn a_304_may_forbid_keeping() {
        let answer = apply(&[("ETag", "\"a\""), ("Cache-Control", "max-age=1")], &[("cache-control", "no-store")]);
        let Freshened::ServedOnce(fields, reason) = answer else { panic!("{answer:?}") };
        assert_eq!((text(&fields, "cache-control"), reason), (vec!["no-store".to_owned()], NoStoreReason::NoStore));
    }
}
