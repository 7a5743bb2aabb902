//! S3-FIFO: a small queue for newcomers, a main queue for what was used again, a ghost queue of keys that left.
//!
//! After Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023: newcomers enter `small` (a tenth of
//! the bytes); those used more than once there move to `main`, the rest leave and their hash stays in `ghost`; a key
//! found in `ghost` enters `main` at once. `main` gives an object one more round for each counted use.
//! A hit only counts a use on the object: no queue, no lock.

use crate::object::Object;
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Weak, atomic::Ordering},
};

/// Share of the limit `small` may take before it gives first: 1/10.
const SMALL_SHARE: u64 = 10;
/// Entries one search for a victim looks at before it gives up: objects being read cannot be freed.
const SCAN_ENTRIES: usize = 16 * 1024;
/// Uses in `small` that move an object to `main`.
const USES_TO_MAIN: u8 = 2;
/// Fewest hashes `ghost` remembers; above that as many as `main` holds.
const GHOST_ENTRIES_MIN: usize = 1024;

const NOWHERE: u8 = 0;
const SMALL: u8 = 1;
const MAIN: u8 = 2;

/// A place in a queue; void once the object has left it, also when it came back to another.
struct Entry<H> {
    object: Weak<Object<H>>,
    turn: u32,
}

impl<H> Entry<H> {
    fn holds(&self, place: u8) -> Option<Arc<Object<H>>> {
        let object = self.object.upgrade()?;
        let here = object.place.load(Ordering::Relaxed) == place && object.turn.load(Ordering::Relaxed) == self.turn;
        here.then_some(object)
    }
}

/// What leaves next, and the uses it had when it was chosen: one more, and somebody has found it since.
pub(crate) struct Victim<H> {
    pub(crate) object: Arc<Object<H>>,
    pub(crate) uses: u8,
}

struct Fifo<H> {
    entries: VecDeque<Entry<H>>,
    bytes: u64,
    live: usize,
}

impl<H> Fifo<H> {
    fn new() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, live: 0 }
    }
}

#[derive(Default)]
struct Ghost {
    order: VecDeque<u64>,
    hashes: HashSet<u64>,
}

impl Ghost {
    fn insert(&mut self, hash: u64, most: usize) {
        if self.hashes.insert(hash) {
            self.order.push_back(hash);
        }
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
    }
}

/// The three queues. Objects are owned by the index; the queues only point at them.
pub(crate) struct Queues<H> {
    small: Fifo<H>,
    main: Fifo<H>,
    ghost: Ghost,
}

impl<H> Queues<H> {
    pub(crate) fn new() -> Self {
        Self { small: Fifo::new(), main: Fifo::new(), ghost: Ghost::default() }
    }

    fn queue(&mut self, place: u8) -> &mut Fifo<H> {
        if place == SMALL { &mut self.small } else { &mut self.main }
    }

    pub(crate) fn insert(&mut self, object: &Arc<Object<H>>) {
        let came_before = self.ghost.hashes.contains(&object.hash());
        if came_before {
            object.disk.used();
        }
        self.push(object, if came_before { MAIN } else { SMALL });
    }

    /// Takes back a victim that stays after all.
    pub(crate) fn insert_again(&mut self, object: &Arc<Object<H>>) {
        if object.place.load(Ordering::Relaxed) == NOWHERE {
            self.insert(object);
        }
    }

    fn push(&mut self, object: &Arc<Object<H>>, place: u8) {
        object.place.store(place, Ordering::Relaxed);
        let turn = object.turn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let weight = object.weight.load(Ordering::Relaxed);
        let queue = self.queue(place);
        queue.entries.push_back(Entry { object: Arc::downgrade(object), turn });
        queue.bytes += weight;
        queue.live += 1;
        if queue.entries.len() > 2 * queue.live + 64 {
            queue.entries.retain(|e| e.holds(place).is_some());
        }
    }

    /// Sets the bytes counted for an object once they are known.
    pub(crate) fn weigh(&mut self, object: &Object<H>, bytes: u64) {
        let before = object.weight.swap(bytes, Ordering::Relaxed);
        let place = object.place.load(Ordering::Relaxed);
        if place != NOWHERE {
            let queue = self.queue(place);
            queue.bytes = queue.bytes + bytes - before;
        }
    }

    /// Forgets an object that leaves the index; its entry is skipped later.
    pub(crate) fn forget(&mut self, object: &Object<H>) {
        let place = object.place.swap(NOWHERE, Ordering::Relaxed);
        if place != NOWHERE {
            let queue = self.queue(place);
            queue.bytes -= object.weight.load(Ordering::Relaxed);
            queue.live -= 1;
        }
    }

    /// Chooses what leaves next; it is no longer in any queue when this returns.
    pub(crate) fn victim(&mut self, limit: u64) -> Option<Victim<H>> {
        if self.small.bytes > limit / SMALL_SHARE {
            self.small_victim().or_else(|| self.main_victim())
        } else {
            self.main_victim().or_else(|| self.small_victim())
        }
    }

    fn pop(&mut self, place: u8) -> Option<Option<Arc<Object<H>>>> {
        let entry = self.queue(place).entries.pop_front()?;
        let object = entry.holds(place);
        if let Some(object) = &object {
            self.forget(object);
        }
        Some(object)
    }

    fn small_victim(&mut self) -> Option<Victim<H>> {
        for _ in 0..self.small.entries.len().min(SCAN_ENTRIES) {
            let Some(object) = self.pop(SMALL)? else { continue };
            // Before it is asked who holds it: who takes hold of it counts a use after that.
            let uses = object.uses();
            if uses >= USES_TO_MAIN {
                object.set_uses(0);
                self.push(&object, MAIN);
            } else if in_use(&object) {
                self.push(&object, SMALL);
            } else {
                self.ghost.insert(object.hash(), self.main.live.max(GHOST_ENTRIES_MIN));
                return Some(Victim { object, uses });
            }
        }
        None
    }

    fn main_victim(&mut self) -> Option<Victim<H>> {
        for _ in 0..(4 * self.main.entries.len()).min(SCAN_ENTRIES) {
            let Some(object) = self.pop(MAIN)? else { continue };
            let uses = object.uses();
            if uses > 0 {
                object.set_uses(uses - 1);
                self.push(&object, MAIN);
            } else if in_use(&object) {
                self.push(&object, MAIN);
            } else {
                return Some(Victim { object, uses });
            }
        }
        None
    }
}

/// Whether evicting it would free nothing now: somebody besides the index and this search holds the object or its body.
fn in_use<H>(object: &Arc<Object<H>>) -> bool {
    Arc::strong_count(object) > 2
        || Arc::strong_count(&object.body) > 1
        || object.whole().is_none_or(|slices| Arc::strong_count(slices) > 1)
}
