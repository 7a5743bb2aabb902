//! The router as a value: the configuration in force, what it answers, and what it reports.

use crate::{dns::Zones, metrics::RouterMetrics, obedience::Handover, url, vitals::Vitals};
use arc_swap::ArcSwapOption;
use std::{collections::HashSet, net::IpAddr, path::PathBuf, sync::Arc};
use weir_device_api::{Condition, Drain, Load};
use weir_model::{AlarmReason, DeviceConfiguration, DeviceName, Role, Stamp, configuration::KeepaliveKey};
use weir_routing::{CompileError, Decision, Network, RouteRequest};
use weir_telemetry::Metrics;

/// File of the health table inside the state directory.
pub const HEALTH_FILE: &str = "health.json";

/// What a router needs before it has a configuration.
pub struct RouterSettings {
    /// Its name.
    pub name: DeviceName,
    /// Its state directory, which exists.
    pub state: PathBuf,
}

/// Why a configuration is not run; the one before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is another device's.
    #[error("is the configuration of {role} {device}, this is router {me}")]
    Device {
        /// Whose it is.
        device: DeviceName,
        /// Its role there.
        role: Role,
        /// Who this is.
        me: DeviceName,
    },
    /// It is older than the one in force.
    #[error("is {offered}, older than {running}, which is in force")]
    Older {
        /// The one offered.
        offered: Stamp,
        /// The one in force.
        running: Stamp,
    },
    /// An object of it is wrong.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// Why a URL cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// No configuration yet.
    #[error("this router has no configuration yet")]
    NoConfiguration,
    /// Not a URL a router answers.
    #[error("{0:?} is neither http://HOST/PATH nor /DOMAIN/PATH")]
    Url(String),
}

/// The configuration in force, ready for use.
pub(crate) struct Running {
    pub(crate) network: Network,
    pub(crate) zones: Zones,
    pub(crate) keys: Vec<KeepaliveKey>,
    /// Where engines serve, and, as a rule, speak from.
    pub(crate) engine_addresses: HashSet<IpAddr>,
}

/// One router; clones are the same router.
#[derive(Clone)]
pub struct Router {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) name: DeviceName,
    pub(crate) running: ArcSwapOption<Running>,
    pub(crate) vitals: Vitals,
    pub(crate) metrics: RouterMetrics,
    pub(crate) handover: Handover,
}

impl Router {
    /// A router without a configuration. It starts from the health on disk, so that with its last configuration it
    /// serves at once.
    pub fn new(settings: RouterSettings, metrics: &Metrics) -> Self {
        let shared = Arc::new(Shared {
            name: settings.name,
            running: ArcSwapOption::empty(),
            vitals: Vitals::load(settings.state.join(HEALTH_FILE), weir_clock::monotonic_ms()),
            metrics: RouterMetrics::register(metrics),
            handover: Handover::default(),
        });
        let router = Self { shared };
        let gauge = router.clone();
        metrics.on_read(move || {
            gauge.shared.metrics.engines_live(gauge.engines_live());
            gauge.shared.metrics.dns.refresh();
        });
        router
    }

    /// Runs a configuration from now on.
    ///
    /// # Errors
    /// [`Rejection`]; the configuration before stays in force.
    pub fn apply(&self, configuration: &DeviceConfiguration) -> Result<(), Rejection> {
        if configuration.role != Role::Router || configuration.device != self.shared.name {
            let (device, role) = (configuration.device.clone(), configuration.role);
            return Err(Rejection::Device { device, role, me: self.shared.name.clone() });
        }
        if let Some(running) = self.stamp().filter(|running| *running > configuration.stamp) {
            return Err(Rejection::Older { offered: configuration.stamp, running });
        }
        let network = Network::compile(configuration)?;
        self.shared.vitals.retain(&network);
        let engine_addresses = network.engines().iter().map(|engine| engine.http.ip().to_canonical()).collect();
        let keys = configuration.keepalive_keys.clone();
        let zones = Zones::compile(&network, &self.shared.name);
        let is_offloaded = network.router(&self.shared.name).is_some_and(|router| router.offloaded);
        self.shared.running.store(Some(Arc::new(Running { network, zones, keys, engine_addresses })));
        self.shared.handover.learn(is_offloaded, weir_clock::monotonic_ms());
        Ok(())
    }

    /// The configuration in force.
    pub fn stamp(&self) -> Option<Stamp> {
        self.shared.running.load().as_ref().map(|running| running.network.stamp())
    }

    /// Where a client would be sent, and every step of the decision. `url` is `http://HOST/PATH`, or `/DOMAIN/PATH` as
    /// asked at an address.
    ///
    /// # Errors
    /// [`ExplainError`] when there is nothing to decide on.
    pub fn explain(&self, client: IpAddr, url: &str) -> Result<Decision, ExplainError> {
        let running = self.shared.running.load();
        let running = running.as_ref().ok_or(ExplainError::NoConfiguration)?;
        let parts = url::split(url).ok_or_else(|| ExplainError::Url(url.to_owned()))?;
        let now_ms = weir_clock::monotonic_ms();
        let request = RouteRequest { client, host: parts.host, path: parts.path, query: parts.query, now_ms };
        Ok(weir_routing::explain(&running.network, &self.shared.vitals.published(), &request))
    }

