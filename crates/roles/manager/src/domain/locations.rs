//! Locations form a tree: no cycle, and nothing is deleted that something still uses.

use super::fields;
use crate::{
    change::{Change, NOTHING, Refusal},
    snapshot::Snapshot,
    tables,
};
use std::collections::BTreeSet;
use weir_model::{LocationName, Stamp};
use weir_operator_api::{AccessRole, ConfirmedRemoval, Location, LocationRequest, Problem, Reason};
use weir_routing::compile::LOCATIONS_MAX;

fn find<'a>(network: &'a Snapshot, name: &str) -> Result<&'a Location, Problem> {
    network.locations.get(name).ok_or_else(|| fields::absent("location", name))
}

fn parent<'a>(network: &'a Snapshot, request: &LocationRequest) -> Result<Option<&'a Location>, Problem> {
    request.parent.as_deref().map(|p| fields::location(network, "parent", p)).transpose()
}

fn free(network: &Snapshot, name: &LocationName) -> Result<(), Problem> {
    if network.locations.contains_key(name) {
        return Err(Problem::new(Reason::NameTaken, format!("there is a location {name}")).at("name"));
    }
    Ok(())
}

pub(crate) fn create(change: &Change<'_>, request: &LocationRequest) -> Result<Location, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let name: LocationName = fields::read("name", &request.name)?;
    free(network, &name)?;
    let parent = parent(network, request)?;
    if network.locations.len() >= LOCATIONS_MAX {
        return Err(fields::too_many("locations", LOCATIONS_MAX).into());
    }
    let revision = change.revision();
    let id = tables::locations::insert(change.tx, &name, parent.map(|p| p.id), revision)?;
    let location = Location { id, name, parent: parent.map(|p| p.name.clone()), revision };
    change.audit("create", format_args!("location {}", location.name), NOTHING, Some(&location))?;
    Ok(location)
}

pub(crate) fn replace(change: &Change<'_>, name: &str, request: &LocationRequest) -> Result<Location, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let before = find(network, name)?;
    let new_name: LocationName = fields::read("name", &request.name)?;
    if new_name != before.name {
        free(network, &new_name)?;
    }
    let parent = parent(network, request)?;
    if let Some(parent) = parent
        && network.is_under(&parent.name, &before.name)
    {
        let detail = format!("{} is {} or below it", parent.name, before.name);
        return Err(Problem::new(Reason::LocationCycle, detail).at("parent").into());
    }
    let parent_name = parent.map(|p| p.name.clone());
    if new_name == before.name && parent_name == before.parent {
        return Ok(before.clone());
    }
    let after = Location { id: before.id, name: new_name, parent: parent_name, revision: change.revision() };
    tables::locations::update(change.tx, after.id, &after.name, parent.map(|p| p.id), after.revision)?;
    if after.name != before.name && tables::locations::zones_using(change.tx, after.id)? > 0 {
        change.zones_changed()?;
    }
    change.audit("change", format_args!("location {}", before.name), Some(before), Some(&after))?;
    Ok(after)
}

/// Says that the engines that are out of service in a location are meant to be: routers that hold a configuration back for them take
/// it. The location need not be there any longer, when a router says that it holds back what was there.
pub(crate) fn confirm_removal(change: &Change<'_>, name: &str, held_back: &BTreeSet<String>) -> Result<ConfirmedRemoval, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let location: LocationName = fields::read("name", name)?;
    if !held_back.contains(name) {
        find(change.before, name)?;
    }
    let stamp = Stamp { generation: change.revision(), ..change.before.stamp };
    let mut confirmed = change.before.confirmed.clone();
    let before = confirmed.locations.insert(location.clone(), stamp);
    tables::settings::set_confirmed(change.tx, &confirmed)?;
    change.audit("confirm removal", format_args!("location {name}"), before.as_ref(), Some(&stamp))?;
    Ok(ConfirmedRemoval { location, generation: stamp.generation })
}

pub(crate) fn delete(change: &Change<'_>, name: &str) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let location = find(network, name)?;
    let used_by = |what: String| Problem::new(Reason::LocationInUse, format!("location {name} is used by {what}"));
    if let Some(child) = network.locations.values().find(|l| l.parent.as_ref() == Some(&location.name)) {
        return Err(used_by(format!("location {}, which is below it", child.name)).into());
    }
    if let Some(device) = network.devices.values().find(|d| d.location.as_ref() == Some(&location.name)) {
        return Err(used_by(format!("device {}", device.name)).into());
    }
    let zones = tables::locations::zones_using(change.tx, location.id)?;
    if zones > 0 {
        return Err(used_by(format!("{zones} coverage zones")).into());
    }
    tables::tokens::delete_expired_into(change.tx, location.id, change.now_ms)?;
    if tables::locations::tokens_using(change.tx, location.id)? > 0 {
        return Err(used_by("an enrolment token that activates devices into it".to_owned()).into());
    }
    change.revision();
    tables::locations::delete(change.tx, location.id)?;
    change.audit("delete", format_args!("location {name}"), Some(location), NOTHING)?;
    Ok(())
}
