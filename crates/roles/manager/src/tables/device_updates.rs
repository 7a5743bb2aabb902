//! Updates of devices: the last assignment of each, the image each has rightly, digests that may be tried again.

use super::columns::{optional_unsigned, parsed, signed, unsigned};
use crate::updates::record::{Ended, Image, Kept, Order, Outcome, leave_word};
use rusqlite::{Result, Row, Transaction, params, types::Type};
use std::collections::{BTreeMap, BTreeSet};
use weir_model::DeviceName;
use weir_rollout::update::Leave;

/// Everything, by name of device.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Kept> {
    Ok(Kept { orders: orders(tx)?, images: images(tx)?, unburned: unburned(tx)? })
}

/// The last assignment of each device, by name.
pub(crate) fn orders(tx: &Transaction<'_>) -> Result<BTreeMap<DeviceName, Order>> {
    let mut statement = tx.prepare_cached("SELECT u.*, d.name FROM device_update u JOIN device d ON d.id = u.device")?;
    let rows = statement.query_map([], |row| Ok((parsed(row, "name")?, order(row)?)))?;
    rows.collect()
}

fn images(tx: &Transaction<'_>) -> Result<BTreeMap<DeviceName, Image>> {
    let mut statement = tx.prepare_cached("SELECT i.*, d.name FROM device_image i JOIN device d ON d.id = i.device")?;
    let image = |row: &Row<'_>| Ok::<_, rusqlite::Error>(Image { manifest: row.get("manifest_sha256")?, version: row.get("version")? });
    let rows = statement.query_map([], |row| Ok((parsed(row, "name")?, image(row)?)))?;
    rows.collect()
}

fn unburned(tx: &Transaction<'_>) -> Result<BTreeMap<DeviceName, BTreeSet<String>>> {
    let mut statement = tx.prepare_cached("SELECT u.*, d.name FROM unburned u JOIN device d ON d.id = u.device")?;
    let mut rows = statement.query([])?;
    let mut unburned = BTreeMap::<DeviceName, BTreeSet<String>>::new();
    while let Some(row) = rows.next()? {
        unburned.entry(parsed(row, "name")?).or_default().insert(row.get("manifest_sha256")?);
    }
    Ok(unburned)
}

/// A column whose text is none of its words.
fn strange(column: &str, text: String) -> rusqlite::Error {
    let error = format!("{text:?} is no word of {column}");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
}

fn order(row: &Row<'_>) -> Result<Order> {
    let leave: String = row.get("leave")?;
    let leave = [Leave::Drained, Leave::HandedOver].into_iter().find(|l| leave_word(*l) == leave).ok_or_else(|| strange("leave", leave))?;
    Ok(Order {
        number: unsigned(row, "number")?,
        term: unsigned(row, "term")?,
        file: row.get("file")?,
        version: parsed(row, "version")?,
        manifest: row.get("manifest_sha256")?,
        archive_sha256: row.get("archive_sha256")?,
        archive_bytes: unsigned(row, "archive_bytes")?,
        auto_reload: row.get("auto_reload")?,
        leave,
        reload: row.get("reload")?,
        cancelled: row.get("cancelled")?,
        overrides: row.get("overrides")?,
        at_ms: unsigned(row, "at_ms")?,
        by: row.get("assigned_by")?,
        ended: ended(row)?,
    })
}

fn ended(row: &Row<'_>) -> Result<Option<Ended>> {
    let (Some(word), Some(at_ms)) = (row.get::<_, Option<String>>("outcome")?, optional_unsigned(row, "ended_ms")?) else {
        return Ok(None);
    };
    let outcome = Outcome::of(&word).ok_or_else(|| strange("outcome", word))?;
    Ok(Some(Ended { outcome, at_ms }))
}

/// Writes an assignment in the place of the device's one before.
pub(crate) fn put(tx: &Transaction<'_>, device: i64, order: &Order) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO device_update (device, number, term, file, version, manifest_sha256, archive_sha256, archive_bytes,
        auto_reload, leave, reload, cancelled, overrides, at_ms, assigned_by, outcome, ended_ms)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
    let (outcome, ended_ms) = order.ended.map(|ended| (ended.outcome.as_str(), signed(ended.at_ms))).unzip();
    tx.execute(
        sql,
        params![
            device,
            signed(order.number),
            signed(order.term),
            order.file,
            order.version.to_string(),
            order.manifest,
            order.archive_sha256,
            signed(order.archive_bytes),
            order.auto_reload,
            leave_word(order.leave),
            order.reload,
            order.cancelled,
            order.overrides,
            signed(order.at_ms),
            order.by,
            outcome,
            ended_ms,
        ],
    )?;
    Ok(())
}

/// Writes which image a device has rightly.
pub(crate) fn put_image(tx: &Transaction<'_>, device: i64, image: &Image, now_ms: u64) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO device_image (device, manifest_sha256, version, since_ms) VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![device, image.manifest, image.version, signed(now_ms)])?;
    Ok(())
}

/// Writes the digests that a device may try again, in the place of those before.
pub(crate) fn put_unburned(tx: &Transaction<'_>, device: i64, digests: &BTreeSet<String>) -> Result<()> {
    tx.execute("DELETE FROM unburned WHERE device = ?1", [device])?;
    let mut insert = tx.prepare_cached("INSERT INTO unburned (device, manifest_sha256) VALUES (?1, ?2)")?;
    for digest in digests {
        insert.execute(params![device, digest])?;
    }
    Ok(())
}
