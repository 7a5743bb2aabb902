//! The configuration in force, with what is looked up in it for each request.

use crate::{fields::claimed_hops, offload::Offload, software::Delivery};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};
use weir_model::{DeliveryService, DeviceName, ServiceName, service::CachePolicy};
use weir_net::http1::Request;
use weir_routing::Network;

/// The configuration in force.
pub(crate) struct Here {
    pub(crate) network: Network,
    pub(crate) name: DeviceName,
    /// This engine's address: where it is reached, and what it speaks from to other engines.
    pub(crate) address: Option<IpAddr>,
    /// Addresses of all engines, also of those the configuration leaves out.
    engines: HashSet<IpAddr>,
    /// What begins the cache keys of each delivery service this engine carries.
    carried: HashMap<ServiceName, String>,
    /// The system delivery service.
    pub(crate) delivery: Delivery,
    /// Set while Server Offload holds this engine.
    pub(crate) offload: Option<Offload>,
}

impl Here {
    /// What is in force after `before`. The manager says that an offload in it began at `since_ms`.
    pub(crate) fn new(network: Network, name: DeviceName, since_ms: Option<u64>, before: Option<&Here>) -> Self {
        let me = network.engine(&name);
        let address = me.map(|engine| engine.http.ip()).filter(|address| !address.is_unspecified());
        let engines = network.engine_addresses().collect();
        let carries = |me: &weir_routing::Engine, service| network.engines_of(service, me.location).any(|engine| engine.name == me.name);
        let carried = network.services().iter().filter(|service| me.is_some_and(|me| carries(me, service)));
        let carried = carried.map(|service| (service.service.name.clone(), key_start(&service.service))).collect();
        // A worker that saw it begin needs nobody's clock.
        let earlier_ms = since_ms.filter(|_| before.is_none()).map_or(0, |since_ms| weir_clock::wall_ms().saturating_sub(since_ms));
        let before = before.and_then(|here| here.offload.as_ref());
        let learnt = (weir_clock::monotonic_ms(), earlier_ms);
        let offload = Offload::of(me.and_then(|me| me.offload), network.stamp(), before, learnt);
        Self { network, name, address, engines, carried, delivery: Delivery::default(), offload }
    }

    /// The same, with the system delivery service.
    pub(crate) fn delivering(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// What begins the cache keys of a delivery service; nothing when this engine does not carry it.
    pub(crate) fn key_start(&self, service: &ServiceName) -> Option<&str> {
        self.carried.get(service).map(String::as_str)
    }

    /// Whether viewers of a delivery service can be sent to another engine.
    pub(crate) fn is_carried_elsewhere(&self, service: &ServiceName) -> bool {
        let engines = self.network.services().iter().filter(|s| s.service.name == *service).flat_map(|s| &s.service.engines);
        let others = engines.filter(|name| **name != self.name).filter_map(|name| self.network.engine(name));
        others.into_iter().any(|engine| engine.offload.is_none() && engine.weight > 0)
    }

    /// Engines a request has passed. Only an engine is believed: anybody else could have a request refused as a loop, or
    /// hide a viewer.
    pub(crate) fn hops(&self, request: &Request<'_>) -> u32 {
        let hops = claimed_hops(request);
        if hops > 0 && self.engines.contains(&request.peer.ip().to_canonical()) { hops } else { 0 }
    }
}

/// The service's domain after a digest of all that decides what is stored under it: another service of the same domain,
/// another origin or other caching rules begin with nothing.
///
/// Keys are on disk, where a worker of another line finds them: the digest is the same in every process and release. A rule
/// that a later line adds is part of it only where it is set, so that what is stored without it stays known
/// (`docs/protocols/store-head.md`).
fn key_start(service: &DeliveryService) -> String {
    let CachePolicy { default_ttl_seconds, max_ttl_seconds, ignore_query, store_set_cookie } = &service.caching;
    let seconds = |ttl: &Option<u32>| ttl.map_or_else(String::new, |ttl| ttl.to_string());
    let flag = |is: bool| if is { "1" } else { "0" }.to_owned();
    let parts = [
        service.name.to_string(),
        service.origin.to_string(),
        seconds(default_ttl_seconds),
        seconds(max_ttl_seconds),
        flag(*ignore_query),
        flag(*store_set_cookie),
    ];
    let digest = Sha256::digest(parts.join("\0"));
    let start: [u8; 8] = digest[..8].try_into().expect("a SHA-256 is 32 bytes");
    format!("{:016x}.{}", u64::from_be_bytes(start), service.domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> DeliveryService {
        DeliveryService {
            name: "demo".parse().expect("a name"),
            domain: "demo.weir.test".parse().expect("a domain"),
            origin: "http://192.0.2.9:8080/live".parse().expect("a URL"),
            engines: vec!["east-1".parse().expect("a name")],
            caching: CachePolicy::default(),
            #[cfg(feature = "synthetic-next")]
            detail: Some("gold".parse().expect("a detail")),
        }
    }

    #[test]
    fn what_begins_a_key_is_the_same_in_every_release() {
        assert_eq!(key_start(&service()), "0c099cec20b7ff8b.demo.weir.test");
        let mut strict = service();
        strict.caching =
            CachePolicy { default_ttl_seconds: Some(60), max_ttl_seconds: Some(3600), ignore_query: true, store_set_cookie: true };
        assert_eq!(key_start(&strict), "a51fad485b72cb96.demo.weir.test");
    }

    #[test]
    fn whatever_decides_what_is_stored_begins_other_keys() {
        let change = |change: fn(&mut DeliveryService)| {
            let mut changed = service();
            change(&mut changed);
            key_start(&changed)
        };
        let changes: [fn(&mut DeliveryService); 8] = [
            |_| {},
            |s| s.name = "other".parse().expect("a name"),
            |s| s.domain = "other.weir.test".parse().expect("a domain"),
            |s| s.origin = "http://192.0.2.9:8080/vod".parse().expect("a URL"),
            |s| s.caching.default_ttl_seconds = Some(1),
            |s| s.caching.max_ttl_seconds = Some(1),
            |s| s.caching.ignore_query = true,
            |s| s.caching.store_set_cookie = true,
        ];
        let starts: HashSet<String> = changes.into_iter().map(change).collect();
        assert_eq!(starts.len(), changes.len());
        assert_eq!(change(|s| s.engines.clear()), key_start(&service()), "who carries it does not");
    }
}
