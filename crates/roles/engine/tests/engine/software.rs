//! Release archives through engines: from a manager over mutual TLS, for devices only.

mod manager;

use crate::{
    client::{Incoming, PATIENCE, Reply},
    network::{MIB, Node, Plan, configuration, start},
    pattern, until,
};
use manager::{Manager, Says};
use sha2::{Digest, Sha256};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpSocket;
use weir_model::{DeviceConfiguration, configuration::ManagerEntry, delivery};

const HOST: &str = "software.weir.internal";
const EDGE: &str = "127.80.1.21";
const CORE: &str = "127.80.1.22";
/// The address of a device that is neither of the engines: a router's.
const DEVICE: &str = "127.80.1.31";
const STRANGER: &str = "127.80.1.99";

fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

fn path(content: &[u8]) -> String {
    delivery::archive_path(&sha256(content))
}

/// What `name` runs from: an edge below a core, a router, and this manager.
fn document(plan: &Plan<'_>, name: &str, nodes: &[Node], manager: SocketAddr) -> DeviceConfiguration {
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.address).collect();
    let mut configuration = configuration(plan, name, "http://127.0.0.1:9", &addresses);
    configuration.managers = vec![ManagerEntry { name: "manager-1".parse().expect("a name"), device: manager }];
    configuration.routers = vec![weir_model::configuration::RouterEntry {
        name: "router-1".parse().expect("a name"),
        keepalive: SocketAddr::new(DEVICE.parse().expect("an address"), 9443),
        http: None,
        dns: None,
        offloaded: false,
    }];
    configuration
}

/// An edge (first) below a core, before this manager.
async fn network(manager: &Manager, store_bytes: u64) -> Vec<Node> {
    let plan = Plan { engines: &[("east-1", "east"), ("core-1", "core")], addresses: &[EDGE, CORE], store_bytes, ..Plan::default() };
    let nodes = start(&plan, "http://127.0.0.1:9");
    for (node, name) in nodes.iter().zip(["east-1", "core-1"]) {
        let identity = manager.identity(name);
        node.engine.set_identity(manager.ca(), &identity.certificate_pem, &identity.key_pem).expect("an identity");
        node.engine.apply(Arc::new(document(&plan, name, &nodes, manager.address))).expect("applies");
    }
    nodes
}

async fn open(from: &str, at: SocketAddr, method: &str, path: &str, fields: &str) -> std::io::Result<Incoming> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0))?;
    Incoming::over(socket.connect(at).await?, method, HOST, path, fields).await
}

async fn ask(from: &str, at: SocketAddr, method: &str, path: &str, fields: &str) -> Reply {
    let whole = async { open(from, at, method, path, fields).await?.rest().await };
    tokio::time::timeout(PATIENCE, whole).await.expect("in time").expect("a whole response")
}

#[tokio::test]
async fn an_archive_comes_from_the_manager_once_and_from_a_parent_after_that() {
    let content = pattern(3_000_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 64 * MIB).await;
    let (edge, core) = (&nodes[0], &nodes[1]);
    let first = ask(DEVICE, edge.address, "GET", &path(&content), "").await;
    assert!(first.status == 200 && first.body == content);
    assert_eq!(first.field("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(first.field("etag"), Some(format!("\"{}\"", sha256(&content)).as_str()));
    assert_eq!(first.field("set-cookie"), None, "nothing of the manager's own");
    for at in [edge, core] {
        assert!(ask(DEVICE, at.address, "GET", &path(&content), "").await.list("cache-status").contains("; hit"));
    }
    assert_eq!(manager.seen(), [format!("core-1 GET /device/v1/software/{}", sha256(&content))]);
    for node in &nodes {
        let load = node.engine.load();
        assert_eq!((load.sessions, load.client_bytes), (0, 0), "a device is no viewer");
        assert!(node.engine.conditions().is_empty());
    }
}

#[tokio::test]
async fn a_range_of_what_is_held_and_of_what_is_not_is_that_range() {
    let content = pattern(3_000_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 64 * MIB).await;
    for _ in 0..2 {
        let rest = ask(DEVICE, nodes[0].address, "GET", &path(&content), "Range: bytes=1000000-\r\n").await;
        assert_eq!((rest.status, rest.field("content-range")), (206, Some("bytes 1000000-2999999/3000000")));
        assert!(rest.body == content[1_000_000..]);
    }
    assert_eq!(manager.seen().len(), 1, "the whole of it was fetched, once");
}

/// A quarter of the store is less than the archive, so it passes through; what was missed is asked for by range.
#[tokio::test]
async fn an_archive_larger_than_a_quarter_of_the_store_passes_through_and_resumes_by_range() {
    let content = pattern(9_000_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 8 * MIB).await;
    let half = 4_000_000;
    let mut broken = open(DEVICE, nodes[0].address, "GET", &path(&content), "").await.expect("a head");
    assert_eq!(broken.reply.status, 200);
    broken.some(half).await.expect("bytes");
    let mut came = std::mem::take(&mut broken.reply.body);
    drop(broken);
    let rest = ask(DEVICE, nodes[0].address, "GET", &path(&content), &format!("Range: bytes={half}-\r\n")).await;
    assert_eq!((rest.status, rest.field("content-range")), (206, Some("bytes 4000000-8999999/9000000")));
    came.extend(rest.body);
    assert!(came == content);
    for node in &nodes {
        assert!(node.engine.load().store_bytes <= 8 * MIB);
    }
}

