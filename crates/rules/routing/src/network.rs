//! The compiled network: a configuration with its indexes, immutable once built.

use crate::zones::Zones;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, DefaultHasher},
    net::SocketAddr,
};
use weir_model::{DeliveryService, DeviceName, Domain, LocationName, Profile, Stamp, name::DOMAIN_BYTES};

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
}

/// A delivery service and where its engines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The service as configured.
    pub service: DeliveryService,
    pub(crate) engines_at: BTreeMap<LocationIndex, Vec<EngineIndex>>,
}

/// Everything routing needs of one configuration. Built by [`Network::compile`] only, so what it names exists.
#[derive(Debug)]
pub struct Network {
    pub(crate) stamp: Stamp,
    pub(crate) profile: Profile,
    pub(crate) locations: Vec<Location>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) engines_by_name: FixedMap<DeviceName, EngineIndex>,
    pub(crate) services: Vec<Service>,
    pub(crate) services_by_domain: FixedMap<Domain, ServiceIndex>,
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
        self.engines_by_name.get(name).map(|index| self.engine_at(*index))
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

    /// The locations from a location's parent up to its root.
    pub fn ancestors(&self, from: LocationIndex) -> impl Iterator<Item = LocationIndex> {
        std::iter::successors(self.location(from).parent, |at| self.location(*at).parent)
    }

    /// A service's engines at one location, in the configuration's order.
    pub fn engines_of(&self, service: &Service, at: LocationIndex) -> impl Iterator<Item = &Engine> {
        service.engines_at.get(&at).into_iter().flatten().map(|index| self.engine_at(*index))
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
