//! What still runs on an offloaded engine, as it tells the manager.

use crate::{
    engine::{Engine, Inner},
    metrics::Counters,
};
use std::sync::atomic::Ordering;
use weir_device_api::Drain;

impl Engine {
    /// What still runs, while the configuration in force holds this engine offloaded; `None` otherwise.
    pub fn drain(&self) -> Option<Drain> {
        let inner: &Inner = self.inner();
        let here = inner.here.load();
        let here = here.as_ref()?;
        let offload = here.offload?;
        let (now_ms, window_ms) = (weir_clock::monotonic_ms(), here.network.profile().session_window_ms);
        let late_from_ms = offload.late_from_ms(&here.network);
        let counters = &inner.counters;
        let fills_for_others = counters.peer_requests.load(Ordering::Relaxed);
        let active_requests = clamped(in_hand(counters).saturating_sub(fills_for_others));
        let (sessions, late_sessions) = inner.sessions.count_begun(now_ms, window_ms, late_from_ms);
        let (newest, late_requests) = inner.watched.newest(&inner.sessions, (now_ms, window_ms), late_from_ms);
        Some(Drain {
            epoch: offload.epoch,
            for_ms: offload.for_ms(now_ms),
            active_requests,
            sessions,
            fills_for_others: clamped(fills_for_others),
            newest,
            late_sessions,
            late_requests: late_requests.min(active_requests),
        })
    }
}

/// Requests being answered.
fn in_hand(counters: &Counters) -> u64 {
    u64::try_from(counters.active_requests.get()).unwrap_or(0)
}

fn clamped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
