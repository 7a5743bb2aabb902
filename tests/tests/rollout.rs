//! Rollouts of engines and routers while viewers watch: in order, up and back; a bad image, an abort, and whoever is killed meanwhile.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use weir_tests::{
    Api, Audience, Network, Part, Seat, lines,
    process::Signal,
    rollout::{ROLLOUT_DEADLINE, glance},
    wait_for,
};

/// Patience for an alarm to follow what it is about.
const ALARM_DEADLINE: Duration = Duration::from_secs(20);

/// A network whose manager has the archive of this version.
async fn with(version: &str, engines: u16) -> anyhow::Result<(Network, Api)> {
    let network = Network::builder().engines(engines).start().await?;
    let api = Api::new(network.file())?;
    network.register_line(&api, version).await?;
    Ok((network, api))
}

/// Engines and routers, by name.
fn everybody(network: &Network) -> Vec<String> {
    let file = network.file();
    file.engines.iter().chain(&file.routers).map(|device| device.name.clone()).collect()
}

/// The devices of a rollout that run this version, as the rollout has it.
fn running(rollout: &Value, version: &str) -> BTreeSet<String> {
    let lanes = rollout["lanes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let there = lanes.iter().filter(|lane| lane["running"] == version);
    there.filter_map(|lane| lane["device"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_is_killed_again_and_again_brings_the_rollout_to_its_end() -> anyhow::Result<()> {
    let (network, api) = with(lines::NEXT, 3).await?;
    let manager = network.file().manager.name.clone();
    let audience = Audience::gather(&network).await?;
    let begun = api.start_rollout(&json!({ "version": lines::NEXT, "devices": everybody(&network) })).await?;
    // Each time at another place: after so many devices have been told, or are there.
    for there in 0..5 {
        wait_for(&format!("{there} devices are there"), ROLLOUT_DEADLINE, || async {
            let rollout = api.rollout().await?;
            ensure!(rollout["done"].as_u64() >= Some(there) || rollout["over"] == true, "{}", glance(&rollout));
            anyhow::Ok(())
        })
        .await;
        network.signal(&manager, if there % 2 == 0 { Part::Worker } else { Part::Keeper }, Signal::KILL);
    }
    let done = api.rollout_is("done").await;
    ensure!(done["hash"] == begun["hash"] && done["started_ms"] == begun["started_ms"], "it is the same rollout: {done}");
    ensure!(running(&done, lines::NEXT).len() == everybody(&network).len(), "{}", glance(&done));
    audience.leave().await?.nothing()
}

/// The standby has the journal, so it has the rollout: promoted in the middle, it goes on with it under its own term.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_in_the_middle_goes_on() -> anyhow::Result<()> {
    let (network, api) = with(lines::NEXT, 3).await?;
    network.matched(Seat::Manager).await;
    let audience = Audience::gather(&network).await?;
    let begun = api.start_rollout(&json!({ "version": lines::NEXT, "devices": everybody(&network) })).await?;
    wait_for("a device is there", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        ensure!(rollout["done"].as_u64() >= Some(1), "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    network.cms_json(Seat::Standby, &["role", "primary"]).await?;
    let primary = network.api_of(Seat::Standby)?;
    let done = primary.rollout_is("done").await;
    ensure!(done["hash"] == begun["hash"] && done["by"] == begun["by"], "it is the same rollout: {done}");
    ensure!(running(&done, lines::NEXT).len() == everybody(&network).len(), "{}", glance(&done));
    audience.leave().await?.nothing()
}

/// Bad images, and whether one can fail a viewer before it is found out: the first dies before it serves, the second never serves, the
/// third answers with errors.
const BAD: [(&str, bool); 3] = [("1.1.0-b2", false), ("1.1.0-b4", false), ("1.1.0-b5", true)];

/// Requests of an audience that such a canary may fail at a tenth of its weight, until it is found out.
const FAILED_MOST: usize = 400;
/// Stages of a device that serves as ever.
const BEFORE_IT_LEAVES: [&str; 4] = ["idle", "assigned", "fetching", "staged"];

/// Each bad image stops at the canary, with the rest of the network as it was, and is taken back from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_image_stays_with_its_canary_and_the_rollout_says_why() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let (api, this) = (Api::new(network.file())?, network.file().version.clone());
    for (version, may_fail) in BAD {
        network.register_line(&api, version).await?;
        let audience = Audience::gather(&network).await?;
        api.start_rollout(&json!({ "version": version, "role": "engine" })).await?;
        let paused = api.rollout_is("paused").await;
        stopped_at_the_canary(&network, &api, &paused).await?;
        let reply = api.tell_rollout("revert", &json!({})).await?;
        ensure!(reply.status == 200, "{reply:?}");
        let reverted = api.rollout_is("reverted").await;
        ensure!(running(&reverted, &this).len() == network.file().engines.len(), "{version}: {}", glance(&reverted));
        let noticed = audience.leave().await?;
        if may_fail {
            let canaries: Vec<String> = canaries(&paused)?.iter().map(|name| network.engine(name).to_string()).collect();
            let outside: Vec<&String> =
                noticed.failed.iter().filter(|what| !canaries.iter().any(|canary| what.contains(canary.as_str()))).collect();
            ensure!(outside.is_empty() && noticed.failed.len() <= FAILED_MOST, "{version}: {:#?}", noticed.failed);
            ensure!(noticed.stalls.is_empty() && noticed.requests > 0, "{version}: {:?}", noticed.stalls);
        } else {
            noticed.nothing().context(version)?;
        }
    }
    Ok(())
}

/// The devices of its first wave.
fn canaries(rollout: &Value) -> anyhow::Result<BTreeSet<&str>> {
    Ok(rollout["waves"][0]["devices"].as_array().context("a wave")?.iter().filter_map(Value::as_str).collect())
}

/// Paused for its first wave; nobody else went further than staging; the alarm says why.
async fn stopped_at_the_canary(network: &Network, api: &Api, paused: &Value) -> anyhow::Result<()> {
    ensure!(paused["paused"]["reason"] == "wave_failed", "{}", glance(paused));
    let canaries = canaries(paused)?;
    let rest: Vec<&Value> = paused["lanes"].as_array().context("lanes")?.iter().filter(|lane| !lane["told"].is_null()).collect();
    for lane in rest.iter().filter(|lane| !canaries.contains(lane["device"].as_str().unwrap_or_default())) {
        ensure!(
            lane["running"] == network.file().version.as_str() && BEFORE_IT_LEAVES.contains(&lane["stage"].as_str().unwrap_or_default()),
            "only canaries went further: {lane}"
        );
    }
    wait_for("the alarm stands", ALARM_DEADLINE, || async {
        let alarms = api.alarms_of(&network.file().manager.name, "UPGRADE_STUCK").await?;
        ensure!(
            alarms.len() == 1
                && alarms[0]["text"].as_str().is_some_and(|text| text.contains("wave 0 failed: ") && text.contains(" went back")),
            "{alarms:?}"
        );
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_is_aborted_rests_and_goes_on_or_makes_way() -> anyhow::Result<()> {
    let (network, api) = with(lines::NEXT, 3).await?;
    let audience = Audience::gather(&network).await?;
    let request = json!({ "version": lines::NEXT, "role": "engine" });
    api.start_rollout(&request).await?;
    // Nobody else tells its devices anything, and no other rollout begins.
    let alone = api.update_verb("east-1", "", &json!({ "version": lines::NEXT })).await?;
    ensure!(alone.json["reason"] == "rollout_under_way", "{alone:?}");
    let plan = api.plan(&json!({ "version": lines::NEXT, "role": "router" })).await?;
    let told = network.weir(&["upgrade", "start", "--plan", plan["hash"].as_str().context("a hash")?]).await?;
    ensure!(told.status.code() == Some(1) && String::from_utf8_lossy(&told.stderr).contains("rollout_under_way"), "{told:?}");
    let reply = api.tell_rollout("abort", &json!({})).await?;
    ensure!(reply.json["reason"] == "missing_field" && reply.json["field"] == "why", "{reply:?}");
    let aborted = network.weir(&["upgrade", "abort", "--why", "a look first", "--wait"]).await?;
    ensure!(aborted.status.code() == Some(0), "{aborted:?}");
    let rests = api.rollout().await?;
    ensure!(rests["status"] == "aborted" && rests["aborted"] == "a look first", "{}", glance(&rests));
    let updates = api.list("/updates").await?;
    ensure!(updates.iter().all(|update| update["at_rest"] == true), "{updates:?}");
    let resumed = network.weir(&["upgrade", "resume", "--wait"]).await?;
    ensure!(resumed.status.code() == Some(0), "{resumed:?}");
    let done = api.rollout().await?;
    ensure!(done["status"] == "done" && running(&done, lines::NEXT).len() == 3, "{}", glance(&done));
    audience.leave().await?.nothing()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_planned_says_every_reason() -> anyhow::Result<()> {
    let (network, api) = with(lines::NEXT, 3).await?;
    for (request, reason) in [
        (json!({ "version": network.file().version, "role": "engine" }), "nothing_to_do"),
        (json!({ "version": "3.0.0-b1", "role": "engine" }), "no_path"),
        (json!({ "version": lines::NEXT, "role": "engine", "shares": [50] }), "shares"),
        (json!({ "version": lines::NEXT, "role": "engine", "direction": "downgrade" }), "wrong_direction"),
    ] {
        let plan = api.plan(&request).await?;
        let reasons: Vec<&Value> = plan["refused"].as_array().context("reasons")?.iter().map(|refused| &refused["reason"]).collect();
        ensure!(plan["hash"].is_null() && reasons.contains(&&json!(reason)), "{request}: {plan}");
    }
    let none = api.tell_rollout("pause", &json!({ "why": "no" })).await?;
    ensure!(none.json["reason"] == "no_rollout", "{none:?}");
    Ok(())
}
