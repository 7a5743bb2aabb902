//! The router's metrics: what it answered, what it heard, who is live.

use crate::{dns::DnsMetrics, keepalive::Heard};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use weir_routing::RefusalReason;
use weir_telemetry::Metrics;

type Label = [(&'static str, &'static str); 1];

/// What a request was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Sent to an engine.
    Redirect,
    /// OPTIONS: what may be asked, and from where.
    Options,
    /// The router has no configuration yet.
    NoConfiguration,
    /// No engine.
    Refused(RefusalReason),
}

impl Answered {
    fn all() -> impl Iterator<Item = Self> {
        [Self::Redirect, Self::Options, Self::NoConfiguration].into_iter().chain(RefusalReason::ALL.map(Self::Refused))
    }

    /// The word of the metric and of the `Weir-Reason` field.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Options => "options",
            Self::NoConfiguration => "no_configuration",
            Self::Refused(reason) => reason.as_str(),
        }
    }
}

/// Handles to counters, made once: counting takes no lock.
pub(crate) struct RouterMetrics {
    answers: Vec<(Answered, Counter)>,
    heard: Vec<(Heard, Counter)>,
    engines_live: Gauge,
    pub(crate) dns: DnsMetrics,
}

impl RouterMetrics {
    /// Registers the router's metrics.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let requests = Family::<Label, Counter>::default();
        let keepalives = Family::<Label, Counter>::default();
        let engines_live = Gauge::default();
        metrics.register(|registry| {
            registry.register("router_requests", "Requests by answer", requests.clone());
            registry.register("router_keepalives", "Keepalives and lifelines by result", keepalives.clone());
            registry.register("router_engines_live", "Engines new viewers may be sent to", engines_live.clone());
        });
        Self {
            answers: Answered::all().map(|a| (a, requests.get_or_create(&[("answer", a.as_str())]).clone())).collect(),
            heard: Heard::ALL.map(|h| (h, keepalives.get_or_create(&[("result", h.as_str())]).clone())).to_vec(),
            engines_live,
            dns: DnsMetrics::register(metrics),
        }
    }

    pub(crate) fn answer(&self, answered: Answered) {
        count(&self.answers, answered);
    }

    pub(crate) fn heard(&self, heard: Heard) {
        count(&self.heard, heard);
    }

    pub(crate) fn engines_live(&self, engines: usize) {
        self.engines_live.set(i64::try_from(engines).unwrap_or(i64::MAX));
    }

    /// Requests answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answers.iter().map(|(_, counter)| counter.get()).sum()
    }

    /// Of these: refused because no coverage zone has the client, which is the operator's to decide, or because no engine is live,
    /// which is the engines' fault.
    pub(crate) fn excused(&self) -> u64 {
        let excused = |answered| matches!(answered, Answered::Refused(RefusalReason::NoCoverageZone | RefusalReason::NoLiveEngine));
        self.answers.iter().filter(|(answered, _)| excused(*answered)).map(|(_, counter)| counter.get()).sum()
    }

    #[cfg(test)]
    pub(crate) fn times_heard(&self, heard: Heard) -> u64 {
        self.heard.iter().filter(|(each, _)| *each == heard).map(|(_, counter)| counter.get()).sum()
    }
}

/// A dozen entries: a scan is quicker than a hash.
pub(crate) fn count<T: PartialEq>(counters: &[(T, Counter)], of: T) {
    if let Some((_, counter)) = counters.iter().find(|(each, _)| *each == of) {
        counter.inc();
    }
}
