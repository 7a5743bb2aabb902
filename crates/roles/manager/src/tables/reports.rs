//! The last report of each device (`state.db`).

use super::columns::{json, optional_unsigned, parsed, signed, unsigned};
use rusqlite::{Result, Transaction, params};
use weir_device_api::Report;
use weir_model::DeviceName;

/// A report as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct KeptReport {
    pub(crate) device: DeviceName,
    pub(crate) received_ms: u64,
    /// When its worker was last heard to have crashed.
    pub(crate) crashed_ms: Option<u64>,
    pub(crate) report: Report,
}

pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<KeptReport>> {
    let mut statement = tx.prepare("SELECT * FROM last_report")?;
    let rows = statement.query_map([], |row| {
        Ok(KeptReport {
            device: parsed(row, "device")?,
            received_ms: unsigned(row, "received_ms")?,
            crashed_ms: optional_unsigned(row, "crashed_ms")?,
            report: json(row, "report")?,
        })
    })?;
    rows.collect()
}

pub(crate) fn keep(tx: &Transaction<'_>, reports: &[KeptReport]) -> Result<()> {
    let sql = "INSERT INTO last_report (device, received_ms, crashed_ms, report) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (device) DO UPDATE
        SET received_ms = excluded.received_ms, crashed_ms = excluded.crashed_ms, report = excluded.report";
    let mut statement = tx.prepare_cached(sql)?;
    for kept in reports {
        let report = serde_json::to_string(&kept.report).expect("a report is JSON");
        statement.execute(params![kept.device.as_str(), signed(kept.received_ms), kept.crashed_ms.map(signed), report])?;
    }
    Ok(())
}

pub(crate) fn forget(tx: &Transaction<'_>, device: &DeviceName) -> Result<()> {
    tx.execute("DELETE FROM last_report WHERE device = ?1", [device.as_str()])?;
    Ok(())
}
