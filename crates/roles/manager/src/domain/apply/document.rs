//! The network as a document: what `export` gives, and how each object is written in it.

use crate::snapshot::{DeviceRecord, Snapshot};
use serde::Serialize;
use serde_json::Value;
use weir_model::{Role, configuration::ZoneEntry};
use weir_operator_api::{
    DeclaredDevice, DeclaredLocation, DeclaredService, DeclaredZone, DeliveryService, Location, NetworkDocument, network_document::FORMAT,
};

/// The declared part of a network; equal networks give equal documents.
pub(crate) fn export(network: &Snapshot) -> NetworkDocument {
    NetworkDocument {
        format: FORMAT,
        locations: Some(network.locations.values().map(location).collect()),
        devices: Some(network.devices.values().map(device).collect()),
        delivery_services: Some(network.services.iter().map(service).collect()),
        coverage_zones: Some(network.zones.iter().map(zone).collect()),
    }
}

pub(super) fn location(location: &Location) -> DeclaredLocation {
    DeclaredLocation { name: location.name.to_string(), parent: location.parent.as_ref().map(ToString::to_string) }
}

/// A device that is not active takes nothing: what it took before is no part of the document. Only engines have a weight.
pub(super) fn device(device: &DeviceRecord) -> DeclaredDevice {
    let name = device.name.to_string();
    match &device.location {
        None => DeclaredDevice { name, location: None, weight: None, capacity_mbps: None },
        Some(location) => DeclaredDevice {
            name,
            location: Some(location.to_string()),
            weight: (device.role == Role::Engine).then_some(device.weight),
            capacity_mbps: device.capacity_mbps,
        },
    }
}

pub(super) fn service(service: &DeliveryService) -> DeclaredService {
    DeclaredService {
        name: service.name.to_string(),
        domain: service.domain.to_string(),
        origin: service.origin.to_string(),
        engines: service.engines.as_ref().map(|engines| engines.iter().map(ToString::to_string).collect()),
        caching: service.caching.clone(),
        #[cfg(feature = "synthetic-next")]
        detail: service.detail.clone().map(String::from),
    }
}

pub(super) fn zone(zone: &ZoneEntry) -> DeclaredZone {
    let locations = zone.locations.iter().map(|(name, metric)| (name.to_string(), *metric));
    DeclaredZone { network: zone.network.to_string(), locations: locations.collect() }
}

/// An object as an outcome shows it.
pub(super) fn value(declared: &impl Serialize) -> Value {
    serde_json::to_value(declared).expect("declared objects are JSON")
}
