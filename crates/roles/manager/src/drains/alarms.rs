//! Alarms about offloads: which ought to stand.

use super::{Drains, GuardAlarm, Inner};
use crate::{alarms::Key, snapshot::Snapshot};
use std::collections::BTreeMap;
use weir_model::{AlarmReason, DeviceName, LeaseOwner, LocationName};
use weir_operator_api::Alarm;

/// An operator's lease without an end is alarmed when it has stood this long: a day.
const OFFLOAD_LONG_MS: u64 = 24 * 60 * 60 * 1000;

impl Drains {
    /// OFFLOAD_LONG, DRAIN_TIMEOUT and UPGRADE_GUARD, with their texts, at wall clock `now_ms`. UPGRADE_GUARD is about an
    /// engine and, as its object, the location; one that stands from before this manager started is taken over.
    pub(crate) fn alarms(&self, network: &Snapshot, standing: &[Alarm], now_ms: u64) -> BTreeMap<Key, String> {
        let mut inner = self.lock();
        inner.take_over(network, standing);
        let mut want = BTreeMap::new();
        for (name, outside) in &network.outside {
            let key = |reason| Key { reason, device: name.clone(), object: String::new() };
            let long = |at: u64| now_ms.saturating_sub(at) >= OFFLOAD_LONG_MS;
            let operator = outside.leases.iter().find(|l| l.owner == LeaseOwner::Operator && l.expires_ms.is_none());
            if let Some(lease) = operator.filter(|l| long(l.since_ms)) {
                want.insert(key(AlarmReason::OffloadLong), format!("{} has offloaded it for over a day: {}", lease.by, lease.why));
            }
            if let Some(watch) = inner.watched.get(name).filter(|watch| watch.overdue) {
                let left = watch.verdict.as_ref().map_or_else(String::new, |v| {
                    let waits: Vec<String> = v.waits.iter().map(ToString::to_string).collect();
                    waits.join("; ")
                });
                want.insert(key(AlarmReason::DrainTimeout), format!("it is not drained within its hard limit: {left}"));
            }
        }
        for (site, GuardAlarm { engine, text }) in &inner.broken {
            want.insert(guard_key(engine, site), text.clone());
        }
        want
    }
}

fn guard_key(engine: &DeviceName, site: &LocationName) -> Key {
    Key { reason: AlarmReason::UpgradeGuard, device: engine.clone(), object: site.to_string() }
}

impl Inner {
    /// Remembers the guard's alarms of the manager before this one, until a round finds that their floors hold.
    fn take_over(&mut self, network: &Snapshot, standing: &[Alarm]) {
        if std::mem::replace(&mut self.taken_over, true) {
            return;
        }
        for alarm in standing.iter().filter(|a| a.reason == AlarmReason::UpgradeGuard) {
            let site = network.locations.keys().find(|site| site.as_str() == alarm.object);
            if let Some(site) = site.filter(|_| network.devices.contains_key(&alarm.device)) {
                let kept = GuardAlarm { engine: alarm.device.clone(), text: alarm.text.clone() };
                self.broken.entry(site.clone()).or_insert(kept);
            }
        }
    }
}
