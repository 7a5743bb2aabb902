//! `bench/devices.sh`: many simulated devices on one manager: what it costs, and how soon a change is everywhere.
//!
//! `devices [--count N] [--locations N] [--services N] [--changes N] [--seconds N] [--unlisted] [--out FILE]`: a manager of its own,
//! installed and kept as on a box, with the timers of profile `standard`. Each device is a real one as far as the manager can tell: it
//! has a key of its own, enrols with a token, holds one HTTP/2 connection with mutual TLS, reports every 5 s and whenever it has taken
//! a document, and long-polls for the next. What it does not do is serve, so that a machine holds 10,000 of them.
//! `--unlisted` gives them no listener for viewers: then documents do not name them, which shows what their size costs.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

mod changes;
mod device;
mod enrolment;
mod figures;
mod network;
mod plan;
mod seen;

use anyhow::Context;
use device::Device;
use figures::{Figures, Worker, percentiles};
use seen::Seen;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use weir_tests::wait_for;

/// Devices whose handshakes are under way at once.
const CONNECTING_MAX: usize = 64;
/// Patience for all devices to hold a document and to have reported.
const SETTLE_DEADLINE: Duration = Duration::from_secs(300);

fn main() -> anyhow::Result<()> {
    weir_tests::api::install_provider();
    // The rest of the machine is the manager's.
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(run(plan::read()?))
}

async fn run(plan: plan::Plan) -> anyhow::Result<()> {
    let network = network::Bench::start(&plan).await?;
    let begin = weir_clock::monotonic();
    let devices = enrolment::enrol(&network, &plan).await?;
    let enrolment = begin.elapsed();
    println!("{} devices enrolled in {:.1} s", devices.len(), enrolment.as_secs_f64());

    let seen = Arc::new(Seen::new(devices.len()));
    let (stop, stopped) = watch::channel(false);
    let mut running = start(devices, network.manager(), &seen, &stopped);
    wait_for("every device has its document", SETTLE_DEADLINE, || async {
        let holding = seen.holding(1);
        if holding == plan.count { Ok(()) } else { Err(format!("{holding} of {}", plan.count)) }
    })
    .await;
    println!("all in service after {:.1} s", begin.elapsed().as_secs_f64());

    let worker = Worker::of(network.worker()?);
    let quiet = measure(&worker, &seen, plan.seconds / 2).await?;
    let busy_begin = worker.cpu()?;
    let changes_begin = weir_clock::monotonic();
    let reached = changes::make(&network, &seen, &plan).await?;
    let changing = worker.share_since(busy_begin, changes_begin.elapsed())?;
    stop.send_replace(true);
    while let Some(ended) = running.join_next().await {
        ended.context("a device does not panic")?;
    }
    let figures = Figures {
        devices: plan.count,
        listed: plan.listed,
        services: plan.services,
        enrolment_s: enrolment.as_secs_f64(),
        quiet_cpu_percent: quiet,
        changing_cpu_percent: changing,
        rss_mib: worker.rss_mib()?,
        document_bytes: seen.document_bytes(),
        change_ms: percentiles(reached),
        report_ms: percentiles(seen.reports()),
        poll_late_ms: percentiles(seen.polls()),
        failures: seen.failures(),
    };
    figures.say(plan.out.as_deref())
}

/// The manager's share of one core while nothing changes, in percent.
async fn measure(worker: &Worker, seen: &Seen, seconds: u64) -> anyhow::Result<f64> {
    seen.forget_latencies();
    let (cpu, begin) = (worker.cpu()?, weir_clock::monotonic());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    worker.share_since(cpu, begin.elapsed())
}

fn start(devices: Vec<Device>, manager: std::net::SocketAddr, seen: &Arc<Seen>, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut running = JoinSet::new();
    for device in devices {
        running.spawn(device.live(manager, Arc::clone(seen), Arc::clone(&connecting), stopped.clone()));
    }
    running
}
