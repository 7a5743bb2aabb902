//! A device as the API shows it: its record, its status, its last report.

use crate::{
    app::App,
    reports::Heard,
    snapshot::{DeviceRecord, Snapshot},
    status::{Observed, status},
};
use weir_model::{DeviceStatus, Stamp};
use weir_operator_api::{Device, DeviceCondition, DeviceCounts, DeviceLoad, LastReport, RejectedConfiguration};

/// The status of a device at monotonic `now_ms`.
pub(crate) fn status_of(app: &App, network: &Snapshot, record: &DeviceRecord, heard: Option<&Heard>, now_ms: u64) -> DeviceStatus {
    let observed = Observed {
        active: record.active,
        activated: Stamp { term: network.stamp.term, generation: record.activated_generation },
        heard: heard.map(Heard::at),
        drain: network.outside.contains_key(&record.name).then(|| app.drains.stage(&record.name)),
        listening_since_ms: app.started_ms,
    };
    status(&observed, now_ms, network.profile.report_patience_ms())
}

/// The device as it is now.
pub(crate) fn view(app: &App, network: &Snapshot, record: &DeviceRecord) -> Device {
    let heard = app.reports.get(&record.name);
    let own = record.name == app.name;
    Device {
        id: record.id,
        name: record.name.clone(),
        role: record.role,
        status: status_of(app, network, record, heard.as_ref(), weir_clock::monotonic_ms()),
        location: record.location.clone(),
        weight: record.weight,
        capacity_mbps: record.capacity_mbps,
        addresses: record.addresses,
        enrolled_ms: record.enrolled_ms,
        certificate_sha256: if own { app.certificate_sha256.clone() } else { record.certificate_sha256.clone() },
        revision: record.revision,
        last_report: heard.as_ref().map(last_report),
    }
}

fn last_report(heard: &Heard) -> LastReport {
    let report = &heard.report;
    let weir_device_api::Load { requests, active_requests, sessions, client_bytes, origin_bytes, store_bytes } = report.load;
    let condition = |c: &weir_device_api::Condition| DeviceCondition { reason: c.reason, object: c.object.clone(), text: c.text.clone() };
    LastReport {
        received_ms: heard.received_ms,
        version: report.hello.version.clone(),
        stamp: report.hello.stamp,
        boot: report.boot,
        uptime_ms: report.uptime_ms,
        clock_skew_ms: heard.clock_skew_ms(),
        worker_crashes: report.worker_crashes,
        load: DeviceLoad { requests, active_requests, sessions, client_bytes, origin_bytes, store_bytes },
        rejected: report.rejected.as_ref().map(|r| RejectedConfiguration { stamp: r.stamp, reason: r.reason.clone() }),
        conditions: report.conditions.iter().map(condition).collect(),
        #[cfg(feature = "synthetic-next")]
        detailed_responses: report.detailed_responses,
    }
}

/// Devices by status.
pub(crate) fn counts(app: &App, network: &Snapshot) -> DeviceCounts {
    let now_ms = weir_clock::monotonic_ms();
    let mut counts = DeviceCounts::default();
    app.reports.with_all(|heard| {
        for record in network.devices.values() {
            *count_of(&mut counts, status_of(app, network, record, heard.get(&record.name), now_ms)) += 1;
        }
    });
    counts
}

/// How many devices have a status.
pub(crate) fn count_of(counts: &mut DeviceCounts, status: DeviceStatus) -> &mut u32 {
    match status {
        DeviceStatus::Inactive => &mut counts.inactive,
        DeviceStatus::Pending => &mut counts.pending,
        DeviceStatus::Online => &mut counts.online,
        DeviceStatus::Offline => &mut counts.offline,
        DeviceStatus::Offloading => &mut counts.offloading,
        DeviceStatus::Offloaded => &mut counts.offloaded,
    }
}
