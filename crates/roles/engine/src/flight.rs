//! Collapsed forwarding: at most one fetch per key and variant in this process, however many wait.
//!
//! The first to ask leads; the others follow and wait for the *verdict* on the response head, not for its body. A stored
//! response is streamed by all from its first byte. An uncacheable one releases every follower at once, and its key is
//! remembered for [`HIT_FOR_MISS`], so that later requests do not wait for one another in vain. A failed fetch, or an
//! error that is nobody's own, is the answer for all.

use crate::{head::StoredHead, shared::SharedError, upstream::failure::Failure};
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use weir_store::Object;

/// How long a key whose response was uncacheable is fetched by each request on its own.
const HIT_FOR_MISS: Duration = Duration::from_secs(120);
/// Keys remembered as uncacheable, as hashes; beyond it the one remembered first is forgotten.
const HIT_FOR_MISS_KEYS: usize = 20_000;

/// What became of a fetch, for those who wait.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// The response is in the store, or becoming so.
    Stored(Arc<Object<StoredHead>>),
    /// What is held still holds: a 304 came.
    Freshened(Arc<Object<StoredHead>>),
    /// The fetch failed and what is held may be served although stale (RFC 5861 section 4).
    Stale(Arc<Object<StoredHead>>),
    /// An error that is not stored answers everyone whose request it matches.
    Shared(Arc<SharedError>),
    /// The response is not stored: everyone asks again, from now on without waiting if `remember`.
    Uncacheable {
        /// Whether the next response will be uncacheable too, as far as one can tell.
        remember: bool,
    },
    /// Nothing came.
    Failed(Failure),
}

type Waiting = watch::Receiver<Option<Verdict>>;

/// A place in a flight.
pub(crate) enum Seat {
    /// Fetch, and land with a verdict.
    Lead(Flight),
    /// Wait for the verdict.
    Follow(Follower),
}

/// Fetches under way and keys not worth waiting for.
#[derive(Default)]
pub(crate) struct Flights {
    flying: Mutex<HashMap<Arc<str>, Waiting>>,
    uncacheable: Mutex<Uncacheable>,
    hasher: RandomState,
}

/// Keys not worth waiting for, and until when. Clients choose keys: only hashes are kept, keyed per process, and nothing is
/// ever searched for the oldest.
#[derive(Default)]
struct Uncacheable {
    until: HashMap<u64, Instant>,
    /// In the order they were remembered; a key remembered again is there again.
    order: VecDeque<(u64, Instant)>,
}

