//! Counters of one accepting thread, on cache lines of its own, and their sum.

use super::Refusal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One `serve` call's counters. Only its own thread writes them as a rule, so counting a hit costs no shared cache line.
#[repr(align(128))]
pub(crate) struct Lane {
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) active: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) server_errors: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) resets: AtomicU64,
    refusals: [AtomicU64; Refusal::COUNT],
}

impl Lane {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            accepted: zero(),
            open: zero(),
            active: zero(),
            requests: zero(),
            server_errors: zero(),
            bytes_written: zero(),
            turned_away: zero(),
            resets: zero(),
            refusals: std::array::from_fn(|_| zero()),
        }
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.refusals[refusal.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn add_to(&self, sum: &mut Counters) {
        sum.accepted += self.accepted.load(Relaxed);
        sum.open += self.open.load(Relaxed);
        sum.active += self.active.load(Relaxed);
        sum.requests += self.requests.load(Relaxed);
        sum.server_errors += self.server_errors.load(Relaxed);
        sum.bytes_written += self.bytes_written.load(Relaxed);
        sum.turned_away += self.turned_away.load(Relaxed);
        sum.resets += self.resets.load(Relaxed);
        for (sum, count) in sum.refusals.iter_mut().zip(&self.refusals) {
            *sum += count.load(Relaxed);
        }
    }
}

/// What a gate's connections did since the process started, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests being answered now: from a complete head to the last byte of the answer.
    pub active: u64,
    /// Requests handed to a service.
    pub requests: u64,
    /// Of these: answered with a status of 500 or more, whoever caused it.
    pub server_errors: u64,
    /// Bytes written to clients, heads included.
    pub bytes_written: u64,
    /// Connections closed at accept because their address had too many.
    pub turned_away: u64,
    /// Connections reset because a body broke off or the client read too slowly.
    pub resets: u64,
    refusals: [u64; Refusal::COUNT],
}

impl Counters {
    pub(crate) fn zero() -> Self {
        Self {
            accepted: 0,
            open: 0,
            active: 0,
            requests: 0,
            server_errors: 0,
            bytes_written: 0,
            turned_away: 0,
            resets: 0,
            refusals: [0; Refusal::COUNT],
        }
    }

    /// How many requests were refused this way.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal.index()]
    }
}

/// Raises a gauge for as long as it lives.
pub(crate) struct Held<'a>(&'a AtomicU64);

impl<'a> Held<'a> {
    pub(crate) fn new(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
