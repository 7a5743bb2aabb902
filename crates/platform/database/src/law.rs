//! What steps may do to what is there: up only adds, down only takes away what up added and parks what would be lost.
//!
//! Held against the rows themselves, file before beside file after, so that a program with a mistake in it cannot lose any:
//!
//! - **Up.** Every table is still there with every column it had, and reads the same through those columns. A table that an
//!   attic of one of these steps is for may change its rows: what was parked is put back.
//! - **Down.** Nothing is new but attics of these steps. What is left reads the same, and a table with rows, or a column of
//!   one, goes only when there is an attic for that table.
//!
//! The counter of a table that never uses an id again is one of its rows.

use crate::{
    DatabaseError,
    dump::{attic_of, counters, quoted, rows_digest, tables},
};
use rusqlite::Connection;
use std::{collections::BTreeMap, fmt};

/// What a program may not do to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// A step up drops it.
    TableDropped,
    /// A step up drops one of its columns.
    ColumnDropped,
    /// Rows that were there are not as they were.
    RowsChanged,
    /// A way back makes it, or a column of it.
    Made,
    /// A way back loses rows or values without an attic for them.
    NotParked,
}

impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Touch::TableDropped => "it would be dropped",
            Touch::ColumnDropped => "a column would be dropped",
            Touch::RowsChanged => "rows would not be as they were",
            Touch::Made => "a way back would add to it",
            Touch::NotParked => "rows or values would be lost",
        })
    }
}

type Tables = BTreeMap<String, Vec<String>>;

/// One database before its steps and the other after.
pub(crate) struct Law<'a> {
    before: (&'a Connection, Tables),
    after: (&'a Connection, Tables),
    steps: &'a [u32],
}

impl<'a> Law<'a> {
    pub(crate) fn between(before: &'a Connection, after: &'a Connection, steps: &'a [u32]) -> rusqlite::Result<Self> {
        Ok(Self { before: (before, tables(before)?), after: (after, tables(after)?), steps })
    }

    /// Holds steps up to their law.
    pub(crate) fn up(&self) -> Result<(), DatabaseError> {
        for (table, columns) in self.before.1.iter().filter(|(table, _)| !self.is_attic(table)) {
            let Some(now) = self.after.1.get(table) else { return Err(touched(table, Touch::TableDropped)) };
            if columns.iter().any(|column| !now.contains(column)) {
                return Err(touched(table, Touch::ColumnDropped));
            }
            if !self.has_attic(&self.before.1, table) {
                self.same_rows(table, columns)?;
            }
        }
        Ok(())
    }

    /// Holds ways back to their law.
    pub(crate) fn down(&self) -> Result<(), DatabaseError> {
        for (table, columns) in self.after.1.iter().filter(|(table, _)| !self.is_attic(table)) {
            let were = self.before.1.get(table).map_or(&[][..], Vec::as_slice);
            if columns.iter().any(|column| !were.contains(column)) {
                return Err(touched(table, Touch::Made));
            }
            if self.has_attic(&self.after.1, table) {
                continue;
            }
            self.same_rows(table, columns)?;
            if columns.len() < were.len() && self.had_rows(table)? {
                return Err(touched(table, Touch::NotParked));
            }
        }
        for table in self.before.1.keys().filter(|table| !self.after.1.contains_key(*table) && !self.is_attic(table)) {
            if !self.has_attic(&self.after.1, table) && self.had_rows(table)? {
                return Err(touched(table, Touch::NotParked));
            }
        }
        Ok(())
    }

    fn is_attic(&self, table: &str) -> bool {
        attic_of(table).is_some_and(|(step, _)| self.steps.contains(&step))
    }

    fn has_attic(&self, tables: &Tables, table: &str) -> bool {
        tables.keys().any(|name| attic_of(name).is_some_and(|(step, of)| of == table && self.steps.contains(&step)))
    }

    fn same_rows(&self, table: &str, columns: &[String]) -> Result<(), DatabaseError> {
        let same = rows_digest(self.before.0, table, columns)? == rows_digest(self.after.0, table, columns)?
            && counters(self.before.0)?.get(table) == counters(self.after.0)?.get(table);
        if same { Ok(()) } else { Err(touched(table, Touch::RowsChanged)) }
    }

    fn had_rows(&self, table: &str) -> Result<bool, DatabaseError> {
        Ok(self.before.0.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(table)), [], |row| row.get(0))?)
    }
}

fn touched(table: &str, how: Touch) -> DatabaseError {
    DatabaseError::Touched { table: table.to_owned(), how }
}
