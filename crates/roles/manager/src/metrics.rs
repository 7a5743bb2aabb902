//! What the manager measures of itself.

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use weir_telemetry::Metrics;

type Labels = [(&'static str, String); 1];

/// The manager's metrics; clones share them.
#[derive(Clone, Default)]
pub(crate) struct ManagerMetrics {
    pub(crate) devices: Family<Labels, Gauge>,
    pub(crate) reports: Counter,
    pub(crate) generation: Gauge,
    pub(crate) alarms_raised: Family<Labels, Gauge>,
    pub(crate) api_requests: Family<Labels, Counter>,
}

impl ManagerMetrics {
    pub(crate) fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            registry.register("manager_devices", "Devices by status", self.devices.clone());
            registry.register("manager_reports", "Reports received from devices", self.reports.clone());
            registry.register("manager_configuration_generation", "Configuration generation", self.generation.clone());
            registry.register("manager_alarms_raised", "Alarms that stand, by severity", self.alarms_raised.clone());
            registry.register("manager_api_requests", "Requests of the operator API by status", self.api_requests.clone());
        });
    }

    pub(crate) fn set(family: &Family<Labels, Gauge>, label: &'static str, value: &str, count: u32) {
        family.get_or_create(&[(label, value.to_owned())]).set(count.into());
    }
}
