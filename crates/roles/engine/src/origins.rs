//! Whether each delivery service's origin can be reached.

use crate::upstream::failure::Failure;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use weir_device_api::Condition;
use weir_model::{AlarmReason, ServiceName};

/// Failures in a row after which an origin counts as unreachable.
const FAILURES_TO_REPORT: u32 = 3;

/// How long after its last failure an origin counts as unreachable when nobody asks it any more.
const REPORTED_TIME: Duration = Duration::from_secs(60);

/// What failed in a row.
struct Failing {
    count: u32,
    last: Failure,
    at: Instant,
}

impl Failing {
    fn is_past(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= REPORTED_TIME
    }

    fn is_reported(&self, now: Instant) -> bool {
        self.count >= FAILURES_TO_REPORT && !self.is_past(now)
    }
}

/// Failures in a row by delivery service; a success clears them, and time does.
#[derive(Default)]
pub(crate) struct Origins {
    failing: Mutex<BTreeMap<ServiceName, Failing>>,
}

impl Origins {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn failed(&self, service: &ServiceName, failure: Failure, now: Instant) {
        if failure.blames_upstream() {
            let mut failing = self.lock();
            let before = failing.get(service).filter(|failing| !failing.is_past(now)).map_or(0, |failing| failing.count);
            failing.insert(service.clone(), Failing { count: before.saturating_add(1), last: failure, at: now });
        }
    }

    /// Somebody answered for a service: its origin, or a parent that could.
    pub(crate) fn answered(&self, service: &ServiceName) {
        self.lock().remove(service);
    }

    /// Forgets services that are no longer configured.
    pub(crate) fn retain(&self, known: impl Fn(&ServiceName) -> bool) {
        self.lock().retain(|service, _| known(service));
    }

    /// Whether a service's origin counts as unreachable.
    pub(crate) fn is_failing(&self, service: &ServiceName, now: Instant) -> bool {
        self.lock().get(service).is_some_and(|failing| failing.is_reported(now))
    }

    /// What to report.
    pub(crate) fn conditions(&self, now: Instant) -> Vec<Condition> {
        let failing = self.lock();
        let reported = failing.iter().filter(|(_, failing)| failing.is_reported(now));
        reported
            .map(|(service, Failing { count, last, .. })| Condition {
                reason: AlarmReason::OriginUnreachable,
                object: service.to_string(),
                text: format!("{count} requests in a row failed: {last}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceName {
        "demo".parse().expect("valid")
    }

    #[test]
    fn three_failures_in_a_row_are_reported_until_a_success() {
        let (origins, now) = (Origins::default(), weir_clock::monotonic());
        for reported in [0, 0, 1, 1] {
            origins.failed(&service(), Failure::Connect, now);
            origins.failed(&service(), Failure::Cancelled, now);
            assert_eq!((origins.conditions(now).len(), origins.is_failing(&service(), now)), (reported, reported == 1));
        }
        origins.answered(&service());
        assert!(origins.conditions(now).is_empty());
    }

    #[test]
    fn what_nobody_asks_any_more_is_reported_for_its_time() {
        let (origins, start) = (Origins::default(), weir_clock::monotonic());
        let later = start + REPORTED_TIME;
        (0..3).for_each(|_| origins.failed(&service(), Failure::Connect, start));
        assert_eq!(origins.conditions(later - Duration::from_millis(1)).len(), 1);
        assert!(origins.conditions(later).is_empty());
        origins.failed(&service(), Failure::Connect, later);
        assert!(origins.conditions(later).is_empty(), "it counts from one again");
    }
}
