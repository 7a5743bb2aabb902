//! The log of writes: one row per changeset, each with the hash of the one before in its own.

use super::{
    audit,
    columns::{optional_unsigned, signed, unsigned},
};
use rusqlite::{OptionalExtension, Result, Row, Transaction, params};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use weir_database::Changeset;

/// Tables whose rows are not recorded: the log itself, and what it says of objects.
pub(crate) const NOT_RECORDED: [&str; 4] = ["changeset", "audit", "table_digest", "backup"];
/// Changesets kept; the oldest go first.
const KEPT: u64 = 100_000;
/// Bytes of changesets kept, but the newest whatever it has.
const KEPT_BYTES: u64 = 1024 * 1024 * 1024;
/// Old changesets forgotten by one write at most, so that none takes long.
const FORGOTTEN_MAX: u32 = 100;

/// The hash before the first changeset.
const BEGINNING: [u8; 32] = [0; 32];
/// A [`Record`]'s columns: what a changeset did is only read where it is needed.
pub(super) const COLUMNS: &str = "rev, at_ms, actor, source, term, generation, step, undoes, undoable, hash, digest";

/// What is known of a changeset.
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
    /// Whether it changed rows that an undo may bring back.
    pub(crate) undoable: bool,
    pub(crate) hash: [u8; 32],
    /// Of all that is replicated, after it.
    pub(crate) digest: [u8; 32],
}

impl Record {
    /// What its hash has to be: over the hash before, what is known of the write, its audit entries, and what it did.
    fn hash_after(&self, before: &[u8; 32], entries: &[String], changeset: &Changeset) -> [u8; 32] {
        let Self { rev, at_ms, actor, source, term, generation, step, undoes, undoable, hash: _, digest } = self;
        let all = hex::encode(digest);
        let known = serde_json::json!([rev, at_ms, actor, source, term, generation, step, undoes, undoable, all, entries]);
        let mut digest = Sha256::new_with_prefix(before);
        digest.update(known.to_string());
        digest.update(changeset.as_bytes());
        digest.finalize().into()
    }
}

/// Keeps a changeset: gives it its place in the log and its hash, and forgets the oldest beyond what is kept. Returns it with both.
pub(crate) fn append(tx: &Transaction<'_>, record: Record, changeset: &Changeset, audit_ids: &[i64]) -> Result<Record> {
    let sql = "SELECT rev, hash, bytes_before + length(changeset) AS bytes FROM changeset ORDER BY rev DESC LIMIT 1";
    let newest = |row: &Row<'_>| Ok((unsigned(row, "rev")?, row.get("hash")?, unsigned(row, "bytes")?));
    let last = tx.prepare_cached(sql)?.query_row([], newest).optional()?;
    let (last, before, bytes) = last.unwrap_or((0, BEGINNING, 0));
    let record = Record { rev: last + 1, ..record };
    audit::belong(tx, audit_ids, record.rev)?;
    let record = Record { hash: record.hash_after(&before, &audit::texts(tx, record.rev)?, changeset), ..record };
    let sql = "INSERT INTO changeset
        (rev, at_ms, actor, source, term, generation, step, undoes, undoable, bytes_before, hash, digest, changeset)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    tx.prepare_cached(sql)?.execute(params![
        signed(record.rev),
        signed(record.at_ms),
        record.actor,
        record.source,
        signed(record.term),
        signed(record.generation),
        signed(record.step),
        record.undoes.map(signed),
        record.undoable,
        signed(bytes),
        record.hash,
        record.digest,
        changeset.as_bytes(),
    ])?;
    forget(tx, record.rev, bytes + changeset.as_bytes().len() as u64)?;
    Ok(record)
}

/// Forgets the oldest beyond [`KEPT`] and [`KEPT_BYTES`]; `bytes`: all that were ever kept.
fn forget(tx: &Transaction<'_>, newest: u64, bytes: u64) -> Result<()> {
    let sql = "DELETE FROM changeset WHERE rev IN (SELECT rev FROM changeset WHERE rev < ?1 ORDER BY rev LIMIT ?2)
        AND (rev <= ?3 OR bytes_before < ?4)";
    let (count, size) = (newest.saturating_sub(KEPT), bytes.saturating_sub(KEPT_BYTES));
    tx.prepare_cached(sql)?.execute(params![signed(newest), FORGOTTEN_MAX, signed(count), signed(size)])?;
    Ok(())
}

pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        rev: unsigned(row, "rev")?,
        at_ms: unsigned(row, "at_ms")?,
        actor: row.get("actor")?,
        source: row.get("source")?,
        term: unsigned(row, "term")?,
        generation: unsigned(row, "generation")?,
        step: unsigned(row, "step")?,
        undoes: optional_unsigned(row, "undoes")?,
        undoable: row.get("undoable")?,
        hash: row.get("hash")?,
        digest: row.get("digest")?,
    })
}

/// One changeset.
pub(crate) fn get(tx: &Transaction<'_>, rev: u64) -> Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM changeset WHERE rev = ?1");
    tx.prepare_cached(&sql)?.query_row([signed(rev)], record).optional()
}

/// What a changeset did.
pub(crate) fn changeset(tx: &Transaction<'_>, rev: u64) -> Result<Changeset> {
    let sql = "SELECT changeset FROM changeset WHERE rev = ?1";
    tx.prepare_cached(sql)?.query_row([signed(rev)], |row| row.get("changeset")).map(Changeset::from_bytes)
}

/// Changesets after `after`, oldest first.
pub(crate) fn page(tx: &Transaction<'_>, after: u64, limit: u32) -> Result<Vec<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM changeset WHERE rev > ?1 ORDER BY rev LIMIT ?2");
    tx.prepare_cached(&sql)?.query_map(params![signed(after), limit], record)?.collect()
}

/// The newest changesets, oldest first.
pub(crate) fn newest(tx: &Transaction<'_>, limit: u32) -> Result<Vec<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM changeset ORDER BY rev DESC LIMIT ?1");
    let mut records = tx.prepare_cached(&sql)?.query_map([limit], record)?.collect::<Result<Vec<_>>>()?;
    records.reverse();
    Ok(records)
}

/// The newest changeset.
pub(crate) fn tip(tx: &Transaction<'_>) -> Result<Option<Record>> {
    Ok(newest(tx, 1)?.pop())
}

/// The newest place in the log; 0 when it is empty.
pub(crate) fn last(tx: &Transaction<'_>) -> Result<u64> {
    tx.prepare_cached("SELECT coalesce(max(rev), 0) AS rev FROM changeset")?.query_row([], |row| unsigned(row, "rev"))
}

/// How many changesets after this one may have to be looked at to take it back, and their bytes together.
pub(crate) fn undoable_after(tx: &Transaction<'_>, rev: u64) -> Result<(u64, u64)> {
    let sql = "SELECT count(*) AS count, coalesce(sum(length(changeset)), 0) AS bytes FROM changeset WHERE undoable AND rev > ?1";
    tx.prepare_cached(sql)?.query_row([signed(rev)], |row| Ok((unsigned(row, "count")?, unsigned(row, "bytes")?)))
}

/// Those changesets, newest first, but what was taken back and what did: neither is left of both.
pub(crate) fn standing_after(tx: &Transaction<'_>, rev: u64) -> Result<Vec<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM changeset WHERE undoable AND rev > ?1 ORDER BY rev DESC");
    let mut statement = tx.prepare_cached(&sql)?;
    let (mut standing, mut taken_back) = (Vec::new(), BTreeSet::new());
    for later in statement.query_map([signed(rev)], record)? {
        let later = later?;
        if taken_back.contains(&later.rev) {
            continue;
        }
        match later.undoes.filter(|undone| *undone > rev) {
            Some(undone) => {
                taken_back.insert(undone);
            }
            None => standing.push(later),
        }
    }
    Ok(standing)
}

/// Whether the schema was another one at some time since a changeset.
pub(crate) fn other_step_since(tx: &Transaction<'_>, record: &Record) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM changeset WHERE rev > ?1 AND step <> ?2)";
    tx.prepare_cached(sql)?.query_row(params![signed(record.rev), signed(record.step)], |row| row.get(0))
}

