//! Engines on real sockets, each with threads and runtimes of its own, as in a worker.

use crate::origin::Origin;
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};
use tempfile::TempDir;
use weir_engine::{Engine, EngineSettings};
use weir_model::{
    DeliveryService, DeviceConfiguration, Profile, Role, Stamp,
    configuration::{Confirmed, EngineEntry, LocationEntry},
    service::CachePolicy,
};
use weir_net::{
    cores,
    http1::{Gate, Limits},
};
use weir_telemetry::Metrics;

/// Threads of each engine.
const THREADS: usize = 2;
pub(crate) const MIB: u64 = 1024 * 1024;

/// An engine that serves.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    /// Shared with the engines that take its place.
    pub(crate) directory: Arc<TempDir>,
    pub(crate) gate: Gate,
}

impl Node {
    /// Stops listening and answering, as a dead worker without a keeper would.
    pub(crate) fn kill(&self) {
        self.gate.close();
    }

    /// Stops listening; what is under way goes on.
    pub(crate) fn drain(&self) {
        self.gate.close_listeners();
    }

    /// Connections of clients open now.
    pub(crate) fn connections(&self) -> u64 {
        self.gate.open_connections()
    }

    /// The value of one metric line.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = self.metrics.text();
        let found = text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} in {text}"));
        found.trim().parse().expect("a number")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.gate.close();
    }
}

/// A network to be: engines by (name, location), locations by (name, parent).
pub(crate) struct Plan<'a> {
    pub(crate) locations: &'a [(&'a str, Option<&'a str>)],
    pub(crate) engines: &'a [(&'a str, &'a str)],
    /// Addresses of the engines in their order; 127.0.0.1 for those without.
    pub(crate) addresses: &'a [&'a str],
    pub(crate) store_bytes: u64,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) caching: CachePolicy,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            locations: &[("core", None), ("east", Some("core"))],
            engines: &[("core-1", "core")],
            addresses: &[],
            store_bytes: 64 * MIB,
            disk_bytes: None,
            caching: CachePolicy::default(),
        }
    }
}

/// The configuration of one of the engines, listening at `addresses` in the plan's order.
pub(crate) fn configuration(plan: &Plan<'_>, device: &str, origin: &str, addresses: &[SocketAddr]) -> DeviceConfiguration {
    let name = |text: &str| text.parse().expect("a name");
    let mut engines: Vec<_> = plan.engines.iter().map(|(engine, _)| name(engine)).collect();
    engines.sort();
    DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 1 },
        device: name(device),
        role: Role::Engine,
        location: None,
        managers: Vec::new(),
        profile: Profile::rehearsal(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: plan
            .locations
            .iter()
            .map(|(location, parent)| LocationEntry {
                name: location.parse().expect("a name"),
                parent: parent.map(|p| p.parse().expect("a name")),
            })
            .collect(),
        engines: plan
            .engines
            .iter()
            .zip(addresses)
            .map(|((engine, location), http)| EngineEntry {
                name: name(engine),
                location: location.parse().expect("a name"),
                http: *http,
                weight: 100,
                offload: None,
                offload_since_ms: None,
            })
            .collect(),
        routers: Vec::new(),
        services: vec![DeliveryService {
            name: "demo".parse().expect("a name"),
            domain: "demo.weir.test".parse().expect("a domain"),
            origin: origin.parse().expect("a URL"),
            engines,
            caching: plan.caching.clone(),
            #[cfg(feature = "synthetic-next")]
            detail: None,
        }],
        zones: Vec::new(),
    }
}

/// What an engine is given.
#[derive(Clone)]
struct Given<'a> {
    name: &'a str,
    store_bytes: u64,
    disk_bytes: Option<u64>,
    directory: Arc<TempDir>,
}

impl<'a> Given<'a> {
    fn new(name: &'a str, plan: &Plan<'_>) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("directory"));
        Self { name, store_bytes: plan.store_bytes, disk_bytes: plan.disk_bytes, directory }
    }
}

/// Starts every engine of a plan.
pub(crate) fn start(plan: &Plan<'_>, origin_url: &str) -> Vec<Node> {
    let at = |index: usize| plan.addresses.get(index).copied().unwrap_or("127.0.0.1");
    let listeners: Vec<TcpListener> = (0..plan.engines.len()).map(|index| TcpListener::bind((at(index), 0)).expect("bind")).collect();
    let addresses: Vec<SocketAddr> = listeners.iter().map(|l| l.local_addr().expect("address")).collect();
    let nodes = plan.engines.iter().zip(listeners).map(|((name, _), listener)| {
        let node = serve(&Given::new(name, plan), listener);
        node.engine.apply(Arc::new(configuration(plan, name, origin_url, &addresses))).expect("applies");
        node
    });
    nodes.collect()
}

/// An engine without configuration.
pub(crate) fn bare(name: &str) -> Node {
    serve(&Given::new(name, &Plan::default()), TcpListener::bind("127.0.0.1:0").expect("bind"))
}

/// The one engine of a plan, on this directory, which engines before it may have used.
pub(crate) async fn on(directory: &Arc<TempDir>, plan: &Plan<'_>, origin_url: &str) -> Node {
    let given = Given { directory: directory.clone(), ..Given::new("core-1", plan) };
    let node = serve(&given, TcpListener::bind("127.0.0.1:0").expect("bind"));
    node.engine.apply(Arc::new(configuration(plan, "core-1", origin_url, &[node.address]))).expect("applies");
    node.engine.take_disk().await;
    node
}

fn serve(given: &Given<'_>, listener: TcpListener) -> Node {
    serve_cores(given, (0..THREADS).map(|_| listener.try_clone().expect("clone")).collect())
}

/// An engine with a thread for each listener.
fn serve_cores(given: &Given<'_>, listeners: Vec<TcpListener>) -> Node {
    let Given { name, store_bytes, disk_bytes, directory } = given.clone();
    let metrics = Metrics::new("1.0.0", "engine", name);
    let settings = EngineSettings { name: name.parse().expect("a name"), store_bytes, disk_bytes, state: directory.path().to_owned() };
    let engine = Engine::new(settings, &metrics).expect("engine");
    let gate = Gate::new();
    let address = listeners[0].local_addr().expect("address");
    drop(cores::spawn(name, listeners, &engine, &Limits::default(), &gate).expect("threads"));
    gate.accept();
    Node { engine, address, metrics, directory, gate }
}

/// One engine whose two threads listen at an address each: the node's, and the second one.
pub(crate) fn two_cores(origin: &Origin) -> (Node, SocketAddr) {
    let listeners: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("bind")).collect();
    let second = listeners[1].local_addr().expect("address");
    let plan = Plan::default();
    let node = serve_cores(&Given::new("core-1", &plan), listeners);
    let url = format!("http://{}", origin.address);
    node.engine.apply(Arc::new(configuration(&plan, "core-1", &url, &[node.address]))).expect("applies");
    (node, second)
}

/// One engine before an origin.
pub(crate) fn one(origin: &Origin) -> Node {
    start(&Plan::default(), &format!("http://{}", origin.address)).remove(0)
}

/// An edge engine (first) below a core engine.
pub(crate) fn two_levels(origin_url: &str) -> Vec<Node> {
    start(&Plan { engines: &[("east-1", "east"), ("core-1", "core")], ..Plan::default() }, origin_url)
}
