//! Compiles the document each device runs from: a pure function of the network and the device.
//!
//! Equal stamps mean equal bytes: every list is in name order, and nothing but the [`Snapshot`] goes in. A device that is
//! not active learns the managers and the timers, no content and no keys. Managers learn the tree and the devices.

use crate::snapshot::{DeviceRecord, Outside, Snapshot};
use std::collections::BTreeSet;
use weir_model::{
    DeliveryService, DeviceConfiguration, DeviceName, Role,
    configuration::{EngineEntry, LocationEntry, ManagerEntry, RouterEntry},
};
use weir_routing::{CompileError, Network};

/// The document of one device.
pub(crate) fn document(network: &Snapshot, device: &DeviceRecord) -> DeviceConfiguration {
    let mut document = DeviceConfiguration { role: device.role, ..without_content(network, device.name.clone()) };
    if !device.active {
        return document;
    }
    document.location = device.location.clone();
    document.locations = locations(network);
    document.engines = engines(network);
    document.routers = routers(network);
    if device.role != Role::Manager {
        document.keepalive_keys = network.keepalive_keys.clone();
        document.services = services(network, &document.engines);
    }
    if device.role == Role::Router {
        document.zones = network.zones.to_vec();
    }
    document
}

/// What a router would run from: everything, whichever router it is.
pub(crate) fn routers_document(network: &Snapshot) -> DeviceConfiguration {
    let mut document = DeviceConfiguration {
        role: Role::Router,
        location: None,
        locations: locations(network),
        engines: engines(network),
        routers: routers(network),
        zones: network.zones.to_vec(),
        ..without_content(network, network.primary.clone())
    };
    document.services = services(network, &document.engines);
    document
}

/// Whether routers and engines can load what this network compiles to: by the function they load it with.
pub(crate) fn check(network: &Snapshot) -> Result<(), CompileError> {
    Network::compile(&routers_document(network)).map(|_| ())
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
        keepalive_keys: Vec::new(),
        locations: Vec::new(),
        engines: Vec::new(),
        routers: Vec::new(),
        services: Vec::new(),
        zones: Vec::new(),
    }
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
fn engines(network: &Snapshot) -> Vec<EngineEntry> {
    let entry = |d: &DeviceRecord| {
        let outside = network.outside.get(&d.name);
        Some(EngineEntry {
            name: d.name.clone(),
            location: d.location.clone()?,
            http: d.addresses.http?,
            weight: d.weight,
            offload: outside.map(Outside::epoch),
            offload_since_ms: outside.map(|outside| outside.since_ms),
        })
    };
    network.active(Role::Engine).filter_map(entry).collect()
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

/// Delivery services with the engines that can carry them now.
fn services(network: &Snapshot, engines: &[EngineEntry]) -> Vec<DeliveryService> {
    let serving: BTreeSet<&DeviceName> = engines.iter().map(|e| &e.name).collect();
    let carriers = |named: &Option<Vec<DeviceName>>| match named {
        None => engines.iter().map(|e| e.name.clone()).collect(),
        Some(named) => named.iter().filter(|n| serving.contains(n)).cloned().collect(),
    };
    let compiled = |s: &weir_operator_api::DeliveryService| DeliveryService {
        name: s.name.clone(),
        domain: s.domain.clone(),
        origin: s.origin.clone(),
        engines: carriers(&s.engines),
        caching: s.caching.clone().into(),
        #[cfg(feature = "synthetic-next")]
        detail: s.detail.clone().filter(|_| network.is_open(&weir_model::next::service_detail())),
    };
    network.services.iter().map(compiled).collect()
}

#[cfg(test)]
pub(crate) mod tests;
