//! `weir offload`, `weir unoffload`.

use crate::{
    api_client::{ApiClient, escape},
    cli::{Format, OffloadArgs, UnoffloadArgs, WaitArgs},
    output,
    up::progress::Progress,
};
use anyhow::bail;
use std::time::Duration;
use weir_model::DeviceStatus;
use weir_operator_api::{
    Offload, OffloadLease, OffloadPreview, OffloadRequest, UnoffloadRequest,
    offload::{ClientsGo, DrainProgress},
    paths,
};

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(500);

fn path(device: &str, verb: &str) -> String {
    format!("{}/{}/{verb}", paths::DEVICES, escape(device))
}

pub(super) async fn offload(api: &ApiClient, format: Format, arguments: OffloadArgs) -> anyhow::Result<()> {
    let OffloadArgs { device, why, for_, overrides, preview, wait } = arguments;
    if preview {
        let preview: OffloadPreview = api.get(&path(&device, "offload/preview")).await?;
        return output::print(format, &preview, show_preview);
    }
    if format == Format::Table {
        let preview: OffloadPreview = api.get(&path(&device, "offload/preview")).await?;
        output::line(show_clients(&preview).trim_end())?;
    }
    let why = why.expect("clap asks for it unless --preview is given");
    let request = OffloadRequest { why, for_seconds: for_.map(|d| d.as_secs()), overrides };
    let mut now: Offload = api.post(&path(&device, "offload"), &request).await?;
    if wait.wait {
        now = wait_for(api, &device, &wait, drained).await?;
    }
    output::print(format, &now, show)
}

pub(super) async fn unoffload(api: &ApiClient, format: Format, arguments: UnoffloadArgs) -> anyhow::Result<()> {
    let UnoffloadArgs { device, why, wait } = arguments;
    let mut now: Offload = api.post(&path(&device, "unoffload"), &UnoffloadRequest { why }).await?;
    if wait.wait {
        now = wait_for(api, &device, &wait, returned).await?;
    }
    output::print(format, &now, show)
}

/// What a look at the device says about a wait.
enum Look {
    Done,
    NotYet(String),
    Never(String),
}

/// Shows how it goes until it is done, cannot be, or the patience is over.
async fn wait_for(api: &ApiClient, device: &str, wait: &WaitArgs, look: fn(&Offload) -> Look) -> anyhow::Result<Offload> {
    let progress = Progress::new();
    let mut looks = tokio::time::interval(LOOK);
    let end = wait.wait_for.map(|patience| weir_clock::monotonic() + patience);
    let mut shown = String::new();
    loop {
        looks.tick().await;
        let now: Offload = api.get(&path(device, "offload")).await?;
        match look(&now) {
            Look::Done => {
                progress.end();
                return Ok(now);
            }
            Look::Never(reason) => bail!("{device}: {reason}"),
            Look::NotYet(text) if end.is_some_and(|end| weir_clock::monotonic() >= end) => bail!("{device}: {text}; the wait is over"),
            Look::NotYet(text) => {
                if text != shown {
                    progress.step(&format!("{device}: {text}"));
                    shown = text;
                }
            }
        }
    }
}

fn drained(now: &Offload) -> Look {
    let Some(drain) = &now.drain else {
        return Look::Never("was returned to service; `weir audit` says by whom and why".to_owned());
    };
    if now.status == DeviceStatus::Offloaded {
        return Look::Done;
    }
    if drain.overdue {
        return Look::Never(format!("DRAIN_TIMEOUT: {}", what_is_left(drain)));
    }
    Look::NotYet(format!("{}, {}", now.status, what_is_left(drain)))
}

fn returned(now: &Offload) -> Look {
    if let Some(lease) = now.leases.first() {
        return Look::Never(format!("is still offloaded by {}: {}", lease.owner, lease.why));
    }
    match now.status {
        DeviceStatus::Online if now.share_permille == 0 => Look::NotYet("does not know yet".to_owned()),
        DeviceStatus::Online => Look::Done,
        status => Look::NotYet(format!("is {status}")),
    }
}

fn count(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn what_is_left(drain: &DrainProgress) -> String {
    let left = format!("{} and {} left", count(drain.sessions, "session"), count(drain.active_requests, "request"));
    match drain.waiting_for.first() {
        None => left,
        Some(wait) => format!("{left}; waiting: {}", wait.text),
    }
}

fn show(now: &Offload) -> String {
    let mut text = format!("{} is {}\n", now.device, now.status);
    for lease in &now.leases {
        text += &format!("{}\n", show_lease(lease));
    }
    if let Some(drain) = &now.drain {
        text += &show_drain(drain);
    } else if now.share_permille < 1000 {
        text += &format!("it takes {} % of its weight and ramps up\n", now.share_permille / 10);
    }
    text
}

fn show_lease(lease: &OffloadLease) -> String {
    let until = lease.expires_ms.map_or_else(|| "until ended".to_owned(), |at| format!("until {}", output::time(at)));
    let overrides = if lease.overrides { ", overriding the capacity guard" } else { "" };
    format!("offloaded by {} ({}) since {} {until}{overrides}: {}", lease.owner, lease.by, output::time(lease.since_ms), lease.why)
}

fn show_drain(drain: &DrainProgress) -> String {
    let mut text = format!(
        "epoch {}: {}, {}, {} for other engines, {}\n",
        drain.epoch,
        count(drain.sessions, "session"),
        count(drain.active_requests, "request"),
        count(drain.fills_for_others, "fill"),
        count(u32::try_from(drain.strays.len()).unwrap_or(u32::MAX), "stray"),
    );
    text += &drain.waiting_for.iter().map(|wait| format!("waits: {}\n", wait.text)).collect::<String>();
    for stray in &drain.strays {
        text += &format!(
            "stray: {} watches {} since {} s, last served {} s ago\n",
            stray.client,
            stray.domain,
            stray.age_ms / 1000,
            stray.idle_ms / 1000
        );
    }
    text
}

fn show_preview(preview: &OffloadPreview) -> String {
    let mut text = show_clients(preview);
    for floor in &preview.breaks {
        text += &format!("it would be refused: {} ({})\n", floor.text, floor.floor);
    }
    if preview.breaks.is_empty() {
        text += "no floor of the capacity guard would break\n";
    }
    text + &preview.unknown.iter().map(|unknown| format!("not judged: {unknown}\n")).collect::<String>()
}

fn show_clients(preview: &OffloadPreview) -> String {
    let mut text = format!("{} has {}\n", preview.device, count(preview.sessions, "session"));
    if preview.clients_go.is_empty() {
        return text;
    }
    text += &clients_table(&preview.clients_go);
    text + "\n"
}

/// Where clients would go, a row for each service and engine.
pub(super) fn clients_table(clients_go: &[ClientsGo]) -> String {
    output::table(["CLIENTS OF", "GO TO", "LOCATION", "SHARE"], clients_go.iter().flat_map(rows_of))
}

fn rows_of(clients: &ClientsGo) -> Vec<[String; 4]> {
    let service = clients.service.to_string();
    if clients.to.is_empty() {
        return vec![[service, "nobody".to_owned(), "-".to_owned(), "-".to_owned()]];
    }
    let row = |to: &weir_operator_api::offload::ClientsTo| {
        let share = format!("{}.{} %", to.share_permille / 10, to.share_permille % 10);
        [service.clone(), to.engine.to_string(), to.location.to_string(), share]
    };
    clients.to.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
