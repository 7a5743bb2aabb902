//! Coverage zones: the whole set at once.

use super::fields;
use crate::{
    change::{Change, Refusal},
    snapshot::Snapshot,
    tables,
};
use ipnet::IpNet;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use weir_model::configuration::ZoneEntry;
use weir_operator_api::{AccessRole, CoverageZone, CoverageZones, CoverageZonesRequest, Problem, Reason, ZoneRequest};
use weir_routing::compile::{ZONE_LOCATIONS_MAX, ZONES_MAX};

/// A set larger than this is in the audit by its size and digest only.
const AUDIT_ZONES_MAX: usize = 1_000;

/// The set as the API shows it.
pub(crate) fn shown(network: &Snapshot) -> CoverageZones {
    let zone = |z: &ZoneEntry| CoverageZone { network: z.network, locations: z.locations.clone() };
    CoverageZones { revision: network.zones_revision, zones: network.zones.iter().map(zone).collect() }
}

pub(crate) fn replace(change: &Change<'_>, request: &CoverageZonesRequest) -> Result<CoverageZones, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let zones = check(network, &request.zones)?;
    if zones == *network.zones {
        return Ok(shown(network));
    }
    let ids: BTreeMap<_, _> = network.locations.values().map(|l| (l.name.clone(), l.id)).collect();
    tables::zones::replace(change.tx, &network.zones, &zones, &ids)?;
    change.zones_changed()?;
    change.audit("change", "coverage zones", Some(&audited(&network.zones)), Some(&audited(&zones)))?;
    let revision = change.revision();
    let zones = zones.into_iter().map(|z| CoverageZone { network: z.network, locations: z.locations });
    Ok(CoverageZones { revision, zones: zones.collect() })
}

/// The zones by network, or the first that is wrong, with its place.
fn check(network: &Snapshot, requests: &[ZoneRequest]) -> Result<Vec<ZoneEntry>, Problem> {
    if requests.len() > ZONES_MAX {
        return Err(fields::too_many("coverage zones", ZONES_MAX).at("zones"));
    }
    let mut seen = BTreeSet::new();
    let mut zones = Vec::with_capacity(requests.len());
    for (at, request) in requests.iter().enumerate() {
        let zone = zone(network, at, request)?;
        if !seen.insert(zone.network) {
            let detail = format!("{} is there twice", zone.network);
            return Err(Problem::new(Reason::DuplicateNetwork, detail).at(format!("zones[{at}].network")));
        }
        zones.push(zone);
    }
    zones.sort_unstable_by_key(|z| z.network);
    Ok(zones)
}

fn zone(network: &Snapshot, at: usize, request: &ZoneRequest) -> Result<ZoneEntry, Problem> {
    let field = format!("zones[{at}].network");
    let invalid = |detail: String| Problem::new(Reason::InvalidField, detail).at(&field);
    let prefix: IpNet = request.network.parse().map_err(|_| invalid(format!("{:?} is not address/prefix", request.network)))?;
    if prefix != prefix.trunc() {
        return Err(invalid(format!("{prefix} has bits below its prefix")).next_step(format!("write {}", prefix.trunc())));
    }
    let places = request.locations.len();
    if places == 0 || places > ZONE_LOCATIONS_MAX {
        let detail = format!("has {places} locations, not 1 to {ZONE_LOCATIONS_MAX}");
        return Err(Problem::new(Reason::InvalidField, detail).at(format!("zones[{at}].locations")));
    }
    let mut locations = BTreeMap::new();
    for (name, metric) in &request.locations {
        let location = fields::location(network, &format!("zones[{at}].locations.{name}"), name)?;
        locations.insert(location.name.clone(), *metric);
    }
    Ok(ZoneEntry { network: prefix, locations })
}

/// A set as the audit shows it.
pub(super) fn audited(zones: &[ZoneEntry]) -> Value {
    if zones.len() <= AUDIT_ZONES_MAX {
        return json!({ "zones": zones });
    }
    let bytes = serde_json::to_vec(zones).expect("zones are JSON");
    json!({ "entries": zones.len(), "sha256": hex::encode(Sha256::digest(bytes)) })
}
