//! The log of writes: one row per changeset, each with the hash of the one before in its own.

use super::{
    audit,
    columns::{signed, unsigned},
};
use rusqlite::{OptionalExtension, Result, Row, Transaction, params};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use weir_database::Changeset;

/// Tables whose rows are not recorded: the log itself, and what it says of objects.
pub(crate) const NOT_RECORDED: [&str; 2] = ["changeset", "audit"];
/// Changesets kept; the oldest go first.
pub(crate) const KEPT: u64 = 100_000;

/// The hash before the first changeset.
const BEGINNING: [u8; 32] = [0; 32];

/// A changeset as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) rev: u64,
    pub(crate) at_ms: u64,
    pub(crate) actor: String,
    pub(crate) source: String,
    pub(crate) term: u64,
    pub(crate) generation: u64,
    /// The schema it was made on.
    pub(crate) step: u64,
    pub(crate) changeset: Changeset,
    pub(crate) hash: [u8; 32],
}

impl Record {
    /// What its hash has to be: over the hash before, what is known of the write, the changeset, and the audit entries of it.
    fn hash_after(&self, before: &[u8; 32], entries: &[String]) -> [u8; 32] {
        let Self { rev, at_ms, actor, source, term, generation, step, changeset, hash: _ } = self;
        let known = serde_json::json!([rev, at_ms, actor, source, term, generation, step, entries]);
        let mut digest = Sha256::new_with_prefix(before);
        digest.update(known.to_string());
        digest.update(changeset.as_bytes());
        digest.finalize().into()
    }
}

/// Keeps a changeset: gives it its place in the log and its hash, and forgets the oldest beyond [`KEPT`]. Returns its place.
pub(crate) fn append(tx: &Transaction<'_>, record: Record, audit_ids: &[i64]) -> Result<u64> {
    let sql = "SELECT rev, hash FROM changeset ORDER BY rev DESC LIMIT 1";
    let last = tx.prepare_cached(sql)?.query_row([], |row| Ok((unsigned(row, "rev")?, row.get("hash")?))).optional()?;
    let (last, before) = last.unwrap_or((0, BEGINNING));
    let record = Record { rev: last + 1, ..record };
    audit::belong(tx, audit_ids, record.rev)?;
    let hash = record.hash_after(&before, &audit::texts(tx, record.rev)?);
    let sql = "INSERT INTO changeset (rev, at_ms, actor, source, term, generation, step, changeset, hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.prepare_cached(sql)?.execute(params![
        signed(record.rev),
        signed(record.at_ms),
        record.actor,
        record.source,
        signed(record.term),
        signed(record.generation),
        signed(record.step),
        record.changeset.as_bytes(),
        hash,
    ])?;
    tx.prepare_cached("DELETE FROM changeset WHERE rev <= ?1")?.execute([signed(record.rev.saturating_sub(KEPT))])?;
    Ok(record.rev)
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        rev: unsigned(row, "rev")?,
        at_ms: unsigned(row, "at_ms")?,
        actor: row.get("actor")?,
        source: row.get("source")?,
        term: unsigned(row, "term")?,
        generation: unsigned(row, "generation")?,
        step: unsigned(row, "step")?,
        changeset: Changeset::from_bytes(row.get("changeset")?),
        hash: row.get("hash")?,
    })
}

/// One changeset.
pub(crate) fn get(tx: &Transaction<'_>, rev: u64) -> Result<Option<Record>> {
    tx.prepare_cached("SELECT * FROM changeset WHERE rev = ?1")?.query_row([signed(rev)], record).optional()
}

/// Changesets after `after`, oldest first.
pub(crate) fn page(tx: &Transaction<'_>, after: u64, limit: u32) -> Result<Vec<Record>> {
    let mut statement = tx.prepare_cached("SELECT * FROM changeset WHERE rev > ?1 ORDER BY rev LIMIT ?2")?;
    statement.query_map(params![signed(after), limit], record)?.collect()
}

/// The newest place in the log; 0 when it is empty.
pub(crate) fn last(tx: &Transaction<'_>) -> Result<u64> {
    tx.prepare_cached("SELECT coalesce(max(rev), 0) AS rev FROM changeset")?.query_row([], |row| unsigned(row, "rev"))
}

/// The first changeset that is not as it was written, or whose audit entries are not, if there is one. The oldest that is
/// kept is taken as it stands: what its hash was made from may be forgotten.
pub(crate) fn broken(tx: &Transaction<'_>) -> Result<Option<u64>> {
    let mut statement = tx.prepare_cached("SELECT * FROM changeset ORDER BY rev")?;
    let mut rows = statement.query([])?;
    let mut before: Option<(u64, [u8; 32])> = None;
    while let Some(row) = rows.next()? {
        let this = record(row)?;
        let expected = match before {
            Some((rev, _)) if this.rev != rev + 1 => return Ok(Some(this.rev)),
            Some((_, hash)) => Some(hash),
            None => (this.rev == 1).then_some(BEGINNING),
        };
        if let Some(hash) = expected
            && this.hash != this.hash_after(&hash, &audit::texts(tx, this.rev)?)
        {
            return Ok(Some(this.rev));
        }
        before = Some((this.rev, this.hash));
    }
    Ok(None)
}

/// The revision each row of a table was written with is that of the change that writes it: an undo gives the rows it brings
/// back one of their own. `keys`: the ids.
pub(crate) fn set_revision(tx: &Transaction<'_>, table: &str, ids: &[i64], revision: u64) -> Result<()> {
    let sql = format!("UPDATE {table} SET revision = ?1 WHERE id = ?2");
    let mut statement = tx.prepare_cached(&sql)?;
    for id in ids {
        statement.execute(params![signed(revision), id])?;
    }
    Ok(())
}

/// What each changeset did, in words: `change location east`.
pub(crate) fn words(tx: &Transaction<'_>, first: u64, last: u64) -> Result<BTreeMap<u64, Vec<String>>> {
    let sql = "SELECT rev, verb || ' ' || object AS did FROM audit WHERE rev BETWEEN ?1 AND ?2 ORDER BY id";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(params![signed(first), signed(last)])?;
    let mut words = BTreeMap::<u64, Vec<String>>::new();
    while let Some(row) = rows.next()? {
        words.entry(unsigned(row, "rev")?).or_default().push(row.get("did")?);
    }
    Ok(words)
}
