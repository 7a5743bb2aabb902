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
    let none = BTreeMap::new();
    let by_network = |zones: &'_ [ZoneEntry]| zones.iter().map(|zone| (zone.network, zone)).collect::<BTreeMap<_, _>>();
    let (old, new) = (by_network(before), by_network(zones));
    let locations = |zone: Option<&&ZoneEntry>| zone.map_or(none.clone(), |zone| zone.locations.clone());
    let mut delete = tx.prepare_cached("DELETE FROM coverage_zone WHERE network = ?1 AND location = ?2")?;
    for (network, zone) in &old {
        let stay = locations(new.get(network));
        for location in zone.locations.keys().filter(|location| !stay.contains_key(*location)) {
            delete.execute(params![network.to_string(), ids.get(location)])?;
        }
    }
    let sql = "INSERT INTO coverage_zone (network, location, metric) VALUES (?1, ?2, ?3)
        ON CONFLICT (network, location) DO UPDATE SET metric = excluded.metric";
    let mut write = tx.prepare_cached(sql)?;
    for (network, zone) in &new {
        let were = locations(old.get(network));
        for (location, metric) in zone.locations.iter().filter(|(location, metric)| were.get(*location) != Some(*metric)) {
            write.execute(params![network.to_string(), ids.get(location), metric])?;
        }
    }
    Ok(())
}
