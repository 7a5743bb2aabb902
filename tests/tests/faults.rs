//! Processes are killed while viewers watch: nothing stalls, no start is lost, nothing is left behind.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use weir_tests::{
    Api, Ask, Client, Network, Origin, Part,
    network::weir,
    origin::{Asked, Reply, Replying},
    player::{self, Live},
    process::{Process, Signal},
    starts::{Plan, Start, Starts},
    wait_for, wait_until,
};

/// What is promised: a killed engine or router answers again within 3 s. Asserted with five times that.
const BACK_DEADLINE: Duration = Duration::from_secs(15);
/// Patience for a player to begin, and for its next segment.
const PLAY_DEADLINE: Duration = Duration::from_secs(30);
/// How soon every router knows that an engine's worker is gone: a lost lifeline shows at once. Asserted with this.
const KNOWN_AFTER: Duration = Duration::from_millis(1000);
/// Segments played on after a fault: more media than the player's buffer, so that a gap would show as a stall.
const SEGMENTS_AFTER: u32 = 5;

fn live_target(network: &Network) -> String {
    network.target("/live/index.m3u8")
}

/// kill -9 of one process of a device; when.
fn kill(network: &Network, device: &str, part: Part) -> Instant {
    let at = weir_clock::monotonic();
    network.signal(device, part, Signal::KILL);
    at
}

/// Waits until another worker of `device` serves `target` at `address`; how long after `killed` that was.
async fn back(network: &Network, device: &str, before: Option<u32>, address: SocketAddr, target: &str, killed: Instant) -> Duration {
    let client = Client::east().patience(Duration::from_secs(2));
    wait_for(&format!("{device} serves again"), BACK_DEADLINE, || async {
        let now = network.id(device, Part::Worker);
        ensure!(now.is_some() && now != before, "its worker is {now:?}, as before");
        let answer = client.get(address, target).await?;
        ensure!(matches!(answer.status(), 200 | 302), "it answers {}", answer.status());
        Ok(())
    })
    .await;
    killed.elapsed()
}

/// Every start got its stream; how many needed more than one try.
fn none_lost(starts: &[Start]) -> usize {
    assert!(!starts.is_empty(), "nobody started a stream");
    let lost: Vec<&Start> = starts.iter().filter(|start| start.took.is_none()).collect();
    assert!(lost.is_empty(), "{} of {} starts are lost: {:#?}", lost.len(), starts.len(), lost[0]);
    starts.iter().filter(|start| start.attempts.len() > 1).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_is_back_at_its_address_before_its_viewers_notice() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let routers = network.routers();
    let target = live_target(&network);
    let mut viewer = Live::start(Client::east(), routers.clone(), target.clone());
    viewer.playing(PLAY_DEADLINE).await?;
    for part in [Part::Worker, Part::Keeper] {
        let engine = viewer.next_segment(PLAY_DEADLINE).await?.engine;
        let device = network.engine_at(engine).name.clone();
        let before = network.id(&device, Part::Worker);
        let plan = Plan { client: Client::east(), routers: routers.clone(), target: target.clone(), period: Duration::from_millis(100) };
        let starts = Starts::begin(plan);
        // The buffer is full in this moment.
        viewer.next_segment(PLAY_DEADLINE).await?;
        let killed = kill(&network, &device, part);
        let took = back(&network, &device, before, engine, &target, killed).await;
        for _ in 0..SEGMENTS_AFTER {
            ensure!(viewer.next_segment(PLAY_DEADLINE).await?.engine == engine, "the player changed its address");
        }
        let starts = starts.stop().await?;
        let retried = none_lost(&starts);
        not_sent_in_vain(&starts, engine, killed);
        eprintln!(
            "kill -9 of the {part:?} of {device}: back after {:.2} s; {} starts, {retried} of them retried",
            took.as_secs_f64(),
            starts.len()
        );
    }
    dying(&network, &mut viewer, &target).await?;
    let report = viewer.stop().await?;
    eprintln!("failed requests: {}, least buffer {:?}", report.failed.len(), report.least_buffer);
    assert!(report.stalls.is_empty(), "stalls {:?}; failed: {:#?}", report.stalls, report.failed);
    let sequences: Vec<u64> = report.served.iter().map(|s| s.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "segments are missing: {sequences:?}");
    Ok(())
}

