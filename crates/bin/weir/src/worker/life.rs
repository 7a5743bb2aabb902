//! The life of a worker that serves viewers: ready, accept, stop, drain; and what happens when the keeper dies.

use super::Start;
use anyhow::{Context, bail};
use std::{
    net::{TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use weir_agent::{
    Agent,
    admin::{Admin, Health},
    control::Control,
};
use weir_device_api::Load;
use weir_model::{DeviceName, Role, VERSION};
use weir_net::http1::{Gate, Limits, serve};
use weir_sockets::{Adopted, AdoptedSockets, ControlSender, Event};
use weir_telemetry::{Metrics, Tasks};

/// How long a worker whose keeper died finishes what is in flight.
const ORPHAN_DRAIN: Duration = Duration::from_secs(10);
/// How often a draining worker tells the keeper what is left.
const DRAIN_REPORT: Duration = Duration::from_millis(250);
/// How long owned tasks may take to end.
const TASKS_END: Duration = Duration::from_millis(500);

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

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const STOPPING: u8 = 2;

/// What `/health` says of the worker's state.
#[derive(Clone, Default)]
pub(super) struct State(Arc<AtomicU8>);

impl State {
    pub(super) fn serving(&self) {
        self.0.store(SERVING, Ordering::Relaxed);
    }

    pub(super) fn stopping(&self) {
        self.0.store(STOPPING, Ordering::Relaxed);
    }

    fn word(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            STARTING => "starting",
            SERVING => "serving",
            _ => "stopping",
        }
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
        Health { state: state.word(), device: device.clone(), role: role.clone(), version: VERSION, term, generation }
    });
    let service = Admin::new(metrics.clone(), health);
    for listener in sockets.tcp("admin") {
        let service = service.clone();
        tasks.spawn("admin", async move {
            let gate = Gate::new();
            gate.accept();
            if let Err(error) = serve(listener, service, Limits::default(), gate).await {
                tracing::error!(%error, "admin listener ends");
            }
        });
    }
}

/// Waits for the keeper to say ACCEPT, after READY.
pub(super) async fn ready(sender: &ControlSender, events: &mut mpsc::Receiver<Event>) -> anyhow::Result<bool> {
    sender.ready(VERSION).context("tell the keeper READY")?;
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
    pub(super) async fn live(self, control: Control) -> anyhow::Result<()> {
        let Control { sender, mut events, .. } = control;
        if ready(&sender, &mut events).await? {
            self.gate.accept();
            self.state.serving();
            self.agent.start(&self.tasks);
            tracing::info!("accepting");
            self.follow(&sender, &mut events).await;
        }
        self.gate.close();
        self.tasks.cancel();
        self.tasks.join(TASKS_END).await;
        Ok(())
    }

    async fn follow(&self, sender: &ControlSender, events: &mut mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Stop => {
                    self.state.stopping();
                    self.agent.leave().await;
                    self.gate.stop();
                    tracing::info!("stopped accepting");
                }
                Event::Drain { deadline } => {
                    self.drain(deadline, Some(sender)).await;
                    return;
                }
                Event::Exit => return,
                Event::Closed => {
                    tracing::warn!("the keeper is gone: listeners closed, finishing what is in flight");
                    self.gate.close_listeners();
                    self.state.stopping();
                    self.agent.leave().await;
                    self.drain(ORPHAN_DRAIN, None).await;
                    return;
                }
                other => tracing::warn!(event = ?other, "ignored: nothing of this kind was asked for"),
            }
        }
    }

    /// Waits until nothing is in flight, at most `deadline`; tells the keeper how much is left.
    async fn drain(&self, deadline: Duration, keeper: Option<&ControlSender>) {
        let end = tokio::time::Instant::from_std(weir_clock::monotonic() + deadline);
        let drained = self.gate.drained();
        tokio::pin!(drained);
        let mut tick = tokio::time::interval(DRAIN_REPORT);
        loop {
            tokio::select! {
                () = &mut drained => break,
                () = tokio::time::sleep_until(end) => {
                    tracing::warn!(active = self.gate.active_requests(), "drain deadline passed; the rest is cut");
                    break;
                }
                _ = tick.tick() => {
                    let told = keeper.map(|k| k.draining(self.gate.active_requests()));
                    if let Some(Err(error)) = told {
                        tracing::debug!(%error, "keeper not told of the drain");
                    }
                }
            }
        }
        tracing::info!("drained");
    }
}

/// The stamp an agent runs, for `/health`.
pub(super) fn stamp_of(agent: &Agent) -> impl Fn() -> (u64, u64) + Send + Sync + 'static {
    let agent = agent.clone();
    move || agent.configuration().map_or((0, 0), |c| (c.stamp.term, c.stamp.generation))
}

/// A role's load with what only the server loop knows.
pub(super) fn with_gate(load: Load, gate: &Gate) -> Load {
    let counters = gate.counters();
    Load {
        active_requests: u32::try_from(gate.active_requests()).unwrap_or(u32::MAX),
        client_bytes: load.client_bytes.max(counters.bytes_written),
        ..load
    }
}

/// Takes the control socket and its sockets out of a start.
pub(super) fn split(start: &mut Start) -> Sockets {
    Sockets::new(std::mem::take(&mut start.control.adopted))
}
