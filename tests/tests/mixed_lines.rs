//! Line 1.0 as it was released, built from the commit it was cut at, beside the present source as the lines after it. Managers of two
//! lines are beside each other for moments only: those of `requirements`.

use anyhow::{Context, ensure};
use serde_json::json;
use std::time::Duration;
use weir_tests::{
    Api, Audience, Client, Network, Publisher, Seat, acceptance,
    client::Ask,
    lines,
    rollout::{ROLLOUT_DEADLINE, glance},
    update::UPDATE_DEADLINE,
    wait_for,
};

/// Patience for the manager to hear, to judge and to say what it found.
const JUDGED: Duration = Duration::from_secs(60);

/// What each role runs, for a message.
async fn stands(network: &Network, api: &Api, how: &str) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for device in network.file().engines.iter().chain(&network.file().routers) {
        runs.push(format!("{} {}", device.name, api.update_of(&device.name).await?["running"]));
    }
    acceptance::line_1_0(network).await.with_context(|| format!("{how}: {}", runs.join(", ")))
}

/// An assignment that breaks the order: its reason, and that it says what to do.
async fn is_refused(api: &Api, device: &str, version: &str, reason: &str, next: &str) -> anyhow::Result<()> {
    let reply = wait_for("the manager judges", JUDGED, || async {
        let reply = api.update_verb(device, "", &json!({ "version": version, "override": true })).await?;
        ensure!(reply.json["reason"] != "too_early", "{reply:?}");
        anyhow::Ok(reply)
    })
    .await;
    let said = reply.json["next"].as_str().unwrap_or_default();
    ensure!(reply.json["reason"] == reason && said.contains(next), "{device} to {version}: {reply:?}");
    Ok(())
}

/// Up from the released binaries to the present source and back: every legal assignment of the two lines to manager, routers and
/// engines serves what line 1.0 serves while viewers watch, and the others are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_released_line_and_the_next_serve_in_every_legal_mix_and_others_are_refused() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).released().start().await?;
    let (api, released) = (Api::new(network.file())?, network.file().version.clone());
    let routers: Vec<String> = network.file().routers.iter().map(|router| router.name.clone()).collect();
    network.register_line(&api, lines::NEXT).await?;
    network.register_line(&api, lines::AFTER_NEXT).await?;
    network.matched(Seat::Manager).await;
    let mut audience = Audience::gather(&network).await?;
    stands(&network, &api, "all of the released line").await?;
    is_refused(&api, "east-1", lines::AFTER_NEXT, "order_refused", "line 1.1").await?;
    is_refused(&api, &network.file().manager.name, lines::NEXT, "pair_update_required", "plan the whole network").await?;

    for router in &routers {
        api.update(router, lines::NEXT).await?;
    }
    stands(&network, &api, "routers of the next line").await?;
    audience.watch_on().await?;
    is_refused(&api, "east-1", lines::AFTER_NEXT, "order_refused", "line 1.1").await?;
    for router in &routers {
        api.update(router, &released).await?;
    }
    api.start_rollout(&json!({ "version": lines::NEXT, "role": "engine" })).await?;
    api.rollout_is("done").await;
    stands(&network, &api, "engines of the next line").await?;
    audience.watch_on().await?;
    for router in &routers {
        api.update(router, lines::NEXT).await?;
    }
    stands(&network, &api, "engines and routers of the next line").await?;
    audience.watch_on().await?;

    api.start_rollout(&json!({ "version": lines::NEXT })).await?;
    let held = api.tell_rollout("hold", &json!({ "why": "the level stays for a while" })).await?;
    ensure!(held.status == 200, "{held:?}");
    wait_for("the rollout waits for whoever finalises", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        ensure!(rollout["waits"]["word"] == "held", "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    network.matched(Seat::Manager).await;
    stands(&network, &api, "all of the next line, held at the level of the released one").await?;
    audience.watch_on().await?;
    let finalised = api.tell_rollout("finalise", &json!({})).await?;
    ensure!(finalised.status == 200, "{finalised:?}");
    api.rollout_is("done").await;
    let status = acceptance::asks_for_detail(&api).await?;
    ensure!((200..300).contains(&status), "at the level of the next line its field is answered {status}");
    is_refused(&api, "east-1", &released, "order_refused", "managers go back first").await?;

    api.start_rollout(&json!({ "version": released, "parking": true })).await?;
    api.rollout_is("done").await;
    network.matched(Seat::Manager).await;
    stands(&network, &api, "all of the released line again").await?;
    audience.watch_on().await?;
    audience.leave().await?.nothing()
}

/// The step an operator takes first: from the released build to this one, of the same line, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_released_build_goes_to_this_one_and_back_while_viewers_watch() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).released().start().await?;
    let (api, released) = (Api::new(network.file())?, network.file().version.clone());
    // What is listed of this build is what a network of it listed last, which may be another image than that of the archive.
    let keys = network.file().release_keys.as_ref().context("network.json names the release directory")?;
    let publisher = Publisher::like(keys)?;
    let archive = publisher.pack(lines::THIS, std::env::consts::ARCH)?;
    network.weir_json(&["software", "register", "--file", archive.to_str().context("UTF-8")?, "--wait"]).await?;
    network.matched(Seat::Manager).await;
    let mut audience = Audience::gather(&network).await?;
    for version in [lines::THIS, &released] {
        api.start_rollout(&json!({ "version": version })).await?;
        api.rollout_is("done").await;
        network.matched(Seat::Manager).await;
        network.all_run(version).await?;
        stands(&network, &api, &format!("all of {version}")).await?;
        audience.watch_on().await?;
    }
    audience.leave().await?.nothing()
}

