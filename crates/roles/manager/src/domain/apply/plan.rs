//! What makes a network what a document says: steps in the order in which each finds what it needs.
//!
//! Locations from the top down, what frees names, devices that come, services, zones, devices that go, locations that go.

use super::document;
use crate::snapshot::{DeviceRecord, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use weir_operator_api::{
    Activation, CoverageZonesRequest, DeclaredDevice, DeclaredLocation, DeclaredService, DeclaredZone, DeliveryServiceRequest,
    LocationRequest, NetworkDocument, Problem, Reason, ZoneRequest, network_document::FORMAT,
};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Where the document says it; absent: by saying nothing of it.
    pub(super) place: Option<String>,
    pub(super) deed: Deed,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    CreateLocation(LocationRequest),
    MoveLocation(LocationRequest),
    DeleteLocation(String),
    Activate(String, Activation),
    Deactivate(String),
    CreateService(DeliveryServiceRequest),
    ChangeService(DeliveryServiceRequest),
    DeleteService(String),
    ReplaceZones(CoverageZonesRequest),
}

impl Step {
    /// The delivery service it makes or changes.
    pub(super) fn service(&self) -> Option<&str> {
        match &self.deed {
            Deed::CreateService(request) | Deed::ChangeService(request) => Some(&request.name),
            _ => None,
        }
    }
}

/// The steps from a network to a document; none when it is what the document says.
///
/// # Errors
/// What the document itself says wrong, with its place.
pub(super) fn plan(document: &NetworkDocument, network: &Snapshot) -> Result<Vec<Step>, Problem> {
    if document.format != FORMAT {
        let detail = format!("{} is not a format this manager reads; it reads {FORMAT}", document.format);
        return Err(Problem::new(Reason::InvalidField, detail).at("format"));
    }
    let (raised, razed) = document.locations.as_deref().map_or(Ok((vec![], vec![])), |declared| locations(declared, network))?;
    let (come, go) = document.devices.as_deref().map_or(Ok((vec![], vec![])), |declared| devices(declared, network))?;
    let (services, ended) = document.delivery_services.as_deref().map_or(Ok((vec![], vec![])), |declared| services(declared, network))?;
    let zones = document.coverage_zones.as_deref().and_then(|declared| zones(declared, network));
    Ok([raised, ended, come, services, zones.into_iter().collect(), go, razed].concat())
}

fn step(place: Option<String>, deed: Deed) -> Step {
    Step { place, deed }
}

/// The place of each name of a list.
fn places<'a>(list: &str, names: impl Iterator<Item = &'a str>) -> Result<BTreeMap<&'a str, usize>, Problem> {
    let mut places = BTreeMap::new();
    for (at, name) in names.enumerate() {
        if places.insert(name, at).is_some() {
            return Err(Problem::new(Reason::InvalidField, format!("{name:?} is there twice")).at(format!("{list}[{at}].name")));
        }
    }
    Ok(places)
}

type Halves = (Vec<Step>, Vec<Step>);

/// Locations that are made or moved, those above first; and those that go, those below first.
fn locations(declared: &[DeclaredLocation], network: &Snapshot) -> Result<Halves, Problem> {
    let places = places("locations", declared.iter().map(|l| l.name.as_str()))?;
    let mut order = Vec::with_capacity(declared.len());
    for (at, location) in declared.iter().enumerate() {
        order.push((depth(declared, &places, at)?, at, location));
    }
    order.sort_by_key(|(depth, at, _)| (*depth, *at));
    let mut raised = Vec::new();
    for (_, at, location) in order {
        let request = LocationRequest { name: location.name.clone(), parent: location.parent.clone() };
        let deed = match network.locations.get(location.name.as_str()) {
            None => Deed::CreateLocation(request),
            Some(known) if document::location(known) != *location => Deed::MoveLocation(request),
            Some(_) => continue,
        };
        raised.push(step(Some(format!("locations[{at}]")), deed));
    }
    let gone = network.locations.values().filter(|l| !places.contains_key(l.name.as_str()));
    let mut gone: Vec<_> = gone.map(|l| (depth_now(network, l), l.name.to_string())).collect();
    gone.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
    Ok((raised, gone.into_iter().map(|(_, name)| step(None, Deed::DeleteLocation(name))).collect()))
}

/// How many locations are above one in the document.
fn depth(declared: &[DeclaredLocation], places: &BTreeMap<&str, usize>, at: usize) -> Result<usize, Problem> {
    let (mut above, mut here) = (0, at);
    while let Some(parent) = declared.get(here).and_then(|l| l.parent.as_deref()) {
        let field = || format!("locations[{here}].parent");
        let unknown = || Problem::new(Reason::UnknownLocation, format!("the document has no location {parent:?}")).at(field());
        let next = *places.get(parent).ok_or_else(unknown)?;
        above += 1;
        if above > declared.len() {
            return Err(Problem::new(Reason::LocationCycle, format!("{parent:?} is below this location")).at(field()));
        }
        here = next;
    }
    Ok(above)
}

