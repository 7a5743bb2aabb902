//! The closed loop: keeps every connection asking until the time is over.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::histogram::Histogram;
use crate::machine::{self, Moment};
use crate::system::Epoll;

pub struct Plan {
    pub to: SocketAddrV4,
    pub requests: Vec<Vec<u8>>,
    pub connections: usize,
    /// How long is measured, after `warm`.
    pub measure: Duration,
    pub warm: Duration,
    /// Process whose processor time and memory are reported.
    pub server: Option<u32>,
}

struct Counts {
    latency: Histogram,
    bytes: u64,
    statuses: BTreeMap<u16, u64>,
    errors: u64,
}

impl Counts {
    fn new() -> Self {
        Self { latency: Histogram::new(), bytes: 0, statuses: BTreeMap::new(), errors: 0 }
    }
}

/// Runs the plan and gives the report as one JSON object.
pub fn run(plan: &Plan) -> Result<String> {
    let mut epoll = Epoll::new()?;
    let mut next = plan.requests.iter().cycle();
    let mut request = || next.next().map(Vec::as_slice).unwrap_or_default();
    let mut connections = Vec::with_capacity(plan.connections);
    for token in 0..plan.connections {
        let mut connection = Connection::open(plan.to)?;
        epoll.add(connection.stream(), token)?;
        connection.ask(request())?;
        connections.push(connection);
    }
    let mut counts = Counts::new();
    let begin = Instant::now();
    let mut measured: Option<(Instant, Moment)> = None;
    loop {
        let now = Instant::now();
        if measured.is_none() && now - begin >= plan.warm {
            counts = Counts::new();
            measured = Some((Instant::now(), Moment::now(plan.server)));
        }
        if let Some((start, moment)) = &measured
            && now.saturating_duration_since(*start) >= plan.measure
        {
            return Ok(report(plan, &counts, start.elapsed().as_secs_f64(), moment));
        }
        let ready: Vec<usize> = epoll.wait()?.collect();
        for token in ready {
            if !serve(&mut connections[token], &mut counts, &mut request) {
                counts.errors += 1;
                connections[token] = Connection::open(plan.to)?;
                epoll.add(connections[token].stream(), token)?;
                connections[token].ask(request())?;
            }
        }
    }
}

/// Reads from a ready connection and asks again; false when it is broken.
fn serve<'a>(connection: &mut Connection, counts: &mut Counts, request: &mut impl FnMut() -> &'a [u8]) -> bool {
    let read = connection.read();
    counts.bytes += std::mem::take(&mut connection.received);
    match read {
        Ok(None) => true,
        Ok(Some(answer)) => {
            counts.latency.add(u64::try_from(answer.asked.elapsed().as_nanos()).unwrap_or(u64::MAX));
            *counts.statuses.entry(answer.status).or_default() += 1;
            connection.ask(request()).is_ok()
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn report(plan: &Plan, counts: &Counts, seconds: f64, start: &Moment) -> String {
    let shares = Moment::now(plan.server).since(start, seconds);
    let rate = counts.latency.count() as f64 / seconds;
    let micro = |share: f64| counts.latency.quantile(share) as f64 / 1e3;
    let statuses: Vec<String> = counts.statuses.iter().map(|(status, count)| format!("\"{status}\":{count}")).collect();
    format!(
        "{{\"rps\":{rate:.0},\"mbs\":{:.1},\"p50_us\":{:.1},\"p90_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\"max_us\":{:.0},\
         \"cpu0\":{:.1},\"cpu1\":{:.1},\"srv_cpu\":{:.1},\"foreign0\":{:.1},\"foreign1\":{:.1},\"rss_kib\":{},\"errors\":{},\
         \"statuses\":{{{}}},\"secs\":{seconds:.2}}}",
        counts.bytes as f64 / seconds / 1e6,
        micro(0.5),
        micro(0.9),
        micro(0.99),
        micro(0.999),
        counts.latency.max() as f64 / 1e3,
        shares.busy[0],
        shares.busy[1],
        shares.server,
        shares.foreign[0],
        shares.foreign[1],
        plan.server.map_or(0, machine::memory_kib),
        counts.errors,
        statuses.join(",")
    )
}
