//! The round over all devices' updates: outcomes kept, the rollout's leases taken and ended, keepers started anew, polls woken.
//!
//! It reconciles: what is due follows from the last reports and what is kept, so a round that was missed, or cut off, costs
//! nothing but time. A report that says something new asks for one at once.

use super::{
    advice::{WaitReason, Waiting},
    keeper::{self, Around, KeeperStep},
    lease::{self, LeaseStep, LeaseView},
    mirror::Found,
    quarantine,
    record::{Image, Kept, Outcome},
    seen::Seen,
    word::word,
};
use crate::{
    app::App,
    change::Caller,
    device_view::status_of,
    domain::{
        offload::{self, Taken},
        updates::{self as rules, Note},
    },
    guard::Facts,
    reports::Heard,
    snapshot::{DeviceRecord, Snapshot},
    status::DrainStage,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use weir_model::{DeviceName, DeviceStatus, LeaseOwner, Lineage, Role, SoftwareState};
use weir_operator_api::{Problem, Reason};
use weir_rollout::update::UpdateReason;

/// Time between rounds that nobody asked for.
const PERIOD: Duration = Duration::from_millis(500);
/// Time between rounds that reports ask for: a large network reports all the time.
const PAUSE: Duration = Duration::from_millis(20);
/// Why an engine is out of service for its keeper.
const KEEPER_WHY: &str = "keeper update";

/// Makes rounds until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let mut pauses = interval(PAUSE);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopping.borrow() {
        pauses.tick().await;
        round(&app).await;
        tokio::select! {
            _ = ticks.tick() => {}
            () = app.updates.nudged() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
    }
}

/// Looks at every device and does what is due. What is refused, say by a full disk, is due again in the next round.
async fn round(app: &Arc<App>) {
    let network = app.network();
    let due = look(app, &network);
    if let Err(problem) = act(app, &network, &due).await {
        tracing::error!(%problem, "a change of an update was not made");
    }
    let before = app.updates.under_way();
    let mut found = due.found;
    match granted(app, &network, due.take).await {
        Ok(waits) => found.waits.extend(waits),
        Err(problem) => tracing::error!(%problem, "an offload for an update was not made"),
    }
    let touched: BTreeSet<DeviceName> = before.iter().chain(&found.open).chain(&found.restart).chain(&due.told).cloned().collect();
    let manifests = due.manifests;
    app.updates.find(found, weir_clock::monotonic_ms(), |device| manifests.get(device).cloned().unwrap_or_default());
    wake(app, &touched);
}

/// Wakes the polls of devices whose word is another one now.
fn wake(app: &App, touched: &BTreeSet<DeviceName>) {
    let network = app.network();
    for record in touched.iter().filter_map(|name| network.devices.get(name)) {
        if app.updates.is_news(&record.name, word(app, &network, record).revision) {
            app.asks.wake(&record.name);
        }
    }
}

/// What a look found to be due.
#[derive(Debug, Default)]
struct Due {
    notes: Vec<Note>,
    take: Vec<Taken>,
    renew: Vec<DeviceName>,
    end: Vec<(DeviceName, LeaseOwner, &'static str)>,
    to_fault: Vec<(DeviceName, UpdateReason)>,
    /// Devices that are quarantined, and why.
    quarantine: Vec<(DeviceName, String)>,
    found: Found,
    /// Devices whose word may be new although nothing is under way.
    told: BTreeSet<DeviceName>,
    /// The slots whose keepers may start anew.
    manifests: BTreeMap<DeviceName, String>,
}

fn look(app: &App, network: &Snapshot) -> Due {
    let kept = app.updates.kept();
    let (now_ms, lineage) = (weir_clock::monotonic_ms(), app.software.lineage());
    let mut due = Due { told: kept.unburned.keys().chain(kept.orders.keys()).cloned().collect(), ..Due::default() };
    // A word of an assignment that is over changes only with what is kept; those under way are looked at anyway.
    due.told.retain(|name| kept.unburned.contains_key(name) || kept.orders.get(name).is_some_and(|order| order.ended.is_none()));
    app.reports.with_all(|heard| {
        let view = View { app, network, heard, kept: &kept, lineage, now_ms };
        for record in network.devices.values().filter(|record| record.role != Role::Manager) {
            view.look_at(record, &mut due);
        }
    });
    due
}

struct View<'a> {
    app: &'a App,
    network: &'a Snapshot,
    heard: &'a BTreeMap<DeviceName, Heard>,
    kept: &'a Kept,
    lineage: Lineage,
    now_ms: u64,
}

