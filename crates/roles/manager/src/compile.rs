//! Compiles the document each device runs from: a pure function of the network and the device.
//!
//! Equal stamps mean equal bytes: every list is in name order, and nothing but the [`Snapshot`] goes in. A device that is
//! not active learns the managers and the timers, no content and no keys; a router also the words for it. Managers learn the tree and
//! the devices; an engine learns of the engines it can have to do with, a router of all.

mod line;
mod shared;

pub(crate) use shared::{Documents, Written};

use crate::{
    published,
    snapshot::{DeviceRecord, Outside, Snapshot},
};
use weir_model::{
    DeliveryService, DeviceConfiguration, DeviceName, Line, Role,
    configuration::{Confirmed, EngineEntry, LocationEntry, ManagerEntry, RouterEntry},
};
use weir_routing::{CompileError, Network};

/// The document of one device that runs the line of the network's level or a later one.
#[cfg(test)]
pub(crate) fn document(network: &Snapshot, device: &DeviceRecord) -> DeviceConfiguration {
    document_for(network, device, None)
}

/// The document of one device, as its line can run it when that is below the level of the network.
pub(crate) fn document_for(network: &Snapshot, device: &DeviceRecord, below: Option<Line>) -> DeviceConfiguration {
    let is_engine = device.active && device.role == Role::Engine;
    let engine_addresses = if is_engine { line::addresses(network) } else { Vec::new() };
    DeviceConfiguration { engine_addresses, ..own_document(network, device, below) }
}

/// The same without the last field, which is the same in every engine's document.
fn own_document(network: &Snapshot, device: &DeviceRecord, below: Option<Line>) -> DeviceConfiguration {
    let mut document = DeviceConfiguration { role: device.role, ..without_content(network, device.name.clone()) };
    if !device.active {
        if device.role == Role::Router {
            document.confirmed = confirmed_for(network, &device.name);
        }
        return document;
    }
    document.location = device.location.clone();
    document.locations = locations(network);
    document.engines = match device.role {
        Role::Engine => line::engines(network, device, below),
        Role::Manager | Role::Router => engines(network),
    };
    document.routers = routers(network);
    if device.role != Role::Manager {
        document.keepalive_keys = network.keepalive_keys.clone();
        document.services = services(network, &document.engines, below);
    }
    if device.role == Role::Router {
        document.zones = network.zones.to_vec();
        document.confirmed = network.confirmed.clone();
    }
    document
}

/// What a router would run from: everything, whichever router it is.
pub(crate) fn routers_document(network: &Snapshot) -> DeviceConfiguration {
    let mut document = content(network, engines(network));
    document.services = services(network, &document.engines, None);
    document
}

/// The same without delivery services.
fn content(network: &Snapshot, engines: Vec<EngineEntry>) -> DeviceConfiguration {
    DeviceConfiguration {
        role: Role::Router,
        location: None,
        locations: locations(network),
        routers: routers(network),
        zones: network.zones.to_vec(),
        engines,
        ..without_content(network, network.primary.clone())
    }
}

/// Delivery services that routers and engines could not load, each with why: by the function they load them with. Those that are
/// held count in their last form, and give way to the others.
///
/// # Errors
/// What else of this network they could not load.
pub(crate) fn faults(network: &Snapshot) -> Result<Vec<(i64, CompileError)>, CompileError> {
    let (held, good): (Vec<_>, Vec<_>) = published(network, None).partition(|service| network.held.contains_key(&service.id));
    faults_of(network, &good.into_iter().chain(held).collect::<Vec<_>>())
}

/// The same of what devices of a line below the network's level get: what is published of each service for this line counts behind
/// what every line gets, and gives way to it.
///
/// # Errors
/// What else of this network they could not load.
pub(crate) fn faults_below(network: &Snapshot, line: Line) -> Result<Vec<(i64, CompileError)>, CompileError> {
    let is_earlier = |service: &&weir_operator_api::DeliveryService| {
        !network.held.contains_key(&service.id)
            && network.services.iter().any(|s| s.id == service.id && published::since(network, s) > line)
    };
    let (earlier, same): (Vec<_>, Vec<_>) = published(network, Some(line)).partition(is_earlier);
    let (held, good): (Vec<_>, Vec<_>) = same.into_iter().partition(|service| network.held.contains_key(&service.id));
    faults_of(network, &good.into_iter().chain(held).chain(earlier).collect::<Vec<_>>())
}

fn faults_of(network: &Snapshot, ordered: &[&weir_operator_api::DeliveryService]) -> Result<Vec<(i64, CompileError)>, CompileError> {
    let engines = engines(network);
    let services = ordered.iter().map(|service| compiled(network, service, &engines, None)).collect();
    let document = DeviceConfiguration { services, ..content(network, engines) };
    let (_, faults) = Network::compile_apart(&document)?;
    Ok(faults.into_iter().map(|fault| (ordered[fault.index].id, fault.error)).collect())
}

