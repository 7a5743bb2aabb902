//! A server leaves and returns while viewers watch: live, a recording, a file by ranges, and one who has paused.

use anyhow::{Context, ensure};
use std::{
    cell::RefCell,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use weir_tests::{
    Api, Client, Network, Part, Viewer, client,
    dns::{Question, kind},
    paced::{Paced, Played},
    player::{self, Live},
    process::Signal,
    resolver::Resolver,
    sha256, wait_for, wait_until,
};

/// Patience for a player to begin, and for its next segment.
const PLAY_DEADLINE: Duration = Duration::from_secs(30);
/// Routers obey within 2 s; asserted with five times that.
const OBEYED_DEADLINE: Duration = Duration::from_secs(10);
/// How long a live player has, from the offload on, to get what is promised: the drain takes about 15 s, the segments 20 s.
const ACROSS: Duration = Duration::from_secs(45);
/// A player that gets nothing for this long, twice its buffer, has stalled for good.
const STANDSTILL: Duration = Duration::from_secs(12);
/// A return takes the ramp of 5 s and a report.
const RETURN_DEADLINE: Duration = Duration::from_secs(30);
/// A killed engine is out of the DNS after 3.5 s, 0.875 s with the timers of a rehearsal, and stays in a resolver for a TTL of 2 s.
const STAND_IN_DEADLINE: Duration = Duration::from_secs(15);
/// Segments another engine must have served since the offload, and since the device was drained.
const ELSEWHERE_MIN: usize = 10;
const AFTER_DRAINED: usize = 3;
/// Between two pieces of a recording: its 30 segments last past the soft limit (5 s) and the drain.
const PACE: Duration = Duration::from_millis(600);
/// Pieces of the file.
const PARTS: u64 = 29;
/// Patience for a recording to end.
const RECORDING_DEADLINE: Duration = Duration::from_secs(60);

/// Whether other engines could take the viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Serving,
    /// None is left; the operator insists.
    Stopped,
}

/// What a live player saw of one offload.
struct Evidence {
    engine: SocketAddr,
    offload: Instant,
    drained: Option<Instant>,
    report: player::Report,
}

/// What was promised and not kept; empty: a viewer noticed nothing.
fn faults(seen: &Evidence) -> Vec<String> {
    let Evidence { engine, offload, drained, report } = seen;
    let mut faults = Vec::new();
    if !report.stalls.is_empty() {
        faults.push(format!("stalls: {:?}", report.stalls));
    }
    if let Some(first) = report.failed.first() {
        faults.push(format!("{} failed requests, the first: {}", report.failed.len(), first.what));
    }
    let elsewhere = report.served.iter().filter(|s| s.at > *offload && s.engine != *engine).count();
    if elsewhere < ELSEWHERE_MIN {
        faults.push(format!("{elsewhere} segments from another engine"));
    }
    match drained {
        None => faults.push("never offloaded".to_owned()),
        Some(drained) => {
            let late = report.served.iter().filter(|s| s.at > *drained && s.engine == *engine).count();
            if late > 0 {
                faults.push(format!("{late} segments from the offloaded engine"));
            }
        }
    }
    let sequences: Vec<u64> = report.served.iter().map(|s| s.sequence).collect();
    if sequences.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        faults.push(format!("segments are missing: {sequences:?}"));
    }
    faults
}