/// How many locations are above one in the network.
fn depth_now(network: &Snapshot, location: &weir_operator_api::Location) -> usize {
    let above = |l: &&weir_operator_api::Location| l.parent.as_ref().and_then(|parent| network.locations.get(parent));
    std::iter::successors(Some(location), above).take(network.locations.len()).count()
}

/// Devices that come, change or move, those that come first; and those that go.
fn devices(declared: &[DeclaredDevice], network: &Snapshot) -> Result<Halves, Problem> {
    places("devices", declared.iter().map(|d| d.name.as_str()))?;
    let (mut come, mut change, mut go) = (Vec::new(), Vec::new(), Vec::new());
    for (at, device) in declared.iter().enumerate() {
        let place = format!("devices[{at}]");
        let record = network.devices.get(device.name.as_str()).ok_or_else(|| {
            let next = "enrol it first: an apply neither makes nor deletes devices";
            let problem = Problem::new(Reason::InvalidField, format!("no device {:?} is enrolled", device.name));
            problem.at(format!("{place}.name")).next_step(next)
        })?;
        match &device.location {
            None if device.weight.is_some() || device.capacity_mbps.is_some() => {
                let detail = format!("{} has no location here, so it is not active and takes nothing", device.name);
                return Err(Problem::new(Reason::InvalidField, detail).at(place).next_step("name its location too"));
            }
            // A primary is active without a place of its own until it is given one.
            None if record.active && record.location.is_some() => go.push(step(Some(place), Deed::Deactivate(device.name.clone()))),
            None => {}
            Some(location) if !is_so(device, record) => {
                let location = location.clone();
                let request = Activation { location, weight: device.weight, capacity_mbps: device.capacity_mbps, overrides: false };
                let list = if record.active { &mut change } else { &mut come };
                list.push(step(Some(place), Deed::Activate(device.name.clone(), request)));
            }
            Some(_) => {}
        }
    }
    come.append(&mut change);
    Ok((come, go))
}

/// Whether an active device is where the document says and takes what it says, as far as it says.
fn is_so(device: &DeclaredDevice, record: &DeviceRecord) -> bool {
    record.active
        && record.location.as_ref().map(|l| l.as_str()) == device.location.as_deref()
        && device.weight.is_none_or(|weight| weight == record.weight)
        && device.capacity_mbps.is_none_or(|mbps| Some(mbps) == record.capacity_mbps)
}

/// Services that are made or changed; and those that end.
fn services(declared: &[DeclaredService], network: &Snapshot) -> Result<Halves, Problem> {
    let places = places("delivery_services", declared.iter().map(|s| s.name.as_str()))?;
    let mut wanted = Vec::new();
    for (at, service) in declared.iter().enumerate() {
        let deed = match network.service(&service.name) {
            None => Deed::CreateService(request(service)),
            Some(known) if document::service(known) != *service => Deed::ChangeService(request(service)),
            Some(_) => continue,
        };
        wanted.push(step(Some(format!("delivery_services[{at}]")), deed));
    }
    let ended = network.services.iter().filter(|s| !places.contains_key(s.name.as_str()));
    Ok((wanted, ended.map(|s| step(None, Deed::DeleteService(s.name.to_string()))).collect()))
}

fn request(service: &DeclaredService) -> DeliveryServiceRequest {
    DeliveryServiceRequest {
        name: service.name.clone(),
        domain: service.domain.clone(),
        origin: service.origin.clone(),
        engines: service.engines.clone(),
        caching: service.caching.clone(),
        #[cfg(feature = "synthetic-next")]
        detail: service.detail.clone(),
    }
}

/// The whole set, when it is another one.
fn zones(declared: &[DeclaredZone], network: &Snapshot) -> Option<Step> {
    let set = |zones: &mut dyn Iterator<Item = DeclaredZone>| zones.map(|z| (z.network, z.locations)).collect::<BTreeSet<_>>();
    let same_count = declared.len() == network.zones.len();
    if same_count && set(&mut declared.iter().cloned()) == set(&mut network.zones.iter().map(document::zone)) {
        return None;
    }
    let zones = declared.iter().map(|z| ZoneRequest { network: z.network.clone(), locations: z.locations.clone() });
    Some(step(Some("coverage_zones".to_owned()), Deed::ReplaceZones(CoverageZonesRequest { zones: zones.collect() })))
}
