//! Alarms: which ought to stand is a pure function of reports and time; the difference to those that do is raised and cleared.

use crate::{reports::Heard, snapshot::Snapshot};
use std::collections::BTreeMap;
use weir_model::{AlarmReason, DeviceName, DeviceStatus};
use weir_operator_api::Alarm;

/// A crashed worker is alarmed until it was acknowledged, or this long.
pub(crate) const CRASH_QUIET_MS: u64 = 10 * 60 * 1000;

/// What an alarm is about: one stands for each key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) reason: AlarmReason,
    pub(crate) device: DeviceName,
    pub(crate) object: String,
}

/// One device, as alarms see it.
pub(crate) struct View<'a> {
    pub(crate) name: &'a DeviceName,
    pub(crate) status: DeviceStatus,
    pub(crate) heard: Option<&'a Heard>,
    /// Server Offload holds it, and when it was last heard nothing ran on it: whatever it is silent for, no viewer misses it.
    pub(crate) parked: bool,
}

/// A change of the alarms that stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Raise { key: Key, text: String },
    Clear { id: i64 },
}

/// The alarms that ought to stand for one device at wall clock `now_ms`, with their texts.
fn wanted(network: &Snapshot, view: &View<'_>, now_ms: u64, out: &mut BTreeMap<Key, String>) {
    if view.status == DeviceStatus::Inactive {
        return;
    }
    let mut want = |reason, object: &str, text: String| {
        out.insert(Key { reason, device: view.name.clone(), object: object.to_owned() }, text);
    };
    // An operator who offloads a device and then stops it wants no alarm for it; OFFLOAD_LONG reminds of it.
    if view.status == DeviceStatus::Offline && !view.parked {
        want(AlarmReason::DeviceOffline, "", format!("{} has missed its reports", view.name));
    }
    let Some(heard) = view.heard else { return };
    let skew = heard.clock_skew_ms();
    if skew.unsigned_abs() > network.profile.clock_skew_ms {
        let side = if skew < 0 { "behind" } else { "ahead of" };
        want(AlarmReason::ClockSkew, "", format!("its clock is {} ms {side} the manager's", skew.unsigned_abs()));
    }
    if heard.crashed_ms.is_some_and(|crashed| now_ms.abs_diff(crashed) < CRASH_QUIET_MS) {
        let how = heard.report.last_exit.as_ref().map(|exit| format!(", the last with {exit}")).unwrap_or_default();
        let crashes = heard.report.worker_crashes;
        want(AlarmReason::WorkerCrashed, "", format!("its worker has crashed {crashes} times since its keeper started{how}"));
    }
    if let Some(rejected) = &heard.report.rejected {
        want(AlarmReason::ConfigurationRejected, "", format!("it refused configuration {}: {}", rejected.stamp, rejected.reason));
    }
    for condition in &heard.report.conditions {
        want(condition.reason, &condition.object, condition.text.clone());
    }
}

/// What to raise and clear at wall clock `now_ms`: what devices and their reports ask for, and `want`, which stands besides.
pub(crate) fn evaluate<'a>(
    network: &Snapshot,
    views: impl Iterator<Item = View<'a>>,
    mut want: BTreeMap<Key, String>,
    standing: &[Alarm],
    now_ms: u64,
) -> Vec<Step> {
    for view in views {
        wanted(network, &view, now_ms, &mut want);
    }
    let mut steps = Vec::new();
    for alarm in standing {
        let key = Key { reason: alarm.reason, device: alarm.device.clone(), object: alarm.object.clone() };
        if want.remove(&key).is_none() {
            steps.push(Step::Clear { id: alarm.id });
        }
    }
    steps.extend(want.into_iter().map(|(key, text)| Step::Raise { key, text }));
    steps
}

#[cfg(test)]
mod tests;
