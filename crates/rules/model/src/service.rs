//! Delivery services: what is delivered.

use crate::{DeviceName, Domain, OriginUrl, ServiceName};
use serde::{Deserialize, Serialize};

/// Longest TTL a policy may state: 366 days, in seconds.
pub const TTL_SECONDS_MAX: u32 = 366 * 24 * 3600;

/// What is delivered, from where, under which name, and how it is cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryService {
    /// Its name.
    pub name: ServiceName,
    /// The domain viewers ask for.
    pub domain: Domain,
    /// Where content comes from.
    pub origin: OriginUrl,
    /// Engines that carry it, sorted by name.
    pub engines: Vec<DeviceName>,
    /// How it is cached.
    pub caching: CachePolicy,
    /// The word its engines put as `detail` of `Cache-Status`; absent: none.
    #[cfg(feature = "synthetic-next")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<crate::Detail>,
}

/// What a delivery service changes about RFC 9111.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicy {
    /// Freshness of a cacheable response whose origin says nothing of it; absent: heuristic freshness (RFC 9111 section 4.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl_seconds: Option<u32>,
    /// Upper bound on any freshness; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl_seconds: Option<u32>,
    /// Leave the query out of the cache key (it still goes to the origin).
    #[serde(default)]
    pub ignore_query: bool,
    /// Store responses that set cookies (RFC 9111 allows it; refused unless this says otherwise).
    #[serde(default)]
    pub store_set_cookie: bool,
}
