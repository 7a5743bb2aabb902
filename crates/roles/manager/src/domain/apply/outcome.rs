//! What each step did: for whoever asked, and for the steps after it.

use super::{
    document,
    plan::{Deed, Step},
};
use crate::snapshot::{DeviceRecord, Snapshot};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use weir_model::configuration::ZoneEntry;
use weir_operator_api::{ApplyChange, CoverageZones, DeliveryService, Location, Problem};

/// Coverage zones that are listed one by one; the rest of a larger difference is one entry.
const ZONES_LISTED_MAX: usize = 1_000;

/// What a step left behind.
pub(super) enum Done {
    Location(Location),
    Device(DeviceRecord),
    Service(DeliveryService),
    Zones(CoverageZones),
    /// What the step names is no more.
    Gone,
}

/// Notes in the network what a step came to; says what that changed: nothing when it found everything as it should be.
pub(super) fn note(network: &mut Snapshot, deed: &Deed, done: Done) -> Vec<ApplyChange> {
    let before = before(network, deed);
    let after = match done {
        Done::Location(location) => {
            let after = document::value(&document::location(&location));
            network.locations.insert(location.name.clone(), location);
            Some(after)
        }
        Done::Device(device) => {
            let after = document::value(&document::device(&device));
            if !device.active {
                network.outside.remove(&device.name);
            }
            network.devices.insert(device.name.clone(), device);
            Some(after)
        }
        Done::Service(service) => {
            let after = document::value(&document::service(&service));
            // What it was held for is overwritten: from here on it is judged as it is.
            network.held.remove(&service.id);
            match network.services.binary_search_by(|s| s.name.cmp(&service.name)) {
                Ok(at) => network.services[at] = service,
                Err(at) => network.services.insert(at, service),
            }
            Some(after)
        }
        Done::Zones(zones) => {
            let after: Vec<_> = zones.zones.into_iter().map(|z| ZoneEntry { network: z.network, locations: z.locations }).collect();
            let changes = zones_changed(&network.zones, &after);
            network.zones = Arc::new(after);
            return changes;
        }
        Done::Gone => {
            forget(network, deed);
            None
        }
    };
    let (verb, object) = named(deed);
    let change = ApplyChange { verb: verb.to_owned(), object, before, after, refused: None };
    if change.before == change.after { Vec::new() } else { vec![change] }
}

fn forget(network: &mut Snapshot, deed: &Deed) {
    match deed {
        Deed::DeleteLocation(name) => drop(network.locations.remove(name.as_str())),
        Deed::DeleteService(name) => {
            let gone = network.service(name).map(|service| service.id);
            network.held.retain(|id, _| Some(*id) != gone);
            network.services.retain(|s| s.name.as_str() != name);
        }
        _ => {}
    }
}

/// A step that was refused; what it is about is as it was.
pub(super) fn refused(network: &Snapshot, step: &Step, problem: Problem) -> ApplyChange {
    let (verb, object) = named(&step.deed);
    ApplyChange { verb: verb.to_owned(), object, before: before(network, &step.deed), after: None, refused: Some(problem) }
}

fn named(deed: &Deed) -> (&'static str, String) {
    match deed {
        Deed::CreateLocation(request) => ("create", format!("location {}", request.name)),
        Deed::MoveLocation(request) => ("change", format!("location {}", request.name)),
        Deed::DeleteLocation(name) => ("delete", format!("location {name}")),
        Deed::Activate(name, _) => ("activate", format!("device {name}")),
        Deed::Deactivate(name) => ("deactivate", format!("device {name}")),
        Deed::CreateService(request) => ("create", format!("delivery_service {}", request.name)),
        Deed::ChangeService(request) => ("change", format!("delivery_service {}", request.name)),
        Deed::DeleteService(name) => ("delete", format!("delivery_service {name}")),
        Deed::ReplaceZones(_) => ("change", "coverage_zones".to_owned()),
    }
}

/// What a step is about as it was, as a document would say it.
fn before(network: &Snapshot, deed: &Deed) -> Option<Value> {
    match deed {
        Deed::CreateLocation(request) | Deed::MoveLocation(request) => location(network, &request.name),
        Deed::DeleteLocation(name) => location(network, name),
        Deed::Activate(name, _) | Deed::Deactivate(name) => {
            network.devices.get(name.as_str()).map(|device| document::value(&document::device(device)))
        }
        Deed::CreateService(request) | Deed::ChangeService(request) => service(network, &request.name),
        Deed::DeleteService(name) => service(network, name),
        Deed::ReplaceZones(_) => None,
    }
}

fn location(network: &Snapshot, name: &str) -> Option<Value> {
    network.locations.get(name).map(|location| document::value(&document::location(location)))
}

fn service(network: &Snapshot, name: &str) -> Option<Value> {
    network.service(name).map(|service| document::value(&document::service(service)))
}

/// The zones that differ, one by one as far as they are listed.
fn zones_changed(before: &[ZoneEntry], after: &[ZoneEntry]) -> Vec<ApplyChange> {
    let by_network = |zones: &[ZoneEntry]| zones.iter().map(|z| (z.network, document::zone(z))).collect::<BTreeMap<_, _>>();
    let (before, after) = (by_network(before), by_network(after));
    let mut networks: Vec<_> = before.keys().chain(after.keys()).copied().collect();
    networks.sort_unstable();
    networks.dedup();
    networks.retain(|network| before.get(network) != after.get(network));
    let others = networks.len().saturating_sub(ZONES_LISTED_MAX);
    let one = |network: &ipnet::IpNet| {
        let side = |zones: &BTreeMap<_, _>| zones.get(network).map(document::value);
        let (before, after) = (side(&before), side(&after));
        let verb = match (&before, &after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "change",
        };
        ApplyChange { verb: verb.to_owned(), object: format!("coverage_zone {network}"), before, after, refused: None }
    };
    let mut changes: Vec<_> = networks.iter().take(ZONES_LISTED_MAX).map(one).collect();
    if others > 0 {
        let object = format!("coverage_zones, {others} more");
        changes.push(ApplyChange { verb: "change".to_owned(), object, before: None, after: None, refused: None });
    }
    changes
}
