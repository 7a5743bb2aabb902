//! The compiled network: a configuration with its indexes, immutable once built.

use crate::{addresses::Family, zones::Zones};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasherDefault, DefaultHasher},
    net::{IpAddr, SocketAddr},
};
use weir_model::{
    DeliveryService, DeviceName, Domain, LocationName, OffloadEpoch, Profile, Stamp, configuration::Confirmed, name::DOMAIN_BYTES,
};

/// A map whose hasher has no random seed, so that the crate stays deterministic. Keys come from the configuration only.
pub(crate) type FixedMap<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// Which location of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LocationIndex(pub(crate) u32);

/// Which engine of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EngineIndex(pub(crate) u32);

/// Which delivery service of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ServiceIndex(pub(crate) u32);

/// A site in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its name.
    pub name: LocationName,
    /// The site nearer the origin; absent for a root.
    pub parent: Option<LocationIndex>,
}

/// An engine as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its name.
    pub name: DeviceName,
    /// Where it is.
    pub location: LocationIndex,
    /// Where viewers and other engines reach it over HTTP.
    pub http: SocketAddr,
    /// Share of keys relative to its peers, 0 to 100; 0 is never chosen.
    pub weight: u8,
    /// How far Server Offload has taken it out, as this configuration says; absent: in service.
    pub offload: Option<OffloadEpoch>,
}

/// Which router of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RouterIndex(pub(crate) u32);

/// A router as engines and other routers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// Its name.
    pub name: DeviceName,
    /// Where it redirects viewers.
    pub http: Option<SocketAddr>,
    /// Where it answers DNS.
    pub dns: Option<SocketAddr>,
    /// Handed over: it leaves the other routers' answers and goes on answering.
    pub offloaded: bool,
}

/// A delivery service and where its engines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The service as configured.
    pub service: DeliveryService,
    pub(crate) engines_at: BTreeMap<LocationIndex, Vec<EngineIndex>>,
    /// Address families in which an engine of it that may be chosen at all can be named.
    pub(crate) families: Vec<Family>,
}

/// What is known of the services' domains as a whole, for finding the one a name is under.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    /// Labels of the longest one.
    pub(crate) labels_max: usize,
    /// Names without records of their own that have a service's domain both above and below them.
    pub(crate) between: HashSet<String, BuildHasherDefault<DefaultHasher>>,
}

/// Everything routing needs of one configuration. Built by [`Network::compile`] only, so what it names exists.
#[derive(Debug)]
pub struct Network {
    pub(crate) stamp: Stamp,
    pub(crate) profile: Profile,
    pub(crate) confirmed: Confirmed,
    /// Of engines that are not here.
    pub(crate) engine_addresses: Vec<IpAddr>,
    pub(crate) locations: Vec<Location>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) engines_by_name: FixedMap<DeviceName, EngineIndex>,
    pub(crate) routers: Vec<Router>,
    pub(crate) routers_by_name: FixedMap<DeviceName, RouterIndex>,
    pub(crate) services: Vec<Service>,
    pub(crate) services_by_domain: FixedMap<Domain, ServiceIndex>,
    pub(crate) domains: Domains,
    pub(crate) zones: Zones,
}

impl Network {
    /// The configuration's (term, generation).
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Timers.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Every engine, in the configuration's order.
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }

    /// Where engines serve and, as a rule, speak from: also those that this network leaves out.
    pub fn engine_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let here = self.engines.iter().map(|engine| engine.http.ip());
        here.chain(self.engine_addresses.iter().copied()).map(|address| address.to_canonical())
    }

    /// Every delivery service, in the configuration's order.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Client networks.
    pub fn zones(&self) -> &Zones {
        &self.zones
    }

    /// The engine of this name.
    pub fn engine(&self, name: &DeviceName) -> Option<&Engine> {
        self.engine_named(name.as_str())
    }

    pub(crate) fn engine_named(&self, name: &str) -> Option<&Engine> {
        self.engines_by_name.get(name).map(|index| self.engine_at(*index))
    }

    /// Every router, in the configuration's order; handed-over ones too.
    pub fn routers(&self) -> &[Router] {
        &self.routers
    }

    /// The router of this name.
    pub fn router(&self, name: &DeviceName) -> Option<&Router> {
        self.router_named(name.as_str())
    }

    pub(crate) fn router_named(&self, name: &str) -> Option<&Router> {
        self.routers_by_name.get(name).map(|index| &self.routers[index.0 as usize])
    }

    /// The service at an index this network gave out.
    pub fn service(&self, index: ServiceIndex) -> &Service {
        &self.services[index.0 as usize]
    }

    /// The location at an index this network gave out.
    pub fn location(&self, index: LocationIndex) -> &Location {
        &self.locations[index.0 as usize]
    }

    /// The service published under a domain, in any case, without a trailing dot.
    pub fn service_of_domain(&self, domain: &str) -> Option<ServiceIndex> {
        lowered(domain, |lower| self.services_by_domain.get(lower).copied())
    }

    /// The location of this name.
    pub fn location_named(&self, name: &LocationName) -> Option<LocationIndex> {
        (0..).map(LocationIndex).zip(&self.locations).find(|(_, location)| location.name == *name).map(|(index, _)| index)
    }

    /// The locations from a location's parent up to its root.
    pub fn ancestors(&self, from: LocationIndex) -> impl Iterator<Item = LocationIndex> {
        std::iter::successors(self.location(from).parent, |at| self.location(*at).parent)
    }

    /// A service's engines at one location, in the configuration's order.
    pub fn engines_of(&self, service: &Service, at: LocationIndex) -> impl Iterator<Item = &Engine> {
        service.engines_at.get(&at).into_iter().flatten().map(|index| self.engine_at(*index))
    }

    /// Whether an engine of this network carries a service of it.
    pub fn carries(&self, service: &Service, engine: &Engine) -> bool {
        self.engines_of(service, engine.location).any(|carrier| carrier.name == engine.name)
    }

    fn engine_at(&self, index: EngineIndex) -> &Engine {
        &self.engines[index.0 as usize]
    }
}

/// Calls `find` with the text in lower case, without allocating; nothing is found for a text longer than a domain.
pub(crate) fn lowered<T>(text: &str, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let mut buffer = [0; DOMAIN_BYTES];
    let lower = buffer.get_mut(..text.len())?;
    lower.copy_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
    find(std::str::from_utf8(lower).expect("lower-casing ASCII keeps UTF-8 valid"))
}
