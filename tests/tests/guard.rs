//! What keeps an offload from doing harm, and what it outlives: floors, deaths, a router without a manager, a manager's end.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};
use weir_tests::{
    Api, Client, Network, Part, client,
    dns::{self, Question, code, kind},
    player::Live,
    process::{self, Signal},
    wait_for, wait_until,
};

/// Patience for a drain: soft limit 5 s, session window 5 s, two epochs, TTL 2 s and 2 s of quiet.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);
/// A device is taken for offline after 2.5 s; then a round of the manager's, and what it writes must be reported as running.
const STATUS_DEADLINE: Duration = Duration::from_secs(30);
/// Patience for a player to begin, and for its next segment.
const PLAY_DEADLINE: Duration = Duration::from_secs(30);
/// Longer than a router's patience with engines, 625 ms; and longer than the window of a panic besides, 2 s.
const HELD_UP: Duration = Duration::from_millis(1200);
const HELD_UP_LONG: Duration = Duration::from_millis(4500);
/// Viewers, and resolvers, that ask meanwhile: fewer than the connections one resolver may have.
const HELD_UP_ASKS: u16 = 24;
const HELD_UP_DEADLINE: Duration = Duration::from_secs(30);
/// Routers obey within 2 s; asserted with five times that.
const OBEYED_DEADLINE: Duration = Duration::from_secs(10);

/// One after the other in the same network, which is in service again after each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offload_keeps_the_floors_and_outlives_managers_and_routers() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let api = Api::new(network.file())?;
    floors(&api).await?;
    router_handed_over(&network, &api).await?;
    manager_killed(&network, &api).await?;
    peer_dies(&network, &api).await?;
    router_without_manager(&network, &api).await
}

/// A router's worker is held up for longer than its patience with engines, as by a machine that is short of everything: who asked
/// meanwhile is led on as soon as it goes on, before it has heard any engine again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_was_held_up_leads_whoever_asked_meanwhile() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let (router, name) = (network.routers()[0], network.file().routers[0].name.clone());
    let (target, domain) = (network.target("/vod/index.m3u8"), network.file().services[0].domain.clone());
    for held in [HELD_UP, HELD_UP_LONG] {
        let worker = network.signal(&name, Part::Worker, Signal::STOP);
        let (mut viewers, mut resolvers) = (JoinSet::new(), JoinSet::new());
        for n in 0..HELD_UP_ASKS {
            let target = format!("{target}?n={n}");
            viewers.spawn(async move { Client::east().get(router, &target).await });
            let (server, domain) = (network.name_servers()[0], domain.clone());
            resolvers.spawn(async move {
                let mut stream = dns::connect(server, client::EAST).await?;
                dns::send_framed(&mut stream, &Question::new(&domain, kind::A).encode(n)).await?;
                let answer = timeout(HELD_UP_DEADLINE, dns::read_framed(&mut stream)).await.context("an answer")??;
                dns::read(&answer, n)
            });
        }
        let since = weir_clock::monotonic();
        wait_until("the router was held up", HELD_UP_DEADLINE, || std::future::ready(since.elapsed() > held)).await;
        process::signal(worker, Signal::CONT);
        for answer in viewers.join_all().await {
            let answer = answer?;
            ensure!(answer.status() == 302, "held up for {held:?}: {} {:?}", answer.status(), answer.head.field("Weir-Reason"));
        }
        for answer in resolvers.join_all().await {
            let answer = answer?;
            ensure!(answer.code == code::NOERROR && !answer.addresses().is_empty(), "held up for {held:?}: {}", answer.code);
        }
        ensure!(network.id(&name, Part::Worker) == Some(worker), "it is the same worker");
    }
    Ok(())
}

async fn in_service(api: &Api, devices: &[&str]) -> anyhow::Result<()> {
    for device in devices {
        api.unoffload(device, "the test is over").await?;
    }
    for device in devices {
        let state = api.wait_status(device, "online", STATUS_DEADLINE).await;
        ensure!(state["leases"] == json!([]), "{state}");
    }
    Ok(())
}

