//! Every limit of a connection, with its unit and default.

use std::time::Duration;

/// Header fields one request may carry at most, whatever [`Limits::header_fields`] says: the parser's table.
pub const FIELDS_MAX: usize = 100;

/// Bytes of request bodies one process holds at once.
const BODIES_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes a client takes at least in each [`Limits::write_stall`]: 4.4 kbit/s, so that a dozen downloads share a line of
/// 64 kbit/s, and a response of 1 MiB holds its connection for half an hour at most.
const SEND_BYTES_MIN: u64 = 16 * 1024;
/// Connections an administrative listener takes: an operator's shell, a few collectors, and room for their retries.
const ADMIN_CONNECTIONS: usize = 256;
/// Connections of one address to an administrative listener, so that no single client takes all of them.
const ADMIN_CONNECTIONS_PER_ADDRESS: u32 = 64;

/// The limits of one listener's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and header fields together, final empty line included. Over: 431.
    pub header_bytes: usize,
    /// Header fields of one request, at most [`FIELDS_MAX`]. Over: 431.
    pub header_fields: usize,
    /// Bytes of the request target. Over: 414.
    pub target_bytes: usize,
    /// From the first byte of a request (or from accept, for the first) to its complete head. Over: 408, or a silent close when no byte came.
    pub header_time: Duration,
    /// From the head to the complete request body. Over: 408.
    pub body_time: Duration,
    /// How long a kept-alive connection may wait for its next request. Over: a silent close.
    pub idle_time: Duration,
    /// Bytes of a request body, which is held in memory. Over: 413. 0: a body is refused with its head, a chunked one too.
    pub body_bytes: u64,
    /// Bytes of request bodies held in memory at once in the whole process (the gate). Over: 503.
    pub bodies_bytes: u64,
    /// How long a response may wait for its client to take [`Limits::send_bytes_min`]. Over: reset.
    pub write_stall: Duration,
    /// Bytes a client must take in each `write_stall` in which the response waits for it; less only at the end.
    pub send_bytes_min: u64,
    /// Requests answered on one connection; the last carries `Connection: close`.
    pub requests_per_connection: u32,
    /// Connections open at once in the whole process (the gate). Over: accepting pauses and the backlog waits.
    pub connections: usize,
    /// Connections open at once from one client address; 0 means no limit. Over: closed at accept.
    pub connections_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 16 * 1024,
            header_fields: FIELDS_MAX,
            target_bytes: 8 * 1024,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(60),
            body_bytes: 1024 * 1024,
            bodies_bytes: BODIES_BYTES,
            write_stall: Duration::from_secs(30),
            send_bytes_min: SEND_BYTES_MIN,
            requests_per_connection: 100_000,
            connections: 20_000,
            connections_per_address: 4096,
        }
    }
}

impl Limits {
    /// For a listener whose service reads no request body: one is refused with its head.
    pub fn without_bodies() -> Self {
        Self { body_bytes: 0, ..Self::default() }
    }

    /// For an administrative listener: no bodies, and few connections.
    pub fn admin() -> Self {
        Self { connections: ADMIN_CONNECTIONS, connections_per_address: ADMIN_CONNECTIONS_PER_ADDRESS, ..Self::without_bodies() }
    }
}
