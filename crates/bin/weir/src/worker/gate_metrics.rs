//! Metrics of the server loop: what every HTTP listener of the data plane counts.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use weir_device_api::Answers;
use weir_engine::Engine;
use weir_net::http1::{Gate, Refusal};
use weir_rollout::update::Figures;
use weir_telemetry::Metrics;

/// Registers the gate's counters.
pub(super) fn register(metrics: &Metrics, gate: &Gate) {
    let collector = GateCollector(gate.clone());
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

/// What the update machine judges a worker by: requests answered to anybody, and those it failed itself. `excused_errors` are
/// answers of 500 or more that somebody else caused.
pub(super) fn figures(gate: &Gate, excused_errors: u64) -> Figures {
    let counters = gate.counters();
    Figures { requests: counters.requests, own_errors: counters.server_errors.saturating_sub(excused_errors) }
}

/// What an update's wave is judged by, beside engines that were not updated.
pub(super) fn answers(gate: &Gate, engine: &Engine) -> Answers {
    let Figures { requests, own_errors } = figures(gate, engine.excused_errors());
    Answers { requests, own_errors, resets: gate.counters().resets, ttfb: engine.times_to_first_byte() }
}

struct GateCollector(Gate);

impl std::fmt::Debug for GateCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GateCollector")
    }
}

impl Collector for GateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counters = self.0.counters();
        let totals = [
            ("http_connections_accepted", "Connections accepted", counters.accepted),
            ("http_connections_turned_away", "Connections closed at accept: too many from one address", counters.turned_away),
            ("http_connections_reset", "Connections reset: the client read nothing for too long, or a body broke off", counters.resets),
            ("http_requests", "Requests answered", counters.requests),
            ("http_server_errors", "Requests answered with a status of 500 or more, whoever caused it", counters.server_errors),
            ("http_sent_bytes", "Bytes written to clients, heads included", counters.bytes_written),
        ];
        for (name, help, value) in totals {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, value) in [
            ("http_connections_open", "Connections open now", counters.open),
            ("http_requests_active", "Requests being answered now", counters.active),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let mut family =
            encoder.encode_descriptor("http_refusals", "Requests refused before any service saw them", None, MetricType::Counter)?;
        for &refusal in Refusal::ALL {
            let labels = [("refusal", refusal.as_str())];
            ConstCounter::new(counters.refused(refusal)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_in_the_metrics() {
        let metrics = Metrics::new("1.0.0-b1", "engine", "east-1");
        register(&metrics, &Gate::new());
        let text = metrics.text();
        for line in ["http_connections_open 0", "http_requests_total 0", "http_refusals_total{refusal="] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
