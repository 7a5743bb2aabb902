//! The configuration in force, with what is looked up in it for each request.

use crate::{fields::claimed_hops, offload::Offload};
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
};
use weir_model::{DeliveryService, DeviceName, ServiceName};
use weir_net::http1::Request;
use weir_routing::Network;

/// The configuration in force.
pub(crate) struct Here {
    pub(crate) network: Network,
    pub(crate) name: DeviceName,
    /// This engine's address: where it is reached, and what it speaks from to other engines.
    pub(crate) address: Option<IpAddr>,
    /// Addresses of all engines.
    engines: HashSet<IpAddr>,
    /// What begins the cache keys of each delivery service this engine carries.
    carried: HashMap<ServiceName, String>,
    /// Set while Server Offload holds this engine.
    pub(crate) offload: Option<Offload>,
}

impl Here {
    /// What is in force after `before`. The manager says that an offload in it began at `since_ms`.
    pub(crate) fn new(network: Network, name: DeviceName, since_ms: Option<u64>, before: Option<&Here>) -> Self {
        let me = network.engine(&name);
        let address = me.map(|engine| engine.http.ip()).filter(|address| !address.is_unspecified());
        let engines = network.engines().iter().map(|engine| engine.http.ip().to_canonical()).collect();
        let carries = |me: &weir_routing::Engine, service| network.engines_of(service, me.location).any(|engine| engine.name == me.name);
        let carried = network.services().iter().filter(|service| me.is_some_and(|me| carries(me, service)));
        let carried = carried.map(|service| (service.service.name.clone(), key_start(&service.service))).collect();
        // A worker that saw it begin needs nobody's clock.
        let earlier_ms = since_ms.filter(|_| before.is_none()).map_or(0, |since_ms| weir_clock::wall_ms().saturating_sub(since_ms));
        let before = before.and_then(|here| here.offload.as_ref());
        let learnt = (weir_clock::monotonic_ms(), earlier_ms);
        let offload = Offload::of(me.and_then(|me| me.offload), network.stamp(), before, learnt);
        Self { network, name, address, engines, carried, offload }
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
/// another origin or other caching rules begin with nothing. The digest is of this process only.
fn key_start(service: &DeliveryService) -> String {
    let mut digest = DefaultHasher::new();
    service.name.hash(&mut digest);
    service.origin.hash(&mut digest);
    let rules = serde_json::to_string(&service.caching).expect("a policy is numbers and flags");
    rules.hash(&mut digest);
    format!("{:016x}.{}", digest.finish(), service.domain)
}
