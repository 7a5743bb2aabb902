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
    /// SHA-256 of the password hash that was proven; the session is over when the user has another.
    pub(crate) password_sha256: String,
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
            password_sha256: row.get("password_sha256")?,
        })
    })?;
    rows.collect()
}

pub(crate) fn insert(tx: &Transaction<'_>, session: &KeptSession) -> Result<()> {
    let sql = "INSERT INTO session (token_sha256, user, csrf, created_ms, seen_ms, source, password_sha256)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let KeptSession { token_sha256, user, csrf, created_ms, seen_ms, source, password_sha256 } = session;
    tx.execute(sql, params![token_sha256, user, csrf, signed(*created_ms), signed(*seen_ms), source, password_sha256])?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, ids: &[String]) -> Result<()> {
    let mut statement = tx.prepare_cached("DELETE FROM session WHERE token_sha256 = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

/// Deletes the sessions of a user, but for one; rows nobody in memory knows of go too.
pub(crate) fn delete_of(tx: &Transaction<'_>, user: &str, except: Option<&str>) -> Result<()> {
    tx.prepare_cached("DELETE FROM session WHERE user = ?1 AND token_sha256 IS NOT ?2")?.execute(params![user, except])?;
    Ok(())
}

/// Deletes every row that is not of these sessions.
pub(crate) fn keep_only(tx: &Transaction<'_>, ids: &[String]) -> Result<()> {
    let stray: Vec<String> = all(tx)?.into_iter().map(|s| s.token_sha256).filter(|id| !ids.contains(id)).collect();
    delete(tx, &stray)
}

/// Writes when sessions were last used.
pub(crate) fn note_seen(tx: &Transaction<'_>, seen: &[(String, u64)]) -> Result<()> {
    let mut statement = tx.prepare_cached("UPDATE session SET seen_ms = ?2 WHERE token_sha256 = ?1")?;
    for (id, seen_ms) in seen {
        statement.execute(params![id, signed(*seen_ms)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::migrations::STATE;
    use weir_database::{Database, DatabaseError};

    #[tokio::test]
    async fn rows_nobody_in_memory_knows_of_go_too() {
        let dir = tempfile::tempdir().expect("dir");
        let database = Database::open(&dir.path().join("state.db"), STATE, 1, "1.0.0-b1").expect("opened");
        let row = |id: &str, user: &str| KeptSession {
            token_sha256: id.into(),
            user: user.into(),
            csrf: String::new(),
            created_ms: 1,
            seen_ms: 1,
            source: String::new(),
            password_sha256: String::new(),
        };
        let rows = [row("a1", "a"), row("a2", "a"), row("b1", "b"), row("b2", "b"), row("c1", "c")];
        let left = database.write(move |tx| {
            rows.iter().try_for_each(|r| insert(tx, r))?;
            delete_of(tx, "a", Some("a2"))?;
            delete_of(tx, "b", None)?;
            let left: Vec<_> = all(tx)?.into_iter().map(|s| s.token_sha256).collect();
            keep_only(tx, &["c1".to_owned()])?;
            Ok::<_, DatabaseError>((left, all(tx)?.len()))
        });
        assert_eq!(left.await.expect("written"), (vec!["a2".to_owned(), "c1".to_owned()], 1));
    }
}
