//! The manager's own rounds: its report about itself, alarms raised and cleared, reports written to disk.

use crate::{
    alarms::{self, Step, View},
    app::App,
    backup,
    device_view::{count_of, counts, status_of},
    drains,
    metrics::ManagerMetrics,
    pair, published, rollout, series, software, tables, updates,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use weir_database::DatabaseError;
use weir_device_api::{Condition, Load, Report};
use weir_model::{AlarmReason, DeviceStatus, Role, Severity};
use weir_operator_api::Alarm;
use weir_telemetry::Chain;

/// Bounds of the time between rounds; within them, a quarter of the devices' report period.
const ROUND_MIN: Duration = Duration::from_millis(100);
const ROUND_MAX: Duration = Duration::from_secs(1);
/// Reports are written to disk at most this often.
const WRITE_PERIOD: Duration = Duration::from_secs(2);

/// Makes rounds until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let period = Duration::from_millis(app.network().profile.report_ms / 4).clamp(ROUND_MIN, ROUND_MAX);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written = weir_clock::monotonic();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|s| *s) => break,
        }
        report_about_itself(&app);
        drains::round(&app).await;
        if let Err(error) = round(&app).await {
            tracing::error!(error = %Chain(&error), "alarms not kept");
        }
        if written.elapsed() >= WRITE_PERIOD {
            written = weir_clock::monotonic();
            write_reports(&app).await;
        }
    }
    write_reports(&app).await;
}

/// What a full disk of the manager keeps from working.
const FULL: &str = "the manager cannot write its databases; configuration is refused";

/// The alarms that stand: those kept, and before them DISK_FULL of this manager, which a full disk keeps from being kept.
pub(crate) async fn standing(app: &App) -> Result<Vec<Alarm>, DatabaseError> {
    let kept = app.state.read(|tx| Ok::<_, DatabaseError>(tables::alarms::standing(tx)?)).await?;
    Ok(with_unkept(kept, app.disk_full(), &app.name))
}

fn with_unkept(mut kept: Vec<Alarm>, full_since_ms: Option<u64>, own: &weir_model::DeviceName) -> Vec<Alarm> {
    let reason = AlarmReason::DiskFull;
    let is_kept = kept.iter().any(|alarm| alarm.reason == reason && alarm.device == *own && alarm.object.is_empty());
    if let Some(raised_ms) = full_since_ms.filter(|_| !is_kept) {
        let unkept = Alarm {
            id: 0,
            reason,
            severity: reason.severity(),
            device: own.clone(),
            object: String::new(),
            text: FULL.to_owned(),
            next: reason.next_step().to_owned(),
            raised_ms,
            acknowledged_ms: None,
            acknowledged_by: None,
            cleared_ms: None,
        };
        kept.insert(0, unkept);
    }
    kept
}

/// The manager's conditions.
pub(crate) fn conditions(app: &App) -> Vec<Condition> {
    let full = app.disk_full().map(|_| Condition { reason: AlarmReason::DiskFull, object: String::new(), text: FULL.to_owned() });
    full.into_iter().collect()
}

/// The manager's work.
pub(crate) fn load(app: &App) -> Load {
    Load { requests: app.requests.load(Ordering::Relaxed), active_requests: app.active_requests.load(Ordering::Relaxed), ..Load::default() }
}

