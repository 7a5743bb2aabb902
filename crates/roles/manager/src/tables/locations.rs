//! Locations.

use super::columns::{optional_parsed, parsed, signed, unsigned};
use rusqlite::{Result, Transaction, params};
use weir_model::LocationName;
use weir_operator_api::Location;

/// By name.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Location>> {
    let sql = "SELECT l.id, l.name, p.name AS parent, l.revision FROM location l LEFT JOIN location p ON p.id = l.parent ORDER BY l.name";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Location {
            id: row.get("id")?,
            name: parsed(row, "name")?,
            parent: optional_parsed(row, "parent")?,
            revision: unsigned(row, "revision")?,
        })
    })?;
    rows.collect()
}

pub(crate) fn insert(tx: &Transaction<'_>, name: &LocationName, parent: Option<i64>, revision: u64) -> Result<i64> {
    let sql = "INSERT INTO location (name, parent, revision) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![name.as_str(), parent, signed(revision)])?;
    Ok(tx.last_insert_rowid())
}

pub(crate) fn update(tx: &Transaction<'_>, id: i64, name: &LocationName, parent: Option<i64>, revision: u64) -> Result<()> {
    let sql = "UPDATE location SET name = ?2, parent = ?3, revision = ?4 WHERE id = ?1";
    tx.execute(sql, params![id, name.as_str(), parent, signed(revision)])?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM location WHERE id = ?1", [id])?;
    Ok(())
}

/// Coverage zones that name it.
pub(crate) fn zones_using(tx: &Transaction<'_>, id: i64) -> Result<u64> {
    tx.query_row("SELECT count(*) AS n FROM coverage_zone WHERE location = ?1", [id], |row| unsigned(row, "n"))
}

/// Enrolment tokens that activate devices into it.
pub(crate) fn tokens_using(tx: &Transaction<'_>, id: i64) -> Result<u64> {
    tx.query_row("SELECT count(*) AS n FROM enrolment_token WHERE activate_into = ?1", [id], |row| unsigned(row, "n"))
}
