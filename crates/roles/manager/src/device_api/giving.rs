//! The places of the archives that are being given: so many in all, a few of one device, and none for who takes nothing.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use weir_operator_api::{Problem, Reason};

/// Archives given at a time: engines fill from here, and every other device from engines, so more is a rush that had better wait.
const GIVEN_MAX: usize = 32;
/// Of these, to one device.
const OF_PEER_MAX: usize = 2;
/// How long nothing may be taken of an archive before its place goes to another one, in milliseconds.
const STALL_MS: u64 = 30_000;
/// The time of a place that was lost.
const LOST: u64 = u64::MAX;

/// The places that are taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Giving(Arc<Mutex<Vec<Arc<Given>>>>);

#[derive(Debug)]
struct Given {
    peer: i64,
    /// Monotonic milliseconds when something was last taken, or [`LOST`].
    taken_ms: AtomicU64,
}

/// A place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    given: Arc<Given>,
    giving: Giving,
}

impl Giving {
    /// Takes a place for a device. Who takes nothing loses its own only when somebody needs it.
    pub(super) fn begin(&self, peer: i64, now_ms: u64) -> Result<Place, Problem> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal(&places, peer).is_some() {
            places.retain(|given| !given.loses(now_ms));
        }
        if let Some(detail) = refusal(&places, peer) {
            return Err(Problem::new(Reason::Unavailable, detail));
        }
        let given = Arc::new(Given { peer, taken_ms: AtomicU64::new(now_ms) });
        places.push(Arc::clone(&given));
        Ok(Place { given, giving: self.clone() })
    }
}

fn refusal(places: &[Arc<Given>], peer: i64) -> Option<String> {
    if places.len() >= GIVEN_MAX {
        return Some(format!("{GIVEN_MAX} archives are being given already"));
    }
    let own = places.iter().filter(|given| given.peer == peer).count();
    (own >= OF_PEER_MAX).then(|| format!("{OF_PEER_MAX} archives are being given to this device already"))
}

impl Given {
    /// Whether the place has been idle for too long; it is lost then.
    fn loses(&self, now_ms: u64) -> bool {
        let stalled = |taken_ms| (now_ms.saturating_sub(taken_ms) >= STALL_MS).then_some(LOST);
        self.taken_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, stalled).is_ok()
    }
}

impl Place {
    /// Something is taken at `now_ms`. False: the place was lost meanwhile, and what is given ends.
    pub(super) fn taken(&self, now_ms: u64) -> bool {
        let kept = |taken_ms| (taken_ms != LOST).then_some(now_ms);
        self.given.taken_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, kept).is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.giving.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|given| !Arc::ptr_eq(given, &self.given));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_has_two_places_and_gives_them_back() {
        let giving = Giving::default();
        let first = giving.begin(1, 0).expect("free");
        let _second = giving.begin(1, 0).expect("free");
        assert!(giving.begin(1, 0).is_err());
        let _other = giving.begin(2, 0).expect("of another device");
        drop(first);
        assert!(giving.begin(1, 0).is_ok());
    }

    #[test]
    fn who_takes_nothing_loses_the_place_to_who_needs_it() {
        let giving = Giving::default();
        let places: Vec<Place> = (0..32).map(|peer| giving.begin(peer, 0).expect("free")).collect();
        assert!(giving.begin(99, STALL_MS - 1).is_err());
        assert!(places[0].taken(STALL_MS - 1));
        assert!(giving.begin(99, STALL_MS).is_ok());
        assert!(places[0].taken(STALL_MS), "it took something in time");
        assert!(places[1..].iter().all(|place| !place.taken(STALL_MS)), "they are ended");
    }
}
