//! `bench/handover.sh`: hand-overs of engines under new connections, and the time of the way back.
//!
//! `handovers [--count N] [--engines N] [--rate N] [--backs N]`: a network of `weir up`; every engine goes up to the synthetic next
//! line and down again by hand-over, all engines at the same time, until N hand-overs are done, while new connections are opened at
//! the rate, one request each. Then, N times, a new worker is killed while it proves itself, and the time is taken until a connection
//! is answered again: with the worker before it parked, and with that one killed first.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use anyhow::{Context, bail, ensure};
use serde_json::json;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use weir_tests::{Api, Ask, Client, Network, Part, lines, process, process::Signal};

/// New connections are opened in steps of this.
const STEP: Duration = Duration::from_millis(5);
/// Requests under way at once; beyond it the machine cannot keep up, which the figures say.
const UNDER_WAY_MAX: usize = 4_000;
/// What the way back may take (99 of 100).
const PARKED_MOST: Duration = Duration::from_secs(1);
const COLD_MOST: Duration = Duration::from_secs(10);
/// Patience for one request: longer is lost.
const PATIENCE: Duration = Duration::from_secs(5);

struct Plan {
    count: u64,
    engines: u16,
    rate: u64,
    backs: u64,
}

fn plan() -> anyhow::Result<Plan> {
    let mut plan = Plan { count: 1_000, engines: 8, rate: 2_000, backs: 50 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value: u64 = words.next().with_context(|| format!("{word} needs a number"))?.parse()?;
        match word.as_str() {
            "--count" => plan.count = value,
            "--engines" => plan.engines = u16::try_from(value)?,
            "--rate" => plan.rate = value,
            "--backs" => plan.backs = value,
            _ => bail!("{word} is not one of --count, --engines, --rate, --backs"),
        }
    }
    Ok(plan)
}

/// What became of the connections.
#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    /// Of those: by another engine, as this one had been taken out of service for its keeper's update.
    sent_on: AtomicU64,
    not_opened: AtomicU64,
    lost: Mutex<BTreeMap<String, u64>>,
}

