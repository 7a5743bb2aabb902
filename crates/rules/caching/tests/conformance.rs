//! What an outside HTTP cache suite holds a shared cache to, rule by rule, through the public functions only.
//!
//! Each case is one exchange that is stored or not, and a later request that is answered from it or not.

use weir_caching::decision::{Candidate, Decision, decide};
use weir_caching::storage::may_store;
use weir_caching::{FieldLines, Fields, NoStoreReason, Policy, RequestFacts, ResponseFacts, Storable, UpstreamFailure, date};

/// When every response arrives, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

type Lines<'a> = &'a [(&'a str, &'a str)];

fn owned(lines: Lines<'_>) -> FieldLines {
    lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn store_as(policy: Policy, request: Lines<'_>, status: u16, response: Lines<'_>) -> Result<Storable, NoStoreReason> {
    let (request, fields) = (owned(request), owned(response));
    let response = ResponseFacts { status, fields: &fields, requested_at: NOW, received_at: NOW, arrived_at: NOW };
    may_store(&RequestFacts::new("GET", &request), &response, &policy)
}

fn store(status: u16, response: Lines<'_>) -> Result<Storable, NoStoreReason> {
    store_as(Policy::default(), &[], status, response)
}

/// What a plain GET `after_s` seconds later meets; nothing when the response was not stored.
fn later(response: Lines<'_>, after_s: u64) -> Option<Decision> {
    let stored = store(200, response).ok()?;
    let request = owned(&[]);
    Some(decide(&RequestFacts::new("GET", &request), Candidate::Stored(&stored.freshness), NOW + after_s))
}

fn is_reused(response: Lines<'_>) -> bool {
    later(response, 3) == Some(Decision::Hit)
}

#[test]
fn nothing_without_freshness_and_validator_is_stored() {
    assert_eq!(store(200, &[]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(200, &[("Date", &date::format(NOW))]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(200, &[("Cache-Control", "public")]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(200, &[("Cache-Control", "max-age=0")]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(200, &[("Cache-Control", "max-age=10"), ("Age", "10")]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(200, &[("Cache-Control", "no-cache")]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(200, &[("ETag", "unquoted")]), Err(NoStoreReason::NeverUsable));
    assert_eq!(store(201, &[("ETag", "\"a\"")]), Err(NoStoreReason::NoFreshness));
    assert_eq!(later(&[("ETag", "\"a\"")], 0), Some(Decision::Revalidate));
    assert_eq!(later(&[("ETag", "\"a\""), ("Cache-Control", "no-cache")], 0), Some(Decision::Revalidate));
}

#[test]
fn cdn_cache_control_decides_alone() {
    let (past, future) = (date::format(NOW - 10_000), date::format(NOW + 10_000));
    let fresh = ("Cache-Control", "max-age=10000");
    let reused: &[Lines<'_>] = &[
        &[("CDN-Cache-Control", "max-age=3600")],
        &[("CDN-Cache-Control", "max-age=2147483648")],
        &[("CDN-Cache-Control", "max-age=99999999999")],
        &[("CDN-Cache-Control", "foobar, max-age=3600")],
        &[("CDN-Cache-Control", "max-age=3600"), ("Expires", &past)],
        &[("CDN-Cache-Control", "max-age=3600"), ("Expires", "0")],
        &[("CDN-Cache-Control", "max-age=3600"), ("Cache-Control", "max-age=1")],
        &[("CDN-Cache-Control", "max-age=3600"), ("Cache-Control", "no-store")],
        &[("Weir-CDN-Cache-Control", "max-age=3600"), ("CDN-Cache-Control", "no-store")],
    ];
    for response in reused {
        assert!(is_reused(response), "{response:?}");
    }
    let not_reused: &[Lines<'_>] = &[
        &[("CDN-Cache-Control", "no-cache"), fresh],
        &[("CDN-Cache-Control", "no-store"), fresh],
        &[("CDN-Cache-Control", "private"), fresh],
        &[("CDN-Cache-Control", "max-age=0"), fresh],
        &[("CDN-Cache-Control", "max-age=0"), ("Expires", &future)],
        &[("CDN-Cache-Control", "max-age=1"), fresh],
        &[("CDN-Cache-Control", "max-age=3600"), ("Age", "7200")],
        &[("CDN-Cache-Control", "max-age=10000, &&&&&"), ("Cache-Control", "no-store")],
        &[("CDN-Cache-Control", "max-age=\"10000\""), ("Cache-Control", "no-store")],
        &[("CDN-Cache-Control", "max-age =100"), ("Cache-Control", "max-age=1")],
        &[("CDN-Cache-Control", "max-age= 100"), ("Cache-Control", "max-age=1")],
    ];
    for response in not_reused {
        assert!(!is_reused(response), "{response:?}");
    }
}

#[test]
fn age_counts_and_garbage_in_it_does_not() {
    let fresh = ("Cache-Control", "max-age=3600");
    for ignored in ["abc", "-7200", "7200.0", "0,7200", ""] {
        assert!(is_reused(&[fresh, ("Age", ignored)]), "{ignored}");
    }
    for old in ["7200", "7200,0", "2147483648", "99999999999999999999"] {
        assert!(!is_reused(&[fresh, ("Age", old)]), "{old}");
    }
    assert!(!is_reused(&[("Cache-Control", "max-age=2147483648"), ("Age", "2147483648")]));
}

#[test]
fn expires_in_another_form_is_expired() {
    let now = date::format(NOW);
    for good in ["Thu, 18 Aug 2050 02:01:18 GMT", "Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050"] {
        assert!(is_reused(&[("Date", &now), ("Expires", good)]), "{good}");
    }
    let bad = [
        "0",
        "Thu, 18 Aug 2050 02:01:18 UTC",
        "Thu, 18 Aug 50 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT",
        "Thu, 18  Aug  2050 02:01:18 GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT",
    ];
    for bad in bad {
        assert!(!is_reused(&[("Date", &now), ("Expires", bad)]), "{bad}");
    }
}

#[test]
fn stale_is_served_only_where_allowed() {
    let covered = |cache_control: &str, failure| {
        let response = [("Cache-Control", cache_control), ("ETag", "\"a\"")];
        store(200, &response).unwrap().freshness.serves_on(failure, NOW + 3)
    };
    for forbidding in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2"] {
        let value = format!("max-age=2, {forbidding}, stale-if-error=60, stale-while-revalidate=60");
        assert!(!covered(&value, UpstreamFailure::Disconnected), "{value}");
        assert!(!covered(&value, UpstreamFailure::Status(503)), "{value}");
        let response = [("Cache-Control", value.as_str()), ("ETag", "\"a\"")];
        assert_eq!(later(&response, 3), Some(Decision::Revalidate), "{value}");
    }
    assert!(covered("max-age=2", UpstreamFailure::Disconnected));
    assert!(!covered("max-age=2", UpstreamFailure::Status(503)));
    assert!(covered("max-age=2, stale-if-error=60", UpstreamFailure::Status(503)));
    let swr = [("Cache-Control", "max-age=1, stale-while-revalidate=3600")];
    assert_eq!(later(&swr, 3), Some(Decision::StaleWhileRevalidate));
    assert_eq!(later(&swr, 3601), Some(Decision::StaleWhileRevalidate));
    assert_eq!(later(&swr, 3602), Some(Decision::Revalidate));
}

#[test]
fn vary_star_is_not_stored_and_variants_are_told_apart() {
    let fresh = ("Cache-Control", "max-age=5000");
    for star in ["*", "*, *", ", *", "*, Foo", "Foo, *"] {
        assert_eq!(store(200, &[fresh, ("Vary", star)]), Err(NoStoreReason::VaryAnything), "{star}");
    }
    let stored = store_as(Policy::default(), &[("Foo", "1,2")], 200, &[fresh, ("Vary", "foo, Bar")]).unwrap();
    assert!(stored.vary.matches(&stored.variant, &owned(&[("foo", " 1, 2 ")])));
    assert!(!stored.vary.matches(&stored.variant, &owned(&[("Foo", "2")])));
    assert!(!stored.vary.matches(&stored.variant, &owned(&[("Foo", "1,2"), ("Bar", "1")])));
}

#[test]
fn connection_fields_and_withheld_fields_are_not_kept() {
    let (then, later) = (date::format(NOW - 5), date::format(NOW + 5));
    let response = [
        ("Cache-Control", "max-age=3600, no-cache=\"a\", private=\"p\""),
        ("Connection", "b, close"),
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("p", "4"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Age", "5"),
        ("Date", &then),
        ("Expires", &later),
        ("Set-Cookie2", "kept=1"),
    ];
    let stored = store(200, &response).unwrap();
    let names: Vec<&str> = stored.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Cache-Control", "c", "Date", "Expires", "Set-Cookie2"]);
    assert_eq!(stored.fields.first("date"), Some(then.as_bytes()), "a hit keeps the stored Date");
    assert_eq!(stored.freshness.age_at(NOW + 2), 7, "and carries a computed Age");
    let undated = store(200, &[("Cache-Control", "max-age=3600"), ("Date", "junk")]).unwrap();
    assert_eq!(undated.fields.values("date").collect::<Vec<_>>(), [date::format(NOW).as_bytes()]);
}

#[test]
fn any_final_status_with_explicit_freshness_is_stored() {
    let fresh: Lines<'_> = &[("Cache-Control", "max-age=3600")];
    for status in [200, 201, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 410, 499, 500, 502, 503, 504, 599, 999] {
        assert!(store(status, fresh).is_ok(), "{status}");
    }
    assert_eq!(store(103, fresh), Err(NoStoreReason::Interim));
    assert_eq!(store(206, fresh), Err(NoStoreReason::Partial));
    assert_eq!(store(304, fresh), Err(NoStoreReason::NotModified));
}

#[test]
fn heuristic_freshness_is_for_some_statuses() {
    let modified = date::format(NOW - 24 * 3600);
    let plain: Lines<'_> = &[("Last-Modified", &modified)];
    let public: Lines<'_> = &[("Last-Modified", &modified), ("Cache-Control", "public")];
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(store(status, plain).unwrap().freshness.lifetime_s, 8640, "{status}");
    }
    for status in [201, 202, 302, 307, 403, 502, 503, 504, 599] {
        assert_eq!(store(status, plain), Err(NoStoreReason::NoFreshness), "{status}");
        assert_eq!(store(status, public).unwrap().freshness.lifetime_s, 8640, "{status}");
    }
}

#[test]
fn must_understand_replaces_no_store_for_known_statuses() {
    let both: Lines<'_> = &[("Cache-Control", "max-age=3600, no-store, must-understand")];
    assert!(store(200, both).is_ok());
    assert_eq!(store(499, both), Err(NoStoreReason::NotUnderstood));
    assert_eq!(store(499, &[("Cache-Control", "max-age=3600, must-understand")]), Err(NoStoreReason::NotUnderstood));
    assert_eq!(store(200, &[("Cache-Control", "max-age=3600, no-store")]), Err(NoStoreReason::NoStore));
}

#[test]
fn credentials_need_permission() {
    let with = |cache_control| store_as(Policy::default(), &[("Authorization", "Basic eA==")], 200, &[("Cache-Control", cache_control)]);
    assert_eq!(with("max-age=3600"), Err(NoStoreReason::Authorization));
    for sharing in ["max-age=3600, public", "s-maxage=3600", "max-age=3600, must-revalidate"] {
        assert!(with(sharing).is_ok(), "{sharing}");
    }
    assert_eq!(with("max-age=3600, public, private"), Err(NoStoreReason::Private));
}

#[test]
fn cookies_are_the_services_to_allow() {
    let modified = date::format(NOW - 24 * 3600);
    let explicit: Lines<'_> = &[("Cache-Control", "max-age=3600"), ("Set-Cookie", "a=b")];
    let heuristic: Lines<'_> = &[("Last-Modified", &modified), ("Set-Cookie", "a=b")];
    let withheld: Lines<'_> = &[("Cache-Control", "max-age=3600, no-cache=\"Set-Cookie\""), ("Set-Cookie", "a=b")];
    let allowing = Policy { store_set_cookie: true, ..Policy::default() };
    assert_eq!(store(200, explicit), Err(NoStoreReason::SetCookie));
    assert!(store_as(allowing, &[], 200, explicit).unwrap().fields.has("set-cookie"));
    assert_eq!(store_as(allowing, &[], 200, heuristic), Err(NoStoreReason::SetCookie));
    assert!(!store(200, withheld).unwrap().fields.has("set-cookie"));
}

#[test]
fn only_get_without_content_is_stored() {
    let fields = owned(&[("Cache-Control", "max-age=3600")]);
    let response = ResponseFacts { status: 200, fields: &fields, requested_at: NOW, received_at: NOW, arrived_at: NOW };
    let of = |request: RequestFacts<'_, FieldLines>| may_store(&request, &response, &Policy::default()).err();
    let none = owned(&[]);
    assert_eq!(of(RequestFacts::new("GET", &none)), None);
    assert_eq!(of(RequestFacts::new("HEAD", &none)), Some(NoStoreReason::Method));
    assert_eq!(of(RequestFacts::new("POST", &none)), Some(NoStoreReason::Method));
    assert_eq!(of(RequestFacts { has_content: true, ..RequestFacts::new("GET", &none) }), Some(NoStoreReason::RequestContent));
}

#[test]
fn pragma_and_request_directives_do_not_matter() {
    assert!(is_reused(&[("Cache-Control", "max-age=3600"), ("Pragma", "no-cache")]));
    for advice in ["no-store", "no-cache", "max-age=0"] {
        assert!(store_as(Policy::default(), &[("Cache-Control", advice)], 200, &[("Cache-Control", "max-age=60")]).is_ok());
    }
}
