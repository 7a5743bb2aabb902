//! Wires an engine to its agent and its sockets.

use super::{
    Start,
    admin::{self, State},
    data_plane::{self, DataPlane},
    duty::Duty,
    gate_metrics, self_test,
    sockets::Sockets,
};
use crate::open_files;
use anyhow::Context;
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
    let mut sockets = Sockets::of(&mut start);
    let tasks = Tasks::new();
    let gate = Gate::new();
    gate_metrics::register(&start.metrics, &gate);
    let settings = EngineSettings {
        name: start.device.name.clone(),
        store_bytes: start.device.store_bytes,
        disk_bytes: start.device.disk_bytes,
        state: device_state.dir().to_owned(),
    };
    let engine = Engine::new(settings, &start.metrics).context("make the engine")?;
    engine.set_identity(&identity.ca, &identity.certificate, &identity.key).context("use this device's identity")?;
    let hooks = hooks(&engine, &gate);
    let agent = Agent::open(start.agent_settings(device_state.clone(), identity), hooks)?;
    let (state, is_on_trial) = (State::default(), admin::is_on_trial(&start.device.directory));
    let admin = admin::gate(is_on_trial);
    let who = (start.device.name.clone(), start.device.role);
    admin::serve(sockets.tcp("admin"), &start.metrics, who, &state, admin::stamp_of(&agent), (&admin, &tasks));
    engine.set_on_trial(is_on_trial);
    self_test::Test { state: &device_state, agent: &agent, is_on_trial }.engine(&engine).await?;
    #[cfg(feature = "faults")]
    let answering = crate::faults::Faulty::new(engine.clone(), start.fault);
    #[cfg(not(feature = "faults"))]
    let answering = engine.clone();
    let connections = open_files::engine_connections(open_files::raise(), start.connections, start.device.disk_bytes);
    let threads = cores::spawn("engine", sockets.tcp("http"), &answering, &Limits { connections, ..Limits::default() }, &gate)
        .context("start engine threads")?;
    let duty = Duty::Engine(engine.clone());
    let outcome = DataPlane { duty, gate, admin, agent, state, tasks }.live(start.control, threads).await;
    engine.stop().await;
    outcome
}

/// What the agent asks of the engine.
fn hooks(engine: &Engine, gate: &Gate) -> Hooks {
    Hooks {
        apply: Box::new({
            let engine = engine.clone();
            move |c| engine.apply(c.clone()).map_err(|e| e.to_string())
        }),
        load: Box::new({
            let engine = engine.clone();
            let gate = gate.clone();
            move || data_plane::with_gate(engine.load(), &gate)
        }),
        conditions: Box::new({
            let engine = engine.clone();
            move || engine.conditions()
        }),
        drain: Box::new({
            let engine = engine.clone();
            move || engine.drain()
        }),
        served: Box::new({
            let engine = engine.clone();
            let gate = gate.clone();
            move || gate_metrics::figures(&gate, engine.excused_errors())
        }),
        make_space: Box::new({
            let engine = engine.clone();
            move |bytes| engine.make_space(bytes)
        }),
        explain: None,
        routers: Some(Box::new({
            let engine = engine.clone();
            move |contacts| engine.set_routers(contacts)
        })),
        hold: Some(Box::new({
            let engine = engine.clone();
            move |path| engine.hold(path)
        })),
        answers: Some(Box::new({
            let engine = engine.clone();
            let gate = gate.clone();
            move || gate_metrics::answers(&gate, &engine)
        })),
        #[cfg(feature = "synthetic-next")]
        detailed_responses: Some(Box::new({
            let engine = engine.clone();
            move || engine.detailed_responses()
        })),
    }
}
