//! Settings of the network: term, generation, name, profile, level, primary, keepalive keys.

use super::columns::{signed, unsigned};
use rusqlite::{OptionalExtension, Result, Transaction, params};
use weir_model::configuration::KeepaliveKey;

/// Names of the settings.
pub(crate) const TERM: &str = "term";
pub(crate) const GENERATION: &str = "generation";
/// Generation of the last change of the coverage zones, or of a name they use.
pub(crate) const ZONES_REVISION: &str = "zones_revision";
pub(crate) const NETWORK: &str = "network";
pub(crate) const PROFILE: &str = "profile";
/// The line whose features the whole network may use; absent: [`weir_model::FIRST_LEVEL`].
pub(crate) const LEVEL: &str = "level";
/// Device name of the primary.
pub(crate) const PRIMARY: &str = "primary";
/// Networks that software may be fetched from beside public ones, as JSON.
pub(crate) const SOURCE_ALLOW: &str = "software_sources.allow";
/// The number of the last assignment of a version to a device.
pub(crate) const UPDATE_NUMBER: &str = "update_number";
/// Keys routers accept at the same time.
const KEYS_MAX: u32 = 2;

pub(crate) fn get(tx: &Transaction<'_>, name: &str) -> Result<Option<String>> {
    tx.prepare_cached("SELECT value FROM setting WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

pub(crate) fn number(tx: &Transaction<'_>, name: &str) -> Result<u64> {
    let sql = "SELECT CAST(value AS INTEGER) AS value FROM setting WHERE name = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([name], |row| unsigned(row, "value")).optional()?.unwrap_or(0))
}

pub(crate) fn set(tx: &Transaction<'_>, name: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.prepare_cached(sql)?.execute([name, value])?;
    Ok(())
}

pub(crate) fn set_number(tx: &Transaction<'_>, name: &str, value: u64) -> Result<()> {
    set(tx, name, &value.to_string())
}

pub(crate) fn add_keepalive_key(tx: &Transaction<'_>, secret: &str, now_ms: u64) -> Result<()> {
    tx.execute("INSERT INTO keepalive_key (secret, created_ms) VALUES (?1, ?2)", params![secret, signed(now_ms)])?;
    Ok(())
}

/// Newest first.
pub(crate) fn keepalive_keys(tx: &Transaction<'_>) -> Result<Vec<KeepaliveKey>> {
    let mut statement = tx.prepare_cached("SELECT id, secret FROM keepalive_key ORDER BY id DESC LIMIT ?1")?;
    let rows = statement.query_map([KEYS_MAX], |row| Ok(KeepaliveKey { id: row.get("id")?, secret: row.get("secret")? }))?;
    rows.collect()
}
