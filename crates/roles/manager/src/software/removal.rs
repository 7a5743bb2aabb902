//! What may be deleted: never the only way back to a version that devices run.

use super::record::Record;
use crate::app::App;
use std::collections::BTreeMap;
use weir_model::{DeviceName, SoftwareState, Version};
use weir_operator_api::{Problem, Reason};

/// Devices named in a refusal.
const NAMED_MAX: usize = 3;

/// The devices that report a version, by version.
pub(super) type Running = BTreeMap<Version, Vec<DeviceName>>;

/// What the devices of the network say they run.
pub(super) fn running(app: &App) -> Running {
    let network = app.network();
    let mut running = Running::from([(Version::current(), vec![app.name.clone()])]);
    app.reports.with_all(|heard| {
        let known = heard.iter().filter(|(name, _)| network.devices.contains_key(*name) && **name != app.name);
        for (name, heard) in known {
            if let Ok(version) = heard.report.hello.version.parse::<Version>() {
                running.entry(version).or_default().push(name.clone());
            }
        }
    });
    running
}

/// The version that a device could be brought back to with this software file.
fn way_back(record: &Record) -> Option<Version> {
    let usable = !matches!(record.state(), SoftwareState::Draft | SoftwareState::Withdrawn);
    record.release.as_ref().filter(|_| usable).map(|release| release.version)
}

/// Whether a software file may be deleted.
///
/// # Errors
/// Devices run its version, and no other software file is of it.
pub(super) fn admit(record: &Record, all: &[Record], running: &Running) -> Result<(), Problem> {
    let Some(version) = way_back(record) else { return Ok(()) };
    let Some(devices) = running.get(&version) else { return Ok(()) };
    if all.iter().any(|other| other.id != record.id && way_back(other) == Some(version)) {
        return Ok(());
    }
    let named: Vec<_> = devices.iter().take(NAMED_MAX).map(DeviceName::to_string).collect();
    let more = devices.len().checked_sub(NAMED_MAX).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    let detail = format!("{}{more} run {version}, and no other software file is of that version", named.join(", "));
    Err(Problem::new(Reason::SoftwareInUse, detail))
}

#[cfg(test)]
mod tests;
