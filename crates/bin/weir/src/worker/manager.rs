//! Wires a manager's box to its sockets, and an agent beside it for as long as it is the standby.

use super::{
    Start,
    admin::{self, State},
    data_plane,
    sockets::Sockets,
};
use anyhow::Context;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use weir_agent::{Agent, DeviceState, Hooks, Identity, KEEPER_NEWS_MAX, KeeperLink, admin::WorkerState, answer::last_lines};
use weir_device_api::Load;
use weir_keeper_api::{Reason, Switch, Text, Verb};
use weir_manager::{AskKeeper, KeeperAsk, KeptIdentity, LifeNow, ManagerBox, ManagerListeners, ManagerSettings, OwnAnswers, OwnIdentity};
use weir_rollout::update::Figures;
use weir_sockets::{ControlSender, Event};
use weir_telemetry::{Chain, Tasks};

/// How long a manager whose keeper died finishes what was asked of it.
const ORPHAN_STOP: Duration = Duration::from_secs(5);
/// How long another version of this manager may take to be READY.
const READY: Duration = Duration::from_secs(60);
/// How long it may serve until it says that it is good: the configuration is frozen for less than that.
const TRIAL: Duration = Duration::from_secs(600);
/// How long owned tasks may take to end.
const TASKS_END: Duration = Duration::from_millis(500);