/// Opens connections at the rate, to one engine after the other, until told to stop.
async fn load(targets: Vec<SocketAddr>, target: String, rate: u64, tally: Arc<Tally>, mut stopped: watch::Receiver<bool>) {
    let mut tick = interval(STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let step = rate * u64::try_from(STEP.as_millis()).expect("small") / 1000;
    let mut under_way = JoinSet::new();
    let mut turn = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        for _ in 0..step {
            if under_way.len() >= UNDER_WAY_MAX {
                tally.not_opened.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let (address, target, tally) = (targets[turn % targets.len()], target.clone(), tally.clone());
            turn += 1;
            under_way.spawn(async move {
                match Client::east().patience(PATIENCE).follow(address, &Ask::get(&target)).await {
                    Ok((by, _, answer)) if answer.status() == 200 => {
                        tally.answered.fetch_add(1, Ordering::Relaxed);
                        tally.sent_on.fetch_add(u64::from(by != address), Ordering::Relaxed);
                    }
                    Ok((_, _, answer)) => {
                        *tally.lost.lock().expect("no panic").entry(format!("status {}", answer.status())).or_default() += 1
                    }
                    Err(error) => *tally.lost.lock().expect("no panic").entry(error.to_string()).or_default() += 1,
                }
            });
        }
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

/// Hands one engine over, up and down, for as long as hand-overs are left.
async fn hand_over(api: Arc<Api>, device: String, versions: [String; 2], left: Arc<AtomicU64>) -> anyhow::Result<u64> {
    let mut done = 0;
    for version in versions.iter().cycle() {
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
            break;
        }
        let number = api.assign_as(&device, &json!({ "version": version, "hand_over": true })).await?;
        let ended = api.update_ended(&device, number).await;
        ensure!(ended["successful"] == true, "{ended}");
        done += 1;
    }
    Ok(done)
}

/// Kills the new worker while it proves itself; how long until a connection is answered.
async fn way_back(network: &Network, api: &Api, device: &str, target: &str, parked: bool) -> anyhow::Result<Duration> {
    let before = network.id(device, Part::Worker).context("it runs")?;
    let number = api.assign_as(device, &json!({ "version": lines::NEXT, "hand_over": true })).await?;
    api.update_at(device, "proving").await;
    if !parked {
        process::signal(before, Signal::KILL);
    }
    let killed = weir_clock::monotonic();
    network.signal(device, Part::Worker, Signal::KILL);
    let address = network.engine(device);
    while !Client::east().patience(PATIENCE).get(address, target).await.is_ok_and(|answer| answer.status() == 200) {
        tokio::task::yield_now().await;
    }
    let took = killed.elapsed();
    api.update_ended(device, number).await;
    let cleared = api.update_verb(device, "clear-burned", &json!({})).await?;
    ensure!(cleared.status < 300, "{cleared:?}");
    weir_tests::wait_for("nothing is burned", PATIENCE * 4, || async {
        let update = api.update_of(device).await?;
        ensure!(update["burned"] == json!([]), "{update}");
        anyhow::Ok(())
    })
    .await;
    Ok(took)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

async fn backs(network: &Network, api: &Api, target: &str, count: u64, parked: bool) -> anyhow::Result<Duration> {
    let devices: Vec<String> = network.file().engines.iter().map(|engine| engine.name.clone()).collect();
    let mut times = Vec::new();
    for device in devices.iter().cycle().take(usize::try_from(count)?) {
        times.push(way_back(network, api, device, target, parked).await?);
    }
    times.sort();
    let [half, most] = [50, 99].map(|percent| percentile(&times, percent));
    // Nobody else asks meanwhile: what is measured is the keeper and the worker, not the machine under load.
    println!("way back, {}: {} times, median {half:?}, p99 {most:?}", if parked { "parked" } else { "cold" }, times.len());
    Ok(most)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let plan = plan()?;
    let network = Network::builder().engines(plan.engines).start().await?;
    let api = Arc::new(Api::new(network.file())?);
    network.register_line(&api, lines::NEXT).await?;
    let target = network.target("/vod/index.m3u8");
    let (stop, stopped) = watch::channel(false);
    let tally = Arc::new(Tally::default());
    let targets = network.file().engines.iter().filter_map(|engine| engine.http).collect();
    let begin = weir_clock::monotonic();
    let mut loading = JoinSet::new();
    loading.spawn(load(targets, target.clone(), plan.rate, tally.clone(), stopped));
    let left = Arc::new(AtomicU64::new(plan.count));
    let mut at_work = JoinSet::new();
    for engine in &network.file().engines {
        let versions = [lines::NEXT.to_owned(), network.file().version.clone()];
        at_work.spawn(hand_over(api.clone(), engine.name.clone(), versions, left.clone()));
    }
    let mut done = 0;
    while let Some(one) = at_work.join_next().await {
        done += one??;
    }
    stop.send_replace(true);
    loading.join_all().await;
    let (not_opened, sent_on) = (tally.not_opened.load(Ordering::Relaxed), tally.sent_on.load(Ordering::Relaxed));
    let (took, answered) = (begin.elapsed(), tally.answered.load(Ordering::Relaxed));
    println!(
        "{done} hand-overs in {:.0} s: {answered} connections answered, {:.0} a second",
        took.as_secs_f64(),
        answered as f64 / took.as_secs_f64()
    );
    println!("sent on to another engine by one that made way for its keeper's update: {sent_on}");
    println!("not opened, because the machine could not keep up: {not_opened}");
    let lost = tally.lost.lock().expect("no panic").clone();
    println!("lost or reset: {} {lost:?}", lost.values().sum::<u64>());
    for device in &network.file().engines {
        let update = api.update_of(&device.name).await?;
        if update["running"] == lines::NEXT {
            let number = api.assign_as(&device.name, &json!({ "version": network.file().version, "hand_over": true })).await?;
            api.update_ended(&device.name, number).await;
        }
    }
    for (parked, most) in [(true, PARKED_MOST), (false, COLD_MOST)] {
        let p99 = backs(&network, &api, &target, plan.backs, parked).await?;
        ensure!(p99 < most, "the way back takes {p99:?}, more than {most:?}");
    }
    ensure!(done == plan.count, "{done} hand-overs of {}", plan.count);
    ensure!(lost.is_empty(), "connections were lost");
    ensure!(not_opened * 20 <= answered, "the load was less than 95 % of {} a second", plan.rate);
    Ok(())
}