/// The first changeset that is not as it was written, or whose audit entries are not, if there is one. The oldest that is
/// kept is taken as it stands: what its hash was made from may be forgotten.
pub(crate) fn broken(tx: &Transaction<'_>) -> Result<Option<u64>> {
    let mut statement = tx.prepare("SELECT * FROM changeset ORDER BY rev")?;
    let mut rows = statement.query([])?;
    let mut before: Option<(u64, [u8; 32])> = None;
    while let Some(row) = rows.next()? {
        let rev: i64 = row.get("rev")?;
        let (Ok(this), Ok(changeset)) = (record(row), row.get("changeset").map(Changeset::from_bytes)) else {
            return Ok(Some(rev.unsigned_abs()));
        };
        let expected = match before {
            Some((rev, _)) if this.rev != rev + 1 => return Ok(Some(this.rev)),
            Some((_, hash)) => Some(hash),
            None => (this.rev == 1).then_some(BEGINNING),
        };
        if let Some(hash) = expected
            && this.hash != this.hash_after(&hash, &audit::texts(tx, this.rev)?, &changeset)
        {
            return Ok(Some(this.rev));
        }
        before = Some((this.rev, this.hash));
    }
    let last = before.map_or(0, |(rev, _)| rev);
    // Entries of changesets that are gone from the end.
    let sql = "SELECT EXISTS (SELECT 1 FROM audit WHERE rev > ?1)";
    let cut: bool = tx.query_row(sql, [signed(last)], |row| row.get(0))?;
    Ok(cut.then_some(last + 1))
}

/// The place of a column in its table.
pub(crate) fn column(tx: &Transaction<'_>, table: &str, column: &str) -> Result<usize> {
    let sql = "SELECT cid FROM pragma_table_info(?1) WHERE name = ?2";
    let at: u32 = tx.prepare_cached(sql)?.query_row([table, column], |row| row.get(0))?;
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
                undoable: true,
                hash: [0; 32],
                digest: [3; 32],
            };
            assert_eq!(append(&tx, record, &changeset, &[id]).expect("kept").rev, u64::try_from(at_ms).expect("small"));
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
            ("UPDATE changeset SET digest = zeroblob(32) WHERE rev = 2", 2),
            ("DELETE FROM changeset WHERE rev = 2", 3),
            ("UPDATE audit SET object = 'p' WHERE rev = 3", 3),
            ("DELETE FROM audit WHERE rev = 1", 1),
            ("UPDATE audit SET rev = 2 WHERE rev = 3", 2),
            ("UPDATE audit SET before = 'x' WHERE rev = 2", 2),
            ("UPDATE changeset SET at_ms = -1 WHERE rev = 2", 2),
            ("UPDATE changeset SET undoable = 0 WHERE rev = 2", 2),
            ("DELETE FROM changeset WHERE rev = 3", 3),
            ("DELETE FROM changeset", 1),
        ] {
            assert_eq!(broken_by(sql), Some(rev), "{sql}");
        }
        assert_eq!(broken_by("DELETE FROM changeset WHERE rev = 1"), None, "the oldest are forgotten");
    }

    /// The bytes that go into a hash are part of the format: a later build reads what this one wrote.
    #[test]
    fn the_hash_is_what_it_was() {
        let mut connection = log();
        let tx = connection.transaction().expect("begins");
        let hashes: Vec<String> = newest(&tx, 3).expect("read").iter().map(|record| hex::encode(record.hash)).collect();
        assert_eq!(hashes, GOLDEN);
    }

    const GOLDEN: [&str; 3] = [
        "ad7bb87d99e9bb158eda8ae98fbf9bb11c69e6341d4922b7830dd42c45f14253",
        "4ce7bce5a9eec4cba9b537c876ddee8dc149c809e63625feac31cfe75733e03e",
        "5f632d5031d39d45205e416c40aeb04d2abc998b6eabb1e6d19390ad5fdee441",
    ];

    #[test]
    fn the_oldest_are_forgotten_by_count_and_by_bytes() {
        let mut connection = log();
        let tx = connection.transaction().expect("begins");
        let left = || page(&tx, 0, 9).expect("read").iter().map(|record| record.rev).collect::<Vec<_>>();
        forget(&tx, 3, 27).expect("nothing to forget");
        assert_eq!(left(), [1, 2, 3]);
        // Of 27 bytes in all, those before the tenth do not fit any more.
        forget(&tx, 3, KEPT_BYTES + 9).expect("forgotten");
        assert_eq!(left(), [2, 3]);
        forget(&tx, KEPT + 2, 27).expect("forgotten");
        assert_eq!(left(), [3]);
        forget(&tx, 3, 10 * KEPT_BYTES).expect("forgotten");
        assert_eq!(left(), [3], "the newest stays");
    }
}
