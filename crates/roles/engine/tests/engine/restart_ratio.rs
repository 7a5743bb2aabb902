//! What an update costs in hits: engines that are replaced in the middle of a trace, against one that is not.

use crate::{
    client::PATIENCE,
    network::{MIB, Node, Plan, on},
    origin::{Origin, Then},
};
use std::{net::SocketAddr, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Bytes of RAM of each engine.
const RAM: u64 = 4 * MIB;
/// Bytes of an object's body.
const OBJECT: usize = 8 * 1024;
/// Objects there are: twice what fits in memory.
const CATALOGUE: usize = (2 * RAM) as usize / OBJECT;
/// Requests before anything happens: an engine that has known its viewers for a while.
const BEFORE: usize = 12_000;
/// Requests of each later part of the trace.
const PART: usize = 4_000;
/// How skewed demand is: the exponent of Zipf's law.
const SKEW: f64 = 0.9;
/// The most the hit ratio may differ by, in percentage points.
const DIFFERENCE_MAX: f64 = 1.0;

/// The objects a trace asks for, most popular first, from a seed: the same in every run.
struct Trace {
    /// Of each object, the share of requests for it and all more popular ones.
    shares: Vec<f64>,
    state: u64,
}

impl Trace {
    fn new(seed: u64) -> Self {
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=CATALOGUE)
            .map(|rank| {
                sum += (rank as f64).powf(-SKEW);
                sum
            })
            .collect();
        Self { shares: sums.iter().map(|part| part / sum).collect(), state: seed }
    }

    /// splitmix64, as a number from 0 to 1.
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn part(&mut self, requests: usize) -> Vec<usize> {
        (0..requests)
            .map(|_| {
                let draw = self.draw();
                self.shares.partition_point(|share| *share < draw).min(CATALOGUE - 1)
            })
            .collect()
    }
}

/// A viewer with one connection.
struct Viewer(BufReader<TcpStream>);

impl Viewer {
    async fn of(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.expect("connects")))
    }

    /// Asks for an object; whether it was a hit.
    async fn asks(&mut self, object: usize) -> bool {
        let request = format!("GET /{object} HTTP/1.1\r\nHost: demo.weir.test\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).await.expect("writes");
        let (mut line, mut is_hit) = (String::new(), false);
        loop {
            line.clear();
            self.0.read_line(&mut line).await.expect("reads");
            match line.trim_end() {
                "" => break,
                field => is_hit |= field.starts_with("Cache-Status: ") && field.contains("; hit"),
            }
        }
        let mut body = vec![0; OBJECT];
        self.0.read_exact(&mut body).await.expect("a whole body");
        assert!(body.starts_with(format!("/{object} ").as_bytes()), "the object that was asked for");
        is_hit
    }
}

/// Plays a part; returns the hit ratio in percent.
async fn play(node: &Node, part: &[usize]) -> f64 {
    let played = async {
        let mut viewer = Viewer::of(node.address).await;
        let mut hits = 0;
        for object in part {
            hits += usize::from(viewer.asks(*object).await);
        }
        hits
    };
    let hits = tokio::time::timeout(PATIENCE, played).await.expect("in time");
    100.0 * hits as f64 / part.len() as f64
}

/// In memory where the machine allows: a trace that takes hours is played in a second, and a real disk would not keep up.
fn directory() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("directory"))
}

#[tokio::test]
async fn hit_ratio_after_up_and_after_down_is_that_of_an_engine_that_was_left_alone() {
    let origin = Origin::start(|seen, mut out| async move {
        let mut body = format!("{} ", seen.target).into_bytes();
        body.resize(OBJECT, b'.');
        out.answer(200, "Cache-Control: max-age=1000\r\n", body).await;
        (out, Then::Keep)
    })
    .await;
    let url = format!("http://{}", origin.address);
    let plan = Plan { store_bytes: RAM, disk_bytes: Some(256 * MIB), ..Plan::default() };
    let directories = [directory(), directory()];
    let control = on(&directories[0], &plan, &url).await;
    let mut updated = on(&directories[1], &plan, &url).await;
    let mut trace = Trace::new(7);
    let part = trace.part(BEFORE);
    let (before, same) = (play(&control, &part).await, play(&updated, &part).await);
    assert!((before - same).abs() <= DIFFERENCE_MAX, "nothing has happened yet: {before} and {same} %");
    for step in ["up", "down"] {
        // As in a hand-over: the new worker is there before the old one ends.
        let new = on(&directories[1], &plan, &url).await;
        updated.engine.give_up_disk().await;
        updated.kill();
        updated.engine.stop().await;
        new.engine.take_disk().await;
        updated = new;
        let part = trace.part(PART);
        let (left_alone, after) = (play(&control, &part).await, play(&updated, &part).await);
        println!("{step}: {left_alone:.2} % of an engine left alone, {after:.2} % of the updated one");
        assert!(left_alone > 60.0, "{step}: the trace has something to hit: {left_alone} %");
        assert!((left_alone - after).abs() <= DIFFERENCE_MAX, "{step}: {left_alone} % left alone, {after} % updated");
    }
}
