//! A live stream in a browser's player across an offload and a restart. It plays in real time, so nothing else runs beside it.

use anyhow::Context;
use serde_json::Value;
use std::time::Duration;
use weir_tests::{Api, Network, Part, hls::Player, process::Signal, wait_until};

/// How long the live stream plays, when its engine is offloaded, and when that engine's keeper is killed.
const PLAY: Duration = Duration::from_secs(60);
const OFFLOAD_AT: Duration = Duration::from_secs(15);
const RESTART_AT: Duration = Duration::from_secs(45);
/// How much of the minute may be missing: the time between two looks at the clock.
const PLAYED_MIN_SECONDS: f64 = 59.0;
/// Segments another engine must have served since the offload.
const ELSEWHERE_MIN: usize = 10;
/// The player reads its playlist every 2 s.
const RELOAD_DEADLINE: Duration = Duration::from_secs(10);
/// Patience for a change to be in service.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);

/// Whether other engines could take the viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Serving,
    /// None is left; the operator insists.
    Stopped,
}

/// What hls.js saw of an offload.
struct Evidence {
    engine: String,
    /// By the browser's clock, in milliseconds.
    offload: f64,
    drained: Option<f64>,
    seen: Value,
}

/// What was promised and not kept.
fn faults(evidence: &Evidence) -> Vec<String> {
    let seen = &evidence.seen;
    let mut faults = Vec::new();
    for (what, none) in [("stalls", serde_json::json!(0)), ("errors", serde_json::json!([])), ("retries", serde_json::json!(0))] {
        if seen[what] != none {
            faults.push(format!("{what}: {}", seen[what]));
        }
    }
    let segments = seen["segments"].as_array().cloned().unwrap_or_default();
    let since = |at: f64| segments.iter().filter(move |segment| segment["at"].as_f64() > Some(at));
    let elsewhere = since(evidence.offload).filter(|segment| segment["by"] != evidence.engine).count();
    if elsewhere < ELSEWHERE_MIN {
        faults.push(format!("{elsewhere} segments from another engine"));
    }
    match evidence.drained {
        None => faults.push("never offloaded".to_owned()),
        Some(drained) => {
            let late = since(drained).filter(|segment| segment["by"] == evidence.engine).count();
            if late > 0 {
                faults.push(format!("{late} segments from the offloaded engine"));
            }
        }
    }
    faults
}

/// Plays for a minute; at 15 s the engine is offloaded, at 45 s its keeper is killed. With nobody else there it ends at 45 s.
async fn minute(network: &Network, player: &Player, others: Others) -> anyhow::Result<(Evidence, f64)> {
    let api = Api::new(network.file())?;
    let seen = player.play_until(OFFLOAD_AT).await;
    let engine =
        seen["segments"].as_array().and_then(|all| all.last()).and_then(|last| last["by"].as_str()).context("a segment")?.to_owned();
    let device = network.engine_at(engine.parse()?).name.clone();
    let offload = player.look().await?["now"].as_f64().context("a clock")?;
    match others {
        Others::Serving => api.offload(&device, "a test").await?,
        Others::Stopped => api.offload_anyway(&device, "a test").await?,
    }
    let (mut drained, mut now) = (None, offload);
    let restart = seen["began"]["wall"].as_f64().context("it began")? + RESTART_AT.as_secs_f64() * 1000.0;
    while now < restart {
        let offloaded = drained.is_none() && api.offload_of(&device).await?["status"] == "offloaded";
        now = player.look().await?["now"].as_f64().context("a clock")?;
        drained = drained.or(offloaded.then_some(now));
    }
    let mut end = RESTART_AT;
    if others == Others::Serving && drained.is_some() {
        restarted(network, player, &device).await?;
        api.wait_status(&device, "offloaded", CHANGE_DEADLINE).await;
        end = PLAY;
    }
    let seen = player.play_until(end).await;
    let played = seen["media"].as_f64().context("currentTime")? - seen["began"]["media"].as_f64().context("began")?;
    Ok((Evidence { engine, offload, drained, seen }, played))
}

/// hls.js goes on asking where it was first sent, every 2 s, and is sent on. By address nothing can answer there while nobody
/// listens, so the keeper is killed just after a question.
async fn restarted(network: &Network, player: &Player, device: &str) -> anyhow::Result<()> {
    let before = network.id(device, Part::Worker);
    player.reload(RELOAD_DEADLINE).await?;
    let killed = weir_clock::monotonic();
    network.signal(device, Part::Keeper, Signal::KILL);
    let address = network.engine(device);
    wait_until("another worker runs", CHANGE_DEADLINE, || {
        let now = network.id(device, Part::Worker);
        std::future::ready(now.is_some() && now != before && std::net::TcpStream::connect(address).is_ok())
    })
    .await;
    eprintln!("{device} was away for {:.2} s", killed.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hls_js_plays_a_minute_across_an_offload_and_a_restart_without_a_stall() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let stream = format!("http://{}{}", network.routers()[0], network.target("/live/index.m3u8"));
    let Some(player) = Player::start(&stream).await? else { return Ok(()) };
    let (evidence, played) = minute(&network, &player, Others::Serving).await?;
    eprintln!(
        "played {played:.1} s; drained {:.1} s after the offload",
        (evidence.drained.unwrap_or(f64::NAN) - evidence.offload) / 1000.0
    );
    assert_eq!(faults(&evidence), Vec::<String>::new(), "{}", evidence.seen);
    assert!(played >= PLAYED_MIN_SECONDS, "{}", evidence.seen);
    player.quit().await
}

/// The same minute with the other engine stopped: the test above would fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_minute_with_the_other_engine_stopped_is_noticed() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    // The root location stands in for the others' zones: its engine is another engine, too.
    for other in ["west-1", "core-1"] {
        network.keep_down(other).await?;
    }
    let stream = format!("http://{}{}", network.routers()[0], network.target("/live/index.m3u8"));
    let Some(player) = Player::start(&stream).await? else { return Ok(()) };
    let (evidence, _) = minute(&network, &player, Others::Stopped).await?;
    let faults = faults(&evidence);
    eprintln!("noticed: {faults:#?}");
    assert!(faults.iter().any(|fault| fault.contains("segments from another engine")), "{faults:?}");
    player.quit().await
}
