//! Builds of other lines: the synthetic next line is a network of its own, and each faulty build shows its fault.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};
use weir_tests::{
    Api, Client, Network, Origin, Publisher,
    by_hand::{ByHand, path},
    lines,
    origin::{Asked, Reply, Replying},
    wait_for,
};

/// Patience for a change to be in service.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);
/// Patience for a device to come up, or to show that it does not.
const UP: Duration = Duration::from_secs(40);
/// Requests that `crash_after_requests` lets pass.
const REQUESTS: u64 = 20;

/// `weir up` of the synthetic line itself: its feature is there from the page's API to the engine's answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_the_next_line_has_its_feature() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).program(lines::next()).start().await?;
    assert_eq!(network.file().version, lines::NEXT);
    let api = Api::new(network.file())?;
    wait_for("every device says that it is of the next line", UP, || async {
        let devices = api.list("/devices").await?;
        let next = |device: &serde_json::Value| device["last_report"]["version"] == lines::NEXT;
        ensure!(!devices.is_empty() && devices.iter().all(next), "{devices:?}");
        anyhow::Ok(())
    })
    .await;
    let service = &api.list("/delivery-services").await?[0];
    let name = service["name"].as_str().context("a name")?;
    ensure!(service["detail"].is_null(), "{service}");
    let request = json!({ "name": service["name"], "domain": service["domain"], "origin": service["origin"], "detail": "gold" });
    let changed = api.send(Method::PUT, &format!("/delivery-services/{name}"), Some(&request.to_string())).await?;
    ensure!((200..300).contains(&changed.status) && changed.json["detail"] == "gold", "{changed:?}");
    let (engine, target) = (network.engine("east-1"), network.target("/vod/index.m3u8"));
    let mut turn = 0;
    wait_for("an engine says the detail", CHANGE_DEADLINE, || {
        turn += 1;
        let target = format!("{target}?turn={turn}");
        async move {
            let answer = Client::east().get(engine, &target).await?;
            let status = answer.head.field("cache-status").context("Cache-Status")?.to_owned();
            ensure!(status.contains("detail=gold"), "{status}");
            anyhow::Ok(())
        }
    })
    .await;
    Ok(())
}

/// A manager, a router and an engine of this version, to which an engine of a faulty build is added.
async fn network(origin: &Origin) -> anyhow::Result<ByHand> {
    let mut net = ByHand::new()?;
    net.install("manager-1", "manager", 2, &[("https", "tcp", 8443), ("device", "tcp", 9443), ("admin", "tcp", 9090)]).await?;
    net.keep("manager-1")?;
    wait_for("the manager's local socket", UP, || net.local(&["token", "api", "create", "admin"])).await;
    net.local(&["location", "create", "core"]).await?;
    net.local(&["service", "create", "video", "--domain", "video.weir.test", "--origin", &origin.url()]).await?;
    Ok(net)
}

/// The archive of a faulty build, and the root it is verified from.
struct Faulty {
    archive: PathBuf,
    root: PathBuf,
}

impl Faulty {
    fn new(net: &ByHand, version: &str) -> anyhow::Result<Self> {
        let root = net.dir.path().join("root.json");
        std::fs::write(&root, weir_release::ReleaseDirectory::open(&lines::keys())?.root()?)?;
        Ok(Self { archive: lines::archive(version), root })
    }

    /// Installs a device from the archive, enrols it and starts its keeper.
    async fn device(&self, net: &mut ByHand, name: &str, role: &str, host: u8) -> anyhow::Result<()> {
        let common = [("http", "tcp", 8080), ("admin", "tcp", 9090)];
        let router = [("keepalive", "udp", 7946), ("lifeline", "tcp", 7946)];
        let listeners = if role == "router" { [common, router].concat() } else { common.to_vec() };
        let more = ["--archive", path(&self.archive)?, "--root", path(&self.root)?];
        net.install_with(name, role, host, &listeners, &more).await?;
        let token = net.local(&["token", "enrolment", "create", "--role", role, "--activate-into", "core"]).await?;
        net.enrol(name, &token).await?;
        net.keep(name)
    }
}

