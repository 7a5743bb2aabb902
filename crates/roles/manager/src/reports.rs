//! What devices last said: in memory, and written to `state.db` in batches.

use crate::{status::HeardAt, tables::reports::KeptReport};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_device_api::Report;
use weir_model::DeviceName;

/// The last report of one device.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Monotonic milliseconds; 0 for a report kept from before this manager started.
    pub(crate) at_ms: u64,
    /// Wall clock, milliseconds since 1970.
    pub(crate) received_ms: u64,
    /// Wall clock when its worker was last heard to have crashed.
    pub(crate) crashed_ms: Option<u64>,
    pub(crate) report: Report,
}

impl Heard {
    pub(crate) fn at(&self) -> HeardAt {
        HeardAt { at_ms: self.at_ms, stamp: self.report.hello.stamp }
    }

    /// The device's wall clock minus the manager's, milliseconds.
    pub(crate) fn clock_skew_ms(&self) -> i64 {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        signed(self.report.clock_ms).saturating_sub(signed(self.received_ms))
    }
}

/// Every device's last report.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    heard: BTreeMap<DeviceName, Heard>,
    unwritten: BTreeSet<DeviceName>,
}

impl Reports {
    pub(crate) fn new(kept: Vec<KeptReport>) -> Self {
        let heard = kept
            .into_iter()
            .map(|k| (k.device, Heard { at_ms: 0, received_ms: k.received_ms, crashed_ms: k.crashed_ms, report: k.report }));
        Self { inner: Mutex::new(Inner { heard: heard.collect(), unwritten: BTreeSet::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report that came at `at_ms` (monotonic) and `received_ms` (wall).
    pub(crate) fn take(&self, report: Report, at_ms: u64, received_ms: u64) {
        let mut inner = self.lock();
        let device = report.hello.device.clone();
        let before = inner.heard.get(&device);
        // The count falls when the keeper itself starts anew: that is no crash of a worker.
        let crashed = before.is_some_and(|b| report.worker_crashes > b.report.worker_crashes);
        let crashed_ms = if crashed { Some(received_ms) } else { before.and_then(|b| b.crashed_ms) };
        inner.unwritten.insert(device.clone());
        inner.heard.insert(device, Heard { at_ms, received_ms, crashed_ms, report });
    }

    pub(crate) fn get(&self, device: &DeviceName) -> Option<Heard> {
        self.lock().heard.get(device).cloned()
    }

    /// Calls `f` with every report, by device name, under the lock.
    pub(crate) fn with_all<T>(&self, f: impl FnOnce(&BTreeMap<DeviceName, Heard>) -> T) -> T {
        f(&self.lock().heard)
    }

    /// Somebody has taken note of the device's crashed worker: the alarm is over until it crashes again.
    pub(crate) fn crash_noted(&self, device: &DeviceName) {
        let mut inner = self.lock();
        if let Some(heard) = inner.heard.get_mut(device) {
            heard.crashed_ms = None;
            inner.unwritten.insert(device.clone());
        }
    }

    pub(crate) fn forget(&self, device: &DeviceName) {
        let mut inner = self.lock();
        inner.heard.remove(device);
        inner.unwritten.remove(device);
    }

    /// Reports that came since the last call.
    pub(crate) fn unwritten(&self) -> Vec<KeptReport> {
        let mut inner = self.lock();
        let names = std::mem::take(&mut inner.unwritten);
        let kept = |device: DeviceName| {
            let heard = inner.heard.get(&device)?;
            Some(KeptReport { device, received_ms: heard.received_ms, crashed_ms: heard.crashed_ms, report: heard.report.clone() })
        };
        names.into_iter().filter_map(kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_device_api::{Hello, Listeners, Load, hello::PROTOCOL};
    use weir_model::{Role, Stamp};

    fn report(worker_crashes: u32) -> Report {
        let device = "east-1".parse().expect("name");
        Report {
            hello: Hello { protocol: PROTOCOL, version: "1.0.0-b1".into(), device, role: Role::Engine, stamp: Stamp::default() },
            boot: 1,
            clock_ms: 0,
            uptime_ms: 0,
            worker_crashes,
            last_exit: None,
            listeners: Listeners::default(),
            load: Load::default(),
            rejected: None,
            conditions: Vec::new(),
            drain: None,
            routers: Vec::new(),
            share_permille: None,
            update: None,
            answers: None,
            #[cfg(feature = "synthetic-next")]
            detailed_responses: None,
        }
    }

    #[test]
    fn a_crash_is_a_count_that_rose() {
        let reports = Reports::default();
        let device = "east-1".parse().expect("name");
        let crashed = |count, at| {
            reports.take(report(count), at, at);
            reports.get(&device).expect("heard").crashed_ms
        };
        assert_eq!(crashed(3, 10), None, "the first report tells of no rise");
        assert_eq!(crashed(3, 20), None);
        assert_eq!(crashed(4, 30), Some(30));
        assert_eq!(crashed(4, 40), Some(30));
        reports.crash_noted(&device);
        assert_eq!(crashed(4, 50), None);
        assert_eq!(crashed(0, 60), None, "a new keeper counts from zero");
        assert_eq!(crashed(1, 70), Some(70));
        assert_eq!(reports.unwritten().len(), 1);
        assert_eq!(reports.unwritten().len(), 0);
    }
}
