//! Rollouts of the whole network whose managers are killed or promoted on the way.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use weir_tests::{
    Api, Network, Part, Seat, lines,
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

/// Every device, managers too, runs this version: each says so itself.
async fn all_run(network: &Network, version: &str) -> anyhow::Result<()> {
    let file = network.file();
    for device in file.engines.iter().chain(&file.routers) {
        let says = network.health_version(device.admin.context("an admin listener")?).await?;
        ensure!(says == version, "{} says {says}", device.name);
    }
    for seat in Seat::ALL {
        let info = network.info(seat).await?;
        ensure!(info["version"] == version, "{info}");
    }
    Ok(())
}

/// Killed in each of its phases, whichever of the two builds it is by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_in_each_phase_brings_the_whole_network_up() -> anyhow::Result<()> {
    let (network, api) = with_next(1).await?;
    let manager = network.file().manager.name.clone();
    api.start_rollout(&json!({ "version": lines::NEXT })).await?;
    for phase in ["backup_gate", "engines", "freeze", "managers", "resync"] {
        wait_for(&format!("the rollout is in {phase} or behind it"), ROLLOUT_DEADLINE, || async {
            let rollout = api.rollout().await?;
            let phases: Vec<&str> = rollout["phases"].as_array().context("phases")?.iter().filter_map(Value::as_str).collect();
            let at = |name: &str| phases.iter().position(|phase| *phase == name);
            let now = at(rollout["phase"].as_str().context("a phase")?);
            ensure!(now >= at(phase) || rollout["over"] == true, "{}", glance(&rollout));
            anyhow::Ok(())
        })
        .await;
        network.signal(&manager, Part::Worker, Signal::KILL);
    }
    api.rollout_is("done").await;
    all_run(&network, lines::NEXT).await?;
    network.matched(Seat::Manager).await;
    Ok(())
}
