//! When the network is in service: every device online with the newest configuration, every router sending viewers to a
//! live engine that answers.

use super::{
    keepers::Ended,
    plan::{DOMAIN, Plan},
};
use crate::{api_client::ApiClient, commands::Misconfigured};
use anyhow::{Context, bail};
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use weir_model::{DeviceStatus, Role, Stamp};
use weir_operator_api::{Device, NetworkStatus, paths};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Exit code of a keeper or worker that cannot work before something outside is changed.
const CONFIGURATION_EXIT: i32 = 78;
/// Ends of one device during the start after which it is given up.
const ENDS_TOLERATED: u32 = 3;

/// Waits until `look` has an answer, at most `patience`; a keeper that cannot work ends the wait with its own words.
pub(crate) async fn wait<T, F>(what: &str, patience: Duration, ended: &mut mpsc::Receiver<Ended>, look: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::from_std(weir_clock::monotonic() + patience);
    let mut ends: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    let mut last = None;
    loop {
        match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            Some(end) = ended.recv() => {
                let count = ends.entry(end.device.clone()).or_default();
                *count += 1;
                if end.code == Some(CONFIGURATION_EXIT) {
                    return Err(Misconfigured(format!("the keeper of {} {}", end.device, end.how)).into());
                }
                if *count >= ENDS_TOLERATED {
                    bail!("the keeper of {} {}, {count} times", end.device, end.how);
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                let text = format!("{what} took longer than {} s", patience.as_secs());
                return Err(last.map_or_else(|| anyhow::anyhow!(text.clone()), |error| error.context(text.clone())));
            }
        }
    }
}

/// Whether every planned device is online and runs the newest configuration; the names that do not, as an error.
pub(crate) async fn all_online(api: &ApiClient, plan: &Plan) -> anyhow::Result<Option<()>> {
    let status: NetworkStatus = api.get(paths::STATUS).await?;
    let newest = Stamp { term: status.term, generation: status.generation };
    let devices: Vec<Device> = api.list(paths::DEVICES).await?;
    let behind: Vec<String> = plan
        .devices
        .iter()
        .filter_map(|planned| {
            let Some(device) = devices.iter().find(|d| d.name.as_str() == planned.name) else {
                return Some(format!("{} is not enrolled", planned.name));
            };
            let runs_newest = planned.role == Role::Manager || device.last_report.as_ref().is_some_and(|r| r.stamp >= newest);
            // A device that was offloaded before a restart is as much there as any other.
            let there = matches!(device.status, DeviceStatus::Online | DeviceStatus::Offloading | DeviceStatus::Offloaded);
            (!there || !runs_newest).then(|| format!("{} is {}", planned.name, device.status))
        })
        .collect();
    if behind.is_empty() { Ok(Some(())) } else { bail!("{}", behind.join(", ")) }
}

/// Whether this router sends a viewer to an engine, and the engine answers: any answer of the origin's is one.
pub(crate) async fn answers(router: SocketAddr) -> anyhow::Result<Option<()>> {
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let response = http.get(format!("http://{router}/{DOMAIN}/")).send().await.with_context(|| format!("ask the router at {router}"))?;
    if response.status().as_u16() != 302 {
        bail!("the router at {router} answers {}", response.status());
    }
    let location = response.headers().get("location").and_then(|l| l.to_str().ok()).context("a 302 without a Location")?;
    let engine = location.strip_prefix("http://").and_then(|l| l.split('/').next()).context("a Location without an engine")?;
    http.get(format!("http://{engine}/{DOMAIN}/")).send().await.with_context(|| format!("ask the engine at {engine}"))?;
    Ok(Some(()))
}

/// Whether the router whose metrics these are hears every engine in service: a viewer sent on before that may be sent too
/// far. Engines that Server Offload holds are none of its business.
pub(crate) async fn hears(api: &ApiClient, admin: SocketAddr) -> anyhow::Result<Option<()>> {
    let devices: Vec<Device> = api.list(paths::DEVICES).await?;
    let engines = devices.iter().filter(|d| d.role == Role::Engine && d.status == DeviceStatus::Online).count();
    let http = reqwest::Client::builder().no_proxy().build()?;
    let response = http.get(format!("http://{admin}/metrics")).send().await.with_context(|| format!("ask the router at {admin}"))?;
    let metrics = response.text().await.with_context(|| format!("read the metrics of the router at {admin}"))?;
    let live = metrics.lines().find_map(|line| line.strip_prefix("router_engines_live ")).context("router_engines_live is a metric")?;
    if live.trim() == engines.to_string() { Ok(Some(())) } else { bail!("the router at {admin} hears {live} of {engines} engines") }
}
