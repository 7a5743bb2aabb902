//! Wires a manager to its sockets: the primary, or, once enrolled to one, the standby.

use super::{
    Start,
    admin::{self, State},
    data_plane,
    sockets::Sockets,
};
use anyhow::Context;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use weir_agent::{Agent, DeviceState, Hooks, Identity, KEEPER_NEWS_MAX, KeeperLink, admin::WorkerState, answer::last_lines};
use weir_device_api::Load;
use weir_keeper_api::{Reason, Verb};
use weir_manager::{Manager, ManagerListeners, ManagerSettings, OwnAnswers, StandbyApi, StandbySettings};
use weir_operator_api::status::PrimaryAddress;
use weir_rollout::update::Figures;
use weir_sockets::{ControlSender, Event};
use weir_telemetry::Tasks;

/// How long a manager whose keeper died finishes what was asked of it.
const ORPHAN_STOP: Duration = Duration::from_secs(5);
/// How long owned tasks may take to end.
const TASKS_END: Duration = Duration::from_millis(500);

/// Runs a manager until its keeper ends it.
pub(super) async fn run(mut start: Start) -> anyhow::Result<()> {
    let state = DeviceState::open(start.device.directory.root(), start.device.name.clone(), start.device.role)?;
    let sockets = Sockets::of(&mut start);
    match state.identity()? {
        Some(identity) => standby(start, sockets, state, identity).await,
        None => primary(start, sockets, state).await,
    }
}

fn logs(path: PathBuf) -> Arc<dyn Fn(u32) -> Result<Vec<String>, String> + Send + Sync> {
    Arc::new(move |lines| {
        last_lines(&path, usize::try_from(lines).unwrap_or(usize::MAX)).map_err(|error| format!("cannot read its log: {error}"))
    })
}

async fn primary(start: Start, mut sockets: Sockets, state: DeviceState) -> anyhow::Result<()> {
    let device = &start.device;
    let (boot, unsaved) = state.next_boot();
    if let Some(error) = unsaved {
        tracing::error!(error = %weir_telemetry::Chain(&error), "state directory cannot be written");
    }
    let manager = Manager::open(ManagerSettings {
        data: device.directory.root().to_owned(),
        name: device.name.clone(),
        network_name: device.network.clone(),
        profile: device.profile.clone(),
        listeners: device.listeners,
        addresses: Vec::new(),
        metrics: start.metrics.clone(),
        own: OwnAnswers {
            boot,
            worker_crashes: start.worker_crashes,
            last_exit: start.last_exit.clone(),
            logs: logs(device.directory.device_log()),
        },
    })
    .await?;
    let manager = Arc::new(manager);
    let tasks = Tasks::new();
    let health = State::default();
    let stamp = {
        let manager = manager.clone();
        move || (manager.stamp().term, manager.stamp().generation)
    };
    let (who, gate) = ((device.name.clone(), device.role), admin::gate(false));
    admin::serve(sockets.tcp("admin"), &start.metrics, who, &health, stamp, (&gate, &tasks));
    let mut events = start.control.events;
    if data_plane::ready(&start.control.sender, &mut events, drop).await? {
        let connections = Some(start.connections);
        manager.serve(ManagerListeners { api: sockets.tcp("https"), device: sockets.tcp("device"), connections }).await?;
        health.is(WorkerState::Serving);
        let patience = until_end(&start.control.sender, &mut events).await;
        health.is(WorkerState::Stopping);
        // The next keeper binds the admin address too.
        tasks.cancel();
        if !manager.stop(patience).await {
            tracing::warn!("some requests were cut off");
        }
    }
    tasks.join(TASKS_END).await;
    Ok(())
}

async fn standby(start: Start, mut sockets: Sockets, state: DeviceState, identity: Identity) -> anyhow::Result<()> {
    let device = &start.device;
    let url = identity.manager_api.map_or_else(|| "its operator API".to_owned(), |api| format!("https://{api}"));
    let api = StandbyApi::new(StandbySettings {
        data: device.directory.root().to_owned(),
        name: device.name.clone(),
        network_name: device.network.clone(),
        primary: PrimaryAddress { name: identity.manager_name.clone(), url },
        certificate_pem: format!("{}{}", identity.certificate, identity.ca),
        key_pem: identity.key.clone(),
    })
    .context("make the standby")?;
    // A standby serves nobody from its configuration; it keeps the newest and reports.
    let hooks = Hooks {
        apply: Box::new(|_| Ok(())),
        load: Box::new(Load::default),
        conditions: Box::new(Vec::new),
        drain: Box::new(|| None),
        served: Box::new(Figures::default),
        make_space: Box::new(|_| 0),
        explain: None,
        routers: None,
        hold: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    let agent = Agent::open(start.agent_settings(state, identity), hooks)?;
    let tasks = Tasks::new();
    let health = State::default();
    let (who, gate) = ((device.name.clone(), device.role), admin::gate(false));
    admin::serve(sockets.tcp("admin"), &start.metrics, who, &health, admin::stamp_of(&agent), (&gate, &tasks));
    let mut events = start.control.events;
    if data_plane::ready(&start.control.sender, &mut events, drop).await? {
        api.serve(sockets.tcp("https")).await?;
        // A manager is not updated by its agent: nothing of the keeper's concerns it.
        let (_news, news) = mpsc::channel(KEEPER_NEWS_MAX);
        agent.start(KeeperLink { sender: start.control.sender.clone(), news });
        health.is(WorkerState::Serving);
        let patience = until_end(&start.control.sender, &mut events).await;
        health.is(WorkerState::Stopping);
        agent.end().await;
        tasks.cancel();
        api.stop(patience).await;
    }
    tasks.join(TASKS_END).await;
    Ok(())
}

/// Waits until the keeper ends this worker, or is gone; returns how long it may take to finish. Sockets stay with the
/// keeper, so STOP alone changes nothing for a manager: DRAIN follows.
async fn until_end(sender: &ControlSender, events: &mut mpsc::Receiver<Event>) -> Duration {
    loop {
        match events.recv().await {
            Some(Event::Drain { deadline }) => return deadline,
            Some(Event::Exit) => return Duration::ZERO,
            Some(Event::Closed) | None => return ORPHAN_STOP,
            Some(Event::Stop | Event::Accept | Event::Slots { .. }) => {}
            Some(Event::Park) => refuse(sender, Verb::Park),
            Some(Event::Unpark) => refuse(sender, Verb::Unpark),
            Some(other) => tracing::warn!(event = ?other, "ignored: nothing of this kind was asked for"),
        }
    }
}

/// A manager restarts; two of them would write one database.
fn refuse(sender: &ControlSender, verb: Verb) {
    if let Err(error) = sender.refuse(verb, Reason::NotBuilt, "a manager does not park; stop the worker with STOP and DRAIN") {
        tracing::debug!(%error, "keeper not told of the refusal");
    }
}