    /// Requests answered. What is open and sent is known to the server loop's gate.
    pub fn load(&self) -> Load {
        Load { requests: self.shared.metrics.answered(), ..Load::default() }
    }

    /// Requests answered since the start with a status of 500 or more for no defect of this router: no coverage zone has the client,
    /// or no engine is live.
    pub fn excused_errors(&self) -> u64 {
        self.shared.metrics.excused()
    }

    /// What still runs here while the configuration says that this router is handed over. It goes on answering: others no
    /// longer name it, and what comes to it dwindles. `active_requests` is what the server loop's gate knows.
    pub fn drain(&self, active_requests: u32) -> Option<Drain> {
        self.shared.handover.drain(active_requests, weir_clock::monotonic_ms())
    }

    /// What is wrong.
    pub fn conditions(&self) -> Vec<Condition> {
        let unsaved =
            self.shared.vitals.save_error().map(|text| Condition { reason: AlarmReason::DiskFull, object: HEALTH_FILE.to_owned(), text });
        unsaved.into_iter().collect()
    }

    /// Engines of the configuration that are live now.
    pub fn engines_live(&self) -> usize {
        let running = self.shared.running.load();
        running.as_ref().map_or(0, |running| self.shared.vitals.published().live(&running.network, weir_clock::monotonic_ms()))
    }

    /// Writes the health table to disk and from then on no more: the file is for the worker that comes next, or serves beside this
    /// one. Blocks on the disk; call it once the gate of [`keepalive::run`](crate::keepalive::run) no longer accepts.
    pub fn hand_over(&self) {
        if let Some(running) = self.shared.running.load().as_ref() {
            self.shared.vitals.hand_over(weir_clock::monotonic_ms(), running.network.profile().keepalive_patience_ms());
        }
    }

    /// Goes on from the health another worker of this router handed over: who was live then is live for one patience from now.
    /// Blocks on the disk; call it before that gate accepts.
    pub fn take_over(&self) {
        self.shared.vitals.take_over(weir_clock::monotonic_ms());
        if let Some(running) = self.shared.running.load().as_ref() {
            self.shared.vitals.retain(&running.network);
        }
    }

    pub(crate) fn save_when_due(&self) {
        if let Some(running) = self.shared.running.load().as_ref() {
            self.shared.vitals.save_when_due(weir_clock::monotonic_ms(), running.network.profile().keepalive_patience_ms());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use weir_routing::{Answer, RefusalReason};

    #[test]
    fn a_wrong_configuration_leaves_the_one_before() {
        let (router, _dir) = sample::router();
        assert_eq!(router.stamp(), None);
        let client = "127.0.0.9".parse().expect("address");
        assert_eq!(router.explain(client, "http://demo.weir.test/").expect_err("none yet"), ExplainError::NoConfiguration);
        let good = sample::configuration();
        router.apply(&good).expect("valid");
        let mut bad = good.clone();
        bad.stamp.generation += 1;
        bad.engines[0].location = "nowhere".parse().expect("name");
        let rejection = router.apply(&bad).expect_err("dangling");
        assert_eq!(rejection.to_string(), "engine east-1 names location nowhere, which does not exist");
        let mut older = good.clone();
        older.stamp.generation -= 1;
        assert_eq!(router.apply(&older).expect_err("older").to_string(), "is 1.4, older than 1.5, which is in force");
        let mut other = good.clone();
        other.device = "router-2".parse().expect("name");
        assert!(matches!(router.apply(&other), Err(Rejection::Device { .. })));
        assert_eq!(router.stamp(), Some(good.stamp));
        router.apply(&good).expect("the same again");
    }

    #[test]
    fn a_router_handed_over_reports_its_drain() {
        let (router, _dir) = sample::router();
        let mut configuration = sample::configuration();
        for (is_offloaded, expected) in [(false, None), (true, Some(4)), (true, Some(4)), (false, None)] {
            configuration.stamp.generation += 1;
            configuration.routers = vec![sample::this_router(is_offloaded)];
            router.apply(&configuration).expect("valid");
            assert_eq!(router.drain(4).map(|drain| drain.active_requests), expected);
        }
    }

    #[test]
    fn explain_reads_both_forms_of_url() {
        let (router, _dir) = sample::router();
        router.apply(&sample::configuration()).expect("valid");
        let client = "127.0.0.9".parse().expect("address");
        let nobody = |url| router.explain(client, url).expect("a decision").answer;
        for url in ["http://demo.weir.test/a/b.ts?x=1", "/demo.weir.test/a/b.ts", "http://127.0.7.9:8080/demo.weir.test/a"] {
            assert!(matches!(nobody(url), Answer::Refused { reason: RefusalReason::NoLiveEngine, .. }), "{url}");
        }
        for url in ["https://demo.weir.test/a", "demo.weir.test/a", "http://", ""] {
            assert_eq!(router.explain(client, url), Err(ExplainError::Url(url.to_owned())), "{url}");
        }
    }
}
