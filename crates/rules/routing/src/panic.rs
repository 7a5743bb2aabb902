//! A router's panic: over half of the engines it knew as healthy vanish at once, which is its network's doing and hardly theirs.
//!
//! It goes on choosing among those that vanished, for a while: an answer that may lead nowhere is better than none. Only silence
//! and ended lifelines count. An engine that says it stops, that Server Offload holds, or that the configuration no longer has,
//! is out for a reason, and no panic brings it back.
//!
//! A router that was held up itself hears nobody for as long, and then looks at engines that are all silent: they count as vanished
//! from when the last of them fell silent, and a viewer that asks before the next look is not refused ([`HealthTable::suddenly`]).

use crate::{health::HealthTable, network::Network, reason::DropReason};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Vanished, and when: monotonic milliseconds.
    missing: BTreeMap<DeviceName, u64>,
}

impl Count {
    /// Those that vanished within the window before `at_ms`.
    fn lately(&self, at_ms: u64, window_ms: u64) -> BTreeSet<DeviceName> {
        let within = |vanished_ms: u64| at_ms.saturating_sub(vanished_ms) <= window_ms;
        self.missing.iter().filter(|(_, vanished_ms)| within(**vanished_ms)).map(|(name, _)| name.clone()).collect()
    }
}

impl HealthTable {
    /// Looks whether over half of the engines have vanished within the profile's window, and whether a panic is over: its time
    /// has passed, or no more than half of its engines are still missing. Returns whether that changed anything.
    pub fn look_for_panic(&mut self, network: &Network, now_ms: u64) -> bool {
        let count = self.count(network, now_ms);
        let next = match &self.panic {
            Some(panic) if panic.lasts(now_ms) => still(panic, &count, count.lately(now_ms, network.profile().panic_window_ms)),
            _ => begun(network, &count, now_ms),
        };
        let changed = next != self.panic;
        self.panic = next;
        changed
    }

    /// This table in the panic that the next look begins; nothing where one lasts, or where none begins. For whoever would be refused
    /// before that look.
    pub(crate) fn suddenly(&self, network: &Network, now_ms: u64) -> Option<HealthTable> {
        if self.panic(now_ms).is_some() {
            return None;
        }
        let panic = begun(network, &self.count(network, now_ms), now_ms)?;
        let mut sudden = self.clone();
        sudden.panic = Some(panic);
        Some(sudden)
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
        let mut count = Count::default();
        for engine in network.engines().iter().filter(|engine| engine.weight > 0) {
            match self.standing(network, engine, now_ms) {
                Ok(()) => count.live += 1,
                Err(why) if is_loss(why) => {
                    let vanished_ms = self.vanished_ms(&engine.name, network.profile().keepalive_patience_ms());
                    count.missing.insert(engine.name.clone(), vanished_ms.unwrap_or(0));
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

/// While any engine is heard, the window ends now; while none is, when the last of them vanished: the router may not have looked since.
fn begun(network: &Network, count: &Count, now_ms: u64) -> Option<Panic> {
    let profile = network.profile();
    let at_ms = if count.live > 0 { now_ms } else { count.missing.values().max().map_or(now_ms, |at_ms| now_ms.min(*at_ms)) };
    let lately = count.lately(at_ms, profile.panic_window_ms);
    let of = count.live + lately.len();
    let panics = of >= PANIC_ENGINES_MIN && lately.len() * 2 > of;
    let panic = panics.then(|| Panic { since_ms: now_ms, until_ms: at_ms + profile.panic_hold_ms, of, vanished: lately });
    panic.filter(|panic| panic.lasts(now_ms))
}

fn still(panic: &Panic, count: &Count, lately: BTreeSet<DeviceName>) -> Option<Panic> {
    let missing = panic.vanished.iter().filter(|name| count.missing.contains_key(*name)).count();
    if missing * 2 <= panic.of {
        return None;
    }
    // Whoever vanishes meanwhile is as likely there as the others.
    let vanished = panic.vanished.union(&lately).cloned().collect();
    Some(Panic { vanished, ..panic.clone() })
}

#[cfg(test)]
mod tests;
