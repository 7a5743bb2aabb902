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

/// Why a delivery service is nothing to serve from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// A TTL over [`TTL_SECONDS_MAX`].
    #[error("{field} is {seconds} s, more than {TTL_SECONDS_MAX}")]
    Ttl {
        /// Which, such as `caching.max_ttl_seconds`.
        field: &'static str,
        /// What it says.
        seconds: u32,
    },
}

impl DeliveryService {
    /// Whether it can be served from, as far as it can be told from it alone. Manager, routers and engines all ask here.
    ///
    /// # Errors
    /// [`ServiceError`] names the field.
    pub fn check(&self) -> Result<(), ServiceError> {
        let CachePolicy { default_ttl_seconds, max_ttl_seconds, .. } = self.caching;
        for (field, ttl) in [("caching.default_ttl_seconds", default_ttl_seconds), ("caching.max_ttl_seconds", max_ttl_seconds)] {
            if let Some(seconds) = ttl.filter(|seconds| *seconds > TTL_SECONDS_MAX) {
                return Err(ServiceError::Ttl { field, seconds });
            }
        }
        Ok(())
    }
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
