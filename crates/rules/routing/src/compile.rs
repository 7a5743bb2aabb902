//! From a configuration to a [`Network`]: every name is looked up once, here, and a wrong one is refused by its place.
//!
//! The manager, routers and engines load configurations through this function, so a document one of them accepts is one
//! the others accept.

use crate::{
    addresses::Family,
    network::{Domains, Engine, EngineIndex, FixedMap, Location, LocationIndex, Network, Router, RouterIndex, Service, ServiceIndex},
    zones::{Nearness, Reach, Tier, Zones},
};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use weir_model::{
    DeviceConfiguration, DeviceName, Domain, LocationName, ServiceName,
    configuration::{EngineEntry, LocationEntry, RouterEntry, ZoneEntry},
    delivery,
    service::{DeliveryService, ServiceError},
};

/// Most locations of a network.
pub const LOCATIONS_MAX: usize = 10_000;
/// Most active engines of a network.
pub const ENGINES_MAX: usize = 10_000;
/// Most active routers of a network: every engine sends each of them a keepalive about once a second.
pub const ROUTERS_MAX: usize = 1_000;
/// Most delivery services of a network, beside the system's own.
pub const SERVICES_MAX: usize = 10_000;
/// Most coverage-zone networks.
pub const ZONES_MAX: usize = 1_000_000;
/// Most locations one coverage zone may name.
pub const ZONE_LOCATIONS_MAX: usize = 64;
/// Most steps from a location to its root; also what ends the walk through a cycle.
pub const TREE_DEPTH_MAX: u32 = 16;
/// Largest weight of an engine.
pub const WEIGHT_MAX: u8 = 100;

/// The object of a configuration an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A location.
    Location(LocationName),
    /// An engine.
    Engine(DeviceName),
    /// A router.
    Router(DeviceName),
    /// A delivery service.
    Service(ServiceName),
    /// A coverage zone.
    Zone(IpNet),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Location(name) => write!(f, "location {name}"),
            Place::Engine(name) => write!(f, "engine {name}"),
            Place::Router(name) => write!(f, "router {name}"),
            Place::Service(name) => write!(f, "delivery service {name}"),
            Place::Zone(network) => write!(f, "coverage zone {network}"),
        }
    }
}

/// Why a configuration is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Over a limit.
    #[error("has {count} {what}, more than {max}")]
    TooMany {
        /// Which objects.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The object is there twice.
    #[error("{0} is there twice")]
    Duplicate(Place),
    /// Two services publish one domain.
    #[error("{service} is published under {domain}, which another delivery service has")]
    DuplicateDomain {
        /// The second one.
        service: Place,
        /// The domain.
        domain: Domain,
    },
    /// A location that does not exist.
    #[error("{place} names location {name}, which does not exist")]
    UnknownLocation {
        /// Who names it.
        place: Place,
        /// The name.
        name: LocationName,
    },
    /// An engine that is not in the configuration.
    #[error("{place} names engine {name}, which is not an active engine")]
    UnknownEngine {
        /// Who names it.
        place: Place,
        /// The name.
        name: DeviceName,
    },
    /// The way to the root is a circle, or longer than the limit.
    #[error("{0} has no root within {TREE_DEPTH_MAX} steps: its parents form a circle or the tree is too deep")]
    NoRoot(Place),
    /// A delivery service that is nothing to serve from.
    #[error("{place}: {error}")]
    Service {
        /// Which.
        place: Place,
        /// Why.
        error: ServiceError,
    },
    /// A weight over [`WEIGHT_MAX`].
    #[error("{place} has weight {weight}, more than {WEIGHT_MAX}")]
    Weight {
        /// The engine.
        place: Place,
        /// Its weight.
        weight: u8,
    },
}

impl Network {
    /// Checks a configuration and builds its indexes.
    ///
    /// # Errors
    /// [`CompileError`] names the first object that is wrong.
    pub fn compile(configuration: &DeviceConfiguration) -> Result<Network, CompileError> {
        let (network, faults) = Self::compile_apart(configuration)?;
        match faults.into_iter().next() {
            Some(fault) => Err(fault.error),
            None => Ok(network),
        }
    }

