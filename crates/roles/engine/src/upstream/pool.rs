//! Idle upstream connections, kept per (thread, address): a connection is driven by the runtime of the thread that made it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// Idle connections kept per thread and address.
const IDLE_MAX: usize = 64;
/// How long a connection may wait for its next request.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The sending end of a connection.
pub(crate) type Sender = http1::SendRequest<Full<Bytes>>;

struct Idle {
    sender: Sender,
    since: Instant,
}

/// Idle connections.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<(ThreadId, SocketAddr), Vec<Idle>>>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, HashMap<(ThreadId, SocketAddr), Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, and how long it has been idle.
    pub(crate) fn take(&self, address: SocketAddr) -> Option<(Sender, Duration)> {
        let mut idle = self.lock();
        let waiting = idle.get_mut(&(thread::current().id(), address))?;
        while let Some(Idle { sender, since }) = waiting.pop() {
            let rested = weir_clock::monotonic().saturating_duration_since(since);
            if rested < IDLE_TIME && !sender.is_closed() {
                return Some((sender, rested));
            }
        }
        None
    }

    /// Keeps a connection whose response is read to its end, and lets go of those that waited too long.
    pub(crate) fn put(&self, address: SocketAddr, sender: Sender) {
        let now = weir_clock::monotonic();
        let mut idle = self.lock();
        idle.retain(|_, waiting| {
            waiting.retain(|i| now.saturating_duration_since(i.since) < IDLE_TIME && !i.sender.is_closed());
            !waiting.is_empty()
        });
        let waiting = idle.entry((thread::current().id(), address)).or_default();
        if waiting.len() < IDLE_MAX {
            waiting.push(Idle { sender, since: now });
        }
    }

    /// Closes every idle connection.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}