#[tokio::test]
async fn an_archive_is_for_devices_and_is_read_only() {
    let content = pattern(1_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 64 * MIB).await;
    let archive = path(&content);
    for (from, method, target, status, reason) in [
        (STRANGER, "GET", archive.as_str(), 403, "not_a_device"),
        (STRANGER, "GET", "/", 403, "not_a_device"),
        (DEVICE, "PUT", archive.as_str(), 405, "method_not_allowed"),
        (DEVICE, "DELETE", archive.as_str(), 405, "method_not_allowed"),
        (DEVICE, "GET", "/", 404, "no_such_archive"),
        (DEVICE, "GET", "/../report", 404, "no_such_archive"),
    ] {
        let reply = ask(from, nodes[0].address, method, target, "").await;
        assert_eq!((reply.status, reply.field("weir-reason")), (status, Some(reason)), "{from} {method} {target}");
    }
    assert!(manager.seen().is_empty(), "nothing of that went on");
    for from in [DEVICE, EDGE, CORE, "127.0.0.1"] {
        assert_eq!(ask(from, nodes[0].address, "GET", &archive, "").await.status, 200, "{from}");
    }
    assert_eq!(ask(DEVICE, nodes[0].address, "HEAD", &archive, "").await.field("content-length"), Some("1000"));
}

#[tokio::test]
async fn what_has_another_digest_is_not_kept() {
    let content = pattern(100_000);
    let manager = Manager::start(Says::The(pattern(100_001)[1..].to_vec())).await;
    let nodes = network(&manager, 64 * MIB).await;
    for turn in 1..=2 {
        let whole = async { open(DEVICE, nodes[0].address, "GET", &path(&content), "").await?.rest().await };
        drop(whole.await);
        until("the fills are over", || nodes.iter().all(|node| node.metric("engine_fills_active") == 0)).await;
        assert_eq!(manager.seen().len(), turn, "asked for again");
    }
}

#[tokio::test]
async fn a_manager_that_has_it_not_says_so_and_nobody_remembers_that() {
    let content = pattern(1_000);
    let manager = Manager::start(Says::NotFound).await;
    let nodes = network(&manager, 64 * MIB).await;
    for turn in 1..=2 {
        let reply = ask(DEVICE, nodes[0].address, "GET", &path(&content), "").await;
        assert_eq!((reply.status, reply.field("cache-control"), manager.seen().len()), (404, Some("no-store"), turn));
    }
    assert_eq!(ask(DEVICE, nodes[1].address, "GET", &path(&content), "").await.status, 404);
}

#[tokio::test]
async fn without_an_identity_a_device_is_told_to_ask_elsewhere() {
    let content = pattern(1_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let plan = Plan { addresses: &[CORE], ..Plan::default() };
    let nodes = start(&plan, "http://127.0.0.1:9");
    nodes[0].engine.apply(Arc::new(document(&plan, "core-1", &nodes, manager.address))).expect("applies");
    let reply = ask(DEVICE, nodes[0].address, "GET", &path(&content), "").await;
    assert_eq!((reply.status, reply.field("weir-reason")), (503, Some("no_identity")));
}

#[tokio::test]
async fn an_archive_to_be_held_is_fetched_through_the_tree_until_it_is_whole() {
    let content = pattern(3_000_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 64 * MIB).await;
    let (edge, core) = (&nodes[0].engine, &nodes[1].engine);
    assert!(edge.hold(&path(&content)).expect("may be held") < 3_000_000);
    until("it is whole", || edge.hold(&path(&content)).expect("may be held") == 3_000_000).await;
    assert_eq!(core.hold(&path(&content)), Ok(3_000_000), "it came through the core");
    assert_eq!(manager.seen().len(), 1);
    assert!(edge.hold("/live/index.m3u8").is_err());
}

#[tokio::test]
async fn an_archive_that_cannot_be_held_has_a_reason() {
    let content = pattern(3_000_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 8 * MIB).await;
    assert_eq!(nodes[1].engine.hold(&path(&content)), Ok(0));
    until("it is given up", || nodes[1].engine.hold(&path(&content)).is_err()).await;
    let why = nodes[1].engine.hold(&path(&content)).expect_err("given up");
    assert!(why.contains("too-large"), "{why}");
    let absent = Manager::start(Says::NotFound).await;
    let nodes = network(&absent, 64 * MIB).await;
    assert_eq!(nodes[1].engine.hold(&path(&content)), Ok(0));
    until("it is given up", || nodes[1].engine.hold(&path(&content)).is_err()).await;
    let why = nodes[1].engine.hold(&path(&content)).expect_err("given up");
    assert!(why.contains("404"), "{why}");
}

#[tokio::test]
async fn a_transfer_to_a_device_is_a_fill_for_others_in_a_drain() {
    let content = pattern(30_000_000);
    let manager = Manager::start(Says::The(content.clone())).await;
    let nodes = network(&manager, 256 * MIB).await;
    let plan = Plan { engines: &[("east-1", "east"), ("core-1", "core")], addresses: &[EDGE, CORE], ..Plan::default() };
    let mut offloaded = document(&plan, "east-1", &nodes, manager.address);
    offloaded.engines[0].offload = Some(weir_model::OffloadEpoch::Clients);
    nodes[0].engine.apply(Arc::new(offloaded)).expect("applies");
    let mut transfer = open(DEVICE, nodes[0].address, "GET", &path(&content), "").await.expect("a head");
    transfer.some(1_000).await.expect("bytes");
    let drain = nodes[0].engine.drain().expect("offloaded");
    assert_eq!((drain.fills_for_others, drain.active_requests, drain.sessions), (1, 0, 0));
    assert!(transfer.rest().await.expect("whole").body == content, "it is not sent elsewhere");
    until("nothing runs", || nodes[0].engine.drain().expect("offloaded").fills_for_others == 0).await;
}
