//! Server Offload for API and pages: its verbs, how it stands, and what it would do.

use crate::{
    app::App,
    change::Caller,
    compile,
    device_view::status_of,
    domain,
    guard::{Early, Facts},
    reports::Heard,
    snapshot::{DeviceRecord, Snapshot},
};
use std::{collections::BTreeSet, sync::Arc};
use weir_model::{DeviceConfiguration, DeviceName, DeviceStatus, Role, offload::SHARE_WHOLE};
use weir_operator_api::{
    Offload, OffloadPreview, OffloadRequest, Problem, Reason, UnoffloadRequest,
    offload::{BrokenFloor, ClientsGo, ClientsTo},
};
use weir_rollout::Verdict;
use weir_routing::{
    HealthTable, Network, ServiceSuccessors,
    health::{Beat, EngineState},
    successors,
};

/// Takes the operator's lease of a device, unless the capacity guard refuses.
pub(crate) async fn offload(app: &Arc<App>, caller: Caller, name: String, request: OffloadRequest) -> Result<Offload, Problem> {
    let facts = Facts::about(app, &name).await?;
    let record = app.change(caller, move |change| domain::offload::offload(change, &name, &request, &facts)).await?;
    Ok(view(app, &app.network(), &record))
}

/// Ends the operator's lease of a device.
pub(crate) async fn unoffload(app: &Arc<App>, caller: Caller, name: String, request: UnoffloadRequest) -> Result<Offload, Problem> {
    let record = app.change(caller, move |change| domain::offload::unoffload(change, &name, &request)).await?;
    Ok(view(app, &app.network(), &record))
}

/// What holds a device out of service, and what still runs on it.
pub(crate) fn view(app: &App, network: &Snapshot, record: &DeviceRecord) -> Offload {
    let outside = network.outside.get(&record.name);
    let drain = outside.map(|outside| app.drains.progress(app, network, record, outside));
    let heard = app.reports.get(&record.name);
    let status = status_of(app, network, record, heard.as_ref(), weir_clock::monotonic_ms());
    Offload {
        device: record.name.clone(),
        status,
        leases: outside.map(|o| o.leases.clone()).unwrap_or_default(),
        drain,
        share_permille: if outside.is_some() { 0 } else { share_permille(heard.as_ref(), status) },
    }
}

/// Share of its weight a device that no lease holds takes now, in thousandths, by its own last word.
fn share_permille(heard: Option<&Heard>, status: DeviceStatus) -> u16 {
    match heard.filter(|_| status != DeviceStatus::Offline) {
        // It has yet to learn that it is in service again.
        Some(heard) if heard.report.drain.is_some() => 0,
        heard => heard.and_then(|heard| heard.report.share_permille).unwrap_or(SHARE_WHOLE).min(SHARE_WHOLE),
    }
}

/// What an offload would do now: floors it breaks, and where clients go. For a device that is out already: where they went.
///
/// # Errors
/// Managers are never offloaded, and what is not active serves nobody.
pub(crate) async fn preview(app: &App, network: &Snapshot, record: &DeviceRecord) -> Result<OffloadPreview, Problem> {
    domain::offload::offloadable(record)?;
    let facts = Facts::gather(app, network, &record.location.iter().cloned().collect::<BTreeSet<_>>()).await?;
    let verdict = facts.admit(network, &record.name);
    let heard = app.reports.get(&record.name);
    Ok(OffloadPreview {
        device: record.name.clone(),
        breaks: verdict.breaks.iter().map(|b| BrokenFloor { floor: b.as_str().to_owned(), text: b.to_string() }).collect(),
        sessions: heard.map_or(0, |heard| heard.report.load.sessions),
        clients_go: clients_go(app, network, record).await?,
        unknown: unknown(&verdict, &facts),
    })
}

fn unknown(verdict: &Verdict, facts: &Facts) -> Vec<String> {
    let early = (facts.early() == Early::Yes).then(|| "the manager has just started and has not heard every device yet".to_owned());
    early.into_iter().chain(verdict.unknown.iter().map(ToString::to_string)).collect()
}

/// Where the clients of an engine go: as a router that hears every reporting engine would decide.
async fn clients_go(app: &App, network: &Snapshot, record: &DeviceRecord) -> Result<Vec<ClientsGo>, Problem> {
    if record.role != Role::Engine {
        return Ok(Vec::new());
    }
    let live = live_engines(app, network);
    let mut document = compile::routers_document(network);
    // Where its clients went, when it is out already.
    document.engines.iter_mut().filter(|e| e.name == record.name).for_each(|e| e.offload = None);
    let engine = record.name.clone();
    // A large network takes a moment to compile.
    let decided = tokio::task::spawn_blocking(move || decide(&document, &live, &engine)).await;
    let lost = |_| Problem::new(Reason::Internal, "deciding where clients go failed");
    Ok(decided.map_err(lost)??.into_iter().map(shown).collect())
}

fn live_engines(app: &App, network: &Snapshot) -> Vec<DeviceName> {
    let now_ms = weir_clock::monotonic_ms();
    let reports = |s: DeviceStatus| matches!(s, DeviceStatus::Online | DeviceStatus::Offloading | DeviceStatus::Offloaded);
    app.reports.with_all(|heard| {
        let live = |d: &&DeviceRecord| reports(status_of(app, network, d, heard.get(&d.name), now_ms));
        network.active(Role::Engine).filter(live).map(|d| d.name.clone()).collect()
    })
}

fn decide(document: &DeviceConfiguration, live: &[DeviceName], engine: &DeviceName) -> Result<Vec<ServiceSuccessors>, Problem> {
    let refused = |error: weir_routing::CompileError| Problem::new(Reason::DoesNotCompile, error.to_string());
    let compiled = Network::compile(document).map_err(refused)?;
    let mut health = HealthTable::default();
    for (sequence, engine) in (1..).zip(live) {
        let beat = Beat {
            engine: engine.clone(),
            state: EngineState::Serving,
            boot: 1,
            sequence,
            stamp: compiled.stamp(),
            share_permille: SHARE_WHOLE,
            at_ms: 0,
        };
        health.accept(&beat).expect("each engine's first beat is no replay");
    }
    Ok(successors(&compiled, &health, engine, 0))
}

fn shown(successors: ServiceSuccessors) -> ClientsGo {
    let to = successors.to.into_iter();
    let to = to.map(|s| ClientsTo { engine: s.engine, location: s.location, share_permille: s.share_permille }).collect();
    ClientsGo { service: successors.service, to }
}
