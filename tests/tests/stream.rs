//! A stream plays through a real network: every frame arrives, and a browser plays it live without a stall.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::{process::Command, time::Duration};
use weir_tests::{
    Ask, Client, Network, Origin,
    browser::Browser,
    client,
    network::output,
    origin::{Asked, Reply},
    player, prerequisite, process, wait_for,
};

/// Frames of the committed test stream: 60 s of 25 frames.
const FRAMES: &str = "1500";
/// How long the browser plays, and how much of it may be missing: the time between two looks at the clock.
const PLAY: Duration = Duration::from_secs(30);
const PLAYED_MIN_SECONDS: f64 = 29.0;
/// Patience for the browser to begin.
const BEGIN_DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_of_the_recording_arrives_through_router_and_engine() -> anyhow::Result<()> {
    let Some(ffprobe) = prerequisite::program("ffmpeg", "ffprobe", "ffmpeg") else { return Ok(()) };
    let network = Network::builder().engines(6).start().await?;
    let sample = network.file().services[0].sample.clone();
    let router = network.routers()[0];
    let engine = Client::at(client::EAST).route(router, &sample).await?.0;
    ensure!(network.engine_at(engine).location.as_deref() == Some("east"), "a client of zone east is served from {engine}");
    for address in [router, engine] {
        let mut command = Command::new(&ffprobe);
        command.args([
            "-v",
            "error",
            "-count_frames",
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
        ]);
        command.arg(format!("http://{address}{sample}"));
        process::without_proxies(&mut command);
        let probed = output(command).await?;
        // A transport stream's video is listed twice: in its program and by itself.
        let frames = String::from_utf8_lossy(&probed.stdout).lines().next().unwrap_or_default().to_owned();
        assert_eq!(frames, FRAMES, "through {address}: {}", String::from_utf8_lossy(&probed.stderr));
    }
    // Both zones get the same recording, each from an engine of its own.
    let east = player::recording(Client::east(), router, &sample).await?;
    let west = player::recording(Client::west(), network.routers()[1], &sample).await?;
    assert_eq!(east.len(), 30);
    assert_eq!(east, west);
    let served_west = Client::west().follow(router, &Ask::get(&sample)).await?.0;
    assert_eq!(network.engine_at(served_west).location.as_deref(), Some("west"));
    Ok(())
}

/// A page that plays `STREAM` with hls.js and counts what goes wrong.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>player</title><video id="v" muted></video><script src="/hls.min.js"></script><script>
const v = document.getElementById("v");
window.seen = {began: null, stalls: 0, errors: [], supported: Hls.isSupported()};
const hls = new Hls();
hls.on(Hls.Events.ERROR, (_, d) => seen.errors.push((d.fatal ? "fatal " : "") + d.details + " " + (d.reason || (d.response && d.response.code) || "")));
v.addEventListener("playing", () => { if (seen.began === null) seen.began = {wall: performance.now(), media: v.currentTime}; });
v.addEventListener("waiting", () => { if (seen.began !== null) seen.stalls += 1; });
v.addEventListener("ended", () => seen.errors.push("ended"));
hls.on(Hls.Events.MANIFEST_PARSED, () => v.play().catch(e => seen.errors.push("play: " + e)));
hls.loadSource("STREAM");
hls.attachMedia(v);
window.look = () => ({...seen, now: performance.now(), media: v.currentTime, paused: v.paused, ready: v.readyState});
</script>"#;

/// Serves the page and the player.
async fn page(stream: &str, hls: Vec<u8>) -> anyhow::Result<Origin> {
    let html = PAGE.replace("STREAM", stream).into_bytes();
    let script = move |asked: Asked, mut reply: Reply| -> weir_tests::origin::Replying {
        let (html, hls) = (html.clone(), hls.clone());
        Box::pin(async move {
            match asked.target.as_str() {
                "/" => reply.whole(&html, "Content-Type: text/html; charset=utf-8\r\n").await,
                "/hls.min.js" => reply.whole(&hls, "Content-Type: text/javascript\r\n").await,
                _ => reply.not_found().await,
            }
        })
    };
    Origin::start(script).await.context("serve the player's page")
}

async fn look(browser: &Browser) -> anyhow::Result<Value> {
    let seen = browser.tab.execute("return window.look();", Vec::new()).await.context("ask the page")?;
    Ok(seen.json().clone())
}

/// Waits until the media clock shows `wanted` ms of wall time since it began.
async fn play_for(browser: &Browser, wanted: Duration) -> Value {
    let deadline = wanted + BEGIN_DEADLINE;
    wait_for("the browser plays on", deadline, || async {
        let seen = look(browser).await?;
        let elapsed = seen["now"].as_f64().unwrap_or(0.0) - seen["began"]["wall"].as_f64().unwrap_or(f64::INFINITY);
        ensure!(elapsed >= wanted.as_secs_f64() * 1000.0, "{seen}");
        anyhow::Ok(seen)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_stream_plays_half_a_minute_in_a_browser_without_a_stall() -> anyhow::Result<()> {
    let Some(hls) = prerequisite::tool("hls.js", "node_modules/hls.js/dist/hls.min.js") else { return Ok(()) };
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(6).start().await?;
    let stream = format!("http://{}{}", network.routers()[0], network.target("/live/index.m3u8"));
    let page = page(&stream, std::fs::read(&hls).context("read hls.js")?).await?;
    browser.tab.goto(page.url()).await.context("open the page")?;
    let seen = play_for(&browser, PLAY).await;
    let played = seen["media"].as_f64().context("currentTime")? - seen["began"]["media"].as_f64().context("began")?;
    eprintln!("played {played:.1} s in {} s: {seen}", PLAY.as_secs());
    assert_eq!(seen["stalls"], 0, "{seen}");
    assert_eq!(seen["errors"], serde_json::json!([]), "{seen}");
    assert!(played >= PLAYED_MIN_SECONDS, "{seen}");
    browser.quit().await
}
