//! Wires an engine to its agent and its sockets.

use super::{
    Start, gate_metrics,
    life::{self, DataPlane, State},
};
use anyhow::{Context, anyhow};
use weir_agent::{Agent, Hooks};
use weir_engine::{Engine, EngineSettings};
use weir_net::{
    cores,
    http1::{Gate, Limits},
};
use weir_telemetry::Tasks;

/// Runs an engine until its keeper ends it.
pub(super) async fn run(mut start: Start) -> anyhow::Result<()> {
    let (device_state, identity) = start.identity()?;
    let mut sockets = life::split(&mut start);
    let tasks = Tasks::new();
    let gate = Gate::new();
    gate_metrics::register(&start.metrics, &gate);
    let settings =
        EngineSettings { name: start.device.name.clone(), store_bytes: start.device.store_bytes, state: device_state.dir().to_owned() };
    let engine = Engine::new(settings, &start.metrics).context("make the engine")?;
    let hooks = Hooks {
        apply: Box::new({
            let engine = engine.clone();
            move |c| engine.apply(c.clone()).map_err(|e| e.to_string())
        }),
        load: Box::new({
            let engine = engine.clone();
            let gate = gate.clone();
            move || life::with_gate(engine.load(), &gate)
        }),
        conditions: Box::new({
            let engine = engine.clone();
            move || engine.conditions()
        }),
        drain: Box::new({
            let engine = engine.clone();
            move || engine.drain()
        }),
        explain: None,
        routers: Some(Box::new({
            let engine = engine.clone();
            move |contacts| engine.set_routers(contacts)
        })),
        #[cfg(feature = "synthetic-next")]
        detailed_responses: Some(Box::new({
            let engine = engine.clone();
            move || engine.detailed_responses()
        })),
    };
    let agent = Agent::open(start.agent_settings(device_state, identity), hooks)?;
    let state = State::default();
    life::admin(&mut sockets, &start.metrics, (start.device.name.clone(), start.device.role), &state, life::stamp_of(&agent), &tasks);
    engine.self_test().map_err(|reason| anyhow!("self-test: {reason}"))?;
    #[cfg(feature = "faults")]
    let answering = crate::faults::Faulty::new(engine.clone(), start.fault);
    #[cfg(not(feature = "faults"))]
    let answering = engine.clone();
    let threads =
        cores::spawn("engine", sockets.tcp("http"), &answering, &Limits { connections: start.connections, ..Limits::default() }, &gate)
            .context("start engine threads")?;
    let outcome = DataPlane { gate, agent, state, tasks }.live(start.control, threads).await;
    engine.stop().await;
    outcome
}
