//! A router's panic: over half of the engines it knew as healthy vanish at once, which is its network's doing and hardly theirs.
//!
//! It goes on choosing among those that vanished, for a while: an answer that may lead nowhere is better than none. Only silence
//! and ended lifelines count. An engine that says it stops, that Server Offload holds, or that the configuration no longer has,
//! is out for a reason, and no panic brings it back.

use crate::{health::HealthTable, network::Network, reason::DropReason};
use std::collections::BTreeSet;
use weir_model::DeviceName;

/// Engines that must have been healthy before: of fewer, over half may well be gone by themselves, such as two of three on one box.
pub const PANIC_ENGINES_MIN: usize = 4;

/// A panic under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// When it was seen, monotonic milliseconds.
    pub since_ms: u64,
    /// When it ends at the latest.
    pub until_ms: u64,
    /// Engines that were healthy before.
    pub of: usize,
    /// Those that vanished, by name: still chosen among.
    pub vanished: BTreeSet<DeviceName>,
}

impl Panic {
    /// Whether it goes on.
    pub fn lasts(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }
}

/// Engines of a network as they stand for the question whether to panic.
#[derive(Debug, Default)]
struct Count {
    live: usize,
    /// Vanished within the window.
    lately: BTreeSet<DeviceName>,
    /// Vanished, whenever.
    missing: BTreeSet<DeviceName>,
}

impl HealthTable {
    /// Looks whether over half of the engines have vanished within the profile's window, and whether a panic is over: its time
    /// has passed, or no more than half of its engines are still missing. Returns whether that changed anything.
    pub fn look_for_panic(&mut self, network: &Network, now_ms: u64) -> bool {
        let count = self.count(network, now_ms);
        let next = match &self.panic {
            Some(panic) if panic.lasts(now_ms) => still(panic, count),
            _ => begun(network, count, now_ms),
        };
        let changed = next != self.panic;
        self.panic = next;
        changed
    }

    /// The panic under way.
    pub fn panic(&self, now_ms: u64) -> Option<&Panic> {
        self.panic.as_ref().filter(|panic| panic.lasts(now_ms))
    }

    /// Whether an engine is chosen although it is gone for this reason.
    pub(crate) fn is_kept(&self, engine: &DeviceName, why: DropReason, now_ms: u64) -> bool {
        is_loss(why) && self.panic(now_ms).is_some_and(|panic| panic.vanished.contains(engine))
    }

    fn count(&self, network: &Network, now_ms: u64) -> Count {
        let window_ms = network.profile().panic_window_ms;
        let mut count = Count::default();
        for engine in network.engines().iter().filter(|engine| engine.weight > 0) {
            match self.standing(network, engine, now_ms) {
                Ok(()) => count.live += 1,
                Err(why) if is_loss(why) => {
                    let vanished_ms = self.vanished_ms(&engine.name, network.profile().keepalive_patience_ms());
                    if vanished_ms.is_some_and(|at| now_ms.saturating_sub(at) <= window_ms) {
                        count.lately.insert(engine.name.clone());
                    }
                    count.missing.insert(engine.name.clone());
                }
                Err(_) => {}
            }
        }
        count
    }
}

/// What says that an engine is gone, and not that it was taken out or is about to stop.
fn is_loss(why: DropReason) -> bool {
    matches!(why, DropReason::Silent { .. } | DropReason::LifelineLost)
}

fn begun(network: &Network, count: Count, now_ms: u64) -> Option<Panic> {
    let of = count.live + count.lately.len();
    let panics = of >= PANIC_ENGINES_MIN && count.lately.len() * 2 > of;
    panics.then(|| Panic { since_ms: now_ms, until_ms: now_ms + network.profile().panic_hold_ms, of, vanished: count.lately })
}

fn still(panic: &Panic, count: Count) -> Option<Panic> {
    let missing = panic.vanished.intersection(&count.missing).count();
    if missing * 2 <= panic.of {
        return None;
    }
    // Whoever vanishes meanwhile is as likely there as the others.
    let vanished = panic.vanished.union(&count.lately).cloned().collect();
    Some(Panic { vanished, ..panic.clone() })
}

#[cfg(test)]
mod tests;