fn report_about_itself(app: &App) {
    let network = app.network();
    let Some(record) = network.devices.get(&app.name) else { return };
    let now_ms = weir_clock::monotonic_ms();
    let clock_ms = weir_clock::wall_ms();
    let a = record.addresses;
    let listeners =
        weir_device_api::Listeners { dns: a.dns, http: a.http, https: a.https, device: a.device, admin: a.admin, keepalive: a.keepalive };
    let report = Report {
        hello: app.hello(),
        boot: app.own.boot,
        clock_ms,
        uptime_ms: now_ms.saturating_sub(app.started_ms),
        worker_crashes: app.own.worker_crashes,
        last_exit: app.own.last_exit.clone(),
        listeners,
        load: load(app),
        rejected: None,
        conditions: conditions(app),
        drain: None,
        routers: Vec::new(),
        share_permille: None,
        update: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    debug_assert_eq!(record.role, Role::Manager);
    app.take_report(report, now_ms, clock_ms);
}

async fn round(app: &App) -> Result<(), DatabaseError> {
    let network = app.network();
    let standing = app.state.read(|tx| Ok::<_, DatabaseError>(tables::alarms::standing(tx)?)).await?;
    let (now_ms, wall_ms) = (weir_clock::monotonic_ms(), weir_clock::wall_ms());
    let mut want = app.drains.alarms(&network, &standing, wall_ms);
    want.extend(software::alarms(app));
    want.extend(pair::alarms::wanted(app, &network, &standing));
    want.extend(updates::alarms::wanted(app, &network));
    want.extend(rollout::alarm(app));
    want.extend(backup::alarms(app));
    want.extend(published::alarms(app, &network));
    let steps = app.reports.with_all(|heard| {
        let views = network.devices.values().map(|record| {
            let heard = heard.get(&record.name);
            let parked = app.drains.parked(&record.name);
            View { name: &record.name, status: status_of(app, &network, record, heard, now_ms), heard, parked }
        });
        alarms::evaluate(&network, views, want, &standing, wall_ms)
    });
    measure(app, &standing);
    if steps.is_empty() {
        return Ok(());
    }
    log(&steps, &standing);
    app.state
        .write(move |tx| {
            for step in &steps {
                match step {
                    Step::Raise { key, text } => tables::alarms::raise(tx, key, text, wall_ms).map(|_| ())?,
                    Step::Clear { id } => tables::alarms::clear(tx, *id, wall_ms)?,
                }
            }
            Ok::<_, DatabaseError>(tables::alarms::trim(tx)?)
        })
        .await
}

fn log(steps: &[Step], standing: &[Alarm]) {
    for step in steps {
        match step {
            Step::Raise { key, text } => {
                tracing::warn!(reason = key.reason.as_str(), about = key.device.as_str(), object = key.object, text, "alarm raised");
            }
            Step::Clear { id } => {
                if let Some(alarm) = standing.iter().find(|a| a.id == *id) {
                    tracing::info!(reason = alarm.reason.as_str(), about = alarm.device.as_str(), object = alarm.object, "alarm cleared");
                }
            }
        }
    }
}

fn measure(app: &App, standing: &[Alarm]) {
    let network = app.network();
    let mut counts = counts(app, &network);
    let metrics = &app.metrics;
    metrics.generation.set(i64::try_from(network.stamp.generation).unwrap_or(i64::MAX));
    for status in DeviceStatus::ALL {
        ManagerMetrics::set(&metrics.devices, "status", status.as_str(), *count_of(&mut counts, status));
    }
    for severity in [Severity::Minor, Severity::Major, Severity::Critical] {
        let count = standing.iter().filter(|a| a.severity == severity).count();
        ManagerMetrics::set(&metrics.alarms_raised, "severity", severity.as_str(), u32::try_from(count).unwrap_or(u32::MAX));
    }
}

async fn write_reports(app: &App) {
    if let Err(error) = series::write(app, weir_clock::wall_ms()).await {
        tracing::error!(error = %Chain(&error), "series not kept");
    }
    let reports = app.reports.unwritten();
    if reports.is_empty() {
        return;
    }
    let written = app.state.write(move |tx| Ok::<_, DatabaseError>(tables::reports::keep(tx, &reports)?)).await;
    app.note_disk(written.as_ref().err());
    if let Err(error) = written {
        tracing::error!(error = %Chain(&error), "last reports not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_alarm_although_it_cannot_be_kept() {
        let own = "manager-1".parse().expect("name");
        let alarms = with_unkept(Vec::new(), Some(7), &own);
        assert_eq!((alarms.len(), alarms[0].reason, alarms[0].raised_ms), (1, AlarmReason::DiskFull, 7));
        let kept = Alarm { id: 4, ..alarms[0].clone() };
        assert_eq!(with_unkept(vec![kept.clone()], Some(7), &own), [kept], "kept since: told once");
        assert_eq!(with_unkept(Vec::new(), None, &own), []);
    }
}
