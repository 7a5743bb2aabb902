//! Coverage zones: a row for each network and location.

use super::columns::parsed;
use ipnet::IpNet;
use rusqlite::{Result, Transaction, params};
use std::collections::BTreeMap;
use weir_model::{LocationName, configuration::ZoneEntry};

/// By network: IPv4 before IPv6, by address, then by prefix.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<ZoneEntry>> {
    let sql = "SELECT z.network, z.metric, l.name FROM coverage_zone z JOIN location l ON l.id = z.location";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut zones: BTreeMap<IpNet, BTreeMap<LocationName, u32>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        zones.entry(parsed(row, "network")?).or_default().insert(parsed(row, "name")?, row.get("metric")?);
    }
    Ok(zones.into_iter().map(|(network, locations)| ZoneEntry { network, locations }).collect())
}

/// Replaces the set, by what differs: each row that is written is kept in a changeset. `ids` gives every location's id.
pub(crate) fn replace(tx: &Transaction<'_>, before: &[ZoneEntry], zones: &[ZoneEntry], ids: &BTreeMap<LocationName, i64>) -> Result<()> {
    let (old, new) = (by_network(before), by_network(zones));
    let mut delete = tx.prepare_cached("DELETE FROM coverage_zone WHERE network = ?1 AND location = ?2")?;
    for (network, were) in &old {
        let stays = |location: &LocationName| new.get(network).is_some_and(|locations| locations.contains_key(location));
        for location in were.keys().filter(|location| !stays(location)) {
            delete.execute(params![network.to_string(), ids.get(location)])?;
        }
    }
    let sql = "INSERT INTO coverage_zone (network, location, metric) VALUES (?1, ?2, ?3)
        ON CONFLICT (network, location) DO UPDATE SET metric = excluded.metric";
    let mut write = tx.prepare_cached(sql)?;
    for (network, locations) in &new {
        let was = |location: &LocationName| old.get(network).and_then(|were| were.get(location));
        for (location, metric) in locations.iter().filter(|(location, metric)| was(location) != Some(*metric)) {
            write.execute(params![network.to_string(), ids.get(location), metric])?;
        }
    }
    Ok(())
}

fn by_network(zones: &[ZoneEntry]) -> BTreeMap<IpNet, &BTreeMap<LocationName, u32>> {
    zones.iter().map(|zone| (zone.network, &zone.locations)).collect()
}