impl View<'_> {
    fn look_at(&self, record: &DeviceRecord, due: &mut Due) {
        let name = &record.name;
        let seen = Seen { record, order: self.kept.orders.get(name), heard: self.heard.get(name) };
        let leases = self.network.outside.get(name).map_or(&[][..], |outside| &outside.leases);
        let away = quarantine::why(&seen, &self.lineage);
        if seen.order.is_none() && seen.report().is_none() && leases.is_empty() && away.is_none() {
            return;
        }
        due.notes.extend(self.note(&seen));
        if seen.is_open() {
            due.found.open.insert(name.clone());
        }
        let keeper = self.keeper(&seen, due);
        let rollout = leases.iter().find(|lease| lease.owner == LeaseOwner::Rollout);
        let profile = &self.network.profile;
        let view = LeaseView {
            active: record.active,
            heard: seen.is_heard(),
            fresh: seen.is_heard() && seen.silent_ms(self.app.started_ms, self.now_ms) <= profile.report_patience_ms(),
            wish: seen.report().map(|report| report.lease),
            stage: seen.stage(),
            needs_hands: seen.needs_hands(),
            cancelled: seen.order.is_some_and(|order| order.cancelled),
            keeper,
            rollout,
            fault: leases.iter().any(|lease| lease.owner == LeaseOwner::Fault),
            quarantined: away.is_some(),
            now_ms: weir_clock::wall_ms(),
            lease_ms: profile.update.lease_ms,
        };
        match lease::due(&view) {
            LeaseStep::Nothing => {}
            LeaseStep::Renew => due.renew.push(name.clone()),
            LeaseStep::End => due.end.push((name.clone(), LeaseOwner::Rollout, "the update wants it no longer")),
            LeaseStep::EndFault => due.end.push((name.clone(), LeaseOwner::Fault, "the fault is over")),
            LeaseStep::Quarantine => due.quarantine.extend(away.map(|why| (name.clone(), why))),
            LeaseStep::ToFault(reason) => due.to_fault.push((name.clone(), reason)),
            LeaseStep::Take => due.take.push(Taken {
                device: name.clone(),
                why: match seen.order.filter(|_| !keeper) {
                    Some(order) => format!("update to {}", order.version),
                    None => KEEPER_WHY.to_owned(),
                },
                life_ms: profile.update.lease_ms,
                overrides: !keeper && seen.order.is_some_and(|order| order.overrides),
            }),
        }
    }

    /// What the device's report tells that is not kept yet.
    fn note(&self, seen: &Seen<'_>) -> Option<Note> {
        let (report, device) = (seen.report().filter(|_| seen.is_heard())?, seen.record.name.clone());
        let running = Image { manifest: report.slots.manifest.clone(), version: seen.heard?.report.hello.version.clone() };
        let before = seen.order.and_then(|order| order.ended).map(|ended| ended.outcome);
        let outcome = seen.outcome().filter(|outcome| before != Some(*outcome)).zip(seen.order);
        let image = match (outcome, self.kept.images.get(&device)) {
            (Some((Outcome::Successful, order)), _) => Some(Image { manifest: order.manifest.clone(), version: order.version.to_string() }),
            // In probation it went back from what it had become.
            (Some((Outcome::Failed(_), _)), _) if before == Some(Outcome::Successful) => Some(running),
            (None, None) if !seen.is_open() => Some(running),
            (None, Some(image)) if self.took_its_place(image, &running) && !seen.is_open() => Some(running),
            _ => None,
        };
        let image = image.filter(|image| !image.manifest.is_empty());
        let unburned = self.kept.unburned.get(&device).and_then(|cleared| {
            let left: BTreeSet<String> = cleared.iter().filter(|digest| report.state.burned.contains(digest)).cloned().collect();
            (left != *cleared).then_some(left)
        });
        let outcome = outcome.map(|(outcome, order)| (order.number, outcome));
        (outcome.is_some() || image.is_some() || unburned.is_some()).then_some(Note { device, outcome, image, unburned })
    }

    /// Whether another build of the same version, which this manager holds as ready, has taken the place of the one before: so a
    /// development build is replaced.
    fn took_its_place(&self, image: &Image, running: &Image) -> bool {
        image.version == running.version
            && image.manifest != running.manifest
            && self.app.software.records().iter().filter(|record| record.state() == SoftwareState::Ready).any(|record| {
                record.release.as_ref().is_some_and(|r| r.manifest_sha256 == running.manifest && r.version.to_string() == running.version)
            })
    }

    /// Whether the rollout holds the device for its keeper.
    fn keeper(&self, seen: &Seen<'_>, due: &mut Due) -> bool {
        let name = &seen.record.name;
        let Some(report) = seen.report() else { return false };
        let manifest = &report.slots.manifest;
        self.app.updates.keeper_settled(name, keeper::wants_restart(seen).then_some(manifest.as_str()));
        if !keeper::wants_restart(seen) {
            return false;
        }
        let rollout = self.network.outside.get(name).is_some_and(|o| o.leases.iter().any(|lease| lease.owner == LeaseOwner::Rollout));
        let around = Around {
            out: rollout && self.app.drains.stage(name) == DrainStage::Drained,
            partner: self.has_partner(seen.record),
            gave_up: self.app.updates.gave_up(name, manifest, self.now_ms),
        };
        match keeper::due(seen, around) {
            KeeperStep::Nothing => false,
            KeeperStep::Leave => true,
            KeeperStep::Restart => {
                due.found.restart.insert(name.clone());
                due.manifests.insert(name.clone(), manifest.clone());
                seen.record.role == Role::Engine && seen.record.active
            }
            KeeperStep::Wait(waiting) => {
                due.found.waits.insert(name.clone(), waiting);
                false
            }
        }
    }

    /// Whether another router is online, and none is being started anew, nor is to be before this one.
    fn has_partner(&self, record: &DeviceRecord) -> bool {
        let others = || self.network.active(Role::Router).filter(|other| other.name != record.name);
        let seen = |d| Seen { record: d, order: self.kept.orders.get(&d.name), heard: self.heard.get(&d.name) };
        let online = |d: &&DeviceRecord| status_of(self.app, self.network, d, self.heard.get(&d.name), self.now_ms) == DeviceStatus::Online;
        let gave_up =
            |s: &Seen<'_>| s.report().is_some_and(|report| self.app.updates.gave_up(&s.record.name, &report.slots.manifest, self.now_ms));
        let tried = |name: &DeviceName| self.app.updates.is_tried(name, self.now_ms);
        // Whoever was told first comes back first; among those that were not told, names say who is next.
        let before = |d: &DeviceRecord| d.name < record.name && !tried(&record.name);
        let first = others().filter(|d| before(d)).map(seen).any(|s| keeper::wants_restart(&s) && !gave_up(&s));
        !first && !others().any(|d| tried(&d.name)) && others().any(|d| online(&d))
    }
}