/// The second engine of a two-engine location is refused with the floor it would break; an operator who insists gets it.
async fn floors(api: &Api) -> anyhow::Result<()> {
    api.offload("east-1", "the first of two").await?;
    let preview = api.get("/devices/east-2/offload/preview").await?;
    let floors: Vec<&str> = preview["breaks"].as_array().context("a list")?.iter().filter_map(|f| f["floor"].as_str()).collect();
    ensure!(floors.contains(&"engines_out"), "{preview}");
    let refused = api.offload_as("east-2", &json!({ "why": "the second of two" })).await?;
    assert_eq!((refused.status, &refused.json["reason"]), (409, &json!("offload_guard")), "{refused:?}");
    let said = refused.json["detail"].as_str().unwrap_or_default().to_owned() + refused.json["next"].as_str().unwrap_or_default();
    for word in ["east", "east-1", "override"] {
        assert!(said.contains(word), "the refusal does not name {word}: {}", refused.json);
    }
    assert_eq!(api.offload_of("east-2").await?["leases"], json!([]), "a refused request has changed nothing");
    api.offload_anyway("east-2", "the second of two, on purpose").await?;
    for device in ["east-1", "east-2"] {
        api.wait_status(device, "offloaded", DRAIN_DEADLINE).await;
    }
    assert_eq!(api.offload_of("east-2").await?["leases"][0]["overrides"], true);
    in_service(api, &["east-1", "east-2"]).await
}