impl Uncacheable {
    fn insert(&mut self, hash: u64, until: Instant) {
        self.until.insert(hash, until);
        self.order.push_back((hash, until));
        if self.order.len() > HIT_FOR_MISS_KEYS
            && let Some((oldest, then)) = self.order.pop_front()
            && self.until.get(&oldest) == Some(&then)
        {
            self.until.remove(&oldest);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flights {
    /// Joins the fetch of a key, or starts it.
    pub(crate) fn join_or_start(self: &Arc<Self>, key: &str) -> Seat {
        let mut flying = lock(&self.flying);
        if let Some(waiting) = flying.get(key) {
            return Seat::Follow(Follower { verdict: waiting.clone() });
        }
        let (verdict, waiting) = watch::channel(None);
        let key: Arc<str> = key.into();
        flying.insert(key.clone(), waiting);
        Seat::Lead(Flight { flights: self.clone(), key, verdict })
    }

    /// Whether a key's last response was uncacheable.
    pub(crate) fn is_uncacheable(&self, key: &str, now: Instant) -> bool {
        lock(&self.uncacheable).until.get(&self.hasher.hash_one(key)).is_some_and(|until| *until > now)
    }

    /// Remembers what a verdict says of its key.
    pub(crate) fn learn(&self, key: &str, verdict: &Verdict) {
        let hash = self.hasher.hash_one(key);
        match verdict {
            Verdict::Uncacheable { remember: true } => lock(&self.uncacheable).insert(hash, weir_clock::monotonic() + HIT_FOR_MISS),
            Verdict::Stored(_) | Verdict::Freshened(_) => drop(lock(&self.uncacheable).until.remove(&hash)),
            Verdict::Uncacheable { remember: false } | Verdict::Shared(_) | Verdict::Stale(_) | Verdict::Failed(_) => {}
        }
    }
}

/// A fetch under way. Dropped without a verdict (its task was cancelled) it fails for everyone.
pub(crate) struct Flight {
    flights: Arc<Flights>,
    key: Arc<str>,
    verdict: watch::Sender<Option<Verdict>>,
}

impl Flight {
    /// Tells everyone and ends the flight: who asks from now on finds the store.
    pub(crate) fn land(self, verdict: Verdict) {
        self.flights.learn(&self.key, &verdict);
        self.verdict.send_replace(Some(verdict));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.flights.flying).remove(&self.key);
        self.verdict.send_if_modified(|verdict| {
            let missing = verdict.is_none();
            verdict.get_or_insert(Verdict::Failed(Failure::Cancelled));
            missing
        });
    }
}

/// Waits for the verdict.
pub(crate) struct Follower {
    verdict: Waiting,
}

impl Follower {
    pub(crate) async fn verdict(mut self) -> Verdict {
        match self.verdict.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.clone().unwrap_or(Verdict::Failed(Failure::Cancelled)),
            Err(_) => Verdict::Failed(Failure::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(flights: &Arc<Flights>) -> Flight {
        match flights.join_or_start("k") {
            Seat::Lead(flight) => flight,
            Seat::Follow(_) => panic!("nobody leads"),
        }
    }

    fn follow(flights: &Arc<Flights>) -> Follower {
        match flights.join_or_start("k") {
            Seat::Follow(follower) => follower,
            Seat::Lead(_) => panic!("somebody leads"),
        }
    }

    #[tokio::test]
    async fn followers_hear_the_verdict_and_the_key_is_free_again() {
        let flights = Arc::new(Flights::default());
        let flight = lead(&flights);
        let (early, late) = (follow(&flights), follow(&flights));
        flight.land(Verdict::Failed(Failure::Connect));
        for follower in [early, late] {
            assert!(matches!(follower.verdict().await, Verdict::Failed(Failure::Connect)));
        }
        drop(lead(&flights));
    }

    #[tokio::test]
    async fn a_flight_that_is_dropped_fails_for_all() {
        let flights = Arc::new(Flights::default());
        let flight = lead(&flights);
        let follower = follow(&flights);
        drop(flight);
        assert!(matches!(follower.verdict().await, Verdict::Failed(Failure::Cancelled)));
    }

    #[test]
    fn an_uncacheable_key_is_remembered_for_its_time() {
        let flights = Arc::new(Flights::default());
        let now = weir_clock::monotonic();
        lead(&flights).land(Verdict::Uncacheable { remember: false });
        assert!(!flights.is_uncacheable("k", now));
        lead(&flights).land(Verdict::Uncacheable { remember: true });
        assert!(flights.is_uncacheable("k", now));
        assert!(!flights.is_uncacheable("other", now));
        assert!(!flights.is_uncacheable("k", now + 2 * HIT_FOR_MISS));
    }

    #[test]
    fn the_first_remembered_is_the_first_forgotten() {
        let (flights, now) = (Flights::default(), weir_clock::monotonic());
        let uncacheable = Verdict::Uncacheable { remember: true };
        flights.learn("first", &uncacheable);
        flights.learn("second", &uncacheable);
        flights.learn("first", &uncacheable);
        for key in 0..HIT_FOR_MISS_KEYS - 1 {
            flights.learn(&key.to_string(), &uncacheable);
        }
        assert!(flights.is_uncacheable("first", now), "it was remembered again");
        assert!(!flights.is_uncacheable("second", now));
        assert!(flights.is_uncacheable("0", now), "who comes later pushes out one, not all and not himself");
        let table = lock(&flights.uncacheable);
        assert_eq!((table.order.len(), table.until.len()), (HIT_FOR_MISS_KEYS, HIT_FOR_MISS_KEYS));
    }
}