/// How often an engine is killed as soon as it is there again; the pauses before its starts grow to seconds together.
const DEATHS: u32 = 4;

/// An engine that keeps dying is away for seconds: its viewer keeps trying and does not stall, new ones go elsewhere.
async fn dying(network: &Network, viewer: &mut Live, target: &str) -> anyhow::Result<()> {
    let plan = Plan { client: Client::east(), routers: network.routers(), target: target.to_owned(), period: Duration::from_millis(100) };
    let engine = viewer.next_segment(PLAY_DEADLINE).await?.engine;
    let device = network.engine_at(engine).name.clone();
    let starts = Starts::begin(plan);
    viewer.next_segment(PLAY_DEADLINE).await?;
    let first = weir_clock::monotonic();
    let mut killed = None;
    for _ in 0..DEATHS {
        wait_until("the next keeper is there", BACK_DEADLINE, || {
            let now = network.id(&device, Part::Keeper);
            std::future::ready(now.is_some() && now != killed)
        })
        .await;
        killed = Some(network.signal(&device, Part::Keeper, Signal::KILL));
    }
    let last = weir_clock::monotonic();
    let before = network.id(&device, Part::Worker);
    let took = back(network, &device, before, engine, target, first).await;
    for _ in 0..SEGMENTS_AFTER {
        ensure!(viewer.next_segment(PLAY_DEADLINE).await?.engine == engine, "the player changed its address");
    }
    let starts = starts.stop().await?;
    let retried = none_lost(&starts);
    not_sent_in_vain(&starts, engine, last);
    let elsewhere = starts.iter().filter(|start| start.at > first && start.engine().is_some_and(|by| by != engine)).count();
    assert!(elsewhere > 0, "no start went to another engine");
    eprintln!(
        "{DEATHS} x kill -9 of the keeper of {device}: back after {:.2} s; {} starts, {elsewhere} elsewhere, {retried} retried",
        took.as_secs_f64(),
        starts.len()
    );
    Ok(())
}