/// Offloads the engine of a playing viewer and lets it play until it has what is promised, or time is up.
async fn across(network: &Network, live: &mut Live, others: Others) -> anyhow::Result<(SocketAddr, Instant, Option<Instant>)> {
    let api = Api::new(network.file())?;
    let engine = live.last().context("it plays")?.engine;
    let device = &network.engine_at(engine).name;
    let offload = weir_clock::monotonic();
    match others {
        Others::Serving => api.offload(device, "a test").await?,
        Others::Stopped => api.offload_anyway(device, "a test").await?,
    }
    let (mut drained, mut elsewhere, mut after) = (None, 0, 0);
    while offload.elapsed() < ACROSS && (elsewhere < ELSEWHERE_MIN || after < AFTER_DRAINED) {
        let left = ACROSS.saturating_sub(offload.elapsed()).min(STANDSTILL);
        // A player that stands still is what the evidence is to show.
        let Ok(segment) = live.next_segment(left).await else { break };
        elsewhere += usize::from(segment.engine != engine);
        after += usize::from(drained.is_some());
        if drained.is_none() && api.offload_of(device).await?["status"] == "offloaded" {
            drained = Some(weir_clock::monotonic());
        }
    }
    Ok((engine, offload, drained))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_an_offloaded_engine_notice_nothing_when_it_leaves_restarts_and_returns() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let target = network.target("/live/index.m3u8");
    let mut live = Live::start(Client::east(), network.routers(), target.clone());
    live.playing(PLAY_DEADLINE).await?;
    let engine = live.next_segment(PLAY_DEADLINE).await?.engine;
    let (recording, file) = recordings(&network, engine).await?;
    let obeyed = obeyed(&network, engine, &target);
    let (across, obeyed) = tokio::join!(across(&network, &mut live, Others::Serving), obeyed);
    let (engine, offload, drained) = across?;
    eprintln!("routers obeyed after {:.2} s, drained after {:?}", (obeyed - offload).as_secs_f64(), drained.map(|at| at - offload));
    let drained = drained.context("never offloaded")?;
    unharmed(&recording.end(RECORDING_DEADLINE).await?, &network, engine, drained).await?;
    let file = file.end(RECORDING_DEADLINE).await?;
    let whole = Client::east().follow(network.routers()[0], &weir_tests::Ask::get(&network.target("/vod/segment-3.ts"))).await?.2;
    ensure!(sha256(&file.bytes) == sha256(&whole.body), "the ranges are not those of the file");
    steered(&file, engine, drained);
    restarted(&network, &mut live, engine).await?;
    let report = returned(&network, live, engine, &target).await?;
    let seen = Evidence { engine, offload, drained: Some(drained), report };
    assert_eq!(faults(&seen), Vec::<String>::new(), "{:#?}", seen.report);
    Ok(())
}

/// A recording and a file by ranges, both at the live viewer's engine from before its offload.
async fn recordings(network: &Network, engine: SocketAddr) -> anyhow::Result<(Paced, Paced)> {
    let viewer = Viewer::new(Client::east());
    let url = |path: &str| format!("http://{engine}{}", network.target(path));
    let length = viewer.fetch(&url("/vod/segment-3.ts"), &[]).await?.answer.body.len() as u64;
    let file = Paced::progressive(viewer.clone(), &url("/vod/segment-3.ts"), length, length.div_ceil(PARTS), PACE);
    Ok((Paced::recording(viewer, &url("/vod/index.m3u8"), PACE).await?, file))
}

/// Waits until no router sends a viewer of `target` to the engine; when that was.
async fn obeyed(network: &Network, engine: SocketAddr, target: &str) -> Instant {
    wait_for("every router obeys", OBEYED_DEADLINE, || async {
        for router in network.routers() {
            let (sent, _) = Client::east().route(router, target).await?;
            ensure!(sent != engine, "{router} still sends viewers there");
        }
        anyhow::Ok(weir_clock::monotonic())
    })
    .await
}

/// The recording is what it was before, and came from elsewhere once the engine was drained.
async fn unharmed(played: &Played, network: &Network, engine: SocketAddr, drained: Instant) -> anyhow::Result<()> {
    let before = player::recording(Client::west(), network.routers()[0], &network.target("/vod/index.m3u8")).await?;
    let now = played.pieces.iter().map(|piece| (piece.name.clone(), piece.sha256.clone())).collect();
    assert_eq!(before, now, "the recording");
    steered(played, engine, drained);
    Ok(())
}

