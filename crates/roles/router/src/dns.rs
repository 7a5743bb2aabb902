//! Authoritative DNS: which engine a name leads to, for each client.
//!
//! Each service's domain is a zone of its own; `docs/protocols/dns.md` has the records and the rules.
//!
//! ```text
//! query ── query::read ──> what is asked ── verdict::of ──> what there is to say ── reply::write ──> answer
//!                          (network, health, zones: the snapshots of this moment)
//! ```
//! UDP runs on blocking threads, one per socket, and allocates nothing for an address; TCP on the control runtime.

mod metrics;
mod query;
mod reply;
mod seats;
mod subnet;
mod tcp;
mod verdict;
mod zone;

pub(crate) use metrics::DnsMetrics;
pub(crate) use tcp::End;
pub(crate) use zone::Zones;

use crate::Router;
use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};
use weir_net::{http1::Gate, udp};
use weir_routing::RefusalReason;
use weir_telemetry::Tasks;

/// Largest answer over UDP, in bytes, and the size this server tells others (EDNS): what crosses any path in one piece.
pub const UDP_ANSWER_BYTES_MAX: usize = 1232;
/// Largest answer over UDP to a client that does not say what it takes, in bytes (RFC 1035 section 4.2.1).
pub const PLAIN_ANSWER_BYTES_MAX: usize = 512;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram: the answer's size is limited.
    Udp,
    /// On a connection.
    Tcp,
}

impl Transport {
    pub(crate) const ALL: [Transport; 2] = [Transport::Udp, Transport::Tcp];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// What became of a query; the `result` of `router_dns_queries_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Records.
    Answered,
    /// The name exists and has no such records.
    NoData,
    /// There is no such name in the zone.
    NoName,
    /// Not in a zone of this router, not of class IN, or a zone transfer.
    Refused,
    /// No engine for this client now.
    Unplaced(RefusalReason),
    /// This router has no configuration, and so no zones, yet.
    NoConfiguration,
    /// Not a query one can read.
    FormatError,
    /// Another operation than a query.
    NotImplemented,
    /// Another version of EDNS than 0.
    BadVersion,
    /// Not a query at all: nothing is answered.
    Ignored,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 11] = [
        Outcome::Answered,
        Outcome::NoData,
        Outcome::NoName,
        Outcome::Refused,
        Outcome::Unplaced(RefusalReason::NoCoverageZone),
        Outcome::Unplaced(RefusalReason::NoLiveEngine),
        Outcome::NoConfiguration,
        Outcome::FormatError,
        Outcome::NotImplemented,
        Outcome::BadVersion,
        Outcome::Ignored,
    ];

    /// The word of the metric, and of the extended error's text where there is one.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::NoData => "no_data",
            Outcome::NoName => "no_name",
            Outcome::Refused => "refused",
            Outcome::Unplaced(reason) => reason.as_str(),
            Outcome::NoConfiguration => "no_configuration",
            Outcome::FormatError => "format_error",
            Outcome::NotImplemented => "not_implemented",
            Outcome::BadVersion => "bad_version",
            Outcome::Ignored => "ignored",
        }
    }
}

/// Answers one query: appends the answer to `answer`, which is empty, or leaves it empty when there is none.
pub fn respond(router: &Router, message: &[u8], client: SocketAddr, transport: Transport, answer: &mut Vec<u8>) -> Outcome {
    let outcome = match query::read(message) {
        Ok(query) => {
            let running = router.shared.running.load();
            let health = router.shared.vitals.published();
            let snapshot = running.as_ref().map(|running| verdict::Snapshot { running, health: &health });
            let verdict = verdict::of(snapshot, &query, client.ip().to_canonical());
            let limit = match transport {
                Transport::Udp => query.udp_answer_bytes(),
                Transport::Tcp => usize::from(u16::MAX),
            };
            if reply::write(&query, &verdict, limit, answer) == reply::Fit::Truncated {
                router.shared.metrics.dns.truncated();
            }
            verdict.outcome
        }
        Err(unreadable) => {
            reply::write_unreadable(unreadable, answer);
            unreadable.outcome()
        }
    };
    router.shared.metrics.dns.answered(transport, outcome);
    outcome
}

/// Starts answering on adopted sockets while `gate` accepts: UDP on threads of its own, TCP as tasks on the current
/// runtime. The threads end when the gate releases its sockets or the returned value is dropped, the tasks with `tasks`.
///
/// # Errors
/// A socket that cannot be taken, or a thread that cannot be started.
pub fn run(router: &Router, udp: Vec<UdpSocket>, tcp: Vec<TcpListener>, gate: &Gate, tasks: &Tasks) -> io::Result<udp::Threads> {
    let answering = router.clone();
    let threads = udp::serve("dns", udp, gate, &move |message: &[u8], client: SocketAddr, answer: &mut Vec<u8>| {
        respond(&answering, message, client, Transport::Udp, answer);
    })?;
    router.shared.metrics.dns.follow(threads.counts());
    tcp::listen(router, tcp, gate, tasks)?;
    Ok(threads)
}

#[cfg(test)]
mod tests;
