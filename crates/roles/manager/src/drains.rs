//! The drains under way: what the manager remembers of each offloaded device between rounds.
//!
//! Leases and epochs are configuration; whether a device is drained follows from reports. A round looks at the last
//! reports, notes who has acknowledged an epoch and since when the device is idle, and lets [`weir_rollout::drain`] judge.
//! Nothing here is written down: after a restart the reports tell it all again, and [`weir_rollout::drain`] waits for them.
//!
//! Locks are taken in one order: reports first, then drains.

mod alarms;
mod round;
mod sight;

pub(crate) use round::round;
pub(crate) use sight::judge_from_ms;

use crate::{
    app::App,
    reports::Heard,
    snapshot::{DeviceRecord, Outside, Snapshot},
    status::DrainStage,
};
use sight::Sight;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_device_api::Drain;
use weir_model::{DeviceName, LocationName, OffloadEpoch, Role};
use weir_operator_api::offload::{DrainProgress, DrainWait, Stray};
use weir_rollout::{
    DrainMemory, DrainVerdict, Wait,
    drain::{judge, judge_router},
};

/// Drains are judged on the monotonic clock moved ahead by this, 34 years in milliseconds: an offload may have begun long
/// before this process.
const BASE_MS: u64 = 1 << 40;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    watched: BTreeMap<DeviceName, Watch>,
    /// Locations in which a fault broke a floor of their engines while one of these was out, each with it and the figures.
    broken: BTreeMap<LocationName, GuardAlarm>,
    /// Whether alarms from before this manager started were looked at.
    taken_over: bool,
}

/// One offload of one device. Times are monotonic milliseconds, [`BASE_MS`] ahead.
#[derive(Debug)]
struct Watch {
    /// Which offload: the generation it began with.
    clients_generation: u64,
    since_ms: u64,
    /// Who has acknowledged an epoch, and when this manager learnt it.
    clients: BTreeMap<DeviceName, u64>,
    peers: BTreeMap<DeviceName, u64>,
    memory: DrainMemory,
    verdict: Option<DrainVerdict>,
    strays: Vec<Stray>,
    /// It was drained, and has said nothing since of work on it.
    parked: bool,
    /// Since when it has been neither drained nor parked: what its hard limit counts from.
    busy_since_ms: u64,
    overdue: bool,
}

/// Why UPGRADE_GUARD stands for a location.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GuardAlarm {
    engine: DeviceName,
    text: String,
}

impl Watch {
    fn new(sight: &Sight<'_>, outside: &Outside, heard: Option<&Heard>) -> Self {
        let since_ms = sight.since_ms(outside);
        let parked = heard.is_some_and(|heard| heard.at_ms == 0 && was_drained(heard, outside, sight));
        Self {
            clients_generation: outside.clients_generation,
            since_ms,
            clients: BTreeMap::new(),
            peers: BTreeMap::new(),
            memory: DrainMemory::default(),
            verdict: None,
            strays: Vec::new(),
            parked,
            busy_since_ms: if parked { sight.now_ms } else { since_ms },
            overdue: false,
        }
    }

    fn judge(&mut self, sight: &Sight<'_>, record: &DeviceRecord, outside: &Outside) {
        let heard = sight.heard.get(&record.name);
        sight.note_acknowledgements(record, outside, &mut self.clients, &mut self.peers);
        let view = sight.drain_view(record, outside, self);
        let verdict = match record.role {
            Role::Router => judge_router(&view, sight.now_ms),
            Role::Manager | Role::Engine => judge(&view, sight.now_ms),
        };
        self.memory.observe(&verdict);
        if verdict.drained {
            self.parked = true;
        } else if heard.is_some_and(|heard| sight.is_fresh(heard) && shows_work(heard, &verdict)) {
            self.parked = false;
        }
        if self.parked {
            self.busy_since_ms = sight.now_ms;
        }
        self.overdue = sight.now_ms.saturating_sub(self.busy_since_ms) >= sight.network.profile.drain_hard_ms;
        let newest = heard.and_then(|heard| heard.report.drain.as_ref()).map_or(&[][..], |drain| &drain.newest);
        let stray = |number: &usize| newest.get(*number).map(stray);
        self.strays = verdict.strays.iter().filter_map(stray).collect();
        self.verdict = Some(verdict);
    }
}

/// Whether a report says that something runs on the device which its drain waits for. One started anew shows none, whatever
/// else is not known of it yet.
fn shows_work(heard: &Heard, verdict: &DrainVerdict) -> bool {
    let load = &heard.report.load;
    match heard.report.drain {
        Some(_) => verdict.waits.iter().any(Wait::is_work),
        // It does not know that it is out.
        None => load.sessions > 0 || load.active_requests > 0,
    }
}