/// A router leaves the other's answers and goes on answering; the last one stays.
async fn router_handed_over(network: &Network, api: &Api) -> anyhow::Result<()> {
    let domain = network.file().services[0].domain.clone();
    let (servers, names) = (network.name_servers(), format!("router-2.sr.{domain}"));
    let listed = |server| {
        let (domain, names) = (domain.clone(), names.clone());
        async move {
            let answer = Question::new(&domain, kind::NS).ask(server, client::EAST).await?;
            ensure!(!answer.name_servers().is_empty(), "{answer:?}");
            anyhow::Ok(answer.name_servers().contains(&names))
        }
    };
    ensure!(listed(servers[0]).await?, "router-2 is a name server before");
    api.offload("router-2", "its turn").await?;
    wait_for("it leaves the other's answers", OBEYED_DEADLINE, || async {
        ensure!(!listed(servers[0]).await?, "still named");
        anyhow::Ok(())
    })
    .await;
    api.wait_status("router-2", "offloaded", DRAIN_DEADLINE).await;
    // Resolvers never stop asking, and old URLs never end.
    let answer = Question::new(&domain, kind::A).ask(servers[1], client::EAST).await?;
    ensure!(!answer.addresses().is_empty(), "{answer:?}");
    Client::east().route(network.routers()[1], &network.target("/vod/index.m3u8")).await.context("it still sends viewers on")?;
    let own = Question::new(&names, kind::A).ask(servers[0], client::EAST).await?;
    ensure!(own.addresses() == [servers[1].ip()], "its own name still resolves: {own:?}");
    let last = api.offload_as("router-1", &json!({ "why": "the last one" })).await?;
    assert_eq!((last.status, &last.json["reason"]), (409, &json!("offload_guard")), "{last:?}");
    in_service(api, &["router-2"]).await?;
    wait_for("it is a name server again", OBEYED_DEADLINE, || async {
        ensure!(listed(servers[0]).await?, "not named");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// kill -9 of a device, keeper and worker; `weir up` starts it again.
fn kill(network: &Network, device: &str) {
    for part in [Part::Keeper, Part::Worker] {
        if let Some(id) = network.id(device, part) {
            process::signal(id, Signal::KILL);
        }
    }
}

/// A drain under way goes on when the manager is there again.
async fn manager_killed(network: &Network, api: &Api) -> anyhow::Result<()> {
    let mut viewer = Live::start(Client::west(), network.routers(), network.target("/live/index.m3u8"));
    viewer.playing(PLAY_DEADLINE).await?;
    let device = network.engine_at(viewer.next_segment(PLAY_DEADLINE).await?.engine).name.clone();
    api.offload(&device, "before the manager's end").await?;
    let state = api.wait_status(&device, "offloading", STATUS_DEADLINE).await;
    ensure!(state["drain"]["drained"] == false, "{state}");
    kill(network, &network.file().manager.name);
    let state = api.wait_status(&device, "offloaded", DRAIN_DEADLINE).await;
    ensure!(state["leases"][0]["why"] == "before the manager's end", "{state}");
    let report = viewer.stop().await?;
    assert!(report.stalls.is_empty() && report.failed.is_empty(), "{report:#?}");
    in_service(api, &[&device]).await
}

/// Alarms of this reason, cleared ones too.
async fn alarms(api: &Api, reason: &str) -> anyhow::Result<Vec<Value>> {
    Ok(api.list("/alarms?state=all").await?.into_iter().filter(|alarm| alarm["reason"] == reason).collect())
}

/// One engine of two drains when the other dies: the draining one is returned to service first.
async fn peer_dies(network: &Network, api: &Api) -> anyhow::Result<()> {
    let mut viewer = Live::start(Client::west(), network.routers(), network.target("/live/index.m3u8"));
    viewer.playing(PLAY_DEADLINE).await?;
    let device = network.engine_at(viewer.next_segment(PLAY_DEADLINE).await?.engine).name.clone();
    let peer = if device == "west-1" { "west-2" } else { "west-1" };
    api.offload(&device, "while its peer lives").await?;
    network.keep_down(peer).await?;
    let state = wait_for("the draining engine is returned to service", STATUS_DEADLINE, || async {
        let state = api.offload_of(&device).await?;
        ensure!(state["leases"] == json!([]) && state["status"] == "online", "{state}");
        anyhow::Ok(state)
    })
    .await;
    ensure!(state["drain"].is_null(), "{state}");
    // It may have cleared by now: with the draining engine back, the floor holds.
    wait_for("the guard raises an alarm", STATUS_DEADLINE, || async {
        let alarms = alarms(api, "UPGRADE_GUARD").await?;
        ensure!(!alarms.is_empty(), "{:?}", api.list("/alarms?state=all").await?);
        anyhow::Ok(())
    })
    .await;
    let audit = api.list("/audit").await?;
    ensure!(audit.iter().any(|row| row["verb"].as_str().is_some_and(|v| v.contains("readmit"))), "the audit names it: {audit:?}");
    network.bring_back(peer)?;
    api.wait_status(peer, "online", STATUS_DEADLINE).await;
    wait_for("the alarm clears when the floor holds", STATUS_DEADLINE, || async {
        let alarms = alarms(api, "UPGRADE_GUARD").await?;
        ensure!(alarms.iter().all(|alarm| !alarm["cleared_ms"].is_null()), "{alarms:?}");
        anyhow::Ok(())
    })
    .await;
    let report = viewer.stop().await?;
    assert!(report.stalls.is_empty() && report.failed.is_empty(), "{report:#?}");
    Ok(())
}

/// A router that knows of no manager which answers: it runs from its last good configuration, and learns of an offload and of
/// the return from the engine's own keepalive. What it has obeyed reaches the manager by way of the engine.
async fn router_without_manager(network: &Network, api: &Api) -> anyhow::Result<()> {
    cut_off(network, "router-2").await?;
    let router = network.routers()[1];
    let target = network.target("/live/index.m3u8");
    let engine =
        wait_for("it serves from its last configuration", STATUS_DEADLINE, || async { Client::east().route(router, &target).await })
            .await
            .0;
    api.wait_status("router-2", "offline", STATUS_DEADLINE).await;
    let device = network.engine_at(engine).name.clone();
    let begin = weir_clock::monotonic();
    api.offload(&device, "one router cannot hear it").await?;
    wait_for("the router obeys the engine", OBEYED_DEADLINE, || async {
        let (sent, _) = Client::east().route(router, &target).await?;
        ensure!(sent != engine, "it still sends viewers there");
        anyhow::Ok(())
    })
    .await;
    eprintln!("a router without a manager obeyed after {:.2} s", begin.elapsed().as_secs_f64());
    // A router that is in contact with the engine is waited for, however long it is silent: only what it wrote on its lifeline
    // ends the wait.
    api.wait_status(&device, "offloaded", DRAIN_DEADLINE).await;
    in_service(api, &[&device]).await?;
    wait_for("the router learns of the return", STATUS_DEADLINE, || async {
        let (sent, _) = Client::east().route(router, &target).await?;
        ensure!(sent == engine, "it sends viewers to {sent}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// Stops a device, rewrites every manager address it holds into one where nobody listens, and starts it again.
async fn cut_off(network: &Network, router: &str) -> anyhow::Result<()> {
    network.keep_down(router).await?;
    let manager = network.file().manager.device.context("a device address")?.to_string();
    let nobody = manager.replace(":9443", ":9");
    ensure!(manager != nobody, "{manager}");
    let state = network.data(router).join("state/router");
    let mut rewritten = 0;
    for file in [state.join("configuration.json"), state.join("identity/identity.json")] {
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        rewritten += text.matches(&manager).count();
        std::fs::write(&file, text.replace(&manager, &nobody)).with_context(|| format!("write {}", file.display()))?;
    }
    ensure!(rewritten >= 2, "the manager's address stands in both files");
    network.bring_back(router)?;
    let worker = || std::future::ready(network.id(router, Part::Worker).is_some());
    wait_until("the router runs again", STATUS_DEADLINE, worker).await;
    Ok(())
}
