//! What may be deleted: never the only way back to a version that devices run.

use super::{
    archives,
    outcome::{ListedImages, unlisted},
    record::Record,
};
use crate::{app::App, updates::record::Order};
use std::collections::{BTreeMap, BTreeSet};
use std::{io, path::Path};
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

/// What can be installed at all.
pub(super) struct Installable<'a> {
    /// The images that are listed; `None` while no metadata is known, and then nothing is known to be delisted.
    pub(super) listed: Option<&'a ListedImages>,
    /// The software files whose archives the manager holds.
    pub(super) held: BTreeSet<i64>,
}

impl<'a> Installable<'a> {
    /// As it is now. Blocks on the directory.
    pub(super) fn now(directory: &Path, listed: Option<&'a ListedImages>) -> io::Result<Self> {
        Ok(Self { listed, held: archives::numbers(directory)? })
    }

    /// The version that a device could be brought back to with this software file.
    fn way_back(&self, record: &Record) -> Option<Version> {
        let release = record.release.as_ref().filter(|_| self.held.contains(&record.id))?;
        let withdrawn = record.state() == SoftwareState::Withdrawn;
        let listed = self.listed.map_or(!withdrawn, |listed| unlisted(release, listed).is_none());
        listed.then_some(release.version)
    }
}

/// Refuses to delete a software file that a device is to become, whoever overrides: it would never get it.
pub(super) fn not_assigned(id: i64, orders: &BTreeMap<DeviceName, Order>) -> Result<(), Problem> {
    let open = orders.iter().find(|(_, order)| order.file == id && order.ended.is_none() && !order.cancelled);
    let Some((device, order)) = open else { return Ok(()) };
    let detail = format!("{device} is being updated to {} with it", order.version);
    let next = format!("wait for the end of that update, or `weir upgrade cancel {device}`");
    Err(Problem::new(Reason::SoftwareInUse, detail).next_step(next))
}

/// Whether a software file may be deleted.
///
/// # Errors
/// Devices run its version, and no other software file is of it.
pub(super) fn admit(record: &Record, all: &[Record], running: &Running, installable: &Installable<'_>) -> Result<(), Problem> {
    let Some(version) = installable.way_back(record) else { return Ok(()) };
    let Some(devices) = running.get(&version) else { return Ok(()) };
    if all.iter().any(|other| other.id != record.id && installable.way_back(other) == Some(version)) {
        return Ok(());
    }
    let named: Vec<_> = devices.iter().take(NAMED_MAX).map(DeviceName::to_string).collect();
    let more = devices.len().checked_sub(NAMED_MAX).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    let detail = format!("{}{more} run {version}, and no other software file that may be installed is of that version", named.join(", "));
    Err(Problem::new(Reason::SoftwareInUse, detail))
}

#[cfg(test)]
mod tests;
