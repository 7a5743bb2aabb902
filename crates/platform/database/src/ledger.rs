//! Migrations: ordered schema steps, each run once and noted with its digest.

use crate::DatabaseError;
use rusqlite::{Connection, Transaction, params};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A schema step. Once released it never changes: its digest is in the ledger of every database it built.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Order; rises.
    pub id: u32,
    /// What it does, a few words.
    pub name: &'static str,
    /// The statements.
    pub up_sql: &'static str,
}

impl Migration {
    fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.up_sql.as_bytes()))
    }
}

const LEDGER_SQL: &str = "CREATE TABLE IF NOT EXISTS schema_ledger (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT";

/// Runs every pending step in one transaction; refuses a ledger this build does not understand.
pub(crate) fn bring_up(connection: &mut Connection, migrations: &[Migration], now_ms: u64) -> Result<(), DatabaseError> {
    debug_assert!(migrations.windows(2).all(|w| w[0].id < w[1].id), "steps are listed in order");
    let transaction = connection.transaction()?;
    transaction.execute(LEDGER_SQL, [])?;
    let done = applied(&transaction)?;
    for (id, (name, sha256)) in &done {
        match migrations.iter().find(|m| m.id == *id) {
            None => return Err(DatabaseError::SchemaAhead { id: *id, name: name.clone() }),
            Some(step) if step.digest() != *sha256 => {
                return Err(DatabaseError::SchemaChanged { id: *id, name: step.name.to_owned() });
            }
            Some(_) => {}
        }
    }
    for step in migrations.iter().filter(|m| !done.contains_key(&m.id)) {
        run(&transaction, step, now_ms).map_err(|source| DatabaseError::Migration { id: step.id, name: step.name.to_owned(), source })?;
        tracing::info!(step = step.id, name = step.name, "schema step applied");
    }
    transaction.commit()?;
    Ok(())
}

fn applied(transaction: &Transaction<'_>) -> rusqlite::Result<BTreeMap<u32, (String, String)>> {
    let mut statement = transaction.prepare("SELECT id, name, sha256 FROM schema_ledger ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    rows.collect()
}

fn run(transaction: &Transaction<'_>, step: &Migration, now_ms: u64) -> rusqlite::Result<()> {
    transaction.execute_batch(step.up_sql)?;
    let sql = "INSERT INTO schema_ledger (id, name, sha256, applied_ms) VALUES (?1, ?2, ?3, ?4)";
    transaction.execute(sql, params![step.id, step.name, step.digest(), i64::try_from(now_ms).unwrap_or(i64::MAX)])?;
    Ok(())
}