/// An engine of the released line that was away while the network went two lines on: no viewer is led to it, and it comes back a line
/// at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_two_lines_behind_is_quarantined_and_climbs_back() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).released().start().await?;
    let (api, released) = (Api::new(network.file())?, network.file().version.clone());
    network.register_line(&api, lines::NEXT).await?;
    network.register_line(&api, lines::AFTER_NEXT).await?;
    network.matched(Seat::Manager).await;
    let away = "west-1";
    network.keep_down(away).await?;
    for version in [lines::NEXT, lines::AFTER_NEXT] {
        api.wait_status(away, "offline", JUDGED).await;
        api.start_rollout(&json!({ "version": version })).await?;
        let excused = network.weir(&["upgrade", "excuse", away, "--why", "its disk is with the dealer"]).await?;
        ensure!(excused.status.success(), "{excused:?}");
        done_without(&api).await;
        network.matched(Seat::Manager).await;
    }
    network.bring_back(away)?;
    let alarm = wait_for("it is quarantined", JUDGED, || async {
        let alarms = api.alarms_of(away, "QUARANTINED_DEVICE").await?;
        let alarm = alarms.into_iter().next().context("the alarm")?;
        let leases = api.offload_of(away).await?;
        ensure!(leases["leases"].to_string().contains("fault"), "{leases}");
        anyhow::Ok(alarm)
    })
    .await;
    ensure!(alarm.to_string().contains(&released) && alarm.to_string().contains("line 1.1"), "{alarm}");
    led_to(&network, away, false).await;
    is_refused(&api, away, lines::AFTER_NEXT, "order_refused", "line 1.1").await?;
    for version in [lines::NEXT, lines::AFTER_NEXT] {
        // At one line from the primary it serves again, the only one in its location.
        let number = api.assign_as(away, &json!({ "version": version, "override": true })).await?;
        let update = api.update_ended(away, number).await;
        ensure!(update["successful"] == true && update["running"] == version, "{update}");
    }
    wait_for("it is one of them again", UPDATE_DEADLINE, || async {
        let (alarms, leases) = (api.alarms_of(away, "QUARANTINED_DEVICE").await?, api.offload_of(away).await?);
        ensure!(alarms.is_empty() && leases["leases"] == json!([]), "{alarms:?} {leases}");
        anyhow::Ok(())
    })
    .await;
    led_to(&network, away, true).await;
    Ok(())
}

/// Waits for the end of a rollout with a device that was excused. Its wave may have been found inconclusive before that: then it is
/// resumed, as it asks for.
async fn done_without(api: &Api) {
    wait_for("the rollout is done without the device that is away", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        if rollout["paused"]["reason"] == "wave_inconclusive" {
            let resumed = api.tell_rollout("resume", &json!({})).await?;
            ensure!(resumed.status == 200, "{resumed:?}");
        }
        ensure!(rollout["status"] == "done", "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
}

/// Waits until routers lead, or do not lead, viewers of its zone to an engine.
async fn led_to(network: &Network, engine: &str, wanted: bool) {
    let (address, client) = (network.engine(engine), Client::west());
    let mut turn = 0;
    wait_for(&format!("viewers are led to {engine}: {wanted}"), JUDGED, || {
        turn += 1;
        let target = network.target(&format!("/vod/index.m3u8?turn={turn}"));
        async move {
            for router in network.routers() {
                let (from, _, answer) = client.follow(router, &Ask::get(&target)).await?;
                ensure!((from == address) == wanted && answer.status() == 200, "{router} leads to {from}: {}", answer.status());
            }
            anyhow::Ok(())
        }
    })
    .await;
}
