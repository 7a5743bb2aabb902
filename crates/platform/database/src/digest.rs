//! Digests of tables: how many rows, and the sum modulo 2^256 of SHA-256 over each row. A sum does not mind the order of rows,
//! so a write changes it by the rows it touches, and a recount from all rows gives the same.
//!
//! A row is taken as the canonical dump writes it, without the table's name: its values, separated by tabs.

use crate::{
    Changeset, RowChange, RowKind,
    dump::{self, quoted, tables, write_value},
};
use rusqlite::{Connection, types::Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The digest of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableDigest {
    /// How many rows it has.
    pub rows: u64,
    /// The sum over its rows, most significant byte first.
    pub sum: [u8; 32],
}

impl TableDigest {
    fn add(&mut self, row: &[u8; 32]) {
        let mut carry = 0;
        for (sum, byte) in self.sum.iter_mut().zip(row).rev() {
            let total = u16::from(*sum) + u16::from(*byte) + carry;
            *sum = total.to_le_bytes()[0];
            carry = total >> 8;
        }
        self.rows = self.rows.wrapping_add(1);
    }

    fn take(&mut self, row: &[u8; 32]) {
        let mut borrow = 0;
        for (sum, byte) in self.sum.iter_mut().zip(row).rev() {
            let total = 0x100 + u16::from(*sum) - u16::from(*byte) - borrow;
            *sum = total.to_le_bytes()[0];
            borrow = 1 - (total >> 8);
        }
        self.rows = self.rows.wrapping_sub(1);
    }
}

/// The digests of the tables of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digests(BTreeMap<String, TableDigest>);

impl Digests {
    /// Digests that were kept. A table without rows says nothing, whether it is named or not.
    pub fn kept(tables: impl IntoIterator<Item = (String, TableDigest)>) -> Self {
        let mut digests = Self(tables.into_iter().collect());
        digests.0.retain(|_, digest| *digest != TableDigest::default());
        digests
    }

    /// Reads every row of every table but the ledger, attics and those named.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn recount(connection: &Connection, but: &[&str]) -> rusqlite::Result<Self> {
        let mut digests = BTreeMap::new();
        for (table, columns) in tables(connection)?.iter().filter(|(table, _)| counts(table, but)) {
            let mut digest = TableDigest::default();
            let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
            let mut statement = connection.prepare(&format!("SELECT {} FROM {}", names.join(", "), quoted(table)))?;
            let mut rows = statement.query([])?;
            let mut text = String::new();
            while let Some(row) = rows.next()? {
                text.clear();
                for index in 0..columns.len() {
                    separate(&mut text, index);
                    write_value(&mut text, row.get_ref(index)?);
                }
                digest.add(&Sha256::digest(&text).into());
            }
            digests.insert(table.clone(), digest);
        }
        Ok(Self::kept(digests))
    }

    /// Changes the digests by what a changeset did, right after it was done in the same transaction: of an updated row the
    /// changeset has only what changed, and the rest is read from the row as it is now. Returns the tables it touched.
    ///
    /// # Errors
    /// What SQLite says; a row that the changeset says is there and is not.
    pub fn follow(&mut self, connection: &Connection, changeset: &Changeset, but: &[&str]) -> rusqlite::Result<BTreeSet<String>> {
        let (columns, mut touched, mut failed) = (tables(connection)?, BTreeSet::new(), None);
        changeset.any(|change| {
            if !counts(&change.table, but) {
                return false;
            }
            let digest = self.0.entry(change.table.clone()).or_default();
            let names = columns.get(&change.table).map_or(&[][..], Vec::as_slice);
            match sides(connection, change, names) {
                Ok((old, new)) => {
                    old.into_iter().for_each(|row| digest.take(&row));
                    new.into_iter().for_each(|row| digest.add(&row));
                    touched.insert(change.table.clone());
                }
                Err(error) => failed = Some(error),
            }
            failed.is_some()
        })?;
        self.0.retain(|_, digest| *digest != TableDigest::default());
        failed.map_or(Ok(touched), Err)
    }

    /// The digest of one table; of one without rows that of nothing.
    pub fn of(&self, table: &str) -> TableDigest {
        self.0.get(table).copied().unwrap_or_default()
    }

    /// Every table that has rows, by name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, TableDigest)> {
        self.0.iter().map(|(table, digest)| (table.as_str(), *digest))
    }

    /// One digest over all: SHA-256 over each table that has rows, by name: its name, a zero byte, the number of rows as eight
    /// bytes, the most significant first, and the sum.
    pub fn of_all(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (table, digest) in &self.0 {
            all.update(table);
            all.update([0]);
            all.update(digest.rows.to_be_bytes());
            all.update(digest.sum);
        }
        all.finalize().into()
    }
}

fn counts(table: &str, but: &[&str]) -> bool {
    dump::is_dumped(table) && !but.contains(&table)
}

fn separate(text: &mut String, index: usize) {
    if index > 0 {
        text.push('\t');
    }
}

fn of_row<'v>(values: impl Iterator<Item = &'v Value>) -> [u8; 32] {
    let mut text = String::new();
    for (index, value) in values.enumerate() {
        separate(&mut text, index);
        write_value(&mut text, value.into());
    }
    Sha256::digest(&text).into()
}

/// What a row was and what it is.
type Sides = (Option<[u8; 32]>, Option<[u8; 32]>);

fn sides(connection: &Connection, change: &RowChange, names: &[String]) -> rusqlite::Result<Sides> {
    // A changeset has every value of a row that is new or gone.
    let all = |side: fn(&crate::ColumnChange) -> Option<&Value>| {
        let values = change.columns.iter().map(side).collect::<Option<Vec<_>>>().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok::<_, rusqlite::Error>(of_row(values.into_iter()))
    };
    match change.kind {
        RowKind::Inserted => Ok((None, Some(all(|column| column.new.as_ref())?))),
        RowKind::Deleted => Ok((Some(all(|column| column.old.as_ref())?), None)),
        RowKind::Updated => {
            let now = row_now(connection, change, names)?;
            let before = now.iter().zip(&change.columns);
            // An update leaves the key as it is: of it the changeset has the old value alone.
            let old = of_row(before.map(|(now, column)| if column.in_key { now } else { column.old.as_ref().unwrap_or(now) }));
            Ok((Some(old), Some(of_row(now.iter()))))
        }
    }
}

fn row_now(connection: &Connection, change: &RowChange, names: &[String]) -> rusqlite::Result<Vec<Value>> {
    if names.len() != change.columns.len() {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let keys: Vec<(&String, &Value)> = names
        .iter()
        .zip(&change.columns)
        .filter(|(_, column)| column.in_key)
        .filter_map(|(name, column)| Some((name, column.old.as_ref().or(column.new.as_ref())?)))
        .collect();
    let all: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    let wanted: Vec<_> = keys.iter().enumerate().map(|(at, (name, _))| format!("{} = ?{}", quoted(name), at + 1)).collect();
    let sql = format!("SELECT {} FROM {} WHERE {}", all.join(", "), quoted(&change.table), wanted.join(" AND "));
    let values = rusqlite::params_from_iter(keys.iter().map(|(_, value)| *value));
    connection.prepare_cached(&sql)?.query_row(values, |row| (0..names.len()).map(|index| row.get(index)).collect())
}