/// It began at the engine, was sent on, and nothing failed.
fn steered(played: &Played, engine: SocketAddr, drained: Instant) {
    assert!(played.failed.is_empty(), "{:#?}", played.failed);
    assert_eq!(played.pieces.first().map(|piece| piece.engine), Some(engine));
    let elsewhere = played.pieces.iter().filter(|piece| piece.engine != engine).count();
    assert!(elsewhere >= ELSEWHERE_MIN, "{elsewhere} pieces from another engine");
    let late = played.pieces.iter().filter(|piece| piece.at > drained && piece.engine == engine).count();
    assert_eq!(late, 0, "pieces came from the offloaded engine");
}

/// The keeper of the drained engine is killed. Its viewers still ask it for playlists, every 2 s: it is killed just after one.
async fn restarted(network: &Network, live: &mut Live, engine: SocketAddr) -> anyhow::Result<()> {
    let device = network.engine_at(engine).name.clone();
    let before = network.id(&device, Part::Worker);
    live.next_segment(PLAY_DEADLINE).await?;
    let killed = weir_clock::monotonic();
    network.signal(&device, Part::Keeper, Signal::KILL);
    wait_until("another worker runs", PLAY_DEADLINE, || {
        let now = network.id(&device, Part::Worker);
        std::future::ready(now.is_some() && now != before && std::net::TcpStream::connect(engine).is_ok())
    })
    .await;
    eprintln!("restarted after {:.2} s", killed.elapsed().as_secs_f64());
    for _ in 0..AFTER_DRAINED {
        let by = live.next_segment(PLAY_DEADLINE).await?.engine;
        ensure!(by != engine, "the offload did not outlive a restart");
    }
    Api::new(network.file())?.wait_status(&device, "offloaded", RETURN_DEADLINE).await;
    Ok(())
}

/// Back in service: its weight ramps up, and new viewers of what it served are sent there again.
async fn returned(network: &Network, live: Live, engine: SocketAddr, target: &str) -> anyhow::Result<player::Report> {
    // The live viewer has seen what it was to see; whom it is given from now on is not this test's business.
    let report = live.stop().await?;
    let api = Api::new(network.file())?;
    let device = &network.engine_at(engine).name;
    api.unoffload(device, "the test is over").await?;
    routers_see_the_ramp(&api, network, device).await;
    let shares = RefCell::new(Vec::new());
    wait_for("it takes its whole share again", RETURN_DEADLINE, || async {
        let state = api.offload_of(device).await?;
        let share = state["share_permille"].as_u64().context("a share")?;
        shares.borrow_mut().push(share);
        ensure!(state["status"] == "online" && share == 1000 && shares.borrow().iter().any(|share| *share < 1000), "{state}");
        anyhow::Ok(())
    })
    .await;
    let shares = shares.into_inner();
    eprintln!("shares: {shares:?}");
    assert!(shares.windows(2).all(|pair| pair[0] <= pair[1] || pair[0] == 1000), "a ramp goes up: {shares:?}");
    wait_for("viewers are sent there again", RETURN_DEADLINE, || async {
        for router in network.routers() {
            let (sent, _) = Client::east().route(router, target).await?;
            ensure!(sent == engine, "{router} sends them to {sent}");
        }
        anyhow::Ok(())
    })
    .await;
    Ok(report)
}

/// A router gives the returning engine a part of its weight, as the engine's own keepalives say.
async fn routers_see_the_ramp(api: &Api, network: &Network, device: &str) {
    let question = format!("/route/explain?client=127.0.0.1&url=http://{}/live/index.m3u8", network.file().services[0].domain);
    wait_for("a router sees the ramp", RETURN_DEADLINE, || async {
        let explained = api.get(&question).await?;
        let reasons = explained["decision"]["reasons"].as_array().context("reasons")?;
        let texts = reasons.iter().filter_map(|reason| reason["text"].as_str());
        let part = |text: &str| text.starts_with(device) && text.contains("thousandths while it returns");
        ensure!(texts.clone().any(part), "{:?}", texts.collect::<Vec<_>>());
        anyhow::Ok(())
    })
    .await;
}

