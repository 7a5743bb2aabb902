//! Changesets: what a transaction did to the rows of tables, as SQLite's session extension records it
//! (<https://www.sqlite.org/sessionintro.html>): read, inverted, applied.
//!
//! The format is SQLite's and has not changed since 3.13. Of a changed row it holds the primary key and, of each column that
//! changed, the value before and after; of one that was made or removed, every value. Schema changes are not in it.

mod raw;

use crate::dump::tables;
use raw::{Applied, Session};
use rusqlite::{Connection, types::Value};
use std::fmt;

/// Records a transaction from here on.
pub struct Recorder<'c> {
    session: Session<'c>,
}

impl<'c> Recorder<'c> {
    /// Begins to record what happens to every table but the ledger and those named. A statement that deletes all of a table
    /// must be prepared after this: prepared before, it empties the table unseen.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(connection: &'c Connection, but: &[&str]) -> rusqlite::Result<Self> {
        let session = Session::new(connection)?;
        for table in tables(connection)?.keys().filter(|table| !but.contains(&table.as_str())) {
            session.attach(table)?;
        }
        Ok(Self { session })
    }

    /// What happened.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn finish(self) -> rusqlite::Result<Changeset> {
        self.session.changeset().map(Changeset)
    }
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changeset(Vec<u8>);

impl Changeset {
    /// One that was kept.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it is kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What takes it back.
    ///
    /// # Errors
    /// The bytes are no changeset.
    pub fn inverted(&self) -> rusqlite::Result<Self> {
        raw::inverted(&self.0).map(Self)
    }

    /// Every row it changes.
    ///
    /// # Errors
    /// The bytes are no changeset.
    pub fn rows(&self) -> rusqlite::Result<Vec<RowChange>> {
        raw::rows(&self.0)
    }

    /// Whether one of the rows it changes is such; looks at one after the other.
    ///
    /// # Errors
    /// The bytes are no changeset.
    pub fn any(&self, is: impl FnMut(&RowChange) -> bool) -> rusqlite::Result<bool> {
        raw::any(&self.0, is)
    }

    /// Does it to the rows of the tables named, inside the caller's transaction. All of it or, on any `Err`, nothing.
    ///
    /// # Errors
    /// [`ApplyError::Conflict`]: a row is not as it was, or a constraint does not hold afterwards. [`ApplyError::OtherSchema`]:
    /// a table has not the columns it had; SQLite would pass such a table over.
    pub fn apply(&self, connection: &Connection, to: &[&str]) -> Result<(), ApplyError> {
        let tables = tables(connection)?;
        let fits = |row: &RowChange| tables.get(&row.table).is_some_and(|columns| columns.len() == row.columns.len());
        let mut other = None;
        self.any(|row| {
            let is_other = to.contains(&row.table.as_str()) && !fits(row);
            if is_other {
                other = Some(row.table.clone());
            }
            is_other
        })?;
        if let Some(table) = other {
            return Err(ApplyError::OtherSchema { table });
        }
        match raw::apply(connection, &self.0, to) {
            Applied::All => Ok(()),
            Applied::Conflict(conflict) => Err(ApplyError::Conflict(conflict)),
            Applied::Failed(error) => Err(ApplyError::Sqlite(error)),
        }
    }
}

/// What happened to one row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// Of which table.
    pub table: String,
    /// What.
    pub kind: RowKind,
    /// Of each column, in the table's order.
    pub columns: Vec<ColumnChange>,
}

/// What can happen to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// It is new.
    Inserted,
    /// It is not as it was.
    Updated,
    /// It is gone.
    Deleted,
}

/// One column of a changed row.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnChange {
    /// Whether it is part of the primary key.
    pub in_key: bool,
    /// Before; `None` where it did not change, or the row is new.
    pub old: Option<Value>,
    /// After; `None` where it did not change, or the row is gone.
    pub new: Option<Value>,
}

impl RowChange {
    /// Which row it is: its table and primary key, in a form that can be compared.
    pub fn key(&self) -> RowKey {
        self.key_of(usize::MAX)
    }

    /// Which group of rows it is of: those with the same first columns of the primary key.
    pub fn key_of(&self, columns: usize) -> RowKey {
        let value = |column: &ColumnChange| format!("{:?}", column.old.as_ref().or(column.new.as_ref()));
        let key = self.columns.iter().filter(|column| column.in_key).take(columns).map(value).collect();
        RowKey { table: self.table.clone(), key }
    }
}

/// A row, by table and primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    table: String,
    key: Vec<String>,
}

/// Why a changeset is not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(Conflict),
    /// A table is not the one it was recorded on.
    #[error("table {table} has other columns than when this was recorded")]
    OtherSchema {
        /// Which table.
        table: String,
    },
    /// SQLite refuses.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// In which table; empty for [`ConflictKind::Reference`], which is found when all is done.
    pub table: String,
    /// What.
    pub kind: ConflictKind,
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// The row is there and not as it was.
    Changed,
    /// The row is gone.
    Gone,
    /// A row with this key is there already.
    Taken,
    /// A constraint of the row would not hold.
    Constraint,
    /// A row refers to what would not be there.
    Reference,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, kind } = self;
        match kind {
            ConflictKind::Changed => write!(f, "a row of {table} was changed since"),
            ConflictKind::Gone => write!(f, "a row of {table} is gone"),
            ConflictKind::Taken => write!(f, "a row of {table} with this key is there"),
            ConflictKind::Constraint => write!(f, "a constraint of {table} would not hold"),
            ConflictKind::Reference => f.write_str("a row refers to one that would not be there"),
        }
    }
}