/// Whether the last report, kept from before this manager started, said that nothing ran on the device.
fn was_drained(heard: &Heard, outside: &Outside, sight: &Sight<'_>) -> bool {
    let nothing = |drain: &Drain| drain.active_requests == 0 && drain.sessions == 0 && drain.fills_for_others == 0;
    let last_epoch = heard.report.hello.role == Role::Router || outside.epoch() == OffloadEpoch::Peers;
    last_epoch && heard.report.hello.stamp >= sight.stamp(outside.clients_generation) && heard.report.drain.as_ref().is_some_and(nothing)
}

fn stray(session: &weir_device_api::DrainSession) -> Stray {
    Stray { client: session.client.to_string(), domain: session.domain.clone(), age_ms: session.age_ms, idle_ms: session.idle_ms }
}

impl Drains {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far an offloaded device has come.
    pub(crate) fn stage(&self, device: &DeviceName) -> DrainStage {
        let drained = |watch: &Watch| watch.verdict.as_ref().is_some_and(|v| v.drained);
        if self.lock().watched.get(device).is_some_and(drained) { DrainStage::Drained } else { DrainStage::Draining }
    }

    /// Whether the device is offloaded and nothing ran on it when it was last heard.
    pub(crate) fn parked(&self, device: &DeviceName) -> bool {
        self.lock().watched.get(device).is_some_and(|watch| watch.parked)
    }

    /// Viewer sessions left on a device that leaves service and has not left yet.
    pub(crate) fn sessions_left(&self, device: &DeviceName) -> Option<u32> {
        let inner = self.lock();
        let watch = inner.watched.get(device)?;
        (!watch.parked).then(|| watch.verdict.as_ref().map_or(0, |v| v.sessions))
    }

    /// Looks at every offloaded device. Returns those whose `peers` epoch may be written, with the generation their offload
    /// began with.
    pub(crate) fn look(&self, app: &App, network: &Snapshot) -> Vec<(DeviceName, u64)> {
        app.reports.with_all(|heard| {
            let sight = Sight::now(app, network, heard);
            let mut inner = self.lock();
            inner.watched.retain(|name, _| network.outside.contains_key(name));
            let mut ready = Vec::new();
            for (name, outside) in &network.outside {
                let Some(record) = network.devices.get(name) else { continue };
                let watch = inner.watch(&sight, name, outside);
                watch.judge(&sight, record, outside);
                if watch.verdict.as_ref().is_some_and(|v| v.next_epoch) {
                    ready.push((name.clone(), outside.clients_generation));
                }
            }
            ready
        })
    }

    /// How the drain of a device stands that is offloaded in `network`.
    pub(crate) fn progress(&self, app: &App, network: &Snapshot, record: &DeviceRecord, outside: &Outside) -> DrainProgress {
        app.reports.with_all(|heard| {
            let sight = Sight::now(app, network, heard);
            let mut inner = self.lock();
            let watch = inner.watch(&sight, &record.name, outside);
            if watch.verdict.is_none() {
                watch.judge(&sight, record, outside);
            }
            let verdict = watch.verdict.as_ref().expect("it was judged just now, if not before");
            let profile = &network.profile;
            DrainProgress {
                epoch: outside.epoch(),
                since_ms: outside.since_ms,
                drained: verdict.drained,
                overdue: watch.overdue,
                sessions: verdict.sessions,
                active_requests: verdict.active_requests,
                fills_for_others: verdict.fills_for_others,
                strays: watch.strays.clone(),
                waiting_for: verdict.waits.iter().map(wait).collect(),
                soft_limit_ms: outside.since_ms.saturating_add(profile.drain_soft_ms),
                hard_limit_ms: outside.since_ms.saturating_add(profile.drain_hard_ms),
            }
        })
    }
}

fn wait(wait: &Wait) -> DrainWait {
    DrainWait { kind: wait.as_str().to_owned(), text: wait.to_string(), devices: wait.devices().cloned().collect() }
}

impl Inner {
    fn watch(&mut self, sight: &Sight<'_>, name: &DeviceName, outside: &Outside) -> &mut Watch {
        let new = || Watch::new(sight, outside, sight.heard.get(name));
        let watch = self.watched.entry(name.clone()).or_insert_with(new);
        if watch.clients_generation != outside.clients_generation {
            *watch = new();
        }
        watch
    }

    /// Locations the guard has a say in: where an engine is out, and where its alarm stands.
    fn sites(&self, network: &Snapshot) -> BTreeSet<LocationName> {
        let engines = network.outside.keys().filter_map(|name| network.devices.get(name)).filter(|d| d.role == Role::Engine);
        engines.filter_map(|d| d.location.clone()).chain(self.broken.keys().cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