/// The oracle of the test above can fail: with no other engine left, the same offload is noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_offload_with_the_other_engine_stopped_is_noticed() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let mut live = Live::start(Client::east(), network.routers(), network.target("/live/index.m3u8"));
    live.playing(PLAY_DEADLINE).await?;
    assert_eq!(network.engine_at(live.last().context("it plays")?.engine).name, "east-1");
    // The root location stands in for the others' zones: its engine is another engine, too.
    for other in ["west-1", "core-1"] {
        network.keep_down(other).await?;
    }
    let (engine, offload, drained) = across(&network, &mut live, Others::Stopped).await?;
    let seen = Evidence { engine, offload, drained, report: live.stop().await? };
    let faults = faults(&seen);
    eprintln!("noticed: {faults:#?}");
    assert!(faults.iter().any(|fault| fault.contains("segments from another engine")), "{faults:?}");
    Ok(())
}

/// A viewer that resolves names pauses; its engine dies for good; it plays on, because the name always answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_viewer_plays_on_after_its_engine_has_died() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let expected = player::recording(Client::east(), network.routers()[0], &network.target("/vod/index.m3u8")).await?;
    let names = Arc::new(Resolver::new(network.name_servers(), client::EAST));
    let viewer = Viewer::resolving(Client::east(), names);
    let (domain, router) = (&network.file().services[0].domain, &network.file().routers[0]);
    let port = router.http.context("HTTP")?.port();
    // By a router: it is sent to an engine's own name, which it keeps.
    let url = format!("http://{}.sr.{domain}:{port}/vod/index.m3u8", router.name);
    let playlist = viewer.fetch(&url, &[]).await?;
    ensure!(playlist.url.contains(&format!(".se.{domain}")), "name-based redirection gives names: {}", playlist.url);
    // By the service's own domain, which the DNS gives engines' addresses for.
    let direct = viewer.fetch(&format!("http://{domain}:{port}/vod/index.m3u8"), &[]).await?;
    assert_eq!(network.engine_at(direct.from).location.as_deref(), Some("east"), "{direct:?}");
    let mut player = Paced::recording(viewer, &playlist.url, Duration::from_millis(100)).await?;
    player.reached(10, PLAY_DEADLINE).await?;
    player.pause();
    let device = network.engine_at(playlist.from).name.clone();
    network.keep_down(&device).await?;
    let name = format!("{device}.se.{domain}");
    wait_for("another engine stands in for the name", STAND_IN_DEADLINE, || async {
        for server in network.name_servers() {
            let addresses = Question::new(&name, kind::A).ask(server, client::EAST).await?.addresses();
            ensure!(!addresses.is_empty() && !addresses.contains(&playlist.from.ip()), "{server}: {addresses:?}");
        }
        anyhow::Ok(())
    })
    .await;
    // What its resolver was told before may be kept for one TTL of 2 s.
    let paused = weir_clock::monotonic();
    wait_until("a TTL has passed", STAND_IN_DEADLINE, || std::future::ready(paused.elapsed() > Duration::from_millis(2100))).await;
    let before = player.count();
    player.resume();
    let played = player.end(RECORDING_DEADLINE).await?;
    assert!(played.failed.is_empty(), "{:#?}", played.failed);
    assert_eq!(played.pieces.iter().map(|piece| (piece.name.clone(), piece.sha256.clone())).collect::<Vec<_>>(), in_order(&expected));
    assert!(played.pieces[before..].iter().all(|piece| piece.engine != playlist.from), "a dead engine does not serve");
    Ok(())
}

/// Name and digest of segment after segment.
fn in_order(recording: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    let number = |name: &str| name.trim_start_matches("segment-").trim_end_matches(".ts").parse::<u32>().expect("segment-N.ts");
    let mut segments: Vec<(String, String)> = recording.iter().map(|(name, hash)| (name.clone(), hash.clone())).collect();
    segments.sort_by_key(|(name, _)| number(name));
    segments
}
