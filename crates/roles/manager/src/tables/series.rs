//! What devices did, per minute, and their busiest minute of each hour (`state.db`).

use super::columns::{signed, unsigned};
use crate::series::{Cell, Point};
use rusqlite::{Result, Row, Transaction, params};
use std::collections::BTreeSet;
use weir_model::{DeviceName, Role};

/// What one device did in one minute, or in a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Wall clock when the minute began.
    pub(crate) at_ms: u64,
    pub(crate) device: DeviceName,
    pub(crate) role: Role,
    pub(crate) cell: Cell,
}

/// Adds to the minutes, and notes the hours they belong to.
pub(crate) fn add(tx: &Transaction<'_>, kept: &[Kept], hour_ms: u64) -> Result<()> {
    let minute = "INSERT INTO series_minute (at_ms, device, role, sessions, requests, client_bytes, origin_bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (at_ms, device) DO UPDATE SET sessions = max(sessions, excluded.sessions), requests = requests + excluded.requests,
        client_bytes = client_bytes + excluded.client_bytes, origin_bytes = origin_bytes + excluded.origin_bytes";
    let hour = "INSERT INTO series_hour (at_ms, device, minute_client_bytes)
        SELECT ?3, device, client_bytes FROM series_minute WHERE at_ms = ?1 AND device = ?2
        ON CONFLICT (at_ms, device) DO UPDATE SET minute_client_bytes = max(minute_client_bytes, excluded.minute_client_bytes)";
    let mut minute = tx.prepare_cached(minute)?;
    let mut hour = tx.prepare_cached(hour)?;
    for Kept { at_ms, device, role, cell } in kept {
        let Cell { sessions, requests, client_bytes, origin_bytes } = *cell;
        let numbers = [requests, client_bytes, origin_bytes].map(signed);
        minute.execute(params![signed(*at_ms), device.as_str(), role.as_str(), sessions, numbers[0], numbers[1], numbers[2]])?;
        hour.execute(params![signed(*at_ms), device.as_str(), signed(at_ms - at_ms % hour_ms)])?;
    }
    // Added up once when something changes, not each time somebody looks.
    let network = "INSERT OR REPLACE INTO series_network (at_ms, sessions, requests, client_bytes, origin_bytes)
        SELECT at_ms, sum(sessions), sum(requests), sum(client_bytes), sum(origin_bytes) FROM series_minute
        WHERE at_ms = ?1 AND role = 'engine' GROUP BY at_ms";
    let mut network = tx.prepare_cached(network)?;
    for at_ms in kept.iter().map(|k| k.at_ms).collect::<BTreeSet<_>>() {
        network.execute([signed(at_ms)])?;
    }
    Ok(())
}

/// Forgets minutes and hours that began before these times.
pub(crate) fn trim(tx: &Transaction<'_>, minutes_before_ms: u64, hours_before_ms: u64) -> Result<()> {
    tx.execute("DELETE FROM series_minute WHERE at_ms < ?1", [signed(minutes_before_ms)])?;
    tx.execute("DELETE FROM series_network WHERE at_ms < ?1", [signed(minutes_before_ms)])?;
    tx.execute("DELETE FROM series_hour WHERE at_ms < ?1", [signed(hours_before_ms)])?;
    Ok(())
}

fn point(row: &Row<'_>) -> Result<Point> {
    Ok(Point {
        at_ms: unsigned(row, "at_ms")?,
        sessions: row.get("sessions")?,
        requests: unsigned(row, "requests")?,
        client_bytes: unsigned(row, "client_bytes")?,
        origin_bytes: unsigned(row, "origin_bytes")?,
    })
}

/// Minutes from `from_ms` on, all engines together, oldest first.
pub(crate) fn network(tx: &Transaction<'_>, from_ms: u64) -> Result<Vec<Point>> {
    let sql = "SELECT * FROM series_network WHERE at_ms >= ?1 ORDER BY at_ms";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([signed(from_ms)], point)?;
    rows.collect()
}

/// The minute that began at `at_ms` on one device.
pub(crate) fn minute(tx: &Transaction<'_>, device: &DeviceName, at_ms: u64) -> Result<Option<Point>> {
    let sql = "SELECT * FROM series_minute WHERE at_ms = ?1 AND device = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query_map(params![signed(at_ms), device.as_str()], point)?;
    rows.next().transpose()
}

/// Most bytes the device sent to clients in one minute of the hour that began at `at_ms`.
pub(crate) fn hour(tx: &Transaction<'_>, device: &DeviceName, at_ms: u64) -> Result<Option<u64>> {
    let sql = "SELECT minute_client_bytes FROM series_hour WHERE at_ms = ?1 AND device = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query_map(params![signed(at_ms), device.as_str()], |row| unsigned(row, "minute_client_bytes"))?;
    rows.next().transpose()
}
