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

/// Replaces the set. `ids` gives every location's id.
pub(crate) fn replace(tx: &Transaction<'_>, zones: &[ZoneEntry], ids: &BTreeMap<LocationName, i64>) -> Result<()> {
    tx.execute("DELETE FROM coverage_zone", [])?;
    let mut statement = tx.prepare_cached("INSERT INTO coverage_zone (network, location, metric) VALUES (?1, ?2, ?3)")?;
    for zone in zones {
        for (location, metric) in &zone.locations {
            statement.execute(params![zone.network.to_string(), ids.get(location), metric])?;
        }
    }
    Ok(())
}