    /// The same, with each delivery service for itself: those that do not fit are left out and told of, in their order. A device
    /// takes a configuration whole or not at all; a manager asks here which service it must not publish.
    ///
    /// # Errors
    /// [`CompileError`] names the first object that is wrong and no delivery service.
    pub fn compile_apart(configuration: &DeviceConfiguration) -> Result<(Network, Vec<ServiceFault>), CompileError> {
        limit("locations", configuration.locations.len(), LOCATIONS_MAX)?;
        limit("engines", configuration.engines.len(), ENGINES_MAX)?;
        limit("routers", configuration.routers.len(), ROUTERS_MAX)?;
        let theirs = configuration.services.iter().filter(|service| !delivery::is_reserved_name(&service.name)).count();
        limit("delivery services", theirs, SERVICES_MAX)?;
        limit("coverage zones", configuration.zones.len(), ZONES_MAX)?;
        let names = location_names(&configuration.locations)?;
        let locations = locations(&configuration.locations, &names)?;
        let (engines, engines_by_name) = engines(configuration, &names)?;
        let (routers, routers_by_name) = routers(configuration)?;
        let Services { services, by_domain: services_by_domain, faults } = services(configuration, &engines, &engines_by_name);
        let domains = domains(&services_by_domain);
        let zones = zones(&configuration.zones, &names, &locations)?;
        let (stamp, profile) = (configuration.stamp, configuration.profile.clone());
        let network = Network {
            stamp,
            profile,
            confirmed: configuration.confirmed.clone(),
            engine_addresses: configuration.engine_addresses.clone(),
            locations,
            engines,
            engines_by_name,
            routers,
            routers_by_name,
            services,
            services_by_domain,
            domains,
            zones,
        };
        Ok((network, faults))
    }
}

/// A delivery service that does not fit into its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFault {
    /// Its place among the configuration's services.
    pub index: usize,
    /// Why.
    pub error: CompileError,
}

type LocationNames<'a> = FixedMap<&'a LocationName, LocationIndex>;

fn limit(what: &'static str, count: usize, max: usize) -> Result<(), CompileError> {
    if count > max { Err(CompileError::TooMany { what, count, max }) } else { Ok(()) }
}

fn known(names: &LocationNames<'_>, name: &LocationName, place: impl FnOnce() -> Place) -> Result<LocationIndex, CompileError> {
    names.get(name).copied().ok_or_else(|| CompileError::UnknownLocation { place: place(), name: name.clone() })
}

fn location_names(entries: &[LocationEntry]) -> Result<LocationNames<'_>, CompileError> {
    let mut names = LocationNames::default();
    for (index, entry) in (0..).zip(entries) {
        if names.insert(&entry.name, LocationIndex(index)).is_some() {
            return Err(CompileError::Duplicate(Place::Location(entry.name.clone())));
        }
    }
    Ok(names)
}

fn locations(entries: &[LocationEntry], names: &LocationNames<'_>) -> Result<Vec<Location>, CompileError> {
    let mut locations = Vec::with_capacity(entries.len());
    for entry in entries {
        let place = || Place::Location(entry.name.clone());
        let parent = entry.parent.as_ref().map(|parent| known(names, parent, place)).transpose()?;
        locations.push(Location { name: entry.name.clone(), parent });
    }
    for location in &locations {
        let (mut at, mut steps) = (location.parent, 0);
        while let Some(parent) = at {
            steps += 1;
            if steps > TREE_DEPTH_MAX {
                return Err(CompileError::NoRoot(Place::Location(location.name.clone())));
            }
            at = locations[parent.0 as usize].parent;
        }
    }
    Ok(locations)
}

type Engines = (Vec<Engine>, FixedMap<DeviceName, EngineIndex>);

