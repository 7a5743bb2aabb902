//! How many exchanges with upstreams there may be at once: each holds a connection, buffers and perhaps a fill.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Exchanges of an engine with all its upstreams: fills and requests passed through, from the request to the body's end.
const EXCHANGES_MAX: u32 = 4096;
/// Exchanges with one upstream address, and so connections in use to it; beside them idle ones rest in the pool.
const ADDRESS_EXCHANGES_MAX: u32 = 1024;

#[derive(Default)]
struct Taken {
    all: u32,
    by_address: HashMap<SocketAddr, u32>,
}

/// Exchanges under way.
#[derive(Default)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// A place for one exchange; `None` when the limits are reached.
    pub(crate) fn take(&self, address: SocketAddr) -> Option<Place> {
        let mut taken = lock(&self.taken);
        if taken.all >= EXCHANGES_MAX {
            return None;
        }
        let here = taken.by_address.entry(address).or_default();
        if *here >= ADDRESS_EXCHANGES_MAX {
            return None;
        }
        *here += 1;
        taken.all += 1;
        Some(Place { taken: self.taken.clone(), address })
    }
}

/// The place of one exchange, given back when dropped.
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    address: SocketAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        let here = taken.by_address.get_mut(&self.address).expect("counted when taken");
        *here -= 1;
        if *here == 0 {
            taken.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_by_address_and_in_all_and_given_back() {
        let places = Places::default();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut held: Vec<Place> = (0..ADDRESS_EXCHANGES_MAX).map(|_| places.take(address(1)).expect("room")).collect();
        assert!(places.take(address(1)).is_none(), "one address");
        drop(held.pop());
        held.push(places.take(address(1)).expect("given back"));
        let rest = EXCHANGES_MAX - ADDRESS_EXCHANGES_MAX;
        held.extend((0..rest).map(|index| places.take(address(2 + u16::try_from(index / 1000).expect("small"))).expect("room")));
        assert!(places.take(address(99)).is_none(), "all of them");
        drop(held);
        assert!(lock(&places.taken).by_address.is_empty());
    }
}
