//! What steps may do to what is there: up only adds, down only takes away what up added and parks what would be lost.
//!
//! Held against the rows themselves, file before beside file after, so that a program with a mistake in it cannot lose any:
//!
//! - **Up.** Every table is still there with every column it had, and reads the same through those columns. A table that an
//!   attic of one of these steps is for may change its rows: what was parked is put back. Every index, trigger and view is
//!   still there as it was, and a table's statement is what it was with columns added.
//! - **Down.** Nothing is new but attics of these steps. What is left reads the same, and a table with rows, or a column of
//!   one, goes only when there is an attic for that table. Indices, triggers and views that are left are as they were, and a
//!   table's statement is what it was with columns taken away.
//!
//! The counter of a table that never uses an id again is one of its rows.

use crate::{
    DatabaseError,
    dump::{attic_of, counters, quoted, rows_digest, tables},
    shape::{self, Objects},
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
    /// A step up drops one of its indices or triggers, or it is a view and dropped.
    ObjectDropped,
    /// A constraint, or an index or trigger of it, is not as it was.
    SchemaChanged,
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
            Touch::ObjectDropped => "an index, a trigger or a view would be dropped",
            Touch::SchemaChanged => "a constraint, an index, a trigger or a view would not be as it was",
            Touch::RowsChanged => "rows would not be as they were",
            Touch::Made => "a way back would add to it",
            Touch::NotParked => "rows or values would be lost",
        })
    }
}

type Tables = BTreeMap<String, Vec<String>>;

/// A database, with what is in it.
struct Side<'a> {
    connection: &'a Connection,
    tables: Tables,
    objects: Objects,
}

impl<'a> Side<'a> {
    fn of(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self { connection, tables: tables(connection)?, objects: shape::objects(connection)? })
    }

    fn has_column(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.iter().any(|c| c == column))
    }
}

/// One database before its steps and the other after.
pub(crate) struct Law<'a> {
    before: Side<'a>,
    after: Side<'a>,
    steps: &'a [u32],
}

impl<'a> Law<'a> {
    pub(crate) fn between(before: &'a Connection, after: &'a Connection, steps: &'a [u32]) -> rusqlite::Result<Self> {
        Ok(Self { before: Side::of(before)?, after: Side::of(after)?, steps })
    }

    /// Holds steps up to their law.
    pub(crate) fn up(&self) -> Result<(), DatabaseError> {
        for (table, columns) in self.before.tables.iter().filter(|(table, _)| !self.is_attic(table)) {
            let Some(now) = self.after.tables.get(table) else { return Err(touched(table, Touch::TableDropped)) };
            if columns.iter().any(|column| !now.contains(column)) {
                return Err(touched(table, Touch::ColumnDropped));
            }
            if !self.has_attic(&self.before.tables, table) {
                self.same_rows(table, columns)?;
            }
        }
        self.same_shape(&self.before, &self.after, Touch::ObjectDropped)
    }

    /// Holds ways back to their law.
    pub(crate) fn down(&self) -> Result<(), DatabaseError> {
        for (table, columns) in self.after.tables.iter().filter(|(table, _)| !self.is_attic(table)) {
            let were = self.before.tables.get(table).map_or(&[][..], Vec::as_slice);
            if columns.iter().any(|column| !were.contains(column)) {
                return Err(touched(table, Touch::Made));
            }
            if self.has_attic(&self.after.tables, table) {
                continue;
            }
            self.same_rows(table, columns)?;
            if columns.len() < were.len() && self.had_rows(table)? {
                return Err(touched(table, Touch::NotParked));
            }
        }
        for table in self.before.tables.keys().filter(|table| !self.after.tables.contains_key(*table) && !self.is_attic(table)) {
            if !self.has_attic(&self.after.tables, table) && self.had_rows(table)? {
                return Err(touched(table, Touch::NotParked));
            }
        }
        self.same_shape(&self.after, &self.before, Touch::Made)
    }

    /// Whether `more` has every object of `less`, as it is there but for columns `less` does not have.
    fn same_shape(&self, less: &Side<'_>, more: &Side<'_>, absent: Touch) -> Result<(), DatabaseError> {
        for (key, object) in less.objects.iter().filter(|(_, object)| !self.is_attic(&object.table)) {
            let Some(other) = more.objects.get(key) else { return Err(touched(&object.table, absent)) };
            let is_same = if key.0 == shape::TABLE {
                shape::is_grown(&object.statement, &other.statement, |column| {
                    more.has_column(&object.table, column) && !less.has_column(&object.table, column)
                })
            } else {
                object.statement == other.statement
            };
            if !is_same {
                return Err(touched(&object.table, Touch::SchemaChanged));
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
        let same = rows_digest(self.before.connection, table, columns)? == rows_digest(self.after.connection, table, columns)?
            && counters(self.before.connection)?.get(table) == counters(self.after.connection)?.get(table);
        if same { Ok(()) } else { Err(touched(table, Touch::RowsChanged)) }
    }

    fn had_rows(&self, table: &str) -> Result<bool, DatabaseError> {
        Ok(self.before.connection.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(table)), [], |row| row.get(0))?)
    }
}

fn touched(table: &str, how: Touch) -> DatabaseError {
    DatabaseError::Touched { table: table.to_owned(), how }
}
