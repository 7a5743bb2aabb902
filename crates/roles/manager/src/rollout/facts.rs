//! What the planner knows of the network: from reports, configuration, software files and the pair, at one moment.

use super::{comparison, level, managers};
use crate::{
    app::App,
    guard::{Early, Facts as Guarded},
    reports::Heard,
    snapshot::{DeviceRecord, Snapshot},
    updates::{record::Kept as Orders, seen::Seen},
};
use std::collections::{BTreeMap, BTreeSet};
use weir_model::{DeviceName, LeaseOwner, LocationName, Role, SoftwareState, Stamp, Version};
use weir_operator_api::{Location, Problem};
use weir_rollout::{
    guard,
    plan::{Contact, DeviceFacts, Facts, PairFacts, Plan, SiteFacts, SiteKind},
    update::Stage,
};

/// How long what locations sent at most is taken as it was read, in milliseconds: the guard reads it anew before each offload.
const PEAKS_MS: u64 = 60_000;

/// What each location sent at most, as it was last read.
#[derive(Debug, Default)]
pub(super) struct Peaks {
    read_ms: Option<u64>,
    mbps: BTreeMap<LocationName, f64>,
}

/// Gathers them. Devices have the positions of `plan`, where there is one; else they are by name.
pub(super) async fn gather(app: &App, network: &Snapshot, plan: Option<&Plan>) -> Result<Facts, Problem> {
    let guarded = Guarded::gather(app, network, &BTreeSet::new()).await?;
    let floors = guard::Facts { egress_mbps_peak: peaks(app, network).await?, ..guarded.of(network) };
    let orders = app.updates.kept();
    let places: BTreeMap<&LocationName, u32> = network.locations.keys().zip(0..).collect();
    let devices = app.reports.with_all(|heard| {
        let view = View { app, network, orders: &orders, places: &places, now_ms: weir_clock::monotonic_ms() };
        let records = network.active(Role::Engine).chain(network.active(Role::Router));
        let facts = |record: &DeviceRecord| Some((record.name.clone(), view.device(record, heard.get(&record.name))?));
        records.filter_map(facts).collect::<BTreeMap<DeviceName, DeviceFacts>>()
    });
    let devices = match plan {
        Some(plan) => plan.align(devices),
        None => devices.into_values().collect(),
    };
    Ok(Facts {
        level: level::facts(app, network, &devices),
        comparison: plan.and_then(|plan| comparison::compare(app, plan, &devices, &floors)),
        pair: PairFacts { stamp: issued(app, network, &orders, &devices), ..managers::pair(app, plan).await },
        devices,
        sites: sites(network, &floors),
        routers: guard::Facts { engines: BTreeMap::new(), ..floors },
        images: images(app),
        lineage: app.software.lineage(),
        backup: managers::backups(app, plan).await?,
        settling: guarded.early() == Early::Yes,
    })
}

/// What each location sent at most, read anew when it is old.
async fn peaks(app: &App, network: &Snapshot) -> Result<BTreeMap<LocationName, f64>, Problem> {
    let now_ms = weir_clock::monotonic_ms();
    let mut peaks = app.rollouts.peaks.lock().await;
    if peaks.read_ms.is_none_or(|read_ms| now_ms.saturating_sub(read_ms) >= PEAKS_MS) {
        let places = network.locations.keys().cloned().collect();
        peaks.mbps = Guarded::gather(app, network, &places).await?.of(network).egress_mbps_peak;
        peaks.read_ms = Some(now_ms);
    }
    Ok(peaks.mbps.clone())
}

/// Every location, by name, with its engines.
fn sites(network: &Snapshot, floors: &guard::Facts) -> Vec<SiteFacts> {
    let above: BTreeSet<&LocationName> = network.locations.values().filter_map(|location| location.parent.as_ref()).collect();
    let mut guards: BTreeMap<&LocationName, guard::Facts> = BTreeMap::new();
    for (name, engine) in &floors.engines {
        guards.entry(&engine.location).or_default().engines.insert(name.clone(), engine.clone());
    }
    for (name, peak) in &floors.egress_mbps_peak {
        guards.entry(name).or_default().egress_mbps_peak.insert(name.clone(), *peak);
    }
    let site = |(name, location): (&LocationName, &Location)| {
        let kind = match (&location.parent, above.contains(name)) {
            (None, _) => SiteKind::Root,
            (Some(_), true) => SiteKind::Inner,
            (Some(_), false) => SiteKind::Leaf,
        };
        SiteFacts { name: name.clone(), kind, guard: guards.remove(name).unwrap_or_default() }
    };
    network.locations.iter().map(site).collect()
}

struct View<'a> {
    app: &'a App,
    network: &'a Snapshot,
    orders: &'a Orders,
    places: &'a BTreeMap<&'a LocationName, u32>,
    now_ms: u64,
}

impl View<'_> {
    /// One device; absent when it is in no location.
    fn device(&self, record: &DeviceRecord, heard: Option<&Heard>) -> Option<DeviceFacts> {
        let site = *self.places.get(record.location.as_ref()?)?;
        let seen = Seen { record, order: None, heard };
        let report = seen.report();
        let cleared = self.orders.unburned.get(&record.name);
        let burned = |digest: &&String| !cleared.is_some_and(|cleared| cleared.contains(*digest));
        let leases = self.network.outside.get(&record.name).map_or(&[][..], |outside| &outside.leases);
        let state = report.map(|report| &report.state);
        Some(DeviceFacts {
            name: record.name.clone(),
            role: record.role,
            site,
            wariness: 0,
            contact: self.contact(&seen),
            version: heard.and_then(|heard| heard.report.hello.version.parse().ok()),
            stage: state.map_or(Stage::Idle { reason: None }, |state| state.stage),
            obeyed: state.and_then(|state| Some(state.assignment.as_ref()?.stamp)),
            burned: state.map(|state| state.burned.iter().filter(burned).cloned().collect()).unwrap_or_default(),
            on_probation: state.is_some_and(|state| state.proof.on_probation && state.stage.tried()),
            leased: leases.iter().any(|lease| lease.owner == LeaseOwner::Rollout),
        })
    }

    fn contact(&self, seen: &Seen<'_>) -> Contact {
        let silent_ms = seen.silent_ms(self.app.started_ms, self.now_ms);
        match silent_ms {
            _ if silent_ms >= self.network.profile.update.lost_ms => Contact::Lost,
            _ if seen.is_heard() && silent_ms <= self.network.profile.report_patience_ms() => Contact::Reporting,
            _ => Contact::Silent,
        }
    }
}

/// The highest stamp of any word so far: managers heard theirs with the stamp of the plan of that moment.
fn issued(app: &App, network: &Snapshot, orders: &Orders, devices: &[DeviceFacts]) -> Stamp {
    let term = network.stamp.term;
    let told = orders.orders.values().filter(|order| order.term == term).map(|order| order.number);
    let taken_up = devices.iter().filter_map(|device| device.obeyed).filter(|stamp| stamp.term == term).map(|stamp| stamp.generation);
    let planned = app.rollouts.kept().map(|kept| kept.plan.stamp).filter(|stamp| stamp.term == term).map(|stamp| stamp.generation);
    Stamp { term, generation: told.chain(taken_up).chain(planned).max().unwrap_or(0) }
}

/// Images that may be installed, by version; of several files of one version the one registered last.
fn images(app: &App) -> BTreeMap<Version, String> {
    let ready = app.software.records().into_iter().filter(|record| record.state() == SoftwareState::Ready);
    ready.filter_map(|record| record.release.as_ref().map(|release| (release.version, release.manifest_sha256.clone()))).collect()
}
