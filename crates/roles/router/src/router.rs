//! The router as a value: the configuration in force, what it answers, and what it reports.

use crate::{
    dns::Zones,
    metrics::RouterMetrics,
    obedience::Handover,
    url,
    vitals::{PanicChange, Vitals},
};
use arc_swap::ArcSwapOption;
use std::{collections::HashSet, net::IpAddr, path::PathBuf, sync::Arc};
use weir_device_api::{Condition, Drain, Load};
use weir_model::{AlarmReason, DeviceConfiguration, DeviceName, Role, Stamp, configuration::KeepaliveKey};
use weir_routing::{CompileError, Decision, MassChange, Network, Reason, RouteRequest};
use weir_telemetry::Metrics;

/// Locations of a configuration that is held back of which conditions tell: a report carries few.
const MASS_CONDITIONS_MAX: usize = 8;
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
    /// It takes too many engines out of service, and nobody has confirmed that.
    #[error(transparent)]
    MassChange(#[from] MassChange),
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
    /// The configuration that was offered last and takes too much away.
    pub(crate) held_back: ArcSwapOption<MassChange>,
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
            held_back: ArcSwapOption::empty(),
        });
        let router = Self { shared };
        let gauge = router.clone();
        metrics.on_read(move || {
            gauge.shared.metrics.engines_live(gauge.engines_live());
            gauge.shared.metrics.dns.refresh();
        });
        router
    }

    /// Runs a configuration from now on. One that takes too many engines away at once is run only with somebody's word for it
    /// ([`weir_routing::removal`]), or by a router that runs none yet. So is one that takes this router itself out of service, which
    /// names no engine: the word is for the router then.
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
        let running = self.shared.running.load_full().filter(|running| !self.is_deactivated(configuration, running.network.stamp()));
        let held_back = running.and_then(|running| running.network.may_become(&network).err());
        self.shared.held_back.store(held_back.clone().map(Arc::new));
        if let Some(change) = held_back {
            return Err(change.into());
        }
        self.shared.vitals.retain(&network);
        let engine_addresses = network.engines().iter().map(|engine| engine.http.ip().to_canonical()).collect();
        let keys = configuration.keepalive_keys.clone();
        let zones = Zones::compile(&network, &self.shared.name);
        let is_offloaded = network.router(&self.shared.name).is_some_and(|router| router.offloaded);
        self.shared.running.store(Some(Arc::new(Running { network, zones, keys, engine_addresses })));
        self.shared.handover.learn(is_offloaded, weir_clock::monotonic_ms());
        Ok(())
    }

    /// Whether an operator took this router out of service since what it runs.
    fn is_deactivated(&self, configuration: &DeviceConfiguration, running: Stamp) -> bool {
        let word = configuration.confirmed.engines.get(&self.shared.name);
        configuration.location.is_none() && word.is_some_and(|word| *word > running)
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
        let mut decision = weir_routing::explain(&running.network, &self.shared.vitals.published(), &request);
        if let Some(change) = self.shared.held_back.load().as_deref() {
            decision.reasons.insert(0, Reason::MassChange { change: change.clone() });
        }
        Ok(decision)
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
        let held_back = self.shared.held_back.load();
        let removals = held_back.iter().flat_map(|change| change.removals.iter().take(MASS_CONDITIONS_MAX).map(move |one| (change, one)));
        let mass = removals.map(|(change, removal)| Condition {
            reason: AlarmReason::MassChange,
            object: removal.location.to_string(),
            text: change.about(removal),
        });
        let health = self.shared.vitals.published();
        let panic = health.panic(weir_clock::monotonic_ms()).map(|panic| Condition {
            reason: AlarmReason::RouterPanic,
            object: String::new(),
            text: format!("{} of {} engines vanished at once; this router goes on choosing among them", panic.vanished.len(), panic.of),
        });
        unsaved.into_iter().chain(mass).chain(panic).collect()
    }

    /// Looks whether over half of the engines vanished at once.
    pub(crate) fn look_for_panic(&self) {
        let running = self.shared.running.load();
        let Some(running) = running.as_ref() else { return };
        match self.shared.vitals.look_for_panic(&running.network, weir_clock::monotonic_ms()) {
            Some(PanicChange::Began { vanished, of }) => {
                tracing::error!(vanished, of, "over half of the engines vanished at once; they are still chosen among");
            }
            Some(PanicChange::Ended) => tracing::info!("the panic is over"),
            None => {}
        }
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
    fn what_takes_too_much_away_waits_for_a_word() {
        let (router, _dir) = sample::router();
        let good = sample::configuration();
        router.apply(&good).expect("the first is run whatever it takes away");
        let mut mass = good.clone();
        mass.stamp.generation += 2;
        mass.engines.iter_mut().for_each(|engine| engine.weight = 0);
        assert!(matches!(router.apply(&mass), Err(Rejection::MassChange(_))));
        assert_eq!(router.stamp(), Some(good.stamp));
        let conditions: Vec<_> = router.conditions().into_iter().map(|condition| (condition.reason, condition.object)).collect();
        assert_eq!(conditions, [(AlarmReason::MassChange, "east".to_owned())]);
        let explained = router.explain("127.0.0.9".parse().expect("address"), "/demo.weir.test/a").expect("a decision");
        assert_eq!(explained.reasons[0].reason(), "mass_change");
        assert_eq!(
            explained.reasons[0].to_string(),
            "this router keeps configuration 1.5: 1.7 takes out of service 2 of 2 engines of east (east-1, east-2), and nobody has \
             confirmed that since 1.5"
        );

        let mut one = good.clone();
        one.stamp.generation += 3;
        one.engines[0].weight = 0;
        router.apply(&one).expect("one may always go");
        assert!(router.conditions().is_empty(), "what was offered before is no matter any longer");
        mass.stamp.generation += 9;
        router.apply(&mass).expect("now it is one of one");
    }

    #[test]
    fn a_word_is_obeyed() {
        let (router, _dir) = sample::router();
        let good = sample::configuration();
        router.apply(&good).expect("valid");
        let mut mass = good.clone();
        mass.stamp.generation += 2;
        mass.engines.iter_mut().for_each(|engine| engine.weight = 0);
        router.apply(&mass).expect_err("nobody's word");
        mass.stamp.generation += 1;
        mass.confirmed.locations.insert("east".parse().expect("name"), mass.stamp);
        router.apply(&mass).expect("confirmed");
        assert!(router.conditions().is_empty());
    }

    /// What a router is sent after this when it is not in service.
    fn inactive(before: &DeviceConfiguration) -> DeviceConfiguration {
        let mut inactive = before.clone();
        inactive.stamp.generation += 1;
        inactive.location = None;
        inactive.engines.clear();
        inactive.services.clear();
        inactive
    }

    /// A damaged database, or an old one in the place of the newer, may not have this router in service either.
    #[test]
    fn a_router_is_out_of_service_by_an_operators_word_alone() {
        let (router, _dir) = sample::router();
        let good = sample::configuration();
        router.apply(&good).expect("valid");
        let mut inactive = inactive(&good);
        inactive.locations.clear();
        inactive.zones.clear();
        assert!(matches!(router.apply(&inactive), Err(Rejection::MassChange(_))), "nobody's word");
        inactive.confirmed.engines.insert("router-1".parse().expect("name"), good.stamp);
        router.apply(&inactive).expect_err("a word that it has served since");
        assert_eq!((router.stamp(), router.conditions().len()), (Some(good.stamp), 1));
        let word = inactive.stamp;
        inactive.confirmed.engines.insert("router-1".parse().expect("name"), word);
        let mut elsewhere = good.clone();
        elsewhere.stamp = inactive.stamp;
        elsewhere.engines.clear();
        elsewhere.services.clear();
        elsewhere.confirmed = inactive.confirmed.clone();
        router.apply(&elsewhere).expect_err("it serves, so the word is for nothing there");
        router.apply(&inactive).expect("meant");
        assert!(router.conditions().is_empty());
    }

    #[test]
    fn a_router_is_out_of_service_by_a_word_for_its_engines_location() {
        let (router, _dir) = sample::router();
        let good = sample::configuration();
        router.apply(&good).expect("valid");
        let mut inactive = inactive(&good);
        inactive.confirmed.locations.insert("east".parse().expect("name"), inactive.stamp);
        router.apply(&inactive).expect("the alarm's next step was taken");
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