/// What a device's log says.
fn log(net: &ByHand, device: &str) -> String {
    let folder = net.data(device).join("log");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}

fn answer(_: Asked, mut reply: Reply) -> Replying {
    Box::pin(async move { reply.whole(b"from the origin", "Cache-Control: max-age=60\r\n").await })
}

async fn status(net: &ByHand, device: &str) -> anyhow::Result<Value> {
    let devices: Vec<Value> = serde_json::from_str(&net.local(&["--output", "json", "devices"]).await?)?;
    devices.into_iter().find(|known| known["name"] == device).with_context(|| format!("{device} is known"))
}

/// Devices of each faulty build beside a sound manager.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_shows_on_a_device_installed_from_its_archive() -> anyhow::Result<()> {
    let origin = Origin::start(answer).await?;
    let mut net = network(&origin).await?;
    stranger(&mut net).await?;
    for (version, name, role, host) in [
        ("1.1.0-b2", "crashes", "engine", 21),
        ("1.1.0-b3", "counts", "engine", 22),
        ("1.1.0-b4", "waits", "engine", 23),
        ("1.1.0-b5", "fails", "engine", 24),
        ("1.1.0-b3", "router-counts", "router", 11),
        ("1.1.0-b5", "router-fails", "router", 12),
    ] {
        Faulty::new(&net, version)?.device(&mut net, name, role, host).await?;
    }
    for host in [24, 12] {
        errors(&net, host).await?;
    }
    // A router without zones has nowhere to send this viewer, and says so.
    for (name, host, sound) in [("counts", 22, 200), ("router-counts", 11, 503)] {
        crashes_after_requests(&net, name, host, sound).await?;
    }
    for (device, fault) in [("crashes", "crash_at_start"), ("waits", "never_ready")] {
        wait_for(&format!("{device} shows its fault"), UP, || async {
            let said = log(&net, device);
            ensure!(said.contains(fault), "{said}");
            ensure!(
                Client::east().get(net.at(if device == "waits" { 23 } else { 21 }, 8080), "/video.weir.test/a").await.is_err(),
                "it serves"
            );
            anyhow::Ok(())
        })
        .await;
        let seen = status(&net, device).await?;
        ensure!(seen["status"] != "online", "{seen}");
    }
    Ok(())
}

/// From a root that did not sign it nothing is installed.
async fn stranger(net: &mut ByHand) -> anyhow::Result<()> {
    let root = net.dir.path().join("stranger.json");
    std::fs::write(&root, Publisher::alone()?.directory().root()?)?;
    let archive = lines::archive("1.1.0-b5");
    let more = ["--archive", path(&archive)?, "--root", path(&root)?];
    let said = net.install_with("stranger", "engine", 30, &[("http", "tcp", 8080)], &more).await.expect_err("refused").to_string();
    ensure!(said.contains("unsigned"), "{said}");
    ensure!(!net.data("stranger").join("slots").exists(), "nothing is installed");
    Ok(())
}

async fn errors(net: &ByHand, host: u8) -> anyhow::Result<()> {
    wait_for("every viewer gets 500", UP, || async {
        let answer = Client::east().get(net.at(host, 8080), "/video.weir.test/a").await?;
        ensure!(answer.status() == 500, "{}", answer.status());
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// It serves, and its worker is another one after so many requests.
async fn crashes_after_requests(net: &ByHand, name: &str, host: u8, sound: u16) -> anyhow::Result<()> {
    let (address, pid) = (net.at(host, 8080), net.data(name).join("run/worker.pid"));
    let get = || async move { Client::east().get(address, "/video.weir.test/a").await };
    wait_for("it serves", UP, || async {
        let answer = get().await?;
        ensure!(answer.status() == sound, "{}", answer.status());
        anyhow::Ok(())
    })
    .await;
    let before = std::fs::read_to_string(&pid)?;
    for _ in 0..=REQUESTS {
        // The last one has no answer.
        let _ = get().await;
    }
    wait_for("another worker runs", UP, || async {
        let now = std::fs::read_to_string(&pid)?;
        ensure!(now != before && !now.trim().is_empty(), "worker {now}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}