async fn act(app: &Arc<App>, network: &Snapshot, due: &Due) -> Result<(), Problem> {
    if !due.notes.is_empty() {
        let notes = due.notes.clone();
        app.change(Caller::manager(), move |change| rules::note(change, &notes)).await?;
    }
    if !due.renew.is_empty() {
        let (names, life_ms) = (due.renew.clone(), network.profile.update.lease_ms);
        app.change(Caller::manager(), move |change| offload::renew_rollout(change, &names, life_ms)).await?;
    }
    for (name, owner, why) in due.end.clone() {
        app.change(Caller::manager(), move |change| offload::end_of(change, &name, owner, why)).await?;
    }
    for (name, why) in due.quarantine.clone() {
        app.change(Caller::manager(), move |change| offload::take_fault(change, &name, &why)).await?;
    }
    for (name, reason) in due.to_fault.clone() {
        let why = format!("its update failed ({reason}) and the version before does not run");
        app.change(Caller::manager(), move |change| offload::pass_to_fault(change, &name, &why)).await?;
    }
    Ok(())
}

/// Takes the leases that are asked for. Returns what those wait for that are not granted.
async fn granted(app: &Arc<App>, network: &Snapshot, asked: Vec<Taken>) -> Result<BTreeMap<DeviceName, Waiting>, Problem> {
    let mut waits = BTreeMap::new();
    if asked.is_empty() {
        return Ok(waits);
    }
    let places = asked.iter().filter_map(|taken| network.devices.get(&taken.device)?.location.clone()).collect();
    let facts = Arc::new(Facts::gather(app, network, &places).await?);
    for taken in asked {
        let (name, judged) = (taken.device.clone(), Arc::clone(&facts));
        // Looked at first: what is refused anyway need not wait for the database.
        let outcome = match app.network().devices.get(&name).map(|record| refusal(&facts, &app.network(), record, &taken)) {
            Some(Some(problem)) => Err(problem),
            _ => app.change(Caller::manager(), move |change| offload::take_rollout(change, &taken, &judged)).await,
        };
        match outcome {
            Ok(()) => {}
            Err(problem) => match wait_of(&problem) {
                Some(reason) => drop(waits.insert(name, Waiting::new(reason, problem.detail))),
                None => return Err(problem),
            },
        }
    }
    Ok(waits)
}

fn refusal(facts: &Facts, network: &Snapshot, record: &DeviceRecord, taken: &Taken) -> Option<Problem> {
    let stays = !taken.overrides && !network.outside.contains_key(&record.name);
    stays.then(|| facts.may_leave(network, record).err()).flatten()
}

fn wait_of(problem: &Problem) -> Option<WaitReason> {
    match problem.reason {
        Reason::OffloadGuard => Some(WaitReason::Guard),
        Reason::TooEarly => Some(WaitReason::TooEarly),
        _ => None,
    }
}
