//! The ledger: which steps built this database, who wrote them, and the way back over each.
//!
//! It travels with the database, so that a build that does not know a step can still take it back. A column of a later
//! build is passed over; one that is lacking is added in place and filled from the steps this build knows.

use crate::{DatabaseError, shape};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

/// The table.
pub(crate) const LEDGER: &str = "schema_ledger";

const LEDGER_SQL: &str = "CREATE TABLE IF NOT EXISTS schema_ledger (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT";

/// Columns the first ledger did not have; each may be null.
const ADDED_COLUMNS: [&str; 4] = ["written_by", "down_sql", "down_sha256", "schema_sha256"];

/// A schema step. Once released it never changes: its digests are in the ledger of every database it built.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Order; rises.
    pub id: u32,
    /// What it does, a few words.
    pub name: &'static str,
    /// The statements that take the schema here from the step before.
    pub up_sql: &'static str,
    /// The statements that take it back; `None` for a step that nothing goes back over.
    pub down_sql: Option<&'static str>,
}

impl Migration {
    /// SHA-256 of the program up, in hex.
    pub fn up_sha256(&self) -> String {
        sha256(self.up_sql)
    }

    /// SHA-256 of the program down, in hex, if there is one.
    pub fn down_sha256(&self) -> Option<String> {
        self.down_sql.map(sha256)
    }
}

/// A step the database has gone through.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// The version that applied it; `None` from before this was noted.
    pub(crate) written_by: Option<String>,
    /// Digest of the schema after it; `None` from before this was noted.
    pub(crate) schema_sha256: Option<String>,
    up_sha256: String,
    down_sql: Option<String>,
    down_sha256: Option<String>,
}

/// A program down whose digest was verified.
pub(crate) struct WayBack<'a> {
    pub(crate) program: &'a str,
    pub(crate) sha256: &'a str,
}

impl Applied {
    /// The program down, once its digest was verified.
    pub(crate) fn way_back(&self) -> Result<WayBack<'_>, DatabaseError> {
        let named = || (self.id, self.name.clone());
        match (&self.down_sql, &self.down_sha256) {
            (Some(program), Some(digest)) if sha256(program) == *digest => Ok(WayBack { program, sha256: digest }),
            (None, None) => {
                let (id, name) = named();
                Err(DatabaseError::NoWayBack { id, name })
            }
            _ => {
                let (id, name) = named();
                Err(DatabaseError::WayBackDamaged { id, name })
            }
        }
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The steps the database has gone through, in order; none when it has no ledger.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    let columns = columns(connection)?;
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let added = ADDED_COLUMNS.map(|name| if columns.iter().any(|c| c == name) { name } else { "NULL" });
    let sql = format!("SELECT id, name, sha256, {} FROM {LEDGER} ORDER BY id", added.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Applied {
            id: row.get(0)?,
            name: row.get(1)?,
            up_sha256: row.get(2)?,
            written_by: row.get(3)?,
            down_sql: row.get(4)?,
            down_sha256: row.get(5)?,
            schema_sha256: row.get(6)?,
        })
    })?;
    rows.collect()
}

fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([LEDGER], |row| row.get(0))?.collect()
}

/// Refuses a ledger this build does not understand.
pub(crate) fn check(applied: &[Applied], migrations: &[Migration]) -> Result<(), DatabaseError> {
    for done in applied {
        let Some(step) = migrations.iter().find(|m| m.id == done.id) else {
            return Err(DatabaseError::SchemaAhead { id: done.id, name: done.name.clone(), written_by: done.written_by.clone() });
        };
        let other_way_back = done.down_sha256.is_some() && step.down_sql.is_some() && done.down_sha256 != step.down_sha256();
        if step.up_sha256() != done.up_sha256 || other_way_back {
            return Err(DatabaseError::SchemaChanged { id: done.id, name: step.name.to_owned() });
        }
    }
    Ok(())
}

/// Makes the ledger, or adds what an earlier build did not note.
pub(crate) fn prepare(connection: &Connection, migrations: &[Migration]) -> rusqlite::Result<()> {
    connection.execute(LEDGER_SQL, [])?;
    let there = columns(connection)?;
    for column in ADDED_COLUMNS.iter().filter(|c| !there.iter().any(|t| t == *c)) {
        connection.execute(&format!("ALTER TABLE {LEDGER} ADD COLUMN {column} TEXT"), [])?;
    }
    for step in migrations.iter().filter(|m| m.down_sql.is_some()) {
        let sql = "UPDATE schema_ledger SET down_sql = ?1, down_sha256 = ?2 WHERE id = ?3 AND sha256 = ?4 AND down_sha256 IS NULL";
        connection.execute(sql, params![step.down_sql, step.down_sha256(), step.id, step.up_sha256()])?;
    }
    // Nothing but steps changes the schema, so it is that of the newest one.
    let newest = "UPDATE schema_ledger SET schema_sha256 = ?1 WHERE id = (SELECT max(id) FROM schema_ledger) AND schema_sha256 IS NULL";
    connection.execute(newest, [shape::schema_sha256(connection)?])?;
    Ok(())
}

/// Notes a step that was run, with its way back and the schema after it.
pub(crate) fn note(connection: &Connection, step: &Migration, now_ms: u64, written_by: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO schema_ledger (id, name, sha256, applied_ms, written_by, down_sql, down_sha256, schema_sha256)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let applied_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let (up, down, schema) = (step.up_sha256(), step.down_sha256(), shape::schema_sha256(connection)?);
    connection.execute(sql, params![step.id, step.name, up, applied_ms, written_by, step.down_sql, down, schema])?;
    Ok(())
}

/// Forgets a step that was taken back.
pub(crate) fn forget(connection: &Connection, id: u32) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM schema_ledger WHERE id = ?1", [id])?;
    Ok(())
}

/// Whether the database holds nothing at all: it was created now, or a creation was cut short.
pub(crate) fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    let any: Option<i64> = connection.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |row| row.get(0)).optional()?;
    Ok(any.is_none())
}
