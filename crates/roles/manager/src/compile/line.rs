//! Which engines an engine's document names: those it can have to do with, not all of a large network.
//!
//! An engine fills from engines above it and gives to those below it, and asks those of its own location for releases: its line of the
//! tree. Of each delivery service one engine elsewhere is named too, when there is one that takes viewers: that is how an engine that is
//! out of service knows that a router finds somebody else for them. Of all it learns the addresses, to know an engine that asks from a
//! viewer.

use super::{entry, published};
use crate::snapshot::{DeviceRecord, Snapshot};
use std::{collections::BTreeSet, net::IpAddr};
use weir_model::{DeviceName, Line, LocationName, Role, configuration::EngineEntry};

/// The engines, in name order.
pub(super) fn engines(network: &Snapshot, device: &DeviceRecord, below: Option<Line>) -> Vec<EngineEntry> {
    let Some(own) = &device.location else { return Vec::new() };
    let places = places(network, own);
    let on_line = |record: &DeviceRecord| record.location.as_ref().is_some_and(|location| places.contains(location));
    let elsewhere = elsewhere(network, below, on_line);
    let named = network.active(Role::Engine).filter(|record| on_line(record) || elsewhere.contains(&record.name));
    named.filter_map(|record| entry(network, record)).collect()
}

/// Addresses of all active engines. One that was cut off from the manager fills by the tree it knew then: whoever it asks must go on
/// taking it for an engine, and not for a viewer.
pub(super) fn addresses(network: &Snapshot) -> Vec<IpAddr> {
    let all: BTreeSet<IpAddr> = network.active(Role::Engine).filter_map(|record| Some(record.addresses.http?.ip())).collect();
    all.into_iter().collect()
}

/// The locations above one, below it, and itself.
fn places<'n>(network: &'n Snapshot, own: &LocationName) -> BTreeSet<&'n LocationName> {
    network.locations.keys().filter(|other| network.is_under(own, other) || network.is_under(other, own)).collect()
}

/// One engine for each delivery service that takes viewers of it and is not on the line; the first by name.
fn elsewhere(network: &Snapshot, below: Option<Line>, on_line: impl Fn(&DeviceRecord) -> bool) -> BTreeSet<DeviceName> {
    let takes_viewers = |record: &&DeviceRecord| {
        let named = record.active && record.role == Role::Engine && record.addresses.http.is_some();
        named && record.weight > 0 && !network.outside.contains_key(&record.name) && !on_line(record)
    };
    let of_any = network.active(Role::Engine).find(takes_viewers);
    let of = |named: &[DeviceName]| named.iter().filter_map(|name| network.devices.get(name)).find(takes_viewers);
    let found = published(network, below).filter_map(|service| service.engines.as_deref().map_or(of_any, of));
    found.map(|record| record.name.clone()).collect()
}
