//! Devices.

use super::columns::{json, optional_parsed, parsed, signed, unsigned};
use crate::snapshot::DeviceRecord;
use rusqlite::{Result, Transaction, params};

/// By name. Columns by their place: looking up their names would be half of the work, and each change of configuration reads all devices.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<DeviceRecord>> {
    let sql = "SELECT d.id, d.name, d.role, d.active, l.name, d.weight, d.capacity_mbps, d.activated_generation, d.addresses,
        d.public_key_sha256, d.certificate_sha256, d.enrolled_with, d.enrolled_ms, d.revision
        FROM device d LEFT JOIN location l ON l.id = d.location ORDER BY d.name";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(DeviceRecord {
            id: row.get(0)?,
            name: parsed(row, 1)?,
            role: parsed(row, 2)?,
            active: row.get(3)?,
            location: optional_parsed(row, 4)?,
            weight: row.get(5)?,
            capacity_mbps: row.get(6)?,
            activated_generation: unsigned(row, 7)?,
            addresses: json(row, 8)?,
            public_key_sha256: row.get(9)?,
            certificate_sha256: row.get(10)?,
            enrolled_with: row.get(11)?,
            enrolled_ms: unsigned(row, 12)?,
            revision: unsigned(row, 13)?,
        })
    })?;
    rows.collect()
}

/// Writes every field of the record; its location is given by `location`, its id is returned.
pub(crate) fn insert(tx: &Transaction<'_>, device: &DeviceRecord, location: Option<i64>) -> Result<i64> {
    let sql = "INSERT INTO device (name, role, active, location, weight, activated_generation, addresses, public_key_sha256,
        certificate_sha256, enrolled_with, enrolled_ms, revision, capacity_mbps)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    tx.execute(
        sql,
        params![
            device.name.as_str(),
            device.role.as_str(),
            device.active,
            location,
            device.weight,
            signed(device.activated_generation),
            addresses(device),
            device.public_key_sha256,
            device.certificate_sha256,
            device.enrolled_with,
            signed(device.enrolled_ms),
            signed(device.revision),
            device.capacity_mbps,
        ],
    )?;
    Ok(tx.last_insert_rowid())
}

/// Writes every field that may change.
pub(crate) fn update(tx: &Transaction<'_>, device: &DeviceRecord, location: Option<i64>) -> Result<()> {
    let sql = "UPDATE device SET active = ?2, location = ?3, weight = ?4, activated_generation = ?5, addresses = ?6,
        certificate_sha256 = ?7, enrolled_with = ?8, revision = ?9, capacity_mbps = ?10 WHERE id = ?1";
    tx.execute(
        sql,
        params![
            device.id,
            device.active,
            location,
            device.weight,
            signed(device.activated_generation),
            addresses(device),
            device.certificate_sha256,
            device.enrolled_with,
            signed(device.revision),
            device.capacity_mbps,
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM device WHERE id = ?1", [id])?;
    Ok(())
}

fn addresses(device: &DeviceRecord) -> String {
    serde_json::to_string(&device.addresses).expect("addresses are JSON")
}
