//! Changesets on their way to the standby: read from the log, and taken into the standby's.

use super::{
    audit,
    changesets::{self, Record},
    columns::{signed, unsigned},
    digests,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rusqlite::{OptionalExtension, Result, Row, Transaction, params};
use std::collections::BTreeSet;
use weir_database::{ApplyError, Changeset};
use weir_device_api::{ShippedChangeset, ShippedEntry};

/// Why a changeset is not taken. Nothing of it is then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// It is not the next one here.
    #[error("changeset {shipped} came, and {next} is next")]
    OutOfOrder {
        /// What came.
        shipped: u64,
        /// What is next.
        next: u64,
    },
    /// A field cannot be read.
    #[error("changeset {0} cannot be read")]
    Unreadable(u64),
    /// It does not fit the rows here.
    #[error("changeset {rev} does not fit: {source}")]
    DoesNotFit {
        /// Which.
        rev: u64,
        /// Why.
        source: ApplyError,
    },
    /// What came of it is not what the primary has.
    #[error("after changeset {rev} the {what} is not the primary's")]
    Differs {
        /// Which.
        rev: u64,
        /// Digest or hash.
        what: &'static str,
    },
    /// SQLite refuses.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl TakeError {
    /// A changeset that was not applied: what SQLite itself says, of a full disk say, is no misfit.
    pub(crate) fn of(rev: u64, source: ApplyError) -> Self {
        match source {
            ApplyError::Sqlite(error) => TakeError::Sqlite(error),
            source => TakeError::DoesNotFit { rev, source },
        }
    }
}

/// The changesets after a place in the log, oldest first: at least one if there is one, and no more bytes than named.
pub(crate) fn after(tx: &Transaction<'_>, rev: u64, bytes_max: usize) -> Result<Vec<ShippedChangeset>> {
    let mut statement = tx.prepare_cached("SELECT * FROM changeset WHERE rev > ?1 ORDER BY rev")?;
    let mut rows = statement.query([signed(rev)])?;
    let (mut all, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let shipped = shipped(tx, row)?;
        let texts = |entry: &ShippedEntry| [&entry.before, &entry.after].into_iter().flatten().map(String::len).sum::<usize>() + 256;
        bytes += shipped.changeset.len() + shipped.entries.iter().map(texts).sum::<usize>() + 512;
        if !all.is_empty() && bytes > bytes_max {
            break;
        }
        all.push(shipped);
    }
    Ok(all)
}

fn shipped(tx: &Transaction<'_>, row: &Row<'_>) -> Result<ShippedChangeset> {
    let Record { rev, at_ms, actor, source, term, generation, step, undoes, undoable, hash, digest } = changesets::record(row)?;
    Ok(ShippedChangeset {
        rev,
        at_ms,
        actor,
        source,
        term,
        generation,
        step: u32::try_from(step).unwrap_or(u32::MAX),
        undoes,
        undoable,
        bytes_before: unsigned(row, "bytes_before")?,
        hash: hex::encode(hash),
        digest: hex::encode(digest),
        changeset: BASE64.encode(row.get::<_, Vec<u8>>("changeset")?),
        entries: entries(tx, rev)?,
    })
}

fn entries(tx: &Transaction<'_>, rev: u64) -> Result<Vec<ShippedEntry>> {
    let entry = |row: &Row<'_>| {
        Ok(ShippedEntry {
            id: row.get("id")?,
            at_ms: unsigned(row, "at_ms")?,
            actor: row.get("actor")?,
            source: row.get("source")?,
            verb: row.get("verb")?,
            object: row.get("object")?,
            before: row.get("before")?,
            after: row.get("after")?,
            generation: unsigned(row, "generation")?,
        })
    };
    let mut statement = tx.prepare_cached("SELECT * FROM audit WHERE rev = ?1 ORDER BY id")?;
    statement.query_map([signed(rev)], entry)?.collect()
}

