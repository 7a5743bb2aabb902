//! Clients that know both routers and keep starting streams, one every so often.

use crate::{
    client::Client,
    playlist::{Playlist, resolve},
};
use anyhow::Context;
use std::{
    io::{Error, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

/// How long a viewer waits for its stream; a start that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);
/// Patience for one request of a start.
const REQUEST_PATIENCE: Duration = Duration::from_secs(3);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Starts under way at once: a period of 100 ms and [`LOST_AFTER`] make 100.
const UNDER_WAY_MAX: usize = 200;

/// One try of a start.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it began.
    pub at: Instant,
    /// The router asked.
    pub router: SocketAddr,
    /// The engine it named.
    pub engine: Option<SocketAddr>,
    /// What went wrong; `None` when playlist and segment came.
    pub failed: Option<String>,
}

/// One viewer's start.
#[derive(Debug, Clone)]
pub struct Start {
    /// When it began.
    pub at: Instant,
    /// Its tries, in order.
    pub attempts: Vec<Attempt>,
    /// How long until it had playlist and segment; `None`: lost.
    pub took: Option<Duration>,
}

impl Start {
    /// The engine that served it.
    pub fn engine(&self) -> Option<SocketAddr> {
        self.took.and_then(|_| self.attempts.last()?.engine)
    }
}

/// What is started, by whom and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The viewer.
    pub client: Client,
    /// Routers it knows; each start begins with the next one.
    pub routers: Vec<SocketAddr>,
    /// The playlist.
    pub target: String,
    /// Between two starts.
    pub period: Duration,
}

/// Starts under way until they are stopped.
pub struct Starts {
    task: JoinSet<Vec<Start>>,
    stop: watch::Sender<bool>,
}

impl Starts {
    /// Begins.
    pub fn begin(plan: Plan) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(run(plan, stopped));
        Self { task, stop }
    }

    /// Begins no more, waits for those under way, and returns all in order.
    pub async fn stop(mut self) -> anyhow::Result<Vec<Start>> {
        self.stop.send_replace(true);
        Ok(self.task.join_next().await.context("starts are under way")??)
    }
}

async fn run(plan: Plan, mut stopped: watch::Receiver<bool>) -> Vec<Start> {
    let mut under_way = JoinSet::new();
    let mut done = Vec::new();
    let mut tick = interval(plan.period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for first in 0.. {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        if under_way.len() < UNDER_WAY_MAX {
            under_way.spawn(start(plan.clone(), first));
        }
        while let Some(start) = under_way.try_join_next() {
            done.push(start.expect("a start does not panic"));
        }
    }
    done.extend(under_way.join_all().await);
    done.sort_by_key(|start: &Start| start.at);
    done
}

async fn start(plan: Plan, first: usize) -> Start {
    let at = weir_clock::monotonic();
    let client = plan.client.patience(REQUEST_PATIENCE);
    let mut attempts = Vec::new();
    for router in plan.routers.iter().cycle().skip(first % plan.routers.len()) {
        let mut attempt = Attempt { at: weir_clock::monotonic(), router: *router, engine: None, failed: None };
        let outcome = one(client, *router, &plan.target, &mut attempt.engine).await;
        attempt.failed = outcome.err().map(|error| error.to_string());
        let success = attempt.failed.is_none();
        attempts.push(attempt);
        if success {
            return Start { at, attempts, took: Some(at.elapsed()) };
        }
        if at.elapsed() > LOST_AFTER {
            break;
        }
        sleep(PAUSE).await;
    }
    Start { at, attempts, took: None }
}

/// Router, playlist, last segment.
async fn one(client: Client, router: SocketAddr, target: &str, named: &mut Option<SocketAddr>) -> std::io::Result<()> {
    let (engine, target) = client.route(router, target).await?;
    *named = Some(engine);
    let bad = |what: String| Error::new(ErrorKind::InvalidData, what);
    let answer = client.get(engine, &target).await?;
    if answer.status() != 200 {
        return Err(bad(format!("playlist {}", answer.status())));
    }
    let playlist = Playlist::parse(&String::from_utf8_lossy(&answer.body)).map_err(|error| bad(error.to_string()))?;
    let segment = playlist.segments.last().ok_or_else(|| bad("an empty playlist".into()))?;
    let answer = client.get(engine, &resolve(&target, &segment.uri)).await?;
    if answer.status() == 200 { Ok(()) } else { Err(bad(format!("segment {}", answer.status()))) }
}
