//! Server Offload: the devices that are out, and the leases that hold them there.

use super::columns::{optional_unsigned, parsed, signed, unsigned};
use crate::snapshot::Outside;
use rusqlite::{Result, Row, Transaction, params, types::Type};
use std::collections::BTreeMap;
use weir_model::{DeviceName, LeaseOwner};
use weir_operator_api::OffloadLease;

/// Devices that are out, by name; their leases by owner.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<BTreeMap<DeviceName, Outside>> {
    let mut leases = leases(tx)?;
    let sql = "SELECT o.*, d.name FROM offload o JOIN device d ON d.id = o.device";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let device: i64 = row.get("device")?;
        let outside = Outside {
            since_ms: unsigned(row, "since_ms")?,
            clients_generation: unsigned(row, "clients_generation")?,
            peers_generation: optional_unsigned(row, "peers_generation")?,
            leases: leases.remove(&device).unwrap_or_default(),
        };
        Ok((parsed(row, "name")?, outside))
    })?;
    rows.collect()
}

fn leases(tx: &Transaction<'_>) -> Result<BTreeMap<i64, Vec<OffloadLease>>> {
    let mut statement = tx.prepare_cached("SELECT * FROM offload_lease ORDER BY device, owner")?;
    let mut rows = statement.query([])?;
    let mut leases: BTreeMap<i64, Vec<OffloadLease>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        leases.entry(row.get("device")?).or_default().push(lease(row)?);
    }
    Ok(leases)
}

fn lease(row: &Row<'_>) -> Result<OffloadLease> {
    let word: String = row.get("owner")?;
    let owner = LeaseOwner::ALL.into_iter().find(|o| o.as_str() == word);
    Ok(OffloadLease {
        owner: owner.ok_or_else(|| rusqlite::Error::InvalidColumnType(0, word, Type::Text))?,
        why: row.get("why")?,
        by: row.get("taken_by")?,
        since_ms: unsigned(row, "since_ms")?,
        expires_ms: optional_unsigned(row, "expires_ms")?,
        overrides: row.get("overrides")?,
    })
}

/// The device is out from this generation on: viewers' epoch.
pub(crate) fn begin(tx: &Transaction<'_>, device: i64, since_ms: u64, clients_generation: u64) -> Result<()> {
    let sql = "INSERT INTO offload (device, since_ms, clients_generation) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![device, signed(since_ms), signed(clients_generation)])?;
    Ok(())
}

/// From this generation on it is nobody's parent either.
pub(crate) fn set_peers(tx: &Transaction<'_>, device: i64, peers_generation: u64) -> Result<()> {
    tx.execute("UPDATE offload SET peers_generation = ?2 WHERE device = ?1", params![device, signed(peers_generation)])?;
    Ok(())
}

/// The device is in service again; its leases go with it.
pub(crate) fn end(tx: &Transaction<'_>, device: i64) -> Result<()> {
    tx.execute("DELETE FROM offload WHERE device = ?1", [device])?;
    Ok(())
}

/// Writes a lease in the place of the owner's one before.
pub(crate) fn put_lease(tx: &Transaction<'_>, device: i64, lease: &OffloadLease) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO offload_lease (device, owner, why, taken_by, since_ms, expires_ms, overrides)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.execute(
        sql,
        params![device, lease.owner.as_str(), lease.why, lease.by, signed(lease.since_ms), lease.expires_ms.map(signed), lease.overrides,],
    )?;
    Ok(())
}

pub(crate) fn delete_lease(tx: &Transaction<'_>, device: i64, owner: LeaseOwner) -> Result<()> {
    tx.execute("DELETE FROM offload_lease WHERE device = ?1 AND owner = ?2", params![device, owner.as_str()])?;
    Ok(())
}
