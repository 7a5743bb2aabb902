//! What still runs on an offloaded engine, as it tells the manager.

use crate::{
    engine::{Engine, Inner},
    metrics::Counters,
};
use std::sync::atomic::{AtomicU64, Ordering};
use weir_device_api::Drain;
use weir_net::http1::Gate;

/// Answers given from memory before the offload that the server loop is still sending: the engine itself has done with them.
///
/// Since the offload a long answer is counted to its end by the engine, so they only get fewer. What the loop answers beyond what
/// the engine counts is them and, for microseconds each, requests being read and short answers being written; of those there may
/// always be some while viewers are steered. So the least that was ever seen is the most there can be.
pub(crate) struct Earlier(AtomicU64);

impl Default for Earlier {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Earlier {
    /// The engine is in service: answers from memory are the server loop's alone again.
    pub(crate) fn forget(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    fn seen(&self, sending: u64) -> u64 {
        self.0.fetch_min(sending, Ordering::Relaxed).min(sending)
    }
}

impl Engine {
    /// What still runs, while the configuration in force holds this engine offloaded; `None` otherwise. `gate` is that of the
    /// listeners this engine answers on.
    pub fn drain(&self, gate: &Gate) -> Option<Drain> {
        let inner: &Inner = self.inner();
        let here = inner.here.load();
        let here = here.as_ref()?;
        let offload = here.offload?;
        let (now_ms, window_ms) = (weir_clock::monotonic_ms(), here.network.profile().session_window_ms);
        let counters = &inner.counters;
        // A request that comes or goes between two readings must not hide one that stays.
        let before = in_hand(counters);
        let open = gate.active_requests();
        let in_hand = in_hand(counters).min(before);
        let earlier = inner.earlier.seen(open.saturating_sub(in_hand));
        let fills_for_others = counters.peer_requests.load(Ordering::Relaxed);
        Some(Drain {
            epoch: offload.epoch,
            for_ms: offload.for_ms(now_ms),
            active_requests: clamped(in_hand.saturating_sub(fills_for_others) + earlier),
            sessions: inner.sessions.count(now_ms, window_ms),
            fills_for_others: clamped(fills_for_others),
            newest: inner.watched.newest(&inner.sessions, now_ms, window_ms),
        })
    }
}

/// Requests the engine itself is answering.
fn in_hand(counters: &Counters) -> u64 {
    u64::try_from(counters.active_requests.get()).unwrap_or(0)
}

fn clamped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_the_offload_only_gets_less() {
        let earlier = Earlier::default();
        assert_eq!([5, 7, 2, 3, 0, 4].map(|sending| earlier.seen(sending)), [5, 5, 2, 2, 0, 0]);
        earlier.forget();
        assert_eq!(earlier.seen(4), 4);
    }
}