fn engines(configuration: &DeviceConfiguration, names: &LocationNames<'_>) -> Result<Engines, CompileError> {
    let mut engines = Vec::with_capacity(configuration.engines.len());
    let mut by_name = FixedMap::default();
    for (index, entry) in (0..).zip(&configuration.engines) {
        let place = || Place::Engine(entry.name.clone());
        let location = known(names, &entry.location, place)?;
        if entry.weight > WEIGHT_MAX {
            return Err(CompileError::Weight { place: place(), weight: entry.weight });
        }
        if by_name.insert(entry.name.clone(), EngineIndex(index)).is_some() {
            return Err(CompileError::Duplicate(place()));
        }
        let EngineEntry { name, http, weight, offload, .. } = entry.clone();
        engines.push(Engine { name, location, http, weight, offload });
    }
    Ok((engines, by_name))
}

type Routers = (Vec<Router>, FixedMap<DeviceName, RouterIndex>);

fn routers(configuration: &DeviceConfiguration) -> Result<Routers, CompileError> {
    let mut routers = Vec::with_capacity(configuration.routers.len());
    let mut by_name = FixedMap::default();
    for (index, entry) in (0..).zip(&configuration.routers) {
        if by_name.insert(entry.name.clone(), RouterIndex(index)).is_some() {
            return Err(CompileError::Duplicate(Place::Router(entry.name.clone())));
        }
        let RouterEntry { name, http, dns, offloaded, .. } = entry.clone();
        routers.push(Router { name, http, dns, offloaded });
    }
    Ok((routers, by_name))
}

#[derive(Default)]
struct Services {
    services: Vec<Service>,
    by_domain: FixedMap<Domain, ServiceIndex>,
    faults: Vec<ServiceFault>,
}

fn services(configuration: &DeviceConfiguration, engines: &[Engine], by_name: &FixedMap<DeviceName, EngineIndex>) -> Services {
    let mut found = Services::default();
    let mut seen = BTreeSet::new();
    let mut placed = Placed::default();
    for (index, entry) in configuration.services.iter().enumerate() {
        let duplicate = (!seen.insert(&entry.name)).then(|| CompileError::Duplicate(Place::Service(entry.name.clone())));
        let fits = match duplicate {
            Some(error) => Err(error),
            None => service(entry, &found.by_domain, engines, |entry| placed.carriers(entry, engines, by_name)),
        };
        match fits {
            Ok(service) => {
                let at = u32::try_from(found.services.len()).expect("no more services than the limit");
                found.by_domain.insert(entry.domain.clone(), ServiceIndex(at));
                found.services.push(service);
            }
            Err(error) => found.faults.push(ServiceFault { index, error }),
        }
    }
    found
}

type EnginesAt = BTreeMap<LocationIndex, Vec<EngineIndex>>;

/// Where the engines are that the delivery service before named: the next often names the same, and a network may have thousands.
#[derive(Default)]
struct Placed<'c> {
    named: &'c [DeviceName],
    engines_at: EnginesAt,
}

impl<'c> Placed<'c> {
    fn carriers(
        &mut self,
        entry: &'c DeliveryService,
        engines: &[Engine],
        by_name: &FixedMap<DeviceName, EngineIndex>,
    ) -> Result<EnginesAt, CompileError> {
        if self.named != entry.engines {
            let mut engines_at = EnginesAt::new();
            for name in entry.engines.iter().collect::<BTreeSet<_>>() {
                let place = || Place::Service(entry.name.clone());
                let index = *by_name.get(name).ok_or_else(|| CompileError::UnknownEngine { place: place(), name: name.clone() })?;
                engines_at.entry(engines[index.0 as usize].location).or_default().push(index);
            }
            *self = Self { named: &entry.engines, engines_at };
        }
        Ok(self.engines_at.clone())
    }
}