/// Once the routers could know, nobody was sent to the killed engine and failed there.
fn not_sent_in_vain(starts: &[Start], dead: SocketAddr, killed: Instant) {
    let tries = starts.iter().flat_map(|start| &start.attempts);
    let vain: Vec<_> = tries.filter(|t| t.engine == Some(dead) && t.failed.is_some() && t.at > killed + KNOWN_AFTER).collect();
    assert!(vain.is_empty(), "{} tries were sent to the dead engine, the first: {:?}", vain.len(), vain[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_a_router_or_the_manager_costs_no_start_and_no_stall() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let routers = network.routers();
    let target = live_target(&network);
    let before = identities(&network).await?;
    let mut viewer = Live::start(Client::west(), routers.clone(), target.clone());
    viewer.playing(PLAY_DEADLINE).await?;
    let plan = Plan { client: Client::west(), routers: routers.clone(), target: target.clone(), period: Duration::from_millis(200) };
    let starts = Starts::begin(plan);
    for (number, part) in [(0, Part::Worker), (1, Part::Keeper)] {
        let router = network.file().routers[number].name.clone();
        let worker = network.id(&router, Part::Worker);
        // A client that has connected and says nothing must not keep the next worker from its addresses.
        let _silent = Client::west().connect(routers[number]).await?;
        let killed = kill(&network, &router, part);
        let took = back(&network, &router, worker, routers[number], &target, killed).await;
        eprintln!("kill -9 of the {part:?} of {router}: back after {:.2} s", took.as_secs_f64());
        // Its next worker must have heard every engine before the other router is killed.
        viewer.next_segment(PLAY_DEADLINE).await?;
    }
    let retried = none_lost(&starts.stop().await?);
    eprintln!("{retried} starts were retried while routers were killed");
    let plan = Plan { client: Client::west(), routers: vec![routers[0]], target, period: Duration::from_millis(200) };
    let starts = Starts::begin(plan);
    let manager = network.file().manager.name.clone();
    let worker = network.id(&manager, Part::Worker);
    kill(&network, &manager, Part::Keeper);
    kill_if_running(&network, &manager);
    for _ in 0..SEGMENTS_AFTER {
        viewer.next_segment(PLAY_DEADLINE).await?;
    }
    wait_until("the manager is back", BACK_DEADLINE, || {
        let now = network.id(&manager, Part::Worker);
        std::future::ready(now.is_some() && now != worker)
    })
    .await;
    same_identities(&network, &before).await;
    assert_eq!(none_lost(&starts.stop().await?), 0, "a start needed a second try because of the manager");
    let report = viewer.stop().await?;
    assert!(report.stalls.is_empty() && report.failed.is_empty(), "stalls {:?}, failed {:#?}", report.stalls, report.failed);
    Ok(())
}

/// A worker ends by itself when its keeper is gone; this does not wait for it.
fn kill_if_running(network: &Network, device: &str) {
    if let Some(id) = network.id(device, Part::Worker) {
        weir_tests::process::signal(id, Signal::KILL);
    }
}

/// What must outlive every restart: each device's id, revision, location and certificate, and the network's generation.
#[derive(Debug, Clone, PartialEq)]
struct Identities {
    devices: Vec<Value>,
    generation: Value,
    services: Vec<Value>,
}

async fn identities(network: &Network) -> anyhow::Result<Identities> {
    let api = Api::new(network.file())?;
    let kept = ["id", "name", "role", "location", "revision", "enrolled_ms", "certificate_sha256"];
    let mut devices = Vec::new();
    for device in api.list("/devices").await? {
        // The primary signs itself a certificate at each start.
        let own = device["name"] == network.file().manager.name.as_str();
        let kept = kept.iter().filter(|key| !(own && **key == "certificate_sha256"));
        devices.push(kept.map(|key| device[key].clone()).collect());
    }
    let status = api.get("/status").await?;
    Ok(Identities { devices, generation: status["generation"].clone(), services: api.list("/delivery-services").await? })
}

/// Waits until the manager answers and every device is online, and compares.
async fn same_identities(network: &Network, before: &Identities) {
    let after = wait_for("every device is online again", PLAY_DEADLINE, || async {
        let status = Api::new(network.file())?.get("/status").await?;
        ensure!(status["devices"]["online"] == before.devices.len(), "{}", status["devices"]);
        identities(network).await
    })
    .await;
    assert_eq!(&after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_weir_up_leaves_no_process_and_the_next_start_has_the_same_network() -> anyhow::Result<()> {
    let mut network = Network::builder().engines(6).start().await?;
    let before = identities(&network).await?;
    assert_eq!(before.devices.len(), 10);
    network.kill_up();
    network.gone(BACK_DEADLINE).await;
    network.resume().await?;
    same_identities(&network, &before).await;
    let sample = network.file().services[0].sample.clone();
    assert_eq!(player::recording(Client::west(), network.routers()[1], &sample).await?.len(), 30);
    // Stopped in order this time.
    network.stop()?;
    network.resume().await?;
    same_identities(&network, &before).await;
    Ok(())
}

/// Bytes of a film, and how many the origin sends before it pauses.
const FILM_BYTES: usize = 4 * 1024 * 1024;
const FILM_FIRST_BYTES: usize = 1024 * 1024;

fn film() -> Vec<u8> {
    (0..FILM_BYTES).map(|n| u8::try_from(n % 249).expect("below 249")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_under_way_outlives_its_engines_keeper() -> anyhow::Result<()> {
    let (go, gone) = tokio::sync::watch::channel(false);
    let origin = Origin::start(move |_, mut reply| {
        let mut gone = gone.clone();
        Box::pin(async move {
            let film = film();
            reply.head(film.len(), "Cache-Control: max-age=600\r\n").await?;
            reply.bytes(&film[..FILM_FIRST_BYTES]).await?;
            gone.wait_for(|go| *go).await.map_err(|_| std::io::ErrorKind::BrokenPipe)?;
            reply.bytes(&film[FILM_FIRST_BYTES..]).await
        })
    })
    .await?;
    // What `weir up` asks for to see that routers send viewers on is held too, but has its first bytes.
    let network = Network::builder().engines(6).origin(origin.url()).start().await?;
    let (engine, target) = Client::west().route(network.routers()[0], &network.target("/film/whole.ts")).await?;
    let device = network.engine_at(engine).name.clone();
    let before = network.id(&device, Part::Worker);
    let mut reading = Client::west().open(engine, &Ask::get(&target)).await?;
    let mut body = reading.some().await?.context("the first bytes")?;
    let killed = kill(&network, &device, Part::Keeper);
    wait_until("another worker has taken the address over", BACK_DEADLINE, || {
        let now = network.id(&device, Part::Worker);
        let connects = std::net::TcpStream::connect(engine).is_ok();
        std::future::ready(now.is_some() && now != before && connects)
    })
    .await;
    eprintln!("the address is taken over after {:.2} s", killed.elapsed().as_secs_f64());
    go.send_replace(true);
    body.extend(reading.whole().await?.body);
    assert!(body == film(), "{} bytes, not those of the film", body.len());
    Ok(())
}

/// A short recording: a playlist of three segments.
fn recording(asked: Asked, mut reply: Reply) -> Replying {
    Box::pin(async move {
        let fields = "Cache-Control: max-age=600\r\n";
        match asked.target.as_str() {
            "/film/index.m3u8" => {
                let list: String = (0..3).map(|n| format!("#EXTINF:2.000,\nsegment-{n}.ts\n")).collect();
                reply.whole(format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{list}#EXT-X-ENDLIST\n").as_bytes(), fields).await
            }
            segment if segment.starts_with("/film/segment-") => reply.whole(segment.repeat(1000).as_bytes(), fields).await,
            _ => reply.not_found().await,
        }
    })
}

/// A keeper started by hand, as the network's own program runs it; it ends with its lifeline.
fn keeper(data: &Path) -> anyhow::Result<Process> {
    let mut command = weir(["keeper", "--lifeline", "--drain-ms", "500", "--data"]);
    Process::start(command.arg(data).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routers_and_engines_started_without_a_manager_serve_from_their_last_configuration() -> anyhow::Result<()> {
    let origin = Origin::start(recording).await?;
    let mut network = Network::builder().engines(6).origin(origin.url()).start().await?;
    let target = network.target("/film/index.m3u8");
    let expected = player::recording(Client::east(), network.routers()[0], &target).await?;
    assert_eq!(expected.len(), 3);
    network.stop()?;
    let mut keepers = Vec::new();
    for device in ["router-1", "core-1", "core-2", "east-1", "east-2"] {
        keepers.push(keeper(&network.data(device)).with_context(|| format!("start the keeper of {device}"))?);
    }
    let played = wait_for("the recording plays without a manager", BACK_DEADLINE, || async {
        player::recording(Client::east(), network.routers()[0], &target).await
    })
    .await;
    assert_eq!(played, expected);
    let manager = network.file().manager.device.context("the manager's device address")?;
    assert!(std::net::TcpStream::connect(manager).is_err(), "no manager runs");
    // West is not running: its viewers are served by the location that stands in for it.
    // A router that starts trusts the health it saved for as long as an engine may be silent.
    wait_for("viewers of zone west are sent east", BACK_DEADLINE, || async {
        let (engine, _) = Client::west().route(network.routers()[0], &target).await?;
        let location = network.engine_at(engine).location.as_deref();
        ensure!(location == Some("east"), "they are sent to {location:?}");
        Ok(())
    })
    .await;
    for keeper in &mut keepers {
        drop(keeper.stdin());
    }
    for keeper in &mut keepers {
        let status = keeper.wait(BACK_DEADLINE).context("a keeper ends with its lifeline")?;
        assert!(status.success(), "{status}");
    }
    network.gone(BACK_DEADLINE).await;
    Ok(())
}
