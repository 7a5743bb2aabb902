//! Why the engine itself refuses a request, as the client, the record and the log name it.

use crate::upstream::failure::Failure;
use bytes::Bytes;
use weir_caching::{CacheOutcome, CacheStatus, RefusedStatus};
use weir_net::http1::{Body, ResponseHead};
use weir_routing::Unresolved;

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The engine has no configuration yet.
    NoConfiguration,
    /// The URL names no delivery service.
    Unresolved(Unresolved),
    /// The delivery service is not carried by this engine.
    NotCarried,
    /// Release archives are for devices of this network, and the client's address is none of theirs.
    NotADevice,
    /// No release archive is at this path.
    NoArchive,
    /// Release archives are read, nothing else.
    MethodNotAllowed,
    /// The path climbs with `..`, which could leave the origin's prefix.
    DotSegments,
    /// The request has passed too many engines.
    Loop,
    /// The client wants a stored answer only, and there is none (RFC 9111 section 5.2.1.7).
    OnlyIfCached,
    /// Nothing came from upstream.
    Upstream(Failure),
}

impl Refusal {
    /// Refusals after which another engine, or the origin, may well serve.
    pub(crate) fn declining() -> impl Iterator<Item = Refusal> {
        let unresolved = [Unresolved::UnknownDomain, Unresolved::NoDomainInPath, Unresolved::BadHost, Unresolved::NotAPath];
        [Refusal::NoConfiguration, Refusal::NotCarried, Refusal::NotADevice, Refusal::Loop, Refusal::Upstream(Failure::Cancelled)]
            .into_iter()
            .chain(unresolved.into_iter().map(Refusal::Unresolved))
    }

    pub(crate) fn status(self) -> u16 {
        match self {
            Refusal::NoConfiguration => 503,
            Refusal::Unresolved(Unresolved::UnknownDomain | Unresolved::NoDomainInPath) | Refusal::NotCarried | Refusal::NoArchive => 404,
            Refusal::NotADevice => 403,
            Refusal::MethodNotAllowed => 405,
            Refusal::Unresolved(Unresolved::BadHost | Unresolved::NotAPath) | Refusal::DotSegments => 400,
            Refusal::Loop => 508,
            Refusal::OnlyIfCached => 504,
            Refusal::Upstream(failure) => failure.status(),
        }
    }

    /// Whether the engine answers with an error (5xx) that neither its client nor an origin caused.
    pub(crate) fn is_own(self) -> bool {
        match self {
            Refusal::NoConfiguration | Refusal::Loop | Refusal::Upstream(Failure::Cancelled | Failure::Unidentified) => true,
            Refusal::Unresolved(_) | Refusal::NotCarried | Refusal::NotADevice | Refusal::NoArchive | Refusal::MethodNotAllowed => false,
            Refusal::DotSegments | Refusal::OnlyIfCached | Refusal::Upstream(_) => false,
        }
    }

    /// The word: field `Weir-Reason`, `detail` of Cache-Status, the record.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Refusal::NoConfiguration => "no_configuration",
            Refusal::Unresolved(why) => why.as_str(),
            Refusal::NotCarried => "not_carried",
            Refusal::NotADevice => "not_a_device",
            Refusal::NoArchive => "no_such_archive",
            Refusal::MethodNotAllowed => "method_not_allowed",
            Refusal::DotSegments => "dot_segments",
            Refusal::Loop => "loop",
            Refusal::OnlyIfCached => "only_if_cached",
            Refusal::Upstream(failure) => failure.as_str(),
        }
    }

    /// Writes the answer. Nobody may store it: it says something of this moment and this engine only.
    pub(crate) fn write(self, engine: &str, outcome: Option<CacheOutcome>, head: &mut ResponseHead<'_>) -> Body {
        head.status(self.status());
        head.field("Content-Type", "text/plain; charset=utf-8");
        head.field("Cache-Control", "no-store");
        let detail = Some(self.as_str());
        match outcome {
            Some(outcome) => head.field("Cache-Status", CacheStatus { detail, ..CacheStatus::new(engine, outcome) }.to_string()),
            None => head.field("Cache-Status", RefusedStatus { cache: engine, detail: self.as_str() }.to_string()),
        }
        head.field("Weir-Reason", self.as_str());
        if self.status() == 503 {
            head.field("Retry-After", "1");
        }
        if self.status() == 405 {
            // RFC 9110 section 15.5.6: it must say what is allowed.
            head.field("Allow", "GET, HEAD");
        }
        Body::bytes(Bytes::from(format!("{} {}\n", self.status(), self.as_str())))
    }
}

/// Whether a path has a segment that climbs (`..`, in any percent-encoding).
pub(crate) fn climbs(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| is_dot(segment).and_then(is_dot).is_some_and(str::is_empty))
}

/// What follows one dot.
fn is_dot(segment: &str) -> Option<&str> {
    let encoded = || segment.get(..3).filter(|s| s.eq_ignore_ascii_case("%2e")).map(|_| &segment[3..]);
    segment.strip_prefix('.').or_else(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbing_paths() {
        for path in ["/..", "/../a", "/a/../b", "/a/%2e%2E/b", "/.%2e", "/a\\..\\b"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["/", "/a..b", "/...", "/.a", "/a/.", "/%2e", "/..a/b"] {
            assert!(!climbs(path), "{path}");
        }
    }

    #[test]
    fn words_and_statuses() {
        for (refusal, word, status) in [
            (Refusal::NoConfiguration, "no_configuration", 503),
            (Refusal::Unresolved(Unresolved::UnknownDomain), "unknown_domain", 404),
            (Refusal::NotCarried, "not_carried", 404),
            (Refusal::NotADevice, "not_a_device", 403),
            (Refusal::NoArchive, "no_such_archive", 404),
            (Refusal::MethodNotAllowed, "method_not_allowed", 405),
            (Refusal::Loop, "loop", 508),
            (Refusal::OnlyIfCached, "only_if_cached", 504),
            (Refusal::Upstream(Failure::Connect), "upstream_refused", 502),
        ] {
            assert_eq!((refusal.as_str(), refusal.status()), (word, status));
        }
        let all = [Refusal::NoConfiguration, Refusal::NotCarried, Refusal::Loop, Refusal::OnlyIfCached];
        let upstream =
            [Failure::Connect, Failure::HeadTimeout, Failure::Busy, Failure::Cancelled, Failure::Unidentified].map(Refusal::Upstream);
        let own: Vec<&str> = all.into_iter().chain(upstream).filter(|refusal| refusal.is_own()).map(Refusal::as_str).collect();
        assert_eq!(own, ["no_configuration", "loop", "cancelled", "no_identity"]);
        assert!(Refusal::declining().all(|r| r != Refusal::OnlyIfCached));
    }
}