/// One delivery service as it is served from, beside those whose domains are taken.
fn service<'c>(
    entry: &'c DeliveryService,
    taken: &FixedMap<Domain, ServiceIndex>,
    engines: &[Engine],
    mut carriers_of: impl FnMut(&'c DeliveryService) -> Result<EnginesAt, CompileError>,
) -> Result<Service, CompileError> {
    let place = || Place::Service(entry.name.clone());
    entry.check().map_err(|error| CompileError::Service { place: place(), error })?;
    if taken.contains_key(&entry.domain) {
        return Err(CompileError::DuplicateDomain { service: place(), domain: entry.domain.clone() });
    }
    let engines_at = carriers_of(entry)?;
    let chosen = |engine: &&Engine| engine.weight > 0;
    let carriers = || engines_at.values().flatten().map(|index: &EngineIndex| &engines[index.0 as usize]).filter(chosen);
    let families = [Family::V4, Family::V6].into_iter().filter(|family| carriers().any(|engine| family.is_of(engine))).collect();
    Ok(Service { service: entry.clone(), engines_at, families })
}

fn domains(by_domain: &FixedMap<Domain, ServiceIndex>) -> Domains {
    let mut domains = Domains::default();
    for domain in by_domain.keys() {
        let labels = domain.as_str().split('.').count();
        domains.labels_max = domains.labels_max.max(labels);
        let above = || std::iter::successors(Some(domain.as_str()), |name| name.split_once('.').map(|(_, rest)| rest)).skip(1);
        if let Some(nearest) = above().position(|name| by_domain.contains_key(name)) {
            domains.between.extend(above().take(nearest).map(str::to_owned));
        }
    }
    domains
}

fn zones(entries: &[ZoneEntry], names: &LocationNames<'_>, locations: &[Location]) -> Result<Zones, CompileError> {
    let mut zones = Zones::default();
    let mut reaches: BTreeMap<&BTreeMap<LocationName, u32>, u32> = BTreeMap::new();
    for zone in entries {
        let index = match reaches.get(&zone.locations) {
            Some(index) => *index,
            None => {
                let index = zones.add_reach(reach(zone, names, locations)?);
                reaches.insert(&zone.locations, index);
                index
            }
        };
        if !zones.insert(zone.network, index) {
            return Err(CompileError::Duplicate(Place::Zone(zone.network.trunc())));
        }
    }
    Ok(zones)
}

