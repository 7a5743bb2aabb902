//! A disk without room: the update waits, says so, lets go without a trace, and goes on when there is room.

use anyhow::ensure;
use serde_json::json;
use std::time::Duration;
use weir_tests::{Api, Client, Network, disk::SmallDisk, lines, wait_for};

/// Patience for a stage, several times the rehearsal's 10 s without room.
const STAGE_DEADLINE: Duration = Duration::from_secs(60);
/// Less than an archive, and enough for one.
const SMALL: &str = "1m";
const LARGE: &str = "2g";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_nothing_is_half_installed_and_with_room_it_goes_on() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let this = network.file().version.clone();
    let device = "east-1";
    let staging = network.data(device).join("staging");
    std::fs::create_dir_all(&staging)?;
    let Some(disk) = SmallDisk::mount(&staging, SMALL)? else { return Ok(()) };
    let api = Api::new(network.file())?;
    network.register_line(&api, lines::NEXT).await?;
    let request = json!({ "version": lines::NEXT, "override": true });
    api.assign_as(device, &request).await?;
    wait_for("it waits for room", STAGE_DEADLINE, || async {
        let update = api.update_of(device).await?;
        ensure!(update["stage"] == "blocked", "{update}");
        anyhow::Ok(())
    })
    .await;
    let shown = network.weir_json(&["upgrade", "status", device]).await?;
    ensure!(shown["waiting"]["reason"] == "no_space" && shown["waiting"]["next"] != "", "{shown}");
    let idle = wait_for("it lets go", STAGE_DEADLINE, || async {
        let update = api.update_of(device).await?;
        ensure!(update["stage"] == "idle", "{update}");
        anyhow::Ok(update)
    })
    .await;
    ensure!(idle["reason"]["reason"] == "no_space" && idle["running"] == this && idle["successful"] == false, "{idle}");
    ensure!(std::fs::read_dir(network.data(device).join("slots"))?.count() == 1, "nothing is installed");
    let left: Vec<_> = std::fs::read_dir(&staging)?.flatten().map(|entry| entry.path()).collect();
    ensure!(left.is_empty(), "nothing is left behind: {left:?}");
    let answer = Client::east().get(network.engine(device), &network.target("/vod/index.m3u8")).await?;
    ensure!(answer.status() == 200, "it serves: {}", answer.status());
    // Room comes while it waits.
    let number = api.assign_as(device, &request).await?;
    wait_for("it waits for room again", STAGE_DEADLINE, || async {
        let update = api.update_of(device).await?;
        ensure!(update["stage"] == "blocked" && update["assigned"]["number"] == number, "{update}");
        anyhow::Ok(())
    })
    .await;
    disk.enlarge(LARGE)?;
    let done = api.update_ended(device, number).await;
    ensure!(done["successful"] == true && done["running"] == lines::NEXT, "{done}");
    Ok(())
}
