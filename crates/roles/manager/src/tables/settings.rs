//! Settings of the network: term, generation, name, profile, level, primary, CA, keepalive keys.

use super::columns::{opened, signed, unsigned};
use crate::seal::{PREFIX, Seal, place};
use rusqlite::{OptionalExtension, Result, Transaction, params};
use weir_model::configuration::{Confirmed, KeepaliveKey};

/// Names of the settings.
pub(crate) const TERM: &str = "term";
pub(crate) const GENERATION: &str = "generation";
/// Generation of the last change of the coverage zones, or of a name they use.
pub(crate) const ZONES_REVISION: &str = "zones_revision";
pub(crate) const NETWORK: &str = "network";
pub(crate) const PROFILE: &str = "profile";
/// The line whose features the whole network may use; absent: [`weir_model::FIRST_LEVEL`].
pub(crate) const LEVEL: &str = "level";
/// Generation of the last change of the level; absent: it is what it was when the network was made.
pub(crate) const LEVEL_GENERATION: &str = "level_generation";
/// Device name of the primary.
pub(crate) const PRIMARY: &str = "primary";
/// Networks that software may be fetched from beside public ones, as JSON.
pub(crate) const SOURCE_ALLOW: &str = "software_sources.allow";
/// The number of the last assignment of a version to a device.
pub(crate) const UPDATE_NUMBER: &str = "update_number";
/// The CA certificate, PEM.
pub(crate) const CA_CERTIFICATE: &str = "ca_certificate";
/// The CA's private key, PEM, sealed.
pub(crate) const CA_KEY: &str = "ca_key";
/// Fingerprint of the network key that an operator said is kept elsewhere.
pub(crate) const KEY_CONFIRMED: &str = "network_key_confirmed";
/// When backups are made and where they go, as JSON.
pub(crate) const BACKUP_SCHEDULE: &str = "backup_schedule";
/// What operators said may be out of service, as JSON.
pub(crate) const CONFIRMED: &str = "confirmed";
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

/// What operators said may be out of service. What cannot be read is nobody's word.
pub(crate) fn confirmed(tx: &Transaction<'_>) -> Result<Confirmed> {
    let Some(text) = get(tx, CONFIRMED)? else { return Ok(Confirmed::default()) };
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::error!(setting = CONFIRMED, %error, "what operators said may be out of service cannot be read");
        Confirmed::default()
    }))
}

pub(crate) fn set_confirmed(tx: &Transaction<'_>, confirmed: &Confirmed) -> Result<()> {
    set(tx, CONFIRMED, &serde_json::to_string(confirmed).expect("words are JSON"))
}

/// Takes the plain secret, keeps it sealed.
pub(crate) fn add_keepalive_key(tx: &Transaction<'_>, seal: &Seal, secret: &str, now_ms: u64) -> Result<()> {
    let sealed = seal.seal(place::KEEPALIVE, secret.as_bytes());
    tx.execute("INSERT INTO keepalive_key (secret, created_ms) VALUES (?1, ?2)", params![sealed, signed(now_ms)])?;
    Ok(())
}

/// Newest first, opened.
pub(crate) fn keepalive_keys(tx: &Transaction<'_>, seal: &Seal) -> Result<Vec<KeepaliveKey>> {
    let mut statement = tx.prepare_cached("SELECT id, secret FROM keepalive_key ORDER BY id DESC LIMIT ?1")?;
    let rows = statement.query_map([KEYS_MAX], |row| {
        let secret = opened(row, "secret", seal, place::KEEPALIVE)?;
        Ok(KeepaliveKey { id: row.get("id")?, secret: secret.as_str().to_owned() })
    })?;
    rows.collect()
}

/// Seals the secrets that a build before sealing left plain.
pub(crate) fn seal_keepalive_keys(tx: &Transaction<'_>, seal: &Seal) -> Result<()> {
    seal_column(tx, seal, "keepalive_key", "secret", place::KEEPALIVE)
}

/// Seals what is plain in one column of a table with an `id`.
pub(super) fn seal_column(tx: &Transaction<'_>, seal: &Seal, table: &str, column: &str, place: &str) -> Result<()> {
    let sql =
        format!("SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, {}) <> '{PREFIX}'", PREFIX.len());
    let plain: Vec<(i64, String)> = tx.prepare(&sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    for (id, plain) in plain {
        tx.execute(&format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1"), params![id, seal.seal(place, plain.as_bytes())])?;
    }
    Ok(())
}
