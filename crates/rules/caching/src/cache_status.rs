//! The `Cache-Status` field (RFC 9211) and the words logs and metrics share with it.

use std::fmt;

/// How the cache took part in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    /// Served from the cache, fresh.
    Hit,
    /// Served from the cache, stale, inside `stale-while-revalidate`.
    StaleHit,
    /// Served from the cache after upstream confirmed it with a 304.
    Revalidated,
    /// Served from the cache, stale, because upstream failed.
    StaleOnError,
    /// Stale in the cache; upstream sent a new response.
    Stale,
    /// Nothing stored under the key.
    UriMiss,
    /// Stored, but for other request fields.
    VaryMiss,
    /// Passed through because of the request's method.
    Method,
    /// Passed through for another reason.
    Bypass,
    /// 504: `only-if-cached` and nothing usable stored.
    NotCached,
}

impl CacheOutcome {
    /// Every outcome, for tables of metrics.
    pub const ALL: [CacheOutcome; 10] = [
        CacheOutcome::Hit,
        CacheOutcome::StaleHit,
        CacheOutcome::Revalidated,
        CacheOutcome::StaleOnError,
        CacheOutcome::Stale,
        CacheOutcome::UriMiss,
        CacheOutcome::VaryMiss,
        CacheOutcome::Method,
        CacheOutcome::Bypass,
        CacheOutcome::NotCached,
    ];

    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            CacheOutcome::Hit => "hit",
            CacheOutcome::StaleHit => "stale-hit",
            CacheOutcome::Revalidated => "revalidated",
            CacheOutcome::StaleOnError => "stale-on-error",
            CacheOutcome::Stale => "stale",
            CacheOutcome::UriMiss => "uri-miss",
            CacheOutcome::VaryMiss => "vary-miss",
            CacheOutcome::Method => "method",
            CacheOutcome::Bypass => "bypass",
            CacheOutcome::NotCached => "not-cached",
        }
    }

    /// Whether the body came from the cache.
    pub fn is_served_from_cache(self) -> bool {
        matches!(self, CacheOutcome::Hit | CacheOutcome::StaleHit | CacheOutcome::Revalidated | CacheOutcome::StaleOnError)
    }

    /// The `fwd` parameter: why the request went upstream, absent when it did not (RFC 9211 section 2.2).
    pub fn fwd(self) -> Option<&'static str> {
        match self {
            CacheOutcome::Hit | CacheOutcome::StaleHit | CacheOutcome::NotCached => None,
            CacheOutcome::Revalidated | CacheOutcome::StaleOnError | CacheOutcome::Stale => Some("stale"),
            CacheOutcome::UriMiss | CacheOutcome::VaryMiss | CacheOutcome::Method | CacheOutcome::Bypass => Some(self.as_str()),
        }
    }

    /// The `detail` parameter where the other parameters do not tell outcomes apart; it goes before [`CacheStatus::detail`].
    pub fn detail(self) -> Option<&'static str> {
        matches!(self, CacheOutcome::StaleHit | CacheOutcome::StaleOnError | CacheOutcome::NotCached).then(|| self.as_str())
    }
}

/// One cache's member of a `Cache-Status` field; [`fmt::Display`] writes it.
///
/// Members stand in the order of the caches, the one nearest the origin first (RFC 9211 section 2): add this as a further
/// line after those received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// Who speaks: `weir`, or a device's name.
    pub cache: &'a str,
    /// What happened.
    pub outcome: CacheOutcome,
    /// Seconds of freshness left, negative when stale; absent when the response is not stored.
    pub ttl_s: Option<i64>,
    /// Status of the upstream response, where it differs from the one sent.
    pub fwd_status: Option<u16>,
    /// Whether the upstream response was stored.
    pub stored: bool,
    /// Whether the request waited for another one's upstream request.
    pub collapsed: bool,
    /// A word more, such as [`crate::NoStoreReason::as_str`]; for outcomes that carry their own it is left out.
    pub detail: Option<&'a str>,
}