/// Does to the rows here what a changeset did to the primary's, with its audit entries, and keeps it in the log. In the caller's
/// transaction, which must not be committed on any `Err`.
///
/// # Errors
/// [`TakeError`]: the standby is not what the primary was then.
pub(crate) fn take(tx: &Transaction<'_>, shipped: &ShippedChangeset) -> Result<Record, TakeError> {
    let rev = shipped.rev;
    let next = changesets::last(tx)? + 1;
    if rev != next {
        return Err(TakeError::OutOfOrder { shipped: rev, next });
    }
    let changeset = Changeset::from_bytes(BASE64.decode(&shipped.changeset).map_err(|_| TakeError::Unreadable(rev))?);
    apply(tx, rev, &changeset)?;
    for entry in &shipped.entries {
        insert(tx, entry)?;
    }
    let digest = digests::follow(tx, &changeset)?.of_all();
    if hex::encode(digest) != shipped.digest {
        return Err(TakeError::Differs { rev, what: "digest" });
    }
    let record = Record {
        rev,
        at_ms: shipped.at_ms,
        actor: shipped.actor.clone(),
        source: shipped.source.clone(),
        term: shipped.term,
        generation: shipped.generation,
        step: shipped.step.into(),
        undoes: shipped.undoes,
        undoable: shipped.undoable,
        hash: [0; 32],
        digest,
    };
    let ids: Vec<i64> = shipped.entries.iter().map(|entry| entry.id).collect();
    let kept = changesets::append(tx, record, &changeset, &ids)?;
    if hex::encode(kept.hash) != shipped.hash {
        return Err(TakeError::Differs { rev, what: "hash" });
    }
    Ok(kept)
}

fn apply(tx: &Transaction<'_>, rev: u64, changeset: &Changeset) -> Result<(), TakeError> {
    let tables: BTreeSet<String> = changeset.rows().map_err(|_| TakeError::Unreadable(rev))?.into_iter().map(|row| row.table).collect();
    // What is not recorded does not come in this way either.
    let to: Vec<&str> = tables.iter().map(String::as_str).filter(|table| !changesets::NOT_RECORDED.contains(table)).collect();
    changeset.apply(tx, &to).map_err(|source| TakeError::of(rev, source))
}

/// An audit entry with the id it has there. One of this box's own, of no changeset, makes way for it: its id was never promised.
fn insert(tx: &Transaction<'_>, entry: &ShippedEntry) -> Result<()> {
    tx.prepare_cached("DELETE FROM audit WHERE id = ?1 AND rev IS NULL")?.execute([entry.id])?;
    let sql = "INSERT INTO audit (id, at_ms, actor, source, verb, object, before, after, generation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let ShippedEntry { id, at_ms, actor, source, verb, object, before, after, generation } = entry;
    let values = params![id, signed(*at_ms), actor, source, verb, object, before, after, signed(*generation)];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Whether a changeset of another copy of this database is ours: its place in the log and its hash.
pub(crate) fn is_ours(tx: &Transaction<'_>, rev: u64, hash: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT hash = ?2 FROM changeset WHERE rev = ?1";
    Ok(tx.prepare_cached(sql)?.query_row(params![signed(rev), hash], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// The oldest changeset that is kept; 0 when there is none.
pub(crate) fn oldest(tx: &Transaction<'_>) -> Result<u64> {
    tx.prepare_cached("SELECT coalesce(min(rev), 0) AS rev FROM changeset")?.query_row([], |row| unsigned(row, "rev"))
}

/// What a changeset did, in words and with what its audit entries say: no secret is in it.
pub(crate) fn told(tx: &Transaction<'_>, record: &Record) -> Result<serde_json::Value> {
    let entries = audit::of(tx, record.rev)?;
    let did: Vec<_> = entries.iter().map(|entry| format!("{} {}", entry.verb, entry.object)).collect();
    Ok(serde_json::json!({
        "rev": record.rev,
        "at_ms": record.at_ms,
        "actor": record.actor,
        "source": record.source,
        "term": record.term,
        "generation": record.generation,
        "did": did,
        "entries": entries,
    }))
}
