//! The life of a worker that serves viewers: ready, accept, stop, drain; and what happens when the keeper dies.

use super::Start;
use anyhow::{Context, bail};
use std::{
    net::{TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use weir_agent::{
    Agent,
    admin::{Admin, Health, WorkerState},
    control::Control,
};
use weir_device_api::Load;
use weir_model::{DeviceName, Role, version};
use weir_net::{
    cores::Cores,
    http1::{Gate, Limits, serve},
};
use weir_sockets::{Adopted, AdoptedSockets, ControlSender, Event};
use weir_telemetry::{Chain, Metrics, Tasks};

/// How long a worker whose keeper died finishes what is in flight.
const ORPHAN_DRAIN: Duration = Duration::from_secs(10);
/// How often a draining worker tells the keeper what is left.
const DRAIN_REPORT: Duration = Duration::from_millis(250);
/// How long owned tasks may take to end.
pub(super) const TASKS_END: Duration = Duration::from_millis(500);

/// The listening sockets of one device, by name.
pub(super) struct Sockets(Vec<Adopted>);

impl Sockets {
    pub(super) fn new(adopted: Vec<Adopted>) -> Self {
        Self(adopted)
    }

    fn take(&mut self, name: &str) -> Option<AdoptedSockets> {
        let at = self.0.iter().position(|a| a.listener.name.as_str() == name)?;
        Some(self.0.swap_remove(at).sockets)
    }

    /// Every TCP socket of a listener; none when device.toml has no such listener.
    pub(super) fn tcp(&mut self, name: &str) -> Vec<TcpListener> {
        match self.take(name) {
            Some(AdoptedSockets::Tcp(sockets)) => sockets,
            _ => Vec::new(),
        }
    }

    /// Every UDP socket of a listener.
    pub(super) fn udp(&mut self, name: &str) -> Vec<UdpSocket> {
        match self.take(name) {
            Some(AdoptedSockets::Udp(sockets)) => sockets,
            _ => Vec::new(),
        }
    }
}

/// The worker's state, shared with `/health`.
#[derive(Clone)]
pub(super) struct State(Arc<watch::Sender<WorkerState>>);

impl Default for State {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(WorkerState::Starting)))
    }
}

impl State {
    pub(super) fn is(&self, state: WorkerState) {
        self.0.send_replace(state);
    }
}

/// Serves `/metrics` and `/health` on every admin socket, from now on.
pub(super) fn admin(
    sockets: &mut Sockets,
    metrics: &Metrics,
    who: (DeviceName, Role),
    state: &State,
    stamp: impl Fn() -> (u64, u64) + Send + Sync + 'static,
    tasks: &Tasks,
) {
    let state = state.clone();
    let (device, role) = (who.0.to_string(), who.1.to_string());
    let health = Arc::new(move || {
        let (term, generation) = stamp();
        Health { state: *state.0.borrow(), device: device.clone(), role: role.clone(), version: version(), term, generation }
    });
    let service = Admin::new(metrics.clone(), health);
    for listener in sockets.tcp("admin") {
        let service = service.clone();
        tasks.spawn("admin", async move {
            let gate = Gate::new();
            gate.accept();
            if let Err(error) = serve(listener, service, Limits::admin(), gate).await {
                tracing::error!(%error, "admin listener ends");
            }
        });
    }
}

/// Waits for the keeper to say ACCEPT, after READY.
pub(super) async fn ready(sender: &ControlSender, events: &mut mpsc::Receiver<Event>) -> anyhow::Result<bool> {
    sender.ready(version()).context("tell the keeper READY")?;
    match events.recv().await {
        Some(Event::Accept) => Ok(true),
        Some(Event::Stop | Event::Drain { .. } | Event::Exit | Event::Closed) | None => Ok(false),
        Some(other) => bail!("the keeper said {other:?} instead of ACCEPT"),
    }
}

/// A worker of the data plane: its gate and its agent.
pub(super) struct DataPlane {
    pub(super) gate: Gate,
    pub(super) agent: Agent,
    pub(super) state: State,
    pub(super) tasks: Tasks,
}

