//! Rollouts of the whole network, its managers included, while viewers watch.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use weir_tests::{
    Api, Audience, Network, Part, Seat, lines,
    pair::MATCH_DEADLINE,
    process::Signal,
    rollout::{ROLLOUT_DEADLINE, glance},
    wait_for,
};

/// The operator API is silent for at most 5 s while the primary becomes another version; asserted with five times that.
const API_GAP: Duration = Duration::from_secs(25);
/// The configuration is frozen for at most 120 s, which the rollout itself ends; a rehearsal's managers take a few seconds.
const FROZEN: Duration = Duration::from_secs(120);

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

/// How long the operator API was silent, and the configuration frozen, at most.
#[derive(Debug, Default)]
struct Watched {
    gap: Duration,
    frozen: Duration,
}

/// Asks the operator API all the while.
fn watch(api: Api) -> (tokio::sync::oneshot::Sender<()>, JoinHandle<Watched>) {
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let watching = tokio::spawn(async move {
        let mut watched = Watched::default();
        let (mut answered, mut frozen): (Instant, Option<Instant>) = (weir_clock::monotonic(), None);
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = &mut stopped => return watched,
            }
            let Ok(rollout) = api.rollout().await else { continue };
            let now = weir_clock::monotonic();
            watched.gap = watched.gap.max(now - answered);
            answered = now;
            frozen = if rollout["frozen"] == true { frozen.or(Some(now)) } else { None };
            watched.frozen = watched.frozen.max(frozen.map_or(Duration::ZERO, |since| now - since));
        }
    });
    (stop, watching)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_notice_nothing_while_the_whole_network_goes_up_and_comes_back() -> anyhow::Result<()> {
    let (network, api) = with_next(3).await?;
    let this = network.file().version.clone();
    let mut audience = Audience::gather(&network).await?;
    let (stop, watching) = watch(Api::new(network.file())?);
    for version in [lines::NEXT, this.as_str()] {
        let begun = api.start_rollout(&json!({ "version": version })).await?;
        ensure!(begun["managers"].as_array().is_some_and(|managers| managers.len() == 2), "{begun}");
        let done = api.rollout_is("done").await;
        ensure!(done["frozen"] == false, "{}", glance(&done));
        all_run(&network, version).await?;
        network.matched(Seat::Manager).await;
        audience.watch_on().await?;
    }
    drop(stop);
    let watched = watching.await?;
    eprintln!("the API was silent for {:?}, the configuration frozen for {:?} at most", watched.gap, watched.frozen);
    ensure!(watched.gap < API_GAP && watched.frozen < FROZEN, "{watched:?}");
    audience.leave().await?.nothing()
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

/// The managers' steps are an operator's, at each box, in the order of the table; the wrong ones are refused with the right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_takes_the_network_back_at_the_command_line_of_each_manager() -> anyhow::Result<()> {
    let (network, api) = with_next(1).await?;
    let this = network.file().version.clone();
    api.start_rollout(&json!({ "version": lines::NEXT })).await?;
    api.rollout_is("done").await;
    network.matched(Seat::Manager).await;
    api.start_rollout(&json!({ "version": this, "driver": "cli" })).await?;
    wait_for("it waits for the primary's console", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        ensure!(rollout["waits"]["word"] == "awaiting_console" && rollout["frozen"] == true, "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    let switch = ["software", "switch", this.as_str()];
    let refused = network.cms_refused(Seat::Standby, &switch).await?;
    ensure!(refused.contains("switch_refused") && refused.contains("primary first"), "{refused}");
    network.cms_json(Seat::Manager, &switch).await?;
    is_ahead(&network, Seat::Manager, &this).await;
    let early = network.cms_refused(Seat::Manager, &["database", "downgrade"]).await?;
    ensure!(early.contains("switch_refused"), "{early}");
    network.cms_json(Seat::Standby, &switch).await?;
    is_ahead(&network, Seat::Standby, &this).await;
    for seat in Seat::ALL {
        network.cms_json(seat, &["database", "downgrade"]).await?;
        network.cms_json(seat, &["enable"]).await?;
    }
    api.rollout_is("done").await;
    all_run(&network, &this).await?;
    network.matched(Seat::Manager).await;
    Ok(())
}

/// Waits until a box runs the earlier version and waits for its database.
async fn is_ahead(network: &Network, seat: Seat, version: &str) {
    wait_for(&format!("{seat:?} waits for its database"), MATCH_DEADLINE, || async {
        let info = network.info(seat).await?;
        ensure!(info["version"] == version && info["state"] == "disabled_schema_ahead", "{info}");
        anyhow::Ok(())
    })
    .await;
}
