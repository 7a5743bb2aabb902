//! Alarms about updates: which ought to stand.

use super::{
    advice, quarantine,
    record::{Kept, Outcome},
    seen::Seen,
};
use crate::{alarms::Key, app::App, snapshot::Snapshot};
use std::collections::BTreeMap;
use weir_model::{AlarmReason, Role};
use weir_rollout::update::{Stage, UpdateReason};

/// UPDATE_FAILED, UPGRADE_STUCK, OUT_OF_BAND_VERSION and QUARANTINED_DEVICE, with their texts.
pub(crate) fn wanted(app: &App, network: &Snapshot) -> BTreeMap<Key, String> {
    let kept = app.updates.kept();
    let (now_ms, lineage) = (weir_clock::monotonic_ms(), app.software.lineage());
    let mut want = BTreeMap::new();
    app.reports.with_all(|heard| {
        for record in network.devices.values().filter(|record| record.role != Role::Manager) {
            let seen = Seen { record, order: kept.orders.get(&record.name), heard: heard.get(&record.name) };
            let mut put = |reason, text: Option<String>| {
                let key = Key { reason, device: record.name.clone(), object: String::new() };
                want.extend(text.map(|text| (key, text)));
            };
            put(AlarmReason::UpdateFailed, failed(&seen));
            put(AlarmReason::UpgradeStuck, stuck(&seen).or_else(|| keeper_stuck(app, &seen, now_ms)));
            put(AlarmReason::OutOfBandVersion, out_of_band(&seen, &kept));
            put(AlarmReason::QuarantinedDevice, quarantine::why(&seen, &lineage));
        }
    });
    want
}

/// From when it turns back until another version is assigned.
fn failed(seen: &Seen<'_>) -> Option<String> {
    let report = seen.latest();
    let reason = report.and_then(|report| report.state.stage.reason()).or_else(|| kept_reason(seen))?;
    if matches!(reason, UpdateReason::Cancelled | UpdateReason::Superseded) {
        return None;
    }
    let version = match seen.order {
        Some(order) => order.version,
        None => report?.state.assignment.as_ref()?.version,
    };
    let detail = report.map_or("", |report| report.detail.as_str());
    Some(format!("it did not become {version}: {} ({reason})", advice::shown(reason, detail).detail))
}

/// Why its last assignment failed, as it was kept.
fn kept_reason(seen: &Seen<'_>) -> Option<UpdateReason> {
    match seen.order.filter(|_| !seen.is_open())?.ended?.outcome {
        Outcome::Failed(reason) => Some(reason),
        Outcome::Successful => None,
    }
}

fn stuck(seen: &Seen<'_>) -> Option<String> {
    if let (Some(reason), Some(report)) = (seen.needs_hands(), seen.report()) {
        let from = report.state.assignment.as_ref().map_or_else(String::new, |told| format!(" from {}", told.version));
        let detail = advice::shown(reason, &report.detail).detail;
        return Some(format!("going back{from} failed: {detail} ({reason}); an operator must look at this device"));
    }
    let report = seen.obeyed().filter(|report| report.state.stage == Stage::Blocked)?;
    let detail = if report.detail.is_empty() { "its disk has no room for the image" } else { &report.detail };
    Some(format!("its update waits: {detail}"))
}

fn keeper_stuck(app: &App, seen: &Seen<'_>, now_ms: u64) -> Option<String> {
    let report = seen.report().filter(|_| super::keeper::wants_restart(seen))?;
    let gave_up = app.updates.gave_up(&seen.record.name, &report.slots.manifest, now_ms);
    gave_up.then(|| "its keeper did not become that of the slot that runs when it was started anew".to_owned())
}

/// It runs another image than it was brought to, or first heard with, and nobody told it to.
fn out_of_band(seen: &Seen<'_>, kept: &Kept) -> Option<String> {
    let image = kept.images.get(&seen.record.name)?;
    let report = seen.report().filter(|report| seen.is_heard() && !report.slots.manifest.is_empty())?;
    // How its assignment ended is news, and which image is its own with it: they are kept in the same round.
    let kept_outcome = seen.order.and_then(|order| order.ended).map(|ended| ended.outcome);
    let is_news = seen.outcome().is_some_and(|outcome| kept_outcome != Some(outcome));
    if seen.is_open() || is_news || image.manifest == report.slots.manifest {
        return None;
    }
    let version = &seen.heard?.report.hello.version;
    Some(if *version == image.version {
        format!("it runs another build of {version} than it was brought to")
    } else {
        format!("it runs {version}; it was brought to {}", image.version)
    })
}

#[cfg(test)]
mod tests;
