//! The log of writes: one row per changeset, each with the hash of the one before in its own.

use super::{
    audit,
    columns::{optional_unsigned, signed, unsigned},
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
    /// The changeset it takes back.
    pub(crate) undoes: Option<u64>,
    pub(crate) changeset: Changeset,
    pub(crate) hash: [u8; 32],
}

impl Record {
    /// What its hash has to be: over the hash before, what is known of the write, the changeset, and the audit entries of it.
    fn hash_after(&self, before: &[u8; 32], entries: &[String]) -> [u8; 32] {
        let Self { rev, at_ms, actor, source, term, generation, step, undoes, changeset, hash: _ } = self;
        let known = serde_json::json!([rev, at_ms, actor, source, term, generation, step, undoes, entries]);
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
    let sql = "INSERT INTO changeset (rev, at_ms, actor, source, term, generation, step, undoes, changeset, hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    tx.prepare_cached(sql)?.execute(params![
        signed(record.rev),
        signed(record.at_ms),
        record.actor,
        record.source,
        signed(record.term),
        signed(record.generation),
        signed(record.step),
        record.undoes.map(signed),
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
        undoes: optional_unsigned(row, "undoes")?,
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

/// The newest changesets, oldest first.
pub(crate) fn newest(tx: &Transaction<'_>, limit: u32) -> Result<Vec<Record>> {
    let mut statement = tx.prepare_cached("SELECT * FROM changeset ORDER BY rev DESC LIMIT ?1")?;
    let mut records = statement.query_map([limit], record)?.collect::<Result<Vec<_>>>()?;
    records.reverse();
    Ok(records)
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

/// The place of the column that holds the generation a row was written with.
pub(crate) fn revision_column(tx: &Transaction<'_>, table: &str) -> Result<usize> {
    let sql = "SELECT cid FROM pragma_table_info(?1) WHERE name = 'revision'";
    let at: u32 = tx.prepare_cached(sql)?.query_row([table], |row| row.get(0))?;
    Ok(usize::try_from(at).unwrap_or(usize::MAX))
}

/// Says with which generation rows were written: by id.
pub(crate) fn set_revisions(tx: &Transaction<'_>, table: &str, revisions: &[(i64, i64)]) -> Result<()> {
    let sql = format!("UPDATE {table} SET revision = ?2 WHERE id = ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    for (id, revision) in revisions {
        statement.execute([id, revision])?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Three changesets with an audit entry each.
    fn log() -> Connection {
        let mut connection = Connection::open_in_memory().expect("opens");
        for step in super::super::migrations::CONFIG {
            connection.execute_batch(step.up_sql).expect("runs");
        }
        let tx = connection.transaction().expect("begins");
        for at_ms in 1..=3 {
            tx.execute("INSERT INTO audit (at_ms, actor, source, verb, object, generation) VALUES (?1, 'a', 's', 'v', 'o', 1)", [at_ms])
                .expect("audited");
            let id = tx.last_insert_rowid();
            let changeset = Changeset::from_bytes(vec![7; 9]);
            let record = Record {
                rev: 0,
                at_ms: 5,
                actor: "a".into(),
                source: "s".into(),
                term: 1,
                generation: 2,
                step: 7,
                undoes: None,
                changeset,
                hash: [0; 32],
            };
            assert_eq!(append(&tx, record, &[id]).expect("kept"), u64::try_from(at_ms).expect("small"));
        }
        tx.commit().expect("commits");
        connection
    }

    #[test]
    fn whatever_is_changed_in_the_log_is_seen() {
        let broken_by = |sql: &str| {
            let mut connection = log();
            connection.execute_batch(sql).expect(sql);
            broken(&connection.transaction().expect("begins")).expect("read")
        };
        assert_eq!(broken_by(""), None);
        for column in ["at_ms", "term", "generation", "step"] {
            assert_eq!(broken_by(&format!("UPDATE changeset SET {column} = 99 WHERE rev = 2")), Some(2), "{column}");
        }
        for (sql, rev) in [
            ("UPDATE changeset SET actor = 'b' WHERE rev = 1", 1),
            ("UPDATE changeset SET undoes = 1 WHERE rev = 3", 3),
            ("UPDATE changeset SET changeset = x'00' WHERE rev = 2", 2),
            ("UPDATE changeset SET hash = zeroblob(32) WHERE rev = 2", 2),
            ("DELETE FROM changeset WHERE rev = 2", 3),
            ("UPDATE audit SET object = 'p' WHERE rev = 3", 3),
            ("DELETE FROM audit WHERE rev = 1", 1),
            ("UPDATE audit SET rev = 2 WHERE rev = 3", 2),
        ] {
            assert_eq!(broken_by(sql), Some(rev), "{sql}");
        }
        assert_eq!(broken_by("DELETE FROM changeset WHERE rev = 1"), None, "the oldest are forgotten");
    }
}