/// The zone's locations by metric, then their ancestors one step at a time; a location counts where it is nearest.
fn reach(zone: &ZoneEntry, names: &LocationNames<'_>, locations: &[Location]) -> Result<Reach, CompileError> {
    limit("locations in a coverage zone", zone.locations.len(), ZONE_LOCATIONS_MAX)?;
    let mut by_metric: BTreeMap<u32, Vec<LocationIndex>> = BTreeMap::new();
    for (name, metric) in &zone.locations {
        by_metric.entry(*metric).or_default().push(known(names, name, || Place::Zone(zone.network))?);
    }
    let mut seen: BTreeSet<LocationIndex> = by_metric.values().flatten().copied().collect();
    let mut level: Vec<LocationIndex> = by_metric.values().flatten().copied().collect();
    let mut reach: Reach =
        by_metric.into_iter().map(|(metric, locations)| Tier { nearness: Nearness::Metric(metric), locations }).collect();
    for steps in 1..=TREE_DEPTH_MAX {
        level = level.iter().filter_map(|at| locations[at.0 as usize].parent).collect();
        let fresh: Vec<LocationIndex> = level.iter().copied().filter(|at| seen.insert(*at)).collect();
        if !fresh.is_empty() {
            reach.push(Tier { nearness: Nearness::Ancestor(steps), locations: fresh });
        }
    }
    Ok(reach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn refused(change: impl FnOnce(&mut DeviceConfiguration)) -> String {
        let mut configuration = sample::configuration();
        change(&mut configuration);
        Network::compile(&configuration).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_wrong_name_is_refused_by_its_place() {
        assert_eq!(
            refused(|c| c.engines[0].location = sample::name("nowhere")),
            "engine core-1 names location nowhere, which does not exist"
        );
        assert_eq!(
            refused(|c| c.services[0].engines.push(sample::name("ghost"))),
            "delivery service demo names engine ghost, which is not an active engine"
        );
        assert_eq!(
            refused(|c| c.locations[1].parent = Some(sample::name("nowhere"))),
            "location east names location nowhere, which does not exist"
        );
        assert_eq!(
            refused(|c| {
                c.zones[0].locations.insert(sample::name("nowhere"), 1);
            }),
            "coverage zone 127.0.0.0/8 names location nowhere, which does not exist"
        );
    }

    #[test]
    fn twice_is_refused() {
        assert_eq!(refused(|c| c.engines.push(c.engines[0].clone())), "engine core-1 is there twice");
        assert_eq!(refused(|c| c.routers.push(c.routers[0].clone())), "router router-1 is there twice");
        assert_eq!(refused(|c| c.locations.push(c.locations[0].clone())), "location core is there twice");
        assert_eq!(refused(|c| c.services.push(c.services[0].clone())), "delivery service demo is there twice");
        assert_eq!(refused(|c| c.zones.push(c.zones[0].clone())), "coverage zone 127.0.0.0/8 is there twice");
        let second = refused(|c| {
            let mut other = c.services[0].clone();
            other.name = sample::name("other");
            c.services.push(other);
        });
        assert_eq!(second, "delivery service other is published under demo.weir.test, which another delivery service has");
    }

    #[test]
    fn a_circle_of_locations_and_a_heavy_engine_are_refused() {
        assert!(refused(|c| c.locations[0].parent = Some(sample::name("east"))).contains("no root within 16 steps"));
        assert_eq!(refused(|c| c.engines[0].weight = 101), "engine core-1 has weight 101, more than 100");
        let many = refused(|c| {
            c.zones[0].locations = (0..65).map(|n| (sample::name(&format!("l{n}")), n)).collect();
        });
        assert_eq!(many, "has 65 locations in a coverage zone, more than 64");
    }

    #[test]
    fn each_service_is_on_the_engines_it_names_whatever_the_one_before_names() {
        let lists: [&[&str]; 6] = [&sample::ENGINES, &["east-1"], &["east-1"], &[], &sample::ENGINES, &["core-1", "ghost"]];
        let mut configuration = sample::configuration();
        let template = configuration.services[0].clone();
        configuration.services = lists
            .iter()
            .enumerate()
            .map(|(n, engines)| DeliveryService {
                name: sample::name(&format!("s{n}")),
                domain: sample::name(&format!("s{n}.weir.test")),
                engines: engines.iter().map(|name| sample::name(name)).collect(),
                ..template.clone()
            })
            .collect();
        let (network, faults) = Network::compile_apart(&configuration).expect("a network");
        let of = |service: &Service| -> Vec<&str> {
            service.engines_at.values().flatten().map(|index| network.engines[index.0 as usize].name.as_str()).collect()
        };
        assert_eq!(network.services.iter().map(of).collect::<Vec<_>>(), lists[..5]);
        assert_eq!(faults.iter().map(|fault| fault.index).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn reach_is_metrics_then_ancestors_each_location_once() {
        let network = sample::network();
        let (_, tiers) = network.zones().nearest("127.0.0.1".parse().expect("address")).expect("zone");
        let shown: Vec<(Nearness, Vec<&str>)> =
            tiers.iter().map(|t| (t.nearness, t.locations.iter().map(|l| network.location(*l).name.as_str()).collect())).collect();
        assert_eq!(
            shown,
            [(Nearness::Metric(0), vec!["east"]), (Nearness::Metric(10), vec!["west"]), (Nearness::Ancestor(1), vec!["core"]),]
        );
    }

    #[test]
    fn zones_with_the_same_locations_share_a_reach() {
        let mut configuration = sample::configuration();
        let template = configuration.zones[0].clone();
        configuration.zones.extend((0..1000u32).map(|n| ZoneEntry {
            network: IpNet::new(std::net::Ipv4Addr::from(0x0a00_0000 + n * 256).into(), 24).expect("length"),
            ..template.clone()
        }));
        let network = Network::compile(&configuration).expect("valid");
        assert_eq!(network.zones().len(), 1002);
        assert_eq!(network.zones.reaches.len(), 2);
    }
}
