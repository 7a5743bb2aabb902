//! The audit: one row per write.

use super::columns::{optional_unsigned, signed, unsigned};
use rusqlite::{Result, Row, Transaction, params};
use serde_json::Value;
use weir_operator_api::AuditEntry;

/// Writes a row; returns the id the database gave it.
pub(crate) fn insert(tx: &Transaction<'_>, entry: &AuditEntry) -> Result<i64> {
    let sql = "INSERT INTO audit (at_ms, actor, source, verb, object, before, after, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    tx.prepare_cached(sql)?.execute(params![
        signed(entry.at_ms),
        entry.actor,
        entry.source,
        entry.verb,
        entry.object,
        text(&entry.before),
        text(&entry.after),
        signed(entry.generation),
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Says which changeset entries belong to.
pub(crate) fn belong(tx: &Transaction<'_>, ids: &[i64], rev: u64) -> Result<()> {
    let mut statement = tx.prepare_cached("UPDATE audit SET rev = ?1 WHERE id = ?2")?;
    for id in ids {
        statement.execute(params![signed(rev), id])?;
    }
    Ok(())
}

/// The entries of a changeset.
pub(crate) fn of(tx: &Transaction<'_>, rev: u64) -> Result<Vec<AuditEntry>> {
    let mut statement = tx.prepare_cached("SELECT * FROM audit WHERE rev = ?1 ORDER BY id")?;
    statement.query_map([signed(rev)], entry)?.collect()
}

/// The same as they are kept, each as the text that a hash is made over. Its form is part of the format of changesets.
pub(crate) fn texts(tx: &Transaction<'_>, rev: u64) -> Result<Vec<String>> {
    let sql = "SELECT json_array(id, at_ms, actor, source, verb, object, before, after, generation) FROM audit WHERE rev = ?1 ORDER BY id";
    tx.prepare_cached(sql)?.query_map([signed(rev)], |row| row.get(0))?.collect()
}

fn entry(row: &Row<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get("id")?,
        at_ms: unsigned(row, "at_ms")?,
        actor: row.get("actor")?,
        source: row.get("source")?,
        verb: row.get("verb")?,
        object: row.get("object")?,
        before: value(row, "before")?,
        after: value(row, "after")?,
        generation: unsigned(row, "generation")?,
        rev: optional_unsigned(row, "rev")?,
    })
}

/// Entries after `after`, oldest first.
pub(crate) fn page(tx: &Transaction<'_>, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
    let mut statement = tx.prepare_cached("SELECT * FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![after, limit], entry)?;
    rows.collect()
}

/// Entries before `before`, newest first, whose actor holds a text, and whose object holds another between blanks or at an end:
/// `device east-1` is not a part of `device east-10`.
pub(crate) fn newest(tx: &Transaction<'_>, actor: &str, object: &str, before: i64, limit: u32) -> Result<Vec<AuditEntry>> {
    let sql = "SELECT * FROM audit WHERE id < ?1 AND instr(actor, ?2) AND (?3 = '' OR instr(' ' || object || ' ', ' ' || ?3 || ' ')) \
        ORDER BY id DESC LIMIT ?4";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![before, actor, object, limit], entry)?;
    rows.collect()
}

/// Entries before `before`, newest first, about exactly this object, such as `delivery service demo`.
pub(crate) fn about(tx: &Transaction<'_>, object: &str, before: i64, limit: u32) -> Result<Vec<AuditEntry>> {
    let mut statement = tx.prepare_cached("SELECT * FROM audit WHERE object = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")?;
    let rows = statement.query_map(params![object, before, limit], entry)?;
    rows.collect()
}

/// Forgets the oldest entries of a verb, but for this many.
pub(crate) fn trim(tx: &Transaction<'_>, verb: &str, keep: u32) -> Result<()> {
    let sql = "DELETE FROM audit WHERE verb = ?1 AND id <= (SELECT id FROM audit WHERE verb = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    tx.prepare_cached(sql)?.execute(params![verb, keep])?;
    Ok(())
}

/// Id of the newest entry; 0 when there is none.
pub(crate) fn last(tx: &Transaction<'_>) -> Result<i64> {
    tx.prepare_cached("SELECT coalesce(max(id), 0) FROM audit")?.query_row([], |row| row.get(0))
}

fn value(row: &Row<'_>, column: &str) -> Result<Option<Value>> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => super::columns::json(row, column).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A page of it is full although other objects' names hold this one's.
    #[test]
    fn entries_about_one_object_are_of_its_whole_name() {
        let mut connection = Connection::open_in_memory().expect("opens");
        for step in super::super::migrations::CONFIG {
            connection.execute_batch(step.up_sql).expect("runs");
        }
        let tx = connection.transaction().expect("begins");
        let mut ids = Vec::new();
        for object in ["demo", "held demo", "demo", "demo 2", "demo-2", "demo"] {
            let sql = "INSERT INTO audit (at_ms, actor, source, verb, object, generation) VALUES (1, 'a', 's', 'v', ?1, 1)";
            tx.execute(sql, [object]).expect("audited");
            ids.push(tx.last_insert_rowid());
        }
        let found = |before, limit| about(&tx, "demo", before, limit).expect("read").into_iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(found(i64::MAX, 9), [ids[5], ids[2], ids[0]]);
        assert_eq!(found(i64::MAX, 2), [ids[5], ids[2]]);
        assert_eq!(found(ids[2], 2), [ids[0]]);
    }
}
