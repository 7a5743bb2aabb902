//! Sessions of the pages (`state.db`): never their tokens, only SHA-256 of them.

use super::columns::{signed, unsigned};
use rusqlite::{Result, Transaction, params};

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptSession {
    /// 64 hex digits.
    pub(crate) token_sha256: String,
    pub(crate) user: String,
    /// What its forms carry.
    pub(crate) csrf: String,
    pub(crate) created_ms: u64,
    pub(crate) seen_ms: u64,
    /// Address that signed in.
    pub(crate) source: String,
}

pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<KeptSession>> {
    let mut statement = tx.prepare("SELECT * FROM session")?;
    let rows = statement.query_map([], |row| {
        Ok(KeptSession {
            token_sha256: row.get("token_sha256")?,
            user: row.get("user")?,
            csrf: row.get("csrf")?,
            created_ms: unsigned(row, "created_ms")?,
            seen_ms: unsigned(row, "seen_ms")?,
            source: row.get("source")?,
        })
    })?;
    rows.collect()
}

pub(crate) fn insert(tx: &Transaction<'_>, session: &KeptSession) -> Result<()> {
    let sql = "INSERT INTO session (token_sha256, user, csrf, created_ms, seen_ms, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let KeptSession { token_sha256, user, csrf, created_ms, seen_ms, source } = session;
    tx.execute(sql, params![token_sha256, user, csrf, signed(*created_ms), signed(*seen_ms), source])?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, ids: &[String]) -> Result<()> {
    let mut statement = tx.prepare_cached("DELETE FROM session WHERE token_sha256 = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

/// Writes when sessions were last used.
pub(crate) fn note_seen(tx: &Transaction<'_>, seen: &[(String, u64)]) -> Result<()> {
    let mut statement = tx.prepare_cached("UPDATE session SET seen_ms = ?2 WHERE token_sha256 = ?1")?;
    for (id, seen_ms) in seen {
        statement.execute(params![id, signed(*seen_ms)])?;
    }
    Ok(())
}
