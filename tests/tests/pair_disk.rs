//! A primary whose disk is full: it refuses writes and says so; everything else goes on, and when there is room again so do writes.

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use weir_tests::{Client, Network, Seat, disk::SmallDisk, wait_for};

/// Room for what a manager of a small network keeps, its release archive included.
const SIZE: &str = "300m";
/// Patience for a write to be refused: what the log has left takes some.
const FULL_DEADLINE: Duration = Duration::from_secs(60);
/// Patience for an alarm.
const SEEN_DEADLINE: Duration = Duration::from_secs(20);
/// How long devices must go on without a write: several report periods.
const ON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_and_nothing_else() -> anyhow::Result<()> {
    let mut network = Network::builder().engines(3).start().await?;
    network.matched(Seat::Manager).await;
    network.stop()?;
    let state = network.data(network.seat(Seat::Manager)).join("state");
    let Some(disk) = SmallDisk::under(&state, SIZE)? else { return Ok(()) };
    network.resume().await?;
    network.matched(Seat::Manager).await;
    let api = network.api_of(Seat::Manager)?;

    disk.fill()?;
    let mut last = String::new();
    let refused = wait_for("a write is refused", FULL_DEADLINE, || {
        let name = format!("full-{}", weir_clock::monotonic_ms());
        last.clone_from(&name);
        let api = &api;
        async move {
            let reply = api.send(Method::POST, "/locations", Some(&json!({ "name": name }).to_string())).await?;
            ensure!(reply.status >= 400, "{reply:?}");
            anyhow::Ok(reply)
        }
    })
    .await;
    ensure!(refused.status == 507 && refused.json["reason"] == "disk_full", "{refused:?}");
    wait_for("an alarm says so", SEEN_DEADLINE, || async {
        ensure!(!Network::alarms(&api, "DISK_FULL").await?.is_empty(), "none");
        anyhow::Ok(())
    })
    .await;
    goes_on(&network, &last).await?;

    disk.empty()?;
    wait_for("writes work again", SEEN_DEADLINE, || async {
        let reply = api.send(Method::POST, "/locations", Some(&json!({ "name": "room-again" }).to_string())).await?;
        ensure!((200..300).contains(&reply.status) || reply.status == 409, "{reply:?}");
        anyhow::Ok(())
    })
    .await;
    wait_for("the alarm is gone", SEEN_DEADLINE, || async {
        let alarms = Network::alarms(&api, "DISK_FULL").await?;
        ensure!(alarms.is_empty(), "{alarms:?}");
        anyhow::Ok(())
    })
    .await;
    network.matched(Seat::Manager).await;
    Ok(())
}

/// Reads, devices and viewers; of the write that was refused nothing is there.
async fn goes_on(network: &Network, refused: &str) -> anyhow::Result<()> {
    let api = network.api_of(Seat::Manager)?;
    let begin = weir_clock::monotonic();
    let mut heard = 0;
    while begin.elapsed() < ON {
        let locations = api.list("/locations").await?;
        ensure!(locations.iter().all(|location| location["name"] != refused), "{locations:?}");
        for device in api.list("/devices").await? {
            ensure!(device["status"] == "online", "{device}");
            heard = heard.max(device["last_report"]["received_ms"].as_u64().unwrap_or_default());
        }
        let (_, _, answer) = Client::east().follow(network.routers()[0], &weir_tests::Ask::get(&network.target("/vod/index.m3u8"))).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
    }
    let ago = weir_clock::wall_ms().saturating_sub(heard);
    ensure!(u128::from(ago) < ON.as_millis(), "devices report: the last one {ago} ms ago");
    Ok(())
}
