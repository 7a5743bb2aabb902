//! Copies of release archives in engines: asked for until every engine that is online holds one, or said why not.
//!
//! It reconciles, like the runner: which copies are due follows from the software files, from who is online and from what engines
//! answered last, which nothing but memory keeps. A file that devices may get from copies only becomes ready with the last one.

mod plan;

use super::{
    outcome,
    record::{Record, Standing},
};
use crate::{
    app::App,
    ask::ANSWER_DEADLINE,
    change::{Caller, Change, Refusal},
    device_view::status_of,
    snapshot::DeviceRecord,
    tables,
};
use plan::{Copy, Reply};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use weir_device_api::{Answer, Ask};
use weir_model::{DeviceName, DeviceStatus, DownloadMethod, Role, SoftwareState, Version, delivery};
use weir_operator_api::{Problem, SoftwareRelease};
use weir_telemetry::Tasks;

/// Time between rounds.
const PERIOD: Duration = Duration::from_millis(500);

/// What engines answered, by archive and engine.
type Table = BTreeMap<String, BTreeMap<DeviceName, Copy>>;

#[derive(Debug, Clone, Default)]
struct Copies(Arc<Mutex<Table>>);

impl Copies {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the manager stops; its questions are tasks of `tasks`.
pub(crate) async fn run(app: Arc<App>, tasks: Tasks) {
    let mut stopping = app.stopping();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let copies = Copies::default();
    // A file that was ready before this start had its copies then; they are made good where a device asks for it.
    let before: BTreeMap<i64, Option<u64>> = app.software.records().iter().map(|record| (record.id, record.validated_ms)).collect();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
        let records = app.software.records();
        let wanted: Vec<_> = records.iter().filter_map(|record| Some((record, wanted(&app, record, &before)?))).collect();
        copies.lock().retain(|sha256, _| wanted.iter().any(|(_, release)| release.archive_sha256 == *sha256));
        for (record, release) in wanted {
            if let Err(problem) = round(&app, &tasks, &copies, record, release).await {
                tracing::error!(software_file = record.id, %problem, "the standing of copies was not kept");
            }
        }
    }
}

/// What is verified of a software file whose copies are wanted.
fn wanted<'a>(app: &App, record: &'a Record, before: &BTreeMap<i64, Option<u64>>) -> Option<&'a SoftwareRelease> {
    let release = record.release.as_ref()?;
    let wanted = match (record.registration.method, record.state()) {
        (DownloadMethod::PrepositionedOnly, SoftwareState::Verified | SoftwareState::Prepositioning | SoftwareState::Ready) => true,
        (DownloadMethod::Default, SoftwareState::Ready) => {
            before.get(&record.id) != Some(&record.validated_ms) && is_for_somebody(app, release.version)
        }
        _ => false,
    };
    wanted.then_some(release)
}

/// Whether a router or an engine runs another version.
fn is_for_somebody(app: &App, version: Version) -> bool {
    let network = app.network();
    app.reports.with_all(|heard| {
        let devices = network.devices.values().filter(|device| device.role != Role::Manager);
        devices.filter_map(|device| heard.get(&device.name)).any(|heard| heard.report.hello.version != version.to_string())
    })
}

/// Engines that are in service and report, by name.
fn online(app: &App) -> Vec<DeviceName> {
    let (network, now_ms) = (app.network(), weir_clock::monotonic_ms());
    app.reports.with_all(|heard| {
        let online = |d: &&DeviceRecord| status_of(app, &network, d, heard.get(&d.name), now_ms) == DeviceStatus::Online;
        network.active(Role::Engine).filter(online).map(|device| device.name.clone()).collect()
    })
}

async fn round(app: &Arc<App>, tasks: &Tasks, copies: &Copies, record: &Record, release: &SoftwareRelease) -> Result<(), Problem> {
    let engines = online(app);
    let now_ms = weir_clock::monotonic_ms();
    let (asked, standing) = {
        let mut table = copies.lock();
        let of_file = table.entry(release.archive_sha256.clone()).or_default();
        (plan::due(&engines, of_file, release.archive_bytes, now_ms), plan::standing(&engines, of_file, release.archive_bytes))
    };
    for engine in asked {
        tasks.spawn("copy", ask(Arc::clone(app), copies.clone(), engine, release.clone()));
    }
    if record.registration.method != DownloadMethod::PrepositionedOnly {
        return Ok(());
    }
    let next = match record.state() {
        SoftwareState::Verified | SoftwareState::Prepositioning if standing.is_whole() => {
            Standing { state: SoftwareState::Ready, reason: None }
        }
        SoftwareState::Verified if standing.of > 0 => outcome::prepositioning(),
        _ => {
            let shown = (record.state() == SoftwareState::Prepositioning).then(|| standing.to_string());
            app.software.show_copies(record.id, shown);
            return Ok(());
        }
    };
    let (id, sha256) = (record.id, release.archive_sha256.clone());
    app.change(Caller::manager(), move |change| write(change, id, &sha256, next)).await
}

/// Asks an engine to hold the archive, and notes its answer.
async fn ask(app: Arc<App>, copies: Copies, engine: DeviceName, release: SoftwareRelease) {
    let question = Ask::Hold { path: delivery::archive_path(&release.archive_sha256) };
    let reply = match app.asks.ask(&engine, question, ANSWER_DEADLINE).await {
        Ok(Answer::Held { bytes }) => Reply::Held(bytes),
        Ok(Answer::Refused { reason }) => Reply::Refused(reason),
        Ok(Answer::Logs { .. } | Answer::Explain { .. }) => Reply::Refused("answered another question".to_owned()),
        Err(_) => Reply::Silent,
    };
    if let Some(copy) = copies.lock().get_mut(&release.archive_sha256).and_then(|of_file| of_file.get_mut(&engine)) {
        copy.answered(reply, weir_clock::monotonic_ms());
    }
}

/// Keeps how the copies of a software file stand, unless it has changed since.
fn write(change: &Change<'_>, id: i64, sha256: &str, standing: Standing) -> Result<(), Refusal> {
    let records = tables::software_files::all(change.tx)?;
    let waits = |record: &&Record| matches!(record.state(), SoftwareState::Verified | SoftwareState::Prepositioning);
    let same = |record: &&Record| record.release.as_ref().is_some_and(|release| release.archive_sha256 == sha256);
    let Some(before) = records.iter().filter(|record| record.id == id).filter(waits).find(same) else { return Ok(()) };
    let after = Record { standing, ..before.clone() };
    tables::software_files::update(change.tx, &after)?;
    change.software_changed();
    let state = |record: &Record| json!({ "state": record.state() });
    change.audit("preposition", format_args!("software file {id}"), Some(&state(before)), Some(&state(&after)))?;
    Ok(())
}
