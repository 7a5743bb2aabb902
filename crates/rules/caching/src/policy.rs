//! What a delivery service changes about RFC 9111.

/// The caching knobs of one delivery service; the default is RFC 9111 with cookies refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Freshness, in seconds, of a cacheable response whose origin says nothing of it; absent: heuristic freshness.
    pub default_ttl_s: Option<u32>,
    /// Upper bound, in seconds, on any freshness; absent: none.
    pub max_ttl_s: Option<u32>,
    /// Leave the query out of the cache key.
    pub ignore_query: bool,
    /// Store responses that set cookies, when their freshness is explicit.
    pub store_set_cookie: bool,
}
