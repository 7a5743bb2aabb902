//! `weir devices`, `weir device ...`, `weir logs`.

use super::changesets;
use crate::{
    api_client::{ApiClient, escape},
    cli::{DeviceVerb, Format},
    output::{self, bytes, or_dash, time},
};
use weir_operator_api::{Activation, Device, DeviceLogs, paths};

pub(super) async fn list(api: &ApiClient, format: Format) -> anyhow::Result<()> {
    let devices: Vec<Device> = api.list(paths::DEVICES).await?;
    output::print(format, &devices, |devices| {
        if devices.is_empty() {
            return "no devices yet: `weir token enrolment create --role engine` makes a token, `weir enrol` on the new box uses it".into();
        }
        let header = ["DEVICE", "ROLE", "LOCATION", "STATUS", "VERSION", "CONFIG", "ADDRESS", "SESSIONS", "REQUESTS", "SENT"];
        output::table(header, devices.iter().map(row))
    })
}

fn row(device: &Device) -> [String; 10] {
    let report = device.last_report.as_ref();
    let address = device.addresses.http.or(device.addresses.https);
    [
        device.name.to_string(),
        device.role.to_string(),
        or_dash(device.location.as_ref()),
        device.status.to_string(),
        or_dash(report.map(|r| &r.version)),
        or_dash(report.map(|r| r.stamp)),
        or_dash(address),
        or_dash(report.map(|r| r.load.sessions)),
        or_dash(report.map(|r| r.load.requests)),
        or_dash(report.map(|r| bytes(r.load.client_bytes))),
    ]
}

fn path(device: &str) -> String {
    format!("{}/{}", paths::DEVICES, escape(device))
}

fn query(overrides: bool) -> &'static str {
    if overrides { "?override=true" } else { "" }
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: DeviceVerb) -> anyhow::Result<()> {
    match verb {
        DeviceVerb::Show { device } => {
            let device: Device = api.get(&path(&device)).await?;
            output::print(format, &device, show)
        }
        DeviceVerb::History { device, limit } => changesets::history(api, format, &path(&device), limit).await,
        DeviceVerb::Activate { device, location, weight, capacity_mbps, overrides } => {
            let request = Activation { location, weight, capacity_mbps, overrides };
            let device: Device = api.post(&format!("{}/activate", path(&device)), &request).await?;
            output::print(format, &device, show)
        }
        DeviceVerb::Deactivate { device, overrides } => {
            let path = format!("{}/deactivate{}", path(&device), query(overrides));
            let device: Device = api.post(&path, &serde_json::json!({})).await?;
            output::print(format, &device, show)
        }
        DeviceVerb::Delete { device, overrides } => {
            api.delete(&format!("{}{}", path(&device), query(overrides))).await?;
            output::print(format, &serde_json::json!({ "deleted": device }), |_| format!("{device} deleted"))
        }
    }
}

fn show(device: &Device) -> String {
    let mut rows = vec![
        ["device".to_owned(), format!("{} (id {})", device.name, device.id)],
        ["role".to_owned(), device.role.to_string()],
        ["status".to_owned(), device.status.to_string()],
        ["location".to_owned(), or_dash(device.location.as_ref())],
        ["weight".to_owned(), device.weight.to_string()],
        ["capacity".to_owned(), device.capacity_mbps.map_or_else(|| "unknown".to_owned(), |mbps| format!("{mbps} Mbit/s"))],
        ["enrolled".to_owned(), time(device.enrolled_ms)],
    ];
    let addresses = &device.addresses;
    for (name, address) in [
        ("dns", addresses.dns),
        ("http", addresses.http),
        ("https", addresses.https),
        ("device", addresses.device),
        ("admin", addresses.admin),
    ] {
        if let Some(address) = address {
            rows.push([format!("{name} address"), address.to_string()]);
        }
    }
    if let Some(report) = &device.last_report {
        rows.push(["last report".to_owned(), time(report.received_ms)]);
        rows.push(["version".to_owned(), report.version.clone()]);
        rows.push(["configuration".to_owned(), report.stamp.to_string()]);
        rows.push(["clock skew".to_owned(), format!("{} ms", report.clock_skew_ms)]);
        rows.push(["worker crashes".to_owned(), report.worker_crashes.to_string()]);
        rows.push(["sessions".to_owned(), report.load.sessions.to_string()]);
        rows.push(["requests".to_owned(), format!("{} ({} now)", report.load.requests, report.load.active_requests)]);
        rows.push(["sent".to_owned(), bytes(report.load.client_bytes)]);
        rows.push(["from origins".to_owned(), bytes(report.load.origin_bytes)]);
        rows.push(["stored".to_owned(), bytes(report.load.store_bytes)]);
        if let Some(rejected) = &report.rejected {
            rows.push(["refused".to_owned(), format!("{}: {}", rejected.stamp, rejected.reason)]);
        }
        rows.extend(report.conditions.iter().map(|c| [c.reason.to_string(), format!("{} {}", c.object, c.text)]));
    }
    output::table(["", ""], rows)
}

pub(super) async fn logs(api: &ApiClient, format: Format, device: &str, lines: u32) -> anyhow::Result<()> {
    let logs: DeviceLogs = api.get(&format!("{}/logs?lines={lines}", path(device))).await?;
    output::print(format, &logs, |logs| logs.lines.iter().map(|l| readable(l) + "\n").collect())
}

/// One JSON log line as `time level process generation message key=value ...`; other text as it is.
fn readable(line: &str) -> String {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str(line) else { return line.to_owned() };
    let mut take = |key: &str| fields.remove(key).unwrap_or_default();
    let clock = time(take("clock_ms").as_u64().unwrap_or_default());
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (level, process, message) = (text(take("level")), text(take("process")), text(take("message")));
    let stamp = match (take("term"), take("generation")) {
        (serde_json::Value::Null, _) => "-".to_owned(),
        (term, generation) => format!("{term}.{generation}"),
    };
    for known in ["device", "role", "version", "target"] {
        take(known);
    }
    let rest: String = fields.into_iter().map(|(key, value)| format!(" {key}={}", text(value))).collect();
    format!("{clock} {level:<5} {process:<6} {stamp:<6} {message}{rest}")
}
