//! Whether each delivery service's origin can be reached.

use crate::upstream::failure::Failure;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_device_api::Condition;
use weir_model::{AlarmReason, ServiceName};

/// Failures in a row after which an origin counts as unreachable.
const FAILURES_TO_REPORT: u32 = 3;

/// Failures in a row by delivery service; a success clears them.
#[derive(Default)]
pub(crate) struct Origins {
    failing: Mutex<BTreeMap<ServiceName, (u32, Failure)>>,
}

impl Origins {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, (u32, Failure)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn failed(&self, service: &ServiceName, failure: Failure) {
        if failure.blames_upstream() {
            let mut failing = self.lock();
            let entry = failing.entry(service.clone()).or_insert((0, failure));
            *entry = (entry.0.saturating_add(1), failure);
        }
    }

    pub(crate) fn answered(&self, service: &ServiceName) {
        self.lock().remove(service);
    }

    /// Forgets services that are no longer configured.
    pub(crate) fn retain(&self, known: impl Fn(&ServiceName) -> bool) {
        self.lock().retain(|service, _| known(service));
    }

    /// What to report.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let failing = self.lock();
        let reported = failing.iter().filter(|(_, (count, _))| *count >= FAILURES_TO_REPORT);
        reported
            .map(|(service, (count, failure))| Condition {
                reason: AlarmReason::OriginUnreachable,
                object: service.to_string(),
                text: format!("{count} requests in a row failed: {failure}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_reported_until_a_success() {
        let origins = Origins::default();
        let service: ServiceName = "demo".parse().expect("valid");
        for reported in [0, 0, 1, 1] {
            origins.failed(&service, Failure::Connect);
            origins.failed(&service, Failure::Cancelled);
            assert_eq!(origins.conditions().len(), reported);
        }
        origins.answered(&service);
        assert!(origins.conditions().is_empty());
    }
}
