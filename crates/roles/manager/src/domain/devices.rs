//! Devices: activated into a location, deactivated, deleted, unless viewers would be left without a way.

use super::{enrolment, fields, offload};
use crate::{
    change::{Change, Refusal},
    guard::{Departure, carries},
    snapshot::{DeviceRecord, Snapshot},
    tables,
};
use serde_json::{Value, json};
use weir_model::{LocationName, Role};
use weir_operator_api::{
    AccessRole, Activation, Addresses, Problem, Reason,
    device::{CAPACITY_MBPS_MAX, WEIGHT_MAX},
};

pub(crate) fn find<'a>(network: &'a Snapshot, name: &str) -> Result<&'a DeviceRecord, Problem> {
    network.devices.get(name).ok_or_else(|| fields::absent("device", name))
}

pub(crate) fn location_id(network: &Snapshot, name: Option<&LocationName>) -> Option<i64> {
    network.locations.get(name?).map(|l| l.id)
}

/// Refuses to take an active device out of its location when delivery services would lose their way.
fn may_leave(network: &Snapshot, device: &DeviceRecord) -> Result<(), Problem> {
    if !device.active || network.services.is_empty() {
        return Ok(());
    }
    match device.role {
        Role::Manager => Ok(()),
        Role::Router => last_router(network, device),
        Role::Engine => sole_root_engine(network, device),
    }
}

fn last_router(network: &Snapshot, device: &DeviceRecord) -> Result<(), Problem> {
    if network.active(Role::Router).any(|r| r.id != device.id) {
        return Ok(());
    }
    let detail = format!("{} is the last active router, and there are delivery services", device.name);
    Err(Problem::new(Reason::LastRouter, detail))
}

fn sole_root_engine(network: &Snapshot, device: &DeviceRecord) -> Result<(), Problem> {
    let Some(location) = device.location.as_ref().and_then(|l| network.locations.get(l)) else { return Ok(()) };
    let fills = |e: &DeviceRecord| carries(e) && !network.outside.contains_key(&e.name);
    let peer = |e: &DeviceRecord| e.id != device.id && e.location.as_ref() == Some(&location.name) && fills(e);
    if location.parent.is_some() || !carries(device) || network.active(Role::Engine).any(peer) {
        return Ok(());
    }
    let below = |e: &&DeviceRecord| e.id != device.id && e.location.as_ref().is_some_and(|l| network.is_under(l, &location.name));
    match network.active(Role::Engine).find(below) {
        None => Ok(()),
        Some(other) => {
            let detail =
                format!("{} is the sole engine of root location {}, which {} fills through", device.name, location.name, other.name);
            Err(Problem::new(Reason::SoleRootEngine, detail))
        }
    }
}

/// A record as the audit keeps it, with what was overridden for it.
fn audited(record: &DeviceRecord, overridden: Option<&String>) -> Value {
    let mut value = json!(record);
    if let Some(overridden) = overridden {
        value["overridden"] = json!(overridden);
    }
    value
}

/// Activates a device, or moves an active one.
pub(crate) fn activate(change: &Change<'_>, name: &str, request: &Activation, departure: &Departure) -> Result<DeviceRecord, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let before = find(network, name)?;
    let location = fields::location(network, "location", &request.location)?;
    let weight = match request.weight {
        Some(weight) => fields::between("weight", weight.into(), 0, WEIGHT_MAX.into()).map(|_| weight)?,
        None => before.weight,
    };
    let capacity_mbps = match request.capacity_mbps {
        Some(mbps) => fields::between("capacity_mbps", mbps.into(), 1, CAPACITY_MBPS_MAX.into()).map(|_| Some(mbps))?,
        None => before.capacity_mbps,
    };
    let same_place = before.location.as_ref() == Some(&location.name);
    if before.active && same_place && before.weight == weight && before.capacity_mbps == capacity_mbps {
        return Ok(before.clone());
    }
    // A router answers from anywhere; an engine that moves, or takes nobody any longer, leaves its location without it.
    let leaves = before.role == Role::Engine && (!same_place || weight == 0 && before.weight > 0);
    let overridden = if leaves { leave(network, before, departure)? } else { None };
    let revision = change.revision();
    let after = DeviceRecord {
        active: true,
        location: Some(location.name.clone()),
        weight,
        capacity_mbps,
        activated_generation: if before.active { before.activated_generation } else { revision },
        revision,
        ..before.clone()
    };
    tables::devices::update(change.tx, &after, Some(location.id))?;
    let verb = if before.active { "change" } else { "activate" };
    change.audit(verb, format_args!("device {name}"), Some(before), Some(&audited(&after, overridden.as_ref())))?;
    Ok(after)
}

pub(crate) fn deactivate(change: &Change<'_>, name: &str, departure: &Departure) -> Result<DeviceRecord, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let before = find(change.before, name)?;
    if !before.active {
        return Ok(before.clone());
    }
    not_primary(change.before, before)?;
    let overridden = leave(change.before, before, departure)?;
    offload::end_with_device(change, before)?;
    let after = DeviceRecord { active: false, location: None, revision: change.revision(), ..before.clone() };
    tables::devices::update(change.tx, &after, None)?;
    change.audit("deactivate", format_args!("device {name}"), Some(before), Some(&audited(&after, overridden.as_ref())))?;
    Ok(after)
}

fn not_primary(network: &Snapshot, device: &DeviceRecord) -> Result<(), Problem> {
    if device.name == network.primary {
        return Err(Problem::new(Reason::IsPrimary, format!("{} is the primary manager", device.name)));
    }
    Ok(())
}

/// Refuses to take an active device out of its location: what nobody overrides first, then the capacity guard. Says what was
/// overridden.
fn leave(network: &Snapshot, device: &DeviceRecord, departure: &Departure) -> Result<Option<String>, Problem> {
    may_leave(network, device)?;
    departure.judge(network, device)
}

/// Deletes a device: its certificate is worth nothing from then on.
pub(crate) fn delete(change: &Change<'_>, name: &str, departure: &Departure) -> Result<DeviceRecord, Refusal> {
    change.access().everywhere(AccessRole::Admin)?;
    let network = change.before;
    let before = find(network, name)?;
    not_primary(network, before)?;
    may_leave(network, before)?;
    let names_it = |s: &&weir_operator_api::DeliveryService| s.engines.as_ref().is_some_and(|e| e.contains(&before.name));
    if let Some(service) = network.services.iter().find(names_it) {
        return Err(Problem::new(Reason::DeviceInUse, format!("delivery service {} names {name}", service.name)).into());
    }
    let overridden = departure.judge(network, before)?;
    change.revision();
    offload::end_with_device(change, before)?;
    tables::devices::delete(change.tx, before.id)?;
    change.updates_changed();
    let after = overridden.map(|overridden| json!({ "overridden": overridden }));
    change.audit("delete", format_args!("device {name}"), Some(before), after.as_ref())?;
    Ok(before.clone())
}

/// Notes where a device says it listens. Documents change with it only while the device is active.
pub(crate) fn listen_at(change: &Change<'_>, name: &str, addresses: Addresses) -> Result<(), Refusal> {
    let before = find(change.before, name)?;
    if before.addresses == addresses {
        return Ok(());
    }
    enrolment::reachable(before.role, &addresses)?;
    let revision = if before.active {
        change.revision()
    } else {
        change.enrolled();
        before.revision
    };
    let after = DeviceRecord { addresses, revision, ..before.clone() };
    tables::devices::update(change.tx, &after, location_id(change.before, after.location.as_ref()))?;
    change.audit("change addresses", format_args!("device {name}"), Some(before), Some(&after))?;
    Ok(())
}
