//! Wires a router to its agent and its sockets.

use super::{
    Start,
    admin::{self, State},
    data_plane::{self, DataPlane},
    duty::Duty,
    gate_metrics, self_test,
    sockets::Sockets,
};
use anyhow::Context;
use weir_agent::{Agent, Hooks};
use weir_net::{
    cores,
    http1::{Gate, Limits},
};
use weir_router::{Router, RouterSettings, dns, keepalive};
use weir_telemetry::Tasks;

/// A router redirects a request with its body (307) and reads the body for the connection's sake alone: bytes of one,
/// and of all together.
const BODY_BYTES: u64 = 64 * 1024;
const BODIES_BYTES: u64 = 16 * 1024 * 1024;

fn limits(connections: usize) -> Limits {
    Limits { connections, body_bytes: BODY_BYTES, bodies_bytes: BODIES_BYTES, ..Limits::default() }
}

/// Runs a router until its keeper ends it.
pub(super) async fn run(mut start: Start) -> anyhow::Result<()> {
    let (device_state, identity) = start.identity()?;
    let mut sockets = Sockets::of(&mut start);
    let tasks = Tasks::new();
    let gate = Gate::new();
    gate_metrics::register(&start.metrics, &gate);
    let settings = RouterSettings { name: start.device.name.clone(), state: device_state.dir().to_owned() };
    let router = Router::new(settings, &start.metrics);
    let hooks = hooks(&router, &gate);
    let agent = Agent::open(start.agent_settings(device_state.clone(), identity), hooks)?;
    let (state, is_on_trial) = (State::default(), admin::is_on_trial(&start.device.directory));
    let admin = admin::gate(is_on_trial);
    let who = (start.device.name.clone(), start.device.role);
    admin::serve(sockets.tcp("admin"), &start.metrics, who, &state, admin::stamp_of(&agent), (&admin, &tasks));
    self_test::Test { state: &device_state, agent: &agent, is_on_trial }.router().await?;
    #[cfg(feature = "faults")]
    let answering = crate::faults::Faulty::new(router.clone(), start.fault);
    #[cfg(not(feature = "faults"))]
    let answering = router.clone();
    let threads =
        cores::spawn("router", sockets.tcp("http"), &answering, &limits(start.connections), &gate).context("start router threads")?;
    // Apart from the others, which end with the keeper: a resolver's query on a connection is answered even then.
    let connections = Tasks::new();
    let resolvers = dns::run(&router, sockets.udp("dns"), sockets.tcp("dns-tcp"), &gate, &connections).context("listen for DNS")?;
    keepalive::run(&router, sockets.udp("keepalive"), sockets.tcp("lifeline"), &gate, &tasks).context("listen for keepalives")?;
    let duty = Duty::Router(router.clone());
    let outcome = DataPlane { duty: duty.clone(), gate, admin, agent, state, tasks }.live(start.control, threads).await;
    connections.cancel();
    connections.join(data_plane::TASKS_END).await;
    tokio::task::spawn_blocking(|| drop(resolvers)).await.context("end DNS threads")?;
    // Of a worker that ends without having been stopped.
    duty.hand_over().await;
    outcome
}

/// What the agent asks of the router.
fn hooks(router: &Router, gate: &Gate) -> Hooks {
    Hooks {
        apply: Box::new({
            let router = router.clone();
            move |c| router.apply(c).map_err(|e| e.to_string())
        }),
        load: Box::new({
            let router = router.clone();
            let gate = gate.clone();
            move || data_plane::with_gate(router.load(), &gate)
        }),
        conditions: Box::new({
            let router = router.clone();
            move || router.conditions()
        }),
        drain: Box::new({
            let router = router.clone();
            let gate = gate.clone();
            move || router.drain(u32::try_from(gate.active_requests()).unwrap_or(u32::MAX))
        }),
        routers: None,
        hold: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
        served: Box::new({
            let router = router.clone();
            let gate = gate.clone();
            move || gate_metrics::figures(&gate, router.excused_errors())
        }),
        make_space: Box::new(|_| 0),
        explain: Some(Box::new({
            let router = router.clone();
            move |client, url| {
                let decision = router.explain(client, url).map_err(|e| e.to_string())?;
                serde_json::to_value(decision).map_err(|e| e.to_string())
            }
        })),
    }
}
