//! Rollouts of the whole network whose managers are killed or promoted on the way.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use weir_tests::{
    Api, Audience, Network, Part, Seat, lines,
    process::Signal,
    rollout::{ROLLOUT_DEADLINE, glance},
    wait_for,
};

/// A network whose manager has the archive of the next line.
async fn with_next(engines: u16) -> anyhow::Result<(Network, Api)> {
    let network = Network::builder().engines(engines).start().await?;
    let api = Api::new(network.file())?;
    network.register_line(&api, lines::NEXT).await?;
    network.matched(Seat::Manager).await;
    Ok((network, api))
}

/// Waits until the rollout is in this phase or behind it.
async fn is_reached(api: &Api, phase: &str) {
    wait_for(&format!("the rollout is in {phase} or behind it"), ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        let phases: Vec<&str> = rollout["phases"].as_array().context("phases")?.iter().filter_map(Value::as_str).collect();
        let at = |name: &str| phases.iter().position(|phase| *phase == name);
        let now = at(rollout["phase"].as_str().context("a phase")?);
        ensure!(now >= at(phase) || rollout["over"] == true, "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
}

/// Killed in each of its phases, on both builds, and on trial: there it falls back, and the rollout says so, waits for an operator
/// with both managers as they were and nothing frozen, and goes on when it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_in_each_phase_brings_the_whole_network_up() -> anyhow::Result<()> {
    let (network, api) = with_next(1).await?;
    let manager = network.file().manager.name.clone();
    let this = network.info(Seat::Manager).await?["version"].as_str().context("a version")?.to_owned();
    let audience = Audience::gather(&network).await?;
    api.start_rollout(&json!({ "version": lines::NEXT })).await?;
    for phase in ["backup_gate", "engines", "freeze"] {
        is_reached(&api, phase).await;
        network.signal(&manager, Part::Worker, Signal::KILL);
    }
    wait_for("the primary is on trial", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        let primary = &rollout["managers"][0];
        ensure!(primary["seat"] == "primary" && primary["state"] == "on_trial", "{primary} {}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    network.signal(&manager, Part::Worker, Signal::KILL);
    let paused = api.rollout_is("paused").await;
    ensure!(paused["paused"]["reason"] == "manager_failed", "{}", glance(&paused));
    wait_for("both managers are as they were, and writes are taken", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        ensure!(rollout["frozen"] == false, "{}", glance(&rollout));
        for manager in rollout["managers"].as_array().context("managers")? {
            ensure!(manager["running"] == this, "{manager}");
        }
        anyhow::Ok(())
    })
    .await;
    let written = api.send(Method::POST, "/locations", Some(&json!({ "name": "between" }).to_string())).await?;
    ensure!(written.status == 201, "{written:?}");
    let told = api.tell_rollout("resume", &json!({})).await?;
    ensure!(told.status == 200, "{told:?}");
    is_reached(&api, "soak").await;
    network.signal(&manager, Part::Worker, Signal::KILL);
    api.rollout_is("done").await;
    network.all_run(lines::NEXT).await?;
    network.matched(Seat::Manager).await;
    api.get("/locations/between").await?;
    audience.leave().await?.nothing()
}

/// The standby runs the next line, its primary not yet, and is gone: promoted just then, the standby drives on. The one that was primary
/// comes back as its standby and is brought to the same version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_while_the_managers_are_apart_brings_the_other_one_up() -> anyhow::Result<()> {
    let (network, api) = with_next(1).await?;
    let manager = network.file().manager.name.clone();
    let audience = Audience::gather(&network).await?;
    let begun = api.start_rollout(&json!({ "version": lines::NEXT })).await?;
    let (this, standby) = (network.file().version.clone(), network.file().standby.name.clone());
    wait_for("the standby runs the next line", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        let managers = rollout["managers"].as_array().context("managers")?;
        let runs = |name: &str| managers.iter().find(|manager| manager["device"] == name).map(|manager| manager["running"].clone());
        let apart = runs(&standby) == Some(json!(lines::NEXT)) && runs(&manager) == Some(json!(this));
        ensure!(apart, "{managers:?} {}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    network.keep_down(&manager).await?;
    // For a moment it was heard just now, and a manager of another version hands nothing over.
    wait_for("the standby is promoted", ROLLOUT_DEADLINE, || async {
        network.cms_json(Seat::Standby, &["role", "primary", "--accept-loss", "1000"]).await
    })
    .await;
    let primary = network.api_of(Seat::Standby)?;
    network.bring_back(&manager)?;
    wait_for("the rollout is done, or waits for an operator", ROLLOUT_DEADLINE, || async {
        let rollout = primary.rollout().await?;
        if rollout["status"] == "paused" {
            // Killed on its own trial it has gone back by itself, which is said.
            ensure!(rollout["paused"]["reason"] == "manager_failed", "{}", glance(&rollout));
            let told = primary.tell_rollout("resume", &json!({})).await?;
            ensure!(told.status == 200, "{told:?}");
        }
        ensure!(rollout["hash"] == begun["hash"] && rollout["status"] == "done", "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    network.all_run(lines::NEXT).await?;
    network.matched(Seat::Standby).await;
    audience.leave().await?.nothing()
}
