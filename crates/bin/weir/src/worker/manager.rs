//! Wires a manager to its sockets: the primary, or, once enrolled to one, the standby.

use super::{
    Start,
    life::{self, Sockets, State},
};
use anyhow::Context;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use weir_agent::{Agent, DeviceState, Hooks, Identity, admin::WorkerState, answer::last_lines};
use weir_device_api::Load;
use weir_manager::{Manager, ManagerListeners, ManagerSettings, OwnAnswers, StandbyApi, StandbySettings};
use weir_operator_api::status::PrimaryAddress;
use weir_sockets::Event;
use weir_telemetry::Tasks;

/// How long a manager whose keeper died finishes what was asked of it.
const ORPHAN_STOP: Duration = Duration::from_secs(5);
/// How long owned tasks may take to end.
const TASKS_END: Duration = Duration::from_millis(500);

/// Runs a manager until its keeper ends it.
pub(super) async fn run(mut start: Start) -> anyhow::Result<()> {
    let state = DeviceState::open(start.device.directory.root(), start.device.name.clone(), start.device.role)?;
    let sockets = life::split(&mut start);
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
    life::admin(&mut sockets, &start.metrics, (device.name.clone(), device.role), &health, stamp, &tasks);
    let mut events = start.control.events;
    if life::ready(&start.control.sender, &mut events).await? {
        let connections = Some(start.connections);
        manager.serve(ManagerListeners { api: sockets.tcp("https"), device: sockets.tcp("device"), connections }).await?;
        health.is(WorkerState::Serving);
        let patience = until_end(&mut events).await;
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
        explain: None,
        routers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    let agent = Agent::open(start.agent_settings(state, identity), hooks)?;
    let tasks = Tasks::new();
    let health = State::default();
    life::admin(&mut sockets, &start.metrics, (device.name.clone(), device.role), &health, life::stamp_of(&agent), &tasks);
    let mut events = start.control.events;
    if life::ready(&start.control.sender, &mut events).await? {
        api.serve(sockets.tcp("https")).await?;
        agent.start(&tasks);
        health.is(WorkerState::Serving);
        let patience = until_end(&mut events).await;
        health.is(WorkerState::Stopping);
        tasks.cancel();
        api.stop(patience).await;
    }
    tasks.join(TASKS_END).await;
    Ok(())
}

/// Waits until the keeper ends this worker, or is gone; returns how long it may take to finish. Sockets stay with the
/// keeper, so STOP alone changes nothing for a manager: DRAIN follows.
async fn until_end(events: &mut mpsc::Receiver<Event>) -> Duration {
    loop {
        match events.recv().await {
            Some(Event::Drain { deadline }) => return deadline,
            Some(Event::Exit) => return Duration::ZERO,
            Some(Event::Closed) | None => return ORPHAN_STOP,
            Some(Event::Stop | Event::Accept) => {}
            Some(other) => tracing::warn!(event = ?other, "ignored: nothing of this kind was asked for"),
        }
    }
}
