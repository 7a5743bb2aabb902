//! Delivery services: what is delivered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::{DeviceName, Domain, OriginUrl, ServiceName, service::CachePolicy};

/// A delivery service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryService {
    /// Never used again.
    pub id: i64,
    /// Its name.
    #[schema(value_type = String)]
    pub name: ServiceName,
    /// The domain viewers ask for.
    #[schema(value_type = String)]
    pub domain: Domain,
    /// Where content comes from: `http://host[:port][/prefix]`.
    #[schema(value_type = String)]
    pub origin: OriginUrl,
    /// Engines that carry it; null for every active engine.
    #[schema(value_type = Option<Vec<String>>)]
    pub engines: Option<Vec<DeviceName>>,
    /// How it is cached.
    pub caching: Caching,
    /// Configuration generation of its last change.
    pub revision: u64,
}

/// POST and PUT of a delivery service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryServiceRequest {
    /// Its name: one label of a-z, 0-9 and '-'. A PUT with another name than the path's renames it.
    pub name: String,
    /// The domain viewers ask for.
    pub domain: String,
    /// Where content comes from: `http://host[:port][/prefix]`.
    pub origin: String,
    /// Engines that carry it; absent or null for every active engine.
    #[serde(default)]
    pub engines: Option<Vec<String>>,
    /// How it is cached.
    #[serde(default)]
    pub caching: Caching,
}

/// What a delivery service changes about RFC 9111.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Caching {
    /// Freshness of a response whose origin says nothing of it, in seconds; absent: heuristic freshness (RFC 9111 section 4.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl_seconds: Option<u32>,
    /// Upper bound on any freshness, in seconds; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl_seconds: Option<u32>,
    /// Leave the query out of the cache key (it still goes to the origin).
    #[serde(default)]
    pub ignore_query: bool,
    /// Store responses that set cookies.
    #[serde(default)]
    pub store_set_cookie: bool,
}

impl From<CachePolicy> for Caching {
    fn from(policy: CachePolicy) -> Self {
        let CachePolicy { default_ttl_seconds, max_ttl_seconds, ignore_query, store_set_cookie } = policy;
        Self { default_ttl_seconds, max_ttl_seconds, ignore_query, store_set_cookie }
    }
}
impl From<Caching> for CachePolicy {
    fn from(caching: Caching) -> Self {
        let Caching { default_ttl_seconds, max_ttl_seconds, ignore_query, store_set_cookie } = caching;
        Self { default_ttl_seconds, max_ttl_seconds, ignore_query, store_set_cookie }
    }
}
