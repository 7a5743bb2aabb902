//! A network built device by device, as docs/how-to/build-a-network-box-by-box.md says, without `weir up`.

use anyhow::{bail, ensure};
use rustix::process::Signal;
use std::{path::Path, time::Duration};
use weir_tests::{
    Ask, Client, Origin,
    by_hand::{ByHand, path},
    origin::{Asked, Reply, Replying},
    process, wait_for, wait_until,
};

/// Patience for a device to come up.
const UP: Duration = Duration::from_secs(30);

/// Patience for a worker whose keeper was killed: it may take 10 s. Its download would end by itself after 30 s, when the
/// engine gives up on the origin.
const ORPHANED: Duration = Duration::from_secs(20);
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_built_box_by_box_serves_and_refuses_what_it_must() -> anyhow::Result<()> {
    let origin = Origin::start(answer).await?;
    let mut net = ByHand::new()?;
    net.install("manager-1", "manager", 2, &[("https", "tcp", 8443), ("device", "tcp", 9443), ("admin", "tcp", 9090)]).await?;
    net.keep("manager-1")?;
    let token = wait_for("the manager's local socket", UP, || net.local(&["token", "api", "create", "admin"])).await;
    net.local(&["location", "create", "core"]).await?;
    net.local(&["location", "create", "east", "--parent", "core"]).await?;

    net.install("router-1", "router", 11, &[("http", "tcp", 8080), ("keepalive", "udp", 7946), ("lifeline", "tcp", 7946)]).await?;
    net.install("east-1", "engine", 21, &[("http", "tcp", 8080), ("admin", "tcp", 9090)]).await?;
    let router = net.local(&["token", "enrolment", "create", "--role", "router", "--activate-into", "core"]).await?;
    let engine = net.local(&["token", "enrolment", "create", "--role", "engine"]).await?;
    refusals(&net, &router, &engine).await?;
    net.enrol("router-1", &router).await?;
    let said = net.enrol("east-1", &engine).await?;
    ensure!(said.contains("weir device activate"), "an operator is told the next step: {said}");
    net.keep("router-1")?;
    net.keep("east-1")?;
    net.local(&["device", "activate", "east-1", "--location", "east"]).await?;

    standby(&mut net, &token).await?;

    let zones = net.dir.path().join("zones.json");
    std::fs::write(&zones, r#"{"zones": [{"network": "127.0.0.0/8", "locations": {"east": 10}}]}"#)?;
    net.local(&["zones", "set", path(&zones)?]).await?;
    net.local(&["service", "create", "video", "--domain", "video.weir.test", "--origin", &origin.url()]).await?;
    let router = net.at(11, 8080);
    let body = wait_for("a viewer is served", UP, || async {
        let (engine, _) = Client::east().route(router, "/video.weir.test/a").await?;
        let answer = Client::east().get(engine, "/video.weir.test/a").await?;
        if answer.status() == 200 { Ok(answer.text().to_owned()) } else { bail!("{}", answer.status()) }
    })
    .await;
    assert_eq!(body, "from the origin");

    let manager = format!("https://{}", net.at(2, 8443));
    let ca = net.data("manager-1").join("state/manager/ca.pem");
    let devices = net.weir(&["--manager", &manager, "--ca", path(&ca)?, "--token", &token, "--output", "json", "devices"]).await?;
    let devices: Vec<serde_json::Value> = serde_json::from_str(&devices)?;
    assert_eq!(devices.len(), 4, "{devices:?}");
    keeper_killed_while_its_worker_drains(&net).await
}

/// A worker that drains still follows its keeper: when that is killed, the address is free at once and the worker gone
/// long before its drain (60 s) would be over.
async fn keeper_killed_while_its_worker_drains(net: &ByHand) -> anyhow::Result<()> {
    let (address, admin, data) = (net.at(21, 8080), net.at(21, 9090), net.data("east-1"));
    let mut endless = Client::east().open(address, &Ask::get("/video.weir.test/endless")).await?;
    ensure!(endless.some().await?.is_some(), "a download is under way");
    let id = |name: &str| anyhow::Ok(std::fs::read_to_string(data.join("run").join(name))?.trim().parse::<u32>()?);
    let (keeper, worker) = (id("keeper.pid")?, id("worker.pid")?);
    process::signal(keeper, Signal::TERM);
    wait_until("the worker drains", UP, || async {
        Client::east().get(admin, "/health").await.is_ok_and(|health| health.text().contains("stopping"))
    })
    .await;
    process::signal(keeper, Signal::KILL);
    wait_until("the address is free", ORPHANED, || async { std::net::TcpListener::bind(address).is_ok() }).await;
    wait_until("the worker is gone", ORPHANED, || async { !Path::new(&format!("/proc/{worker}")).exists() }).await;
    Ok(())
}

/// `/endless` begins and never ends; everything else is a line of text.
fn answer(asked: Asked, mut reply: Reply) -> Replying {
    Box::pin(async move {
        if asked.target != "/endless" {
            return reply.whole(b"from the origin", "Cache-Control: max-age=60\r\n").await;
        }
        reply.head(1_000_000, "Cache-Control: no-store\r\n").await?;
        reply.bytes(b"the beginning").await?;
        std::future::pending().await
    })
}

/// A second manager, enrolled before it is started, is the standby: it shows its status and sends everybody to the primary.
async fn standby(net: &mut ByHand, token: &str) -> anyhow::Result<()> {
    net.install("manager-2", "manager", 3, &[("https", "tcp", 8443), ("admin", "tcp", 9090)]).await?;
    let enrolment = net.local(&["token", "enrolment", "create", "--role", "manager", "--activate-into", "core"]).await?;
    net.enrol("manager-2", &enrolment).await?;
    net.keep("manager-2")?;
    let (url, primary) = (format!("https://{}", net.at(3, 8443)), format!("https://{}", net.at(2, 8443)));
    let ca = net.data("manager-1").join("state/manager/ca.pem");
    let here = ["--manager", url.as_str(), "--ca", path(&ca)?, "--token", token];
    let ask = [&here[..], &["--output", "json", "status"]].concat();
    let status = wait_for("the standby shows its status", UP, || net.weir(&ask)).await;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    assert_eq!((status["role"].as_str(), status["primary"]["url"].as_str()), (Some("standby"), Some(primary.as_str())), "{status}");
    let said = net.weir(&[&here[..], &["devices"]].concat()).await.expect_err("a standby lists nothing").to_string();
    ensure!(said.contains("not_primary") && said.contains(&primary), "{said}");
    Ok(())
}

/// A box that may not come in, or was not prepared, is told why; nothing is enrolled.
async fn refusals(net: &ByHand, router: &str, engine: &str) -> anyhow::Result<()> {
    let mut stranger = engine.to_owned();
    stranger.replace_range(stranger.len() - 1.., if engine.ends_with('0') { "1" } else { "0" });
    for (device, token, word) in
        [("east-1", router, "role"), ("east-1", "weir-enrol.x", "not an enrolment token"), ("east-1", &stranger, "certificate")]
    {
        let said = net.enrol(device, token).await.expect_err("refused").to_string();
        ensure!(said.contains(word), "{token} does not say {word:?}: {said}");
    }
    let said = net.weir(&["install", "--data", path(&net.data("nowhere"))?]).await.expect_err("no device.toml").to_string();
    ensure!(said.contains("device.toml does not exist"), "{said}");
    let devices = net.local(&["--output", "json", "devices"]).await?;
    let devices: Vec<serde_json::Value> = serde_json::from_str(&devices)?;
    ensure!(devices.len() == 1, "only the manager is there: {devices:?}");
    Ok(())
}
