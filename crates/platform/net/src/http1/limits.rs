//! Every limit of a connection, with its unit and default.

use std::time::Duration;

/// Header fields one request may carry at most, whatever [`Limits::header_fields`] says: the parser's table.
pub const FIELDS_MAX: usize = 100;

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
    /// Bytes of a request body, which is held in memory. Over: 413.
    pub body_bytes: u64,
    /// How long a response may make no progress because the client does not read. Over: reset.
    pub write_stall: Duration,
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
            write_stall: Duration::from_secs(30),
            requests_per_connection: 100_000,
            connections: 20_000,
            connections_per_address: 4096,
        }
    }
}
