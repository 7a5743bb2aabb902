//! The digests of what is replicated: one row per table, changed with every write.

use super::{changesets, columns::signed, columns::unsigned};
use rusqlite::{Result, Row, Transaction, params};
use std::collections::BTreeSet;
use weir_database::{Changeset, Digests, TableDigest};

/// The digests as they are kept.
pub(crate) fn load(tx: &Transaction<'_>) -> Result<Digests> {
    let digest = |row: &Row<'_>| Ok((row.get("name")?, TableDigest { rows: unsigned(row, "rows")?, sum: row.get("sum")? }));
    let mut statement = tx.prepare_cached("SELECT name, rows, sum FROM table_digest")?;
    statement.query_map([], digest)?.collect::<Result<Vec<_>>>().map(Digests::kept)
}

/// Changes them by what a changeset has just done in this transaction; what they are then.
pub(crate) fn follow(tx: &Transaction<'_>, changeset: &Changeset) -> Result<Digests> {
    let mut digests = load(tx)?;
    let touched = digests.follow(tx, changeset, &changesets::NOT_RECORDED)?;
    keep(tx, &digests, &touched)?;
    Ok(digests)
}

/// What they are by the rows themselves.
pub(crate) fn recount(tx: &Transaction<'_>) -> Result<Digests> {
    Digests::recount(tx, &changesets::NOT_RECORDED)
}

/// Keeps these and no others.
pub(crate) fn replace(tx: &Transaction<'_>, digests: &Digests) -> Result<()> {
    tx.execute("DELETE FROM table_digest", [])?;
    keep(tx, digests, &digests.tables().map(|(table, _)| table.to_owned()).collect())
}

fn keep(tx: &Transaction<'_>, digests: &Digests, tables: &BTreeSet<String>) -> Result<()> {
    let sql = "INSERT INTO table_digest (name, rows, sum) VALUES (?1, ?2, ?3)
        ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, sum = excluded.sum";
    let mut statement = tx.prepare_cached(sql)?;
    for table in tables {
        let TableDigest { rows, sum } = digests.of(table);
        statement.execute(params![table, signed(rows), sum])?;
    }
    Ok(())
}
