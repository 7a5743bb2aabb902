//! Users of the pages: never their passwords, only argon2id hashes of them.

use super::columns::{signed, unsigned, word};
use rusqlite::{Result, Transaction, params};
use weir_operator_api::AccessRole;

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// PHC string.
    pub(crate) password_hash: String,
    /// The password is a one-time one.
    pub(crate) must_change: bool,
    pub(crate) created_ms: u64,
    pub(crate) changed_ms: u64,
    /// What they may do.
    pub(crate) role: AccessRole,
}

/// By name.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<User>> {
    let mut statement = tx.prepare_cached("SELECT * FROM user ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok(User {
            name: row.get("name")?,
            password_hash: row.get("password_hash")?,
            must_change: row.get("must_change")?,
            created_ms: unsigned(row, "created_ms")?,
            changed_ms: unsigned(row, "changed_ms")?,
            role: word(row, "role")?,
        })
    })?;
    rows.collect()
}

pub(crate) fn insert(tx: &Transaction<'_>, user: &User) -> Result<()> {
    let sql = "INSERT INTO user (name, password_hash, must_change, created_ms, changed_ms, role) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let User { name, password_hash, must_change, created_ms, changed_ms, role } = user;
    tx.execute(sql, params![name, password_hash, must_change, signed(*created_ms), signed(*changed_ms), role.as_str()])?;
    Ok(())
}

pub(crate) fn set_role(tx: &Transaction<'_>, name: &str, role: AccessRole) -> Result<()> {
    tx.execute("UPDATE user SET role = ?2 WHERE name = ?1", params![name, role.as_str()])?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, name: &str) -> Result<()> {
    tx.execute("DELETE FROM user WHERE name = ?1", [name])?;
    Ok(())
}

pub(crate) fn set_password(tx: &Transaction<'_>, user: &User) -> Result<()> {
    let sql = "UPDATE user SET password_hash = ?2, must_change = ?3, changed_ms = ?4 WHERE name = ?1";
    tx.execute(sql, params![user.name, user.password_hash, user.must_change, signed(user.changed_ms)])?;
    Ok(())
}
