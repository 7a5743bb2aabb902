//! What to do with a request, given what is stored (RFC 9111 section 4).

use crate::cache_control::only_if_cached;
use crate::{CacheOutcome, Fields, Freshness, RequestFacts, State};

/// What the store holds for a request's key.
#[derive(Debug, Clone, Copy)]
pub enum Candidate<'a> {
    /// Nothing.
    Absent,
    /// Responses, but none whose variant matches.
    OtherVariant,
    /// A response whose variant matches.
    Stored(&'a Freshness),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Serve what is stored.
    Hit,
    /// Serve what is stored and revalidate it in the background.
    StaleWhileRevalidate,
    /// Ask upstream, with [`crate::conditional::revalidation_fields`], before what is stored is used.
    Revalidate,
    /// Ask upstream; the answer may be stored.
    Miss(MissReason),
    /// Pass the request through; the cache has no part in it.
    Bypass(BypassReason),
    /// 504: the client wants an answer from the cache or none.
    NotCached,
}

/// Why nothing stored answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissReason {
    /// Nothing is stored under its key.
    Uri,
    /// What is stored was selected by other request fields.
    Vary,
}

/// Why the cache has no part in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BypassReason {
    /// Its method is neither GET nor HEAD.
    Method,
    /// It has content, which the key does not know.
    Content,
}

/// Decides on a request at `now`, on the clock of [`Freshness::arrived_at`].
///
/// Of the client's own directives only `only-if-cached` counts: `no-cache`, `no-store`, `max-age` and the others are advice
/// (RFC 9111 section 5.2.1), and a content network that followed it would let any viewer reach the origin at will.
pub fn decide<F: Fields + ?Sized>(request: &RequestFacts<'_, F>, candidate: Candidate<'_>, now: u64) -> Decision {
    if !matches!(request.method, "GET" | "HEAD") {
        return Decision::Bypass(BypassReason::Method);
    }
    if request.has_content {
        return Decision::Bypass(BypassReason::Content);
    }
    let decision = match candidate {
        Candidate::Absent => Decision::Miss(MissReason::Uri),
        Candidate::OtherVariant => Decision::Miss(MissReason::Vary),
        Candidate::Stored(freshness) => match freshness.state(now) {
            State::Fresh => Decision::Hit,
            State::StaleServable => Decision::StaleWhileRevalidate,
            State::Stale | State::MustRevalidate => Decision::Revalidate,
        },
    };
    match decision {
        Decision::Miss(_) | Decision::Revalidate if only_if_cached(request.fields) => Decision::NotCached,
        decision => decision,
    }
}

impl Decision {
    /// The word for what happens; a revalidation that ends well becomes [`CacheOutcome::Revalidated`], one that fails and
    /// is covered [`CacheOutcome::StaleOnError`].
    pub fn outcome(self) -> CacheOutcome {
        match self {
            Decision::Hit => CacheOutcome::Hit,
            Decision::StaleWhileRevalidate => CacheOutcome::StaleHit,
            Decision::Revalidate => CacheOutcome::Stale,
            Decision::Miss(MissReason::Uri) => CacheOutcome::UriMiss,
            Decision::Miss(MissReason::Vary) => CacheOutcome::VaryMiss,
            Decision::Bypass(BypassReason::Method) => CacheOutcome::Method,
            Decision::Bypass(BypassReason::Content) => CacheOutcome::Bypass,
            Decision::NotCached => CacheOutcome::NotCached,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reuse;

    const STORED: Freshness = Freshness {
        arrived_at: 1000,
        initial_age_s: 0,
        lifetime_s: 10,
        stale_while_revalidate_s: 5,
        stale_if_error_s: 0,
        reuse: Reuse::Windows,
    };

    fn decide_get(cache_control: &str, candidate: Candidate<'_>, now: u64) -> Decision {
        let fields: &[(&str, &[u8])] = &[("cache-control", cache_control.as_bytes())];
        decide(&RequestFacts::new("GET", fields), candidate, now)
    }

    #[test]
    fn what_is_stored_decides() {
        let cases = [
            (Candidate::Absent, 1000, Decision::Miss(MissReason::Uri)),
            (Candidate::OtherVariant, 1000, Decision::Miss(MissReason::Vary)),
            (Candidate::Stored(&STORED), 1009, Decision::Hit),
            (Candidate::Stored(&STORED), 1010, Decision::StaleWhileRevalidate),
            (Candidate::Stored(&STORED), 1015, Decision::StaleWhileRevalidate),
            (Candidate::Stored(&STORED), 1016, Decision::Revalidate),
        ];
        for (candidate, now, expected) in cases {
            assert_eq!(decide_get("", candidate, now), expected, "{candidate:?} {now}");
            let oic = match expected {
                Decision::Hit | Decision::StaleWhileRevalidate => expected,
                _ => Decision::NotCached,
            };
            assert_eq!(decide_get("only-if-cached", candidate, now), oic, "{candidate:?} {now}");
        }
        let no_cache = Freshness { reuse: Reuse::ValidatedOnly, ..STORED };
        assert_eq!(decide_get("", Candidate::Stored(&no_cache), 1000), Decision::Revalidate);
    }

    #[test]
    fn client_directives_are_advice_not_taken() {
        for advice in ["no-cache", "no-store", "max-age=0", "max-age=1", "min-fresh=1000"] {
            assert_eq!(decide_get(advice, Candidate::Stored(&STORED), 1005), Decision::Hit, "{advice}");
        }
        assert_eq!(decide_get("max-stale=1000", Candidate::Stored(&STORED), 1100), Decision::Revalidate);
    }

    #[test]
    fn other_methods_and_content_pass_through() {
        let fields: &[(&str, &[u8])] = &[("cache-control", b"only-if-cached")];
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH", "get"] {
            let decision = decide(&RequestFacts::new(method, fields), Candidate::Stored(&STORED), 1000);
            assert_eq!(decision, Decision::Bypass(BypassReason::Method), "{method}");
        }
        let with_content = RequestFacts { has_content: true, ..RequestFacts::new("GET", fields) };
        assert_eq!(decide(&with_content, Candidate::Stored(&STORED), 1000), Decision::Bypass(BypassReason::Content));
        assert_eq!(decide(&RequestFacts::new("HEAD", fields), Candidate::Stored(&STORED), 1000), Decision::Hit);
    }
}
