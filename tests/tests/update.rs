//! One device updates itself while viewers watch: an engine and a router, up and down, drained and handed over.

use anyhow::{Context, ensure};
use serde_json::json;
use weir_tests::{Api, Audience, Network, Part, lines, update::UPDATE_DEADLINE, wait_for};

/// The version of the build under test.
fn this_line(network: &Network) -> String {
    network.file().version.clone()
}

/// A network whose manager has the archive of the next line.
async fn with_next(engines: u16) -> anyhow::Result<(Network, Api)> {
    let network = Network::builder().engines(engines).start().await?;
    let api = Api::new(network.file())?;
    network.register_line(&api, lines::NEXT).await?;
    Ok((network, api))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_notice_nothing_of_an_engine_and_a_router_that_go_up_and_come_back() -> anyhow::Result<()> {
    let (network, api) = with_next(6).await?;
    let mut audience = Audience::gather(&network).await?;
    let engine = network.engine_at(audience.engine()?).clone();
    let router = network.file().routers[0].clone();
    let (keeper, worker) = (network.id(&engine.name, Part::Keeper), network.id(&engine.name, Part::Worker));
    for version in [lines::NEXT.to_owned(), this_line(&network)] {
        for device in [&engine, &router] {
            let update = api.update(&device.name, &version).await?;
            let says = network.health_version(device.admin.context("an admin listener")?).await?;
            ensure!(says == version, "{} says {says}: {update}", device.name);
            audience.watch_on().await?;
        }
    }
    // Their keepers follow once that is done, each behind an offload of its own.
    for device in [&engine, &router] {
        wait_for("the keeper is of the slot that runs, and no lease is left", UPDATE_DEADLINE, || async {
            let (update, offload) = (api.update_of(&device.name).await?, api.offload_of(&device.name).await?);
            ensure!(update["keeper"]["current"] == true && offload["leases"] == json!([]), "{update} {offload}");
            anyhow::Ok(())
        })
        .await;
    }
    audience.watch_on().await?;
    ensure!(network.id(&engine.name, Part::Worker) != worker, "another worker runs");
    ensure!(network.id(&engine.name, Part::Keeper) == keeper, "the keeper stays the process it was");
    audience.leave().await?.nothing()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_is_handed_over_while_it_serves() -> anyhow::Result<()> {
    let (network, api) = with_next(6).await?;
    let mut audience = Audience::gather(&network).await?;
    let engine = network.engine_at(audience.engine()?).clone();
    for version in [lines::NEXT.to_owned(), this_line(&network)] {
        let number = api.assign_as(&engine.name, &json!({ "version": version, "hand_over": true })).await?;
        let update = api.update_ended(&engine.name, number).await;
        ensure!(update["successful"] == true && update["running"] == version, "{update}");
        audience.watch_on().await?;
    }
    audience.leave().await?.nothing()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_auto_reload_it_rests_staged_and_can_be_cancelled_or_switched() -> anyhow::Result<()> {
    let (network, api) = with_next(3).await?;
    let device = "east-1";
    let request = json!({ "version": lines::NEXT, "auto_reload": false, "override": true });
    api.assign_as(device, &request).await?;
    let staged = api.update_at(device, "staged").await;
    ensure!(staged["status"] == "Staged (Reload Needed)", "{staged}");
    let cancelled = api.update_verb(device, "cancel", &json!({})).await?;
    ensure!(cancelled.status < 300, "{cancelled:?}");
    let idle = api.update_at(device, "idle").await;
    ensure!(idle["reason"]["reason"] == "cancelled" && idle["running"] == this_line(&network), "{idle}");
    let number = api.assign_as(device, &request).await?;
    api.update_at(device, "staged").await;
    let switched = api.update_verb(device, "reload", &json!({})).await?;
    ensure!(switched.status < 300, "{switched:?}");
    let done = api.update_ended(device, number).await;
    ensure!(done["successful"] == true && done["running"] == lines::NEXT, "{done}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_updated_is_refused_with_its_reason() -> anyhow::Result<()> {
    let (network, api) = with_next(3).await?;
    let manager = network.file().manager.name.clone();
    for (device, request, reason) in [
        (manager.as_str(), json!({ "version": lines::NEXT }), "pair_update_required"),
        ("east-1", json!({ "version": "7.7.7-b7" }), "no_such_release"),
        ("nobody", json!({ "version": lines::NEXT }), "not_found"),
    ] {
        let reply = api.update_verb(device, "", &request).await?;
        ensure!(reply.json["reason"] == reason, "{device} {request}: {reply:?}");
        let text = reply.json["next"].as_str().unwrap_or_default();
        ensure!(!text.is_empty(), "it says what to do: {reply:?}");
    }
    let told = network.weir(&["upgrade", "device", &manager, "--to", lines::NEXT]).await?;
    ensure!(told.status.code() == Some(1), "{told:?}");
    let said = String::from_utf8_lossy(&told.stderr);
    ensure!(said.contains("pair") && said.contains(&manager), "{told:?}");
    Ok(())
}

/// kill -9 of worker, keeper and manager at stages of an update: the device ends in one of the two versions, in service, and the manager
/// says which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_meanwhile_the_device_ends_in_service_and_the_manager_knows() -> anyhow::Result<()> {
    let (network, api) = with_next(6).await?;
    let manager = network.file().manager.name.clone();
    let mut device_turn = ["east-1", "west-1"].into_iter().cycle();
    // One stage before the switch, the switch, and one after it: rollouts go through all of them, with a manager that is killed.
    for stage in ["draining", "switching", "proving"] {
        for (who, part) in [("manager", Part::Keeper), ("device", Part::Keeper), ("device", Part::Worker)] {
            let device = device_turn.next().context("a device")?;
            let before = network.health_version(network.engine_admin(device)).await?;
            let target = if before == lines::NEXT { this_line(&network) } else { lines::NEXT.to_owned() };
            let number = api.assign_as(device, &json!({ "version": target, "override": true })).await?;
            // The journal says at once where the device is; the manager hears of it with the next report.
            let reached = journalled(&network, device, number, stage).await;
            let victim = if who == "manager" { manager.as_str() } else { device };
            network.signal(victim, part, weir_tests::process::Signal::KILL);
            let ended = api.update_ended(device, number).await;
            eprintln!("{reached}: {who} {part:?} killed: {} {}", ended["stage"], ended["reason"]);
            in_service(&network, &api, device).await?;
            let running = network.health_version(network.engine_admin(device)).await?;
            ensure!(ended["running"] == running && (running == target || running == before), "{ended} runs {running}");
            if running != target {
                let cleared = api.update_verb(device, "clear-burned", &json!({})).await?;
                ensure!(cleared.status < 300, "{cleared:?}");
            }
        }
    }
    Ok(())
}

async fn in_service(network: &Network, api: &Api, device: &str) -> anyhow::Result<()> {
    wait_for(&format!("{device} serves and no lease holds it"), UPDATE_DEADLINE, || async {
        let offload = api.offload_of(device).await?;
        ensure!(offload["leases"] == json!([]) && offload["status"] == "online", "{offload}");
        let target = network.target("/vod/index.m3u8");
        let answer = weir_tests::Client::east().get(network.engine(device), &target).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// Waits until the device has journalled this stage of the assignment, or a later one if it went past it between two looks.
async fn journalled(network: &Network, device: &str, number: u64, stage: &str) -> String {
    let order = [
        "fetching",
        "staged",
        "offload_requested",
        "draining",
        "drained",
        "switching",
        "trial",
        "readmitting",
        "proving",
        "committed",
        "ramping",
    ];
    let at = |stage: &str| order.iter().position(|one| *one == stage);
    let path = network.data(device).join("journal/update.log");
    wait_for(&format!("{device} is at {stage}"), UPDATE_DEADLINE, || async {
        let text = std::fs::read_to_string(&path)?;
        let last = text.lines().last().and_then(|line| line.split_once(' ')).context("a record")?.1;
        let record: serde_json::Value = serde_json::from_str(last)?;
        let now = record["stage"].as_str().context("a stage")?.to_owned();
        ensure!(record["assignment"]["stamp"]["generation"].as_u64() == Some(number), "{record}");
        ensure!(at(&now) >= at(stage) && at(&now).is_some(), "{record}");
        anyhow::Ok(now)
    })
    .await
}
