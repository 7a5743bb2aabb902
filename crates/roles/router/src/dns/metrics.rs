//! What DNS counts.

use super::{End, Outcome, Transport};
use prometheus_client::metrics::{counter::Counter, family::Family};
use std::sync::{Arc, OnceLock};
use weir_net::udp::{Counts, Traffic};
use weir_telemetry::Metrics;

type Label = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 2];

/// Handles to counters, made once: counting takes no lock.
pub(crate) struct DnsMetrics {
    /// By transport, in the order of [`Transport::ALL`], and then by outcome.
    queries: [Vec<(Outcome, Counter)>; 2],
    truncated: Counter,
    connections: Vec<(End, Counter)>,
    batches: Counter,
    datagrams: Counter,
    lost: [Counter; 3],
    counts: OnceLock<Arc<Counts>>,
}

/// Why a datagram or its answer was lost; the `reason` of `router_dns_datagrams_lost_total`.
const LOST: [&str; 3] = ["oversized", "unsent", "panic"];

impl DnsMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let queries = Family::<Labels, Counter>::default();
        let connections = Family::<Label, Counter>::default();
        let lost = Family::<Label, Counter>::default();
        let (truncated, batches, datagrams) = (Counter::default(), Counter::default(), Counter::default());
        metrics.register(|registry| {
            registry.register("router_dns_queries", "DNS queries by transport and result", queries.clone());
            registry.register("router_dns_truncated", "DNS answers cut down to the question", truncated.clone());
            registry.register("router_dns_connections", "DNS connections by how they ended", connections.clone());
            registry.register("router_dns_batches", "Batches of DNS datagrams read", batches.clone());
            registry.register("router_dns_datagrams", "DNS datagrams read", datagrams.clone());
            registry.register("router_dns_datagrams_lost", "DNS datagrams lost here, or their answers", lost.clone());
        });
        let of_transport = |transport: Transport| {
            let labels = |outcome: Outcome| [("transport", transport.as_str()), ("result", outcome.as_str())];
            Outcome::ALL.map(|outcome| (outcome, queries.get_or_create(&labels(outcome)).clone())).to_vec()
        };
        Self {
            queries: Transport::ALL.map(of_transport),
            truncated,
            connections: End::ALL.map(|end| (end, connections.get_or_create(&[("result", end.as_str())]).clone())).to_vec(),
            batches,
            datagrams,
            lost: LOST.map(|reason| lost.get_or_create(&[("reason", reason)]).clone()),
            counts: OnceLock::new(),
        }
    }

    pub(crate) fn answered(&self, transport: Transport, outcome: Outcome) {
        let of_transport = match transport {
            Transport::Udp => &self.queries[0],
            Transport::Tcp => &self.queries[1],
        };
        crate::metrics::count(of_transport, outcome);
    }

    pub(super) fn truncated(&self) {
        self.truncated.inc();
    }

    pub(super) fn ended(&self, end: End) {
        crate::metrics::count(&self.connections, end);
    }

    /// Shows these counts from now on; a process has one server.
    pub(super) fn follow(&self, counts: Arc<Counts>) {
        if self.counts.set(counts).is_err() {
            tracing::warn!("DNS is started a second time: its datagrams are not counted");
        }
    }

    /// Takes over what the threads counted.
    pub(crate) fn refresh(&self) {
        let Some(counts) = self.counts.get() else { return };
        let Traffic { batches, received, oversized, unsent, panics, .. } = counts.read();
        let counters = [&self.batches, &self.datagrams, &self.lost[0], &self.lost[1], &self.lost[2]];
        for (counter, value) in counters.into_iter().zip([batches, received, oversized, unsent, panics]) {
            counter.inner().store(value, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(super) fn times_answered(&self, transport: Transport, outcome: Outcome) -> u64 {
        let of_transport = &self.queries[usize::from(transport == Transport::Tcp)];
        of_transport.iter().filter(|(each, _)| *each == outcome).map(|(_, counter)| counter.get()).sum()
    }

    #[cfg(test)]
    pub(super) fn times_ended(&self, end: End) -> u64 {
        self.connections.iter().filter(|(each, _)| *each == end).map(|(_, counter)| counter.get()).sum()
    }
}
