//! Devices.

use super::columns::{json, optional_parsed, parsed, signed, unsigned};
use crate::snapshot::DeviceRecord;
use rusqlite::{Result, Transaction, params};

/// By name.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<DeviceRecord>> {
    let sql = "SELECT d.*, l.name AS location_name FROM device d LEFT JOIN location l ON l.id = d.location ORDER BY d.name";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(DeviceRecord {
            id: row.get("id")?,
            name: parsed(row, "name")?,
            role: parsed(row, "role")?,
            active: row.get("active")?,
            location: optional_parsed(row, "location_name")?,
            weight: row.get("weight")?,
            capacity_mbps: row.get("capacity_mbps")?,
            activated_generation: unsigned(row, "activated_generation")?,
            addresses: json(row, "addresses")?,
            public_key_sha256: row.get("public_key_sha256")?,
            certificate_sha256: row.get("certificate_sha256")?,
            enrolled_with: row.get("enrolled_with")?,
            enrolled_ms: unsigned(row, "enrolled_ms")?,
            revision: unsigned(row, "revision")?,
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
