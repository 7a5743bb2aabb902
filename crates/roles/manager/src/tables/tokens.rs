//! Enrolment tokens and API tokens: never their secrets, only SHA-256 of them.

use super::columns::{optional_json, optional_parsed, optional_unsigned, parsed, signed, unsigned, word};
use rusqlite::{OptionalExtension, Result, Row, Transaction, params};
use weir_operator_api::{ApiToken, EnrolmentToken};

/// A token with what proves it.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    /// 64 hex digits.
    pub(crate) secret_sha256: String,
    pub(crate) record: T,
}

const ENROLMENT: &str = "SELECT t.*, l.name AS location_name FROM enrolment_token t LEFT JOIN location l ON l.id = t.activate_into";

fn enrolment_row(row: &Row<'_>) -> Result<Kept<EnrolmentToken>> {
    let record = EnrolmentToken {
        id: row.get("id")?,
        role: parsed(row, "role")?,
        uses_left: row.get("uses_left")?,
        expires_ms: unsigned(row, "expires_ms")?,
        activate_into: optional_parsed(row, "location_name")?,
        created_ms: unsigned(row, "created_ms")?,
        created_by: row.get("created_by")?,
    };
    Ok(Kept { secret_sha256: row.get("secret_sha256")?, record })
}

/// By time of making.
pub(crate) fn enrolment_all(tx: &Transaction<'_>) -> Result<Vec<Kept<EnrolmentToken>>> {
    let mut statement = tx.prepare_cached(&format!("{ENROLMENT} ORDER BY t.created_ms, t.id"))?;
    let rows = statement.query_map([], enrolment_row)?;
    rows.collect()
}

pub(crate) fn enrolment(tx: &Transaction<'_>, id: &str) -> Result<Option<Kept<EnrolmentToken>>> {
    tx.prepare_cached(&format!("{ENROLMENT} WHERE t.id = ?1"))?.query_row([id], enrolment_row).optional()
}

pub(crate) fn insert_enrolment(tx: &Transaction<'_>, token: &Kept<EnrolmentToken>, activate_into: Option<i64>) -> Result<()> {
    let sql = "INSERT INTO enrolment_token (id, secret_sha256, role, uses_left, expires_ms, activate_into, created_ms, created_by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Kept { secret_sha256, record } = token;
    tx.execute(
        sql,
        params![
            record.id,
            secret_sha256,
            record.role.as_str(),
            record.uses_left,
            signed(record.expires_ms),
            activate_into,
            signed(record.created_ms),
            record.created_by,
        ],
    )?;
    Ok(())
}

pub(crate) fn use_enrolment(tx: &Transaction<'_>, id: &str) -> Result<()> {
    tx.execute("UPDATE enrolment_token SET uses_left = uses_left - 1 WHERE id = ?1", [id])?;
    Ok(())
}

pub(crate) fn delete_enrolment(tx: &Transaction<'_>, id: &str) -> Result<()> {
    tx.execute("DELETE FROM enrolment_token WHERE id = ?1", [id])?;
    Ok(())
}

/// Forgets tokens whose time has passed.
pub(crate) fn delete_expired(tx: &Transaction<'_>, now_ms: u64) -> Result<()> {
    tx.execute("DELETE FROM enrolment_token WHERE expires_ms <= ?1", [signed(now_ms)])?;
    Ok(())
}

/// Forgets those whose time has passed that would activate devices into a location.
pub(crate) fn delete_expired_into(tx: &Transaction<'_>, location: i64, now_ms: u64) -> Result<()> {
    let sql = "DELETE FROM enrolment_token WHERE activate_into = ?1 AND expires_ms <= ?2";
    tx.prepare_cached(sql)?.execute([location, signed(now_ms)])?;
    Ok(())
}

/// By time of making.
pub(crate) fn api_all(tx: &Transaction<'_>) -> Result<Vec<Kept<ApiToken>>> {
    let mut statement = tx.prepare_cached("SELECT * FROM api_token ORDER BY created_ms, id")?;
    let rows = statement.query_map([], |row| {
        let record = ApiToken {
            id: row.get("id")?,
            name: row.get("name")?,
            expires_ms: optional_unsigned(row, "expires_ms")?,
            role: word(row, "role")?,
            services: optional_json(row, "services")?,
            created_ms: unsigned(row, "created_ms")?,
            created_by: row.get("created_by")?,
        };
        Ok(Kept { secret_sha256: row.get("secret_sha256")?, record })
    })?;
    rows.collect()
}

pub(crate) fn insert_api(tx: &Transaction<'_>, token: &Kept<ApiToken>) -> Result<()> {
    let sql = "INSERT INTO api_token (id, secret_sha256, name, expires_ms, created_ms, created_by, role, services)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Kept { secret_sha256, record } = token;
    tx.execute(
        sql,
        params![
            record.id,
            secret_sha256,
            record.name,
            record.expires_ms.map(signed),
            signed(record.created_ms),
            record.created_by,
            record.role.as_str(),
            record.services.as_ref().map(|services| serde_json::to_string(services).expect("names are JSON")),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_api(tx: &Transaction<'_>, id: &str) -> Result<()> {
    tx.execute("DELETE FROM api_token WHERE id = ?1", [id])?;
    Ok(())
}