impl<'a> CacheStatus<'a> {
    /// A status that says only what happened.
    pub fn new(cache: &'a str, outcome: CacheOutcome) -> CacheStatus<'a> {
        CacheStatus { cache, outcome, ttl_s: None, fwd_status: None, stored: false, collapsed: false, detail: None }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_item(out, self.cache)?;
        match self.outcome.fwd() {
            Some(fwd) => {
                write!(out, "; fwd={fwd}")?;
                if let Some(status) = self.fwd_status {
                    write!(out, "; fwd-status={status}")?;
                }
            }
            None if self.outcome.is_served_from_cache() => out.write_str("; hit")?,
            None => {}
        }
        if let Some(ttl) = self.ttl_s {
            write!(out, "; ttl={ttl}")?;
        }
        // Sections 2.5 and 2.6: these two are statements about a forwarded request.
        if self.outcome.fwd().is_some() {
            if self.stored {
                out.write_str("; stored")?;
            }
            if self.collapsed {
                out.write_str("; collapsed")?;
            }
        }
        if let Some(detail) = self.outcome.detail().or(self.detail) {
            out.write_str("; detail=")?;
            write_item(out, detail)?;
        }
        Ok(())
    }
}

/// A member for a request the cache was not asked about: who speaks and why, as [`CacheStatus`] writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedStatus<'a> {
    /// Who speaks.
    pub cache: &'a str,
    /// Why.
    pub detail: &'a str,
}

impl fmt::Display for RefusedStatus<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_item(out, self.cache)?;
        out.write_str("; detail=")?;
        write_item(out, self.detail)
    }
}

/// Writes a token where the text is one, else a string (RFC 8941 sections 3.3.3 and 3.3.4); what a string cannot hold
/// becomes `?`.
fn write_item(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let starts_token = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*');
    let is_token = |byte: u8| matches!(byte, b':' | b'/') || crate::fields::is_token(&[byte]);
    if starts_token && text.bytes().all(is_token) {
        return out.write_str(text);
    }
    out.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(out, "\\{character}")?,
            ' '..='~' => write!(out, "{character}")?,
            _ => out.write_str("?")?,
        }
    }
    out.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_refusal_quotes_a_name_that_is_no_token() {
        let refused = |cache| RefusedStatus { cache, detail: "loop" }.to_string();
        assert_eq!(refused("core-1"), "core-1; detail=loop");
        assert_eq!(refused("1-core"), "\"1-core\"; detail=loop");
    }

    #[test]
    fn members_read_as_rfc_9211_writes_them() {
        let status = |outcome| CacheStatus::new("weir", outcome);
        let cases = [
            (CacheStatus { ttl_s: Some(376), ..status(CacheOutcome::Hit) }, "weir; hit; ttl=376"),
            (CacheStatus { ttl_s: Some(-3), ..status(CacheOutcome::StaleHit) }, "weir; hit; ttl=-3; detail=stale-hit"),
            (
                CacheStatus { fwd_status: Some(304), ttl_s: Some(60), ..status(CacheOutcome::Revalidated) },
                "weir; fwd=stale; fwd-status=304; ttl=60",
            ),
            (
                CacheStatus { fwd_status: Some(503), ttl_s: Some(-9), ..status(CacheOutcome::StaleOnError) },
                "weir; fwd=stale; fwd-status=503; ttl=-9; detail=stale-on-error",
            ),
            (CacheStatus { stored: true, ttl_s: Some(10), ..status(CacheOutcome::UriMiss) }, "weir; fwd=uri-miss; ttl=10; stored"),
            (CacheStatus { collapsed: true, ..status(CacheOutcome::VaryMiss) }, "weir; fwd=vary-miss; collapsed"),
            (CacheStatus { detail: Some("no-store"), ..status(CacheOutcome::UriMiss) }, "weir; fwd=uri-miss; detail=no-store"),
            (status(CacheOutcome::Method), "weir; fwd=method"),
            (status(CacheOutcome::Bypass), "weir; fwd=bypass"),
            (status(CacheOutcome::NotCached), "weir; detail=not-cached"),
            (CacheStatus { stored: true, collapsed: true, ..status(CacheOutcome::Hit) }, "weir; hit"),
            (
                CacheStatus { detail: Some("a \"b\"\u{e9}\n"), ..CacheStatus::new("1 east", CacheOutcome::Hit) },
                "\"1 east\"; hit; detail=\"a \\\"b\\\"??\"",
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(status.to_string(), expected);
        }
    }

    #[test]
    fn every_outcome_has_its_own_word() {
        let words: BTreeSet<&str> = CacheOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(words.len(), CacheOutcome::ALL.len());
    }

    proptest! {
        #[test]
        fn a_value_is_one_line_of_printable_text(cache in any::<String>(), detail in any::<String>()) {
            let status = CacheStatus { detail: Some(&detail), ..CacheStatus::new(&cache, CacheOutcome::UriMiss) };
            prop_assert!(status.to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
