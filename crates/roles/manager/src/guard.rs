//! What the capacity guard judges from: who serves, by the reports, and what locations send at most.

use crate::{
    app::App,
    change::Refusal,
    device_view::status_of,
    drains::judge_from_ms,
    series,
    snapshot::{DeviceRecord, Snapshot},
};
use std::collections::{BTreeMap, BTreeSet};
use weir_model::{DeviceName, DeviceStatus, LocationName, Role, ServiceName};
use weir_operator_api::{Problem, Reason};
use weir_rollout::{
    Broken, Verdict,
    guard::{self, Draining, EngineFacts, Out, RouterFacts, Standing},
};

/// Whether the manager has listened for too short a time to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Early {
    /// It has: what it has not heard may be well.
    Yes,
    /// It knows what it needs.
    No,
}

/// What was observed at one moment. The network is given when it is judged: a change is judged against the one it changes.
#[derive(Debug)]
pub(crate) struct Facts {
    early: Early,
    standings: BTreeMap<DeviceName, Standing>,
    /// Active devices that have yet to run the configuration that activated them: no viewer can be on one.
    untried: BTreeSet<DeviceName>,
    /// Viewer sessions left on engines that leave service and have not left yet.
    draining: BTreeMap<DeviceName, u32>,
    egress_mbps_peak: BTreeMap<LocationName, f64>,
}

/// What a change that takes a device from viewers is judged by.
#[derive(Debug)]
pub(crate) struct Departure {
    facts: Facts,
    /// The operator says: although it breaks a floor.
    overrides: bool,
}

impl Departure {
    /// Observes what the device's leaving would mean.
    pub(crate) async fn gather(app: &App, name: &str, overrides: bool) -> Result<Self, Problem> {
        Ok(Self { facts: Facts::about(app, name).await?, overrides })
    }

    /// Observes what the leaving of any of these devices would mean.
    pub(crate) async fn gather_all(app: &App, names: &[&str]) -> Result<Self, Problem> {
        let network = app.network();
        let sites = names.iter().filter_map(|name| network.devices.get(*name)?.location.clone());
        Ok(Self { facts: Facts::gather(app, &network, &sites.collect()).await?, overrides: false })
    }

    /// Refuses when the device's leaving its place breaks a floor and nobody overrides; says what was overridden. No viewer
    /// misses a device where there are no delivery services, when Server Offload has taken it out before, when it carries
    /// nothing, and while it has yet to run its activation.
    pub(crate) fn judge(&self, network: &Snapshot, device: &DeviceRecord) -> Result<Option<String>, Problem> {
        let serves = match device.role {
            Role::Manager => false,
            Role::Router => device.active,
            Role::Engine => device.active && carries(device),
        };
        let left = network.outside.contains_key(&device.name) || self.facts.untried.contains(&device.name);
        if !serves || left || network.services.is_empty() {
            return Ok(None);
        }
        match self.facts.may_leave(network, device) {
            Ok(()) => Ok(None),
            Err(problem) if self.overrides => Ok(Some(problem.detail)),
            Err(problem) if problem.reason == Reason::OffloadGuard => {
                Err(problem.next_step("bring another device into service first, or repeat it with `--override`"))
            }
            Err(problem) => Err(problem),
        }
    }
}

/// Whether routers and engines may choose this engine when it is active.
pub(crate) fn carries(engine: &DeviceRecord) -> bool {
    engine.weight > 0 && engine.addresses.http.is_some()
}

impl Facts {
    /// Observes the network, and what the device's location sent.
    pub(crate) async fn about(app: &App, name: &str) -> Result<Self, Problem> {
        let network = app.network();
        let site = network.devices.get(name).and_then(|d| d.location.clone());
        Self::gather(app, &network, &site.into_iter().collect()).await
    }

