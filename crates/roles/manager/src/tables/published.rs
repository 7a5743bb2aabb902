//! What was last published of each delivery service, so that one whose row cannot be run any longer goes on as it was.

use super::columns::signed;
use rusqlite::{OptionalExtension, Result, Transaction, params};

/// What is kept of a delivery service, if anything is.
pub(crate) fn of(tx: &Transaction<'_>, id: i64) -> Result<Option<String>> {
    let sql = "SELECT document FROM published_service WHERE delivery_service = ?1";
    tx.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()
}

/// Keeps what is published of a delivery service from a generation on.
pub(crate) fn put(tx: &Transaction<'_>, id: i64, generation: u64, document: &str) -> Result<()> {
    let sql = "INSERT INTO published_service (delivery_service, generation, document) VALUES (?1, ?2, ?3)
        ON CONFLICT (delivery_service) DO UPDATE SET generation = excluded.generation, document = excluded.document";
    tx.prepare_cached(sql)?.execute(params![id, signed(generation), document])?;
    Ok(())
}

/// Forgets what is kept of a delivery service that is about to go.
pub(crate) fn forget(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM published_service WHERE delivery_service = ?1")?.execute([id])?;
    Ok(())
}

/// Delivery services of which nothing is kept yet.
pub(crate) fn missing(tx: &Transaction<'_>) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM delivery_service WHERE id NOT IN (SELECT delivery_service FROM published_service) ORDER BY id";
    tx.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}