impl DataPlane {
    /// Serves until the keeper stops it or dies, and drains.
    pub(super) async fn live(self, control: Control, threads: Cores) -> anyhow::Result<()> {
        let Control { sender, mut events, .. } = control;
        if ready(&sender, &mut events).await? {
            self.gate.accept();
            self.state.is(WorkerState::Serving);
            self.agent.start(&self.tasks);
            tracing::info!("accepting");
            tokio::select! {
                () = self.follow(&sender, &mut events) => {}
                // A device with fewer threads than sockets would leave clients waiting: a new worker has them all.
                end = threads.ended() => tracing::error!(error = %Chain(&end), "a data thread ended; ending the worker"),
            }
        }
        self.gate.close();
        self.tasks.cancel();
        self.tasks.join(TASKS_END).await;
        tokio::task::spawn_blocking(|| threads.join()).await.context("wait for data threads")?.context("end data threads")
    }

    async fn follow(&self, sender: &ControlSender, events: &mut mpsc::Receiver<Event>) {
        let mut keeper = Some(sender);
        let mut deadline: Option<Instant> = None;
        let mut tell = tokio::time::interval(DRAIN_REPORT);
        let drained = self.gate.drained();
        tokio::pin!(drained);
        loop {
            tokio::select! {
                event = events.recv(), if keeper.is_some() => match event {
                    Some(Event::Stop) => self.stop().await,
                    Some(Event::Drain { deadline: patience }) => deadline = Some(after(patience)),
                    Some(Event::Exit) => return,
                    Some(Event::Closed) | None => {
                        keeper = None;
                        self.orphaned().await;
                        deadline = Some(after(ORPHAN_DRAIN).min(deadline.unwrap_or_else(|| after(ORPHAN_DRAIN))));
                    }
                    Some(other) => tracing::warn!(event = ?other, "ignored: nothing of this kind was asked for"),
                },
                () = &mut drained, if deadline.is_some() => {
                    tracing::info!("drained");
                    return;
                }
                () = tokio::time::sleep_until(deadline.unwrap_or_else(|| after(ORPHAN_DRAIN))), if deadline.is_some() => {
                    tracing::warn!(active = self.gate.active_requests(), "drain deadline passed; the rest is cut");
                    return;
                }
                _ = tell.tick(), if deadline.is_some() => {
                    if let Some(Err(error)) = keeper.map(|k| k.draining(self.gate.active_requests())) {
                        tracing::debug!(%error, "keeper not told of the drain");
                    }
                }
            }
        }
    }

    async fn stop(&self) {
        self.state.is(WorkerState::Stopping);
        self.agent.leave().await;
        self.gate.stop();
        tracing::info!("stopped accepting");
    }

    /// The keeper is gone: a new one will bind every address of this device, and its worker's agent will speak.
    async fn orphaned(&self) {
        tracing::warn!("the keeper is gone: listeners closed, finishing what is in flight");
        self.gate.close_listeners();
        self.state.is(WorkerState::Stopping);
        self.agent.leave().await;
        self.tasks.cancel();
    }
}

fn after(patience: Duration) -> Instant {
    Instant::from_std(weir_clock::monotonic() + patience)
}

/// The stamp an agent runs, for `/health`.
pub(super) fn stamp_of(agent: &Agent) -> impl Fn() -> (u64, u64) + Send + Sync + 'static {
    let agent = agent.clone();
    move || agent.configuration().map_or((0, 0), |c| (c.stamp.term, c.stamp.generation))
}

/// A role's load with what only the server loop knows.
pub(super) fn with_gate(load: Load, gate: &Gate) -> Load {
    Load { active_requests: u32::try_from(gate.active_requests()).unwrap_or(u32::MAX), ..load }
}

/// Takes the control socket and its sockets out of a start.
pub(super) fn split(start: &mut Start) -> Sockets {
    Sockets::new(std::mem::take(&mut start.control.adopted))
}