    /// Observes the network now, and what these locations sent.
    pub(crate) async fn gather(app: &App, network: &Snapshot, sites: &BTreeSet<LocationName>) -> Result<Self, Problem> {
        let mut egress_mbps_peak = BTreeMap::new();
        for site in sites {
            let at = |d: &&DeviceRecord| d.location.as_ref() == Some(site);
            let engines = network.active(Role::Engine).filter(at).map(|d| d.name.clone()).collect();
            let peak = series::egress_peak(app, engines).await.map_err(|error| Refusal::Database(error).into_problem())?;
            egress_mbps_peak.extend(peak.map(|peak| (site.clone(), peak)));
        }
        let now_ms = weir_clock::monotonic_ms();
        let early = if now_ms < judge_from_ms(app.started_ms, network.profile.report_ms) { Early::Yes } else { Early::No };
        let mut standings = BTreeMap::new();
        let mut untried = BTreeSet::new();
        app.reports.with_all(|heard| {
            for device in network.active(Role::Engine).chain(network.active(Role::Router)) {
                let heard = heard.get(&device.name);
                let known = heard.is_some_and(|heard| heard.at_ms != 0);
                standings.insert(device.name.clone(), standing(status_of(app, network, device, heard, now_ms), known));
                if heard.map_or(early == Early::No, |heard| heard.report.hello.stamp.generation < device.activated_generation) {
                    untried.insert(device.name.clone());
                }
            }
        });
        // A dead engine's return would help nobody.
        let serves = |name: &&DeviceName| standings.get(*name) == Some(&Standing::Serving);
        let left = |name: &DeviceName| Some((name.clone(), app.drains.sessions_left(name)?));
        let draining = network.outside.keys().filter(serves).filter_map(left).collect();
        Ok(Self { early, standings, untried, draining, egress_mbps_peak })
    }

    pub(crate) fn early(&self) -> Early {
        self.early
    }

    /// As the rules take them.
    pub(crate) fn of(&self, network: &Snapshot) -> guard::Facts {
        let engine = |d: &DeviceRecord| {
            let draining = network.outside.get(&d.name).and_then(|outside| {
                let sessions = *self.draining.get(&d.name)?;
                Some(Draining { sessions, overridden: outside.overrides() })
            });
            let facts = EngineFacts {
                location: d.location.clone()?,
                services: services_of(network, &d.name),
                standing: self.standing(network, d),
                capacity_mbps: d.capacity_mbps,
                draining,
            };
            Some((d.name.clone(), facts))
        };
        let router =
            |d: &DeviceRecord| Some((d.name.clone(), RouterFacts { location: d.location.clone()?, standing: self.standing(network, d) }));
        guard::Facts {
            engines: network.active(Role::Engine).filter(|d| carries(d)).filter_map(engine).collect(),
            routers: network.active(Role::Router).filter_map(router).collect(),
            egress_mbps_peak: self.egress_mbps_peak.clone(),
        }
    }

    fn standing(&self, network: &Snapshot, device: &DeviceRecord) -> Standing {
        if network.outside.contains_key(&device.name) {
            return Standing::Out(Out::Offloaded);
        }
        self.standings.get(&device.name).copied().unwrap_or(Standing::Out(Out::Unknown))
    }

    /// What taking this device out would break.
    pub(crate) fn admit(&self, network: &Snapshot, device: &DeviceName) -> Verdict {
        guard::admit(&self.of(network), device)
    }

    /// Refuses to take the device out when that breaks a floor, and before the floors can be judged.
    pub(crate) fn may_leave(&self, network: &Snapshot, device: &DeviceRecord) -> Result<(), Problem> {
        if self.early == Early::Yes {
            let detail = "the manager has not yet heard devices for two report periods, so it cannot judge the floors";
            return Err(Problem::new(Reason::TooEarly, detail));
        }
        let breaks = self.admit(network, &device.name).breaks;
        if breaks.is_empty() {
            return Ok(());
        }
        let sentences: Vec<String> = breaks.iter().map(Broken::to_string).collect();
        Err(Problem::new(Reason::OffloadGuard, sentences.join("; ")))
    }
}

/// What a status says of service, apart from Server Offload; `heard` by this manager, that is. A status alone does not tell:
/// right after a start a device that is silent is not offline yet.
fn standing(status: DeviceStatus, heard: bool) -> Standing {
    match status {
        DeviceStatus::Offline => Standing::Out(Out::Offline),
        DeviceStatus::Online | DeviceStatus::Offloading | DeviceStatus::Offloaded if heard => Standing::Serving,
        _ => Standing::Out(Out::Unknown),
    }
}

/// Delivery services an engine carries.
fn services_of(network: &Snapshot, engine: &DeviceName) -> BTreeSet<ServiceName> {
    let carried = |s: &&weir_operator_api::DeliveryService| s.engines.as_ref().is_none_or(|named| named.contains(engine));
    network.services.iter().filter(carried).map(|s| s.name.clone()).collect()
}
