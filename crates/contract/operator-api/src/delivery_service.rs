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
    /// The word its engines put as `detail` of `Cache-Status` (RFC 9211 section 2.7); absent: none.
    #[cfg(feature = "synthetic-next")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub detail: Option<weir_model::Detail>,
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
    /// The word its engines put as `detail` of `Cache-Status`: 1 to 32 of a-z, 0-9 and '-'; absent or null: none.
    #[cfg(feature = "synthetic-next")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of line 1.1, and the request that would be of it.
    const ANSWER: &str = r#"{"id": 1, "name": "demo", "domain": "demo.weir.test", "origin": "http://127.0.7.250:9000", "engines": null,
        "caching": {}, "detail": "gold", "revision": 7}"#;
    const REQUEST: &str = r#"{"name": "demo", "domain": "demo.weir.test", "origin": "http://127.0.7.250:9000", "detail": "gold"}"#;

    #[cfg(not(feature = "synthetic-next"))]
    #[test]
    fn line_1_0_passes_over_a_detail_and_refuses_to_set_one() {
        let service: DeliveryService = serde_json::from_str(ANSWER).expect("answers may grow");
        assert_eq!((service.name.as_str(), service.revision), ("demo", 7));
        let refused = serde_json::from_str::<DeliveryServiceRequest>(REQUEST).expect_err("a field nobody knows");
        assert!(refused.to_string().contains("detail"), "{refused}");
    }

    #[cfg(feature = "synthetic-next")]
    #[test]
    fn line_1_1_knows_a_detail() {
        let service: DeliveryService = serde_json::from_str(ANSWER).expect("its own");
        assert_eq!(service.detail.as_ref().map(weir_model::Detail::as_str), Some("gold"));
        let request: DeliveryServiceRequest = serde_json::from_str(REQUEST).expect("its own");
        assert_eq!(request.detail.as_deref(), Some("gold"));
        let of_1_0: DeliveryService = serde_json::from_str(&ANSWER.replace(r#""detail": "gold", "#, "")).expect("of 1.0");
        assert_eq!(of_1_0.detail, None);
    }
}
