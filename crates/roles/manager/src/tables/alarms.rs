//! Alarms (`state.db`): a row stands until `cleared_ms` is set.

use super::columns::{optional_unsigned, parsed, signed, unsigned};
use crate::alarms::Key;
use rusqlite::{Result, Row, Transaction, params};
use weir_model::AlarmReason;
use weir_operator_api::{Alarm, AlarmState};

/// Alarms that ended and are still kept.
const CLEARED_KEPT: u32 = 10_000;

fn alarm(row: &Row<'_>) -> Result<Alarm> {
    let word: String = row.get("reason")?;
    let unknown = || rusqlite::Error::InvalidColumnType(0, word.clone(), rusqlite::types::Type::Text);
    let reason = AlarmReason::ALL.into_iter().find(|r| r.as_str() == word).ok_or_else(unknown)?;
    Ok(Alarm {
        id: row.get("id")?,
        reason,
        severity: reason.severity(),
        device: parsed(row, "device")?,
        object: row.get("object")?,
        text: row.get("text")?,
        next: reason.next_step().to_owned(),
        raised_ms: unsigned(row, "raised_ms")?,
        acknowledged_ms: optional_unsigned(row, "acknowledged_ms")?,
        acknowledged_by: row.get("acknowledged_by")?,
        cleared_ms: optional_unsigned(row, "cleared_ms")?,
    })
}

/// Alarms after `after`, by id.
pub(crate) fn page(tx: &Transaction<'_>, state: AlarmState, after: i64, limit: u32) -> Result<Vec<Alarm>> {
    let sql = match state {
        AlarmState::Raised => "SELECT * FROM alarm WHERE id > ?1 AND cleared_ms IS NULL ORDER BY id LIMIT ?2",
        AlarmState::Cleared => "SELECT * FROM alarm WHERE id > ?1 AND cleared_ms IS NOT NULL ORDER BY id LIMIT ?2",
        AlarmState::All => "SELECT * FROM alarm WHERE id > ?1 ORDER BY id LIMIT ?2",
    };
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![after, limit], alarm)?;
    rows.collect()
}

/// Alarms that ended, before `before`, newest first; of one device unless `device` is empty.
pub(crate) fn ended(tx: &Transaction<'_>, device: &str, before: i64, limit: u32) -> Result<Vec<Alarm>> {
    let sql = "SELECT * FROM alarm WHERE id < ?1 AND cleared_ms IS NOT NULL AND (?2 = '' OR device = ?2) ORDER BY id DESC LIMIT ?3";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![before, device, limit], alarm)?;
    rows.collect()
}

pub(crate) fn standing(tx: &Transaction<'_>) -> Result<Vec<Alarm>> {
    let mut statement = tx.prepare("SELECT * FROM alarm WHERE cleared_ms IS NULL ORDER BY id")?;
    let rows = statement.query_map([], alarm)?;
    rows.collect()
}

/// Raises an alarm; its id is returned.
pub(crate) fn raise(tx: &Transaction<'_>, key: &Key, text: &str, now_ms: u64) -> Result<i64> {
    let sql = "INSERT INTO alarm (reason, device, object, text, raised_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![key.reason.as_str(), key.device.as_str(), key.object, text, signed(now_ms)];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(tx.last_insert_rowid())
}

pub(crate) fn clear(tx: &Transaction<'_>, id: i64, now_ms: u64) -> Result<()> {
    tx.prepare_cached("UPDATE alarm SET cleared_ms = ?2 WHERE id = ?1")?.execute(params![id, signed(now_ms)])?;
    Ok(())
}

/// Forgets the oldest alarms that ended, beyond the number kept.
pub(crate) fn trim(tx: &Transaction<'_>) -> Result<()> {
    let sql = "DELETE FROM alarm WHERE cleared_ms IS NOT NULL AND id <= (SELECT max(id) FROM alarm) - ?1";
    tx.execute(sql, [CLEARED_KEPT])?;
    Ok(())
}

pub(crate) fn acknowledge(tx: &Transaction<'_>, id: i64, who: &str, now_ms: u64) -> Result<()> {
    let sql = "UPDATE alarm SET acknowledged_ms = ?2, acknowledged_by = ?3 WHERE id = ?1";
    tx.execute(sql, params![id, signed(now_ms), who])?;
    Ok(())
}