fn without_content(network: &Snapshot, device: DeviceName) -> DeviceConfiguration {
    DeviceConfiguration {
        stamp: network.stamp,
        device,
        role: Role::Manager,
        location: None,
        managers: managers(network),
        profile: network.profile.clone(),
        level: Some(network.level),
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: Vec::new(),
        engines: Vec::new(),
        routers: Vec::new(),
        services: Vec::new(),
        zones: Vec::new(),
    }
}

/// What a router needs to take the document that says it is out of service: the word for itself, and those for locations.
fn confirmed_for(network: &Snapshot, router: &DeviceName) -> Confirmed {
    let own = network.confirmed.engines.get(router).map(|at| (router.clone(), *at));
    Confirmed { engines: own.into_iter().collect(), locations: network.confirmed.locations.clone() }
}

fn locations(network: &Snapshot) -> Vec<LocationEntry> {
    network.locations.values().map(|l| LocationEntry { name: l.name.clone(), parent: l.parent.clone() }).collect()
}

/// The primary first, then the other active managers.
fn managers(network: &Snapshot) -> Vec<ManagerEntry> {
    let mut managers: Vec<_> =
        network.active(Role::Manager).filter_map(|d| Some(ManagerEntry { name: d.name.clone(), device: d.addresses.device? })).collect();
    managers.sort_by_key(|m| m.name != network.primary);
    managers
}

/// Active engines that listen for viewers.
pub(crate) fn engines(network: &Snapshot) -> Vec<EngineEntry> {
    network.active(Role::Engine).filter_map(|device| entry(network, device)).collect()
}

/// An engine as documents name it, when it listens for viewers somewhere in the tree.
fn entry(network: &Snapshot, device: &DeviceRecord) -> Option<EngineEntry> {
    let outside = network.outside.get(&device.name);
    Some(EngineEntry {
        name: device.name.clone(),
        location: device.location.clone()?,
        http: device.addresses.http?,
        weight: device.weight,
        offload: outside.map(Outside::epoch),
        offload_since_ms: outside.map(|outside| outside.since_ms),
    })
}

/// Active routers that listen for keepalives.
fn routers(network: &Snapshot) -> Vec<RouterEntry> {
    let entry = |d: &DeviceRecord| {
        Some(RouterEntry {
            name: d.name.clone(),
            keepalive: d.addresses.keepalive?,
            http: d.addresses.http,
            dns: d.addresses.dns,
            offloaded: network.outside.contains_key(&d.name),
        })
    };
    network.active(Role::Router).filter_map(entry).collect()
}

/// What is published of each delivery service: its row; of one that is held its last form; for a line that cannot run it what
/// that can.
fn published(network: &Snapshot, below: Option<Line>) -> impl Iterator<Item = &weir_operator_api::DeliveryService> {
    network.services.iter().filter_map(move |service| match (network.held.get(&service.id), below) {
        (Some(held), _) => held.last.as_ref(),
        (None, Some(line)) if published::since(network, service) > line => published::for_line(network, service, line),
        (None, _) => Some(service),
    })
}

/// Delivery services with the engines that can carry them now, by name.
fn services(network: &Snapshot, engines: &[EngineEntry], below: Option<Line>) -> Vec<DeliveryService> {
    let mut services: Vec<_> = published(network, below).map(|service| compiled(network, service, engines, below)).collect();
    // One that is held may have had another name.
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

/// One delivery service. What needs a feature that is closed at the network's level, or that the line does not have, stays in the
/// database and out of the document.
fn compiled(
    network: &Snapshot,
    service: &weir_operator_api::DeliveryService,
    engines: &[EngineEntry],
    below: Option<Line>,
) -> DeliveryService {
    let serves = |name: &&DeviceName| engines.binary_search_by(|engine| engine.name.cmp(name)).is_ok();
    #[cfg(not(feature = "synthetic-next"))]
    let _ = (network, below);
    DeliveryService {
        name: service.name.clone(),
        domain: service.domain.clone(),
        origin: service.origin.clone(),
        engines: match &service.engines {
            None => engines.iter().map(|engine| engine.name.clone()).collect(),
            Some(named) => named.iter().filter(serves).cloned().collect(),
        },
        caching: service.caching.clone().into(),
        #[cfg(feature = "synthetic-next")]
        detail: service.detail.clone().filter(|_| weir_model::next::service_detail().is_open(Some(below.unwrap_or(network.level)))),
    }
}

#[cfg(test)]
pub(crate) mod tests;