/// Runs a manager's box until its keeper ends it: primary, standby, disabled, and whatever it becomes.
pub(super) async fn run(mut start: Start) -> anyhow::Result<()> {
    let state = DeviceState::open(start.device.directory.root(), start.device.name.clone(), start.device.role)?;
    let mut sockets = Sockets::of(&mut start);
    let (settings, identity) = (settings(&start, &state), own_identity(&start, &state));
    let mut events = std::mem::replace(&mut start.control.events, mpsc::channel(1).1);
    // While another worker serves it has the databases: this one opens them once the keeper has told that one to end.
    let on_trial = admin::is_on_trial(&start.device.directory);
    if on_trial && !data_plane::ready(&start.control.sender, &mut events, drop).await? {
        return Ok(());
    }
    let manager = ManagerBox::open(settings, identity).await?;
    let tasks = Tasks::new();
    let health = State::default();
    let (who, gate) = ((start.device.name.clone(), start.device.role), admin::gate(false));
    let stamp_of = manager.stamp_of();
    let stamp = move || (stamp_of().term, stamp_of().generation);
    admin::serve(sockets.tcp("admin"), &start.metrics, who, &health, stamp, (&gate, &tasks));
    if on_trial || data_plane::ready(&start.control.sender, &mut events, drop).await? {
        let connections = Some(start.connections);
        manager.serve(ManagerListeners { api: sockets.tcp("https"), device: sockets.tcp("device"), connections }).await?;
        health.is(WorkerState::Serving);
        let sender = start.control.sender.clone();
        let patience = tokio::select! {
            patience = until_end(&sender, &mut events, &manager) => patience,
            () = beside(&start, &state, manager.lives()) => ORPHAN_STOP,
        };
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

fn settings(start: &Start, state: &DeviceState) -> ManagerSettings {
    let device = &start.device;
    let (boot, unsaved) = state.next_boot();
    if let Some(error) = unsaved {
        tracing::error!(error = %Chain(&error), "state directory cannot be written");
    }
    ManagerSettings {
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
        keeper: Some(keeper(start.control.sender.clone())),
    }
}

/// How the manager asks its keeper.
fn keeper(sender: ControlSender) -> AskKeeper {
    Arc::new(move |ask| {
        let asked = match ask {
            KeeperAsk::Switch { version, manifest, stamp } => sender.switch(Switch {
                version: Text::new(version.to_string()),
                manifest: Text::new(manifest),
                term: stamp.term,
                generation: stamp.generation,
                ready_ms: weir_clock::millis(READY),
                trial_ms: weir_clock::millis(TRIAL),
            }),
            KeeperAsk::Commit => sender.commit(),
            KeeperAsk::Back { reason } => sender.back(reason, true),
            KeeperAsk::Unburn { manifest } => sender.unburn(&manifest),
        };
        asked.map_err(|error| Chain(&error).to_string())
    })
}

fn logs(path: PathBuf) -> Arc<dyn Fn(u32) -> Result<Vec<String>, String> + Send + Sync> {
    Arc::new(move |lines| {
        last_lines(&path, usize::try_from(lines).unwrap_or(usize::MAX)).map_err(|error| format!("cannot read its log: {error}"))
    })
}

/// The identity the agent keeps, as the manager reads and writes it: one that was primary issues its own.
fn own_identity(start: &Start, state: &DeviceState) -> OwnIdentity {
    let (read, keep) = (state.clone(), state.clone());
    let (device, role) = (start.device.name.clone(), start.device.role);
    OwnIdentity {
        read: Arc::new(move || {
            let identity = read.identity().map_err(|error| Chain(&error).to_string())?;
            Ok(identity.map(|identity| KeptIdentity {
                certificate_pem: identity.certificate,
                key_pem: identity.key,
                ca_pem: identity.ca,
                manager: identity.manager,
                manager_name: identity.manager_name,
                manager_api: identity.manager_api,
            }))
        }),
        keep: Arc::new(move |kept| {
            let identity = Identity {
                device: device.clone(),
                role,
                certificate: kept.certificate_pem.clone(),
                key: kept.key_pem.clone(),
                ca: kept.ca_pem.clone(),
                manager: kept.manager,
                manager_name: kept.manager_name.clone(),
                manager_api: kept.manager_api,
            };
            keep.keep_identity(&identity).map_err(|error| Chain(&error).to_string())
        }),
    }
}

/// Runs an agent beside each life as standby: it reports, and keeps the newest configuration. Ends when the box does.
async fn beside(start: &Start, state: &DeviceState, mut lives: watch::Receiver<LifeNow>) {
    let mut agent: Option<Agent> = None;
    loop {
        let life = *lives.borrow_and_update();
        if let Some(ended) = agent.take() {
            ended.end().await;
        }
        if life.is_standby {
            agent = agent_of_standby(start, state)
                .inspect_err(|error| tracing::error!(error = format!("{error:#}"), "the standby does not report to the primary"))
                .ok();
        }
        if lives.changed().await.is_err() {
            return;
        }
    }
}

fn agent_of_standby(start: &Start, state: &DeviceState) -> anyhow::Result<Agent> {
    let identity = state.identity()?.context("a standby has an identity")?;
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
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    let agent = Agent::open(start.agent_settings(state.clone(), identity), hooks)?;
    // A manager is not updated by its agent: nothing of the keeper's concerns it.
    let (_news, news) = mpsc::channel(KEEPER_NEWS_MAX);
    agent.start(KeeperLink { sender: start.control.sender.clone(), news });
    Ok(agent)
}

/// Waits until the keeper ends this worker, or is gone; returns how long it may take to finish. Sockets stay with the
/// keeper, so STOP alone changes nothing for a manager: DRAIN follows.
async fn until_end(sender: &ControlSender, events: &mut mpsc::Receiver<Event>, manager: &ManagerBox) -> Duration {
    loop {
        match events.recv().await {
            Some(Event::Drain { deadline }) => return deadline,
            Some(Event::Exit) => return Duration::ZERO,
            Some(Event::Closed) | None => return ORPHAN_STOP,
            Some(Event::Stop | Event::Accept | Event::Slots { .. }) => {}
            Some(Event::Park) => refuse(sender, Verb::Park),
            Some(Event::Unpark) => refuse(sender, Verb::Unpark),
            Some(Event::Refused { verb, detail, .. }) => manager.keeper_refused(verb.as_str(), detail.as_str()),
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
