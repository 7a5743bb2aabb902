//! A stream plays through a real network: every frame arrives, and a browser plays it live without a stall.

use anyhow::{Context, ensure};
use std::{process::Command, time::Duration};
use weir_tests::{Ask, Client, Network, client, hls::Player, network::output, player, prerequisite, process};

/// Frames of the committed test stream: 60 s of 25 frames.
const FRAMES: &str = "1500";
/// How long the browser plays, and how much of it may be missing: the time between two looks at the clock.
const PLAY: Duration = Duration::from_secs(30);
const PLAYED_MIN_SECONDS: f64 = 29.0;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_stream_plays_half_a_minute_in_a_browser_without_a_stall() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let stream = format!("http://{}{}", network.routers()[0], network.target("/live/index.m3u8"));
    let Some(player) = Player::start(&stream).await? else { return Ok(()) };
    let seen = player.play_until(PLAY).await;
    let played = seen["media"].as_f64().context("currentTime")? - seen["began"]["media"].as_f64().context("began")?;
    eprintln!("played {played:.1} s in {} s: {seen}", PLAY.as_secs());
    assert_eq!(seen["stalls"], 0, "{seen}");
    assert_eq!(seen["errors"], serde_json::json!([]), "{seen}");
    assert!(played >= PLAYED_MIN_SECONDS, "{seen}");
    player.quit().await
}
