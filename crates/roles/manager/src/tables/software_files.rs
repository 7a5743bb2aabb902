//! Software files. Their secrets lie here and nowhere else, sealed.

use super::{
    columns::{json, optional_parsed, optional_unsigned, signed, unsigned, word},
    settings::seal_column,
};
use crate::seal::{Seal, place};
use crate::software::record::{Origin, Record, Registration, Secret, SourceSecret, Standing};
use rusqlite::{Result, Row, Transaction, params, types::Type};
use weir_model::SoftwareReason;

/// By number.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Record>> {
    let mut statement = tx.prepare_cached("SELECT * FROM software_file ORDER BY id")?;
    let rows = statement.query_map([], record)?;
    rows.collect()
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        id: row.get("id")?,
        registration: Registration {
            origin: origin(row)?,
            version: optional_parsed(row, "version")?,
            bytes: optional_unsigned(row, "bytes")?,
            auto_reload: row.get("auto_reload")?,
            method: word(row, "method")?,
            comment: row.get("comment")?,
        },
        standing: Standing { state: word(row, "state")?, reason: reason(row)? },
        checks: json(row, "checks")?,
        release: json(row, "release")?,
        created_ms: unsigned(row, "created_ms")?,
        created_by: row.get("created_by")?,
        queued_ms: optional_unsigned(row, "queued_ms")?,
        validated_ms: optional_unsigned(row, "validated_ms")?,
    })
}

fn origin(row: &Row<'_>) -> Result<Origin> {
    let half = |column: &str| rusqlite::Error::InvalidColumnType(0, column.to_owned(), Type::Null);
    let text = |column| row.get::<_, Option<String>>(column);
    let Some(url) = text("url")? else {
        return Ok(Origin::Upload { file_name: text("file_name")?.ok_or_else(|| half("file_name"))? });
    };
    let secret = match (text("username")?, text("header")?) {
        (None, None) => None,
        (Some(username), _) => Some(SourceSecret::Basic { username, password: text("password")?.ok_or_else(|| half("password"))?.into() }),
        (None, Some(name)) => Some(SourceSecret::Header { name, value: text("header_value")?.ok_or_else(|| half("header_value"))?.into() }),
    };
    Ok(Origin::Url { url, secret })
}

fn reason(row: &Row<'_>) -> Result<Option<(SoftwareReason, String)>> {
    match row.get::<_, Option<String>>("reason")? {
        None => Ok(None),
        Some(_) => Ok(Some((word(row, "reason")?, row.get("detail")?))),
    }
}

/// Inserts a record; its number is given, not taken.
pub(crate) fn insert(tx: &Transaction<'_>, record: &Record) -> Result<i64> {
    let Registration { origin, version, bytes, auto_reload, method, comment } = &record.registration;
    let (url, file_name, secret) = match origin {
        Origin::Url { url, secret } => (Some(url), None, secret.as_ref()),
        Origin::Upload { file_name } => (None, Some(file_name), None),
    };
    let sealed = |Secret(text): &Secret| text.as_str().to_owned();
    let (username, password, header, header_value) = match secret {
        None => (None, None, None, None),
        Some(SourceSecret::Basic { username, password }) => (Some(username), Some(sealed(password)), None, None),
        Some(SourceSecret::Header { name, value }) => (None, None, Some(name), Some(sealed(value))),
    };
    let sql = "INSERT INTO software_file
        (url, file_name, username, password, header, header_value, version, bytes, auto_reload, method, comment, state, checks, release,
         created_ms, created_by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '[]', 'null', ?13, ?14)";
    let version = version.map(|version| version.to_string());
    let (bytes, state, created) = (bytes.map(signed), record.state().as_str(), signed(record.created_ms));
    let source = params![
        url,
        file_name,
        username,
        password,
        header,
        header_value,
        version,
        bytes,
        auto_reload,
        method.as_str(),
        comment,
        state,
        created,
        record.created_by
    ];
    tx.execute(sql, source)?;
    let id = tx.last_insert_rowid();
    update(tx, &Record { id, ..record.clone() })?;
    Ok(id)
}

/// Writes what changes in the life of a software file; what was registered stays.
pub(crate) fn update(tx: &Transaction<'_>, record: &Record) -> Result<()> {
    let json = |value: serde_json::Result<String>| value.expect("records are JSON");
    let (word, detail) = match &record.standing.reason {
        Some((reason, detail)) => (Some(reason.as_str()), Some(detail)),
        None => (None, None),
    };
    let sql = "UPDATE software_file SET state = ?2, reason = ?3, detail = ?4, checks = ?5, release = ?6, queued_ms = ?7, validated_ms = ?8
        WHERE id = ?1";
    tx.execute(
        sql,
        params![
            record.id,
            record.state().as_str(),
            word,
            detail,
            json(serde_json::to_string(&record.checks)),
            json(serde_json::to_string(&record.release)),
            record.queued_ms.map(signed),
            record.validated_ms.map(signed),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM software_file WHERE id = ?1", [id])?;
    Ok(())
}

/// Seals the secrets that a build before sealing left plain.
pub(crate) fn seal_all(tx: &Transaction<'_>, seal: &Seal) -> Result<()> {
    seal_column(tx, seal, "software_file", "password", place::SOURCE_PASSWORD)?;
    seal_column(tx, seal, "software_file", "header_value", place::SOURCE_HEADER)
}
