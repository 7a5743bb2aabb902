//! Backups this box knows of: its own table, neither replicated nor part of the digest.

use super::columns::{json, signed};
use rusqlite::{OptionalExtension, Result, Row, Transaction, params};
use weir_operator_api::Backup;

/// Newest first.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Backup>> {
    let mut statement = tx.prepare_cached("SELECT record FROM backup ORDER BY at_ms DESC, name DESC")?;
    let rows = statement.query_map([], |row: &Row<'_>| json(row, "record"))?;
    rows.collect()
}

/// The one of this name.
pub(crate) fn get(tx: &Transaction<'_>, name: &str) -> Result<Option<Backup>> {
    tx.prepare_cached("SELECT record FROM backup WHERE name = ?1")?.query_row([name], |row| json(row, "record")).optional()
}

/// Writes a record; one of the same name goes.
pub(crate) fn put(tx: &Transaction<'_>, backup: &Backup) -> Result<()> {
    let record = serde_json::to_string(backup).expect("records are JSON");
    let sql = "INSERT INTO backup (name, at_ms, actor, record) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms, actor = excluded.actor, record = excluded.record";
    tx.prepare_cached(sql)?.execute(params![backup.name, signed(backup.at_ms), backup.actor, record])?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, name: &str) -> Result<()> {
    tx.execute("DELETE FROM backup WHERE name = ?1", [name])?;
    Ok(())
}
