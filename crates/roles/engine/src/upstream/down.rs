//! Parents that did not answer, remembered for a moment so that the next fills do not try them again.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a parent that could not be reached is passed over.
const DOWN_TIME: Duration = Duration::from_secs(2);

/// Addresses passed over, and until when. Only engines of the configuration get in, which bounds it.
#[derive(Default)]
pub(crate) struct Down {
    until: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Down {
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes over an address from `now` on.
    pub(crate) fn mark(&self, address: SocketAddr, now: Instant) {
        let mut until = self.lock();
        until.retain(|_, end| *end > now);
        until.insert(address, now + DOWN_TIME);
    }

    /// Whether an address is passed over.
    pub(crate) fn holds(&self, address: SocketAddr, now: Instant) -> bool {
        self.lock().get(&address).is_some_and(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_passed_over_for_its_time() {
        let (down, now) = (Down::default(), weir_clock::monotonic());
        let address = "127.0.0.1:1".parse().expect("address");
        assert!(!down.holds(address, now));
        down.mark(address, now);
        assert!(down.holds(address, now + DOWN_TIME / 2));
        assert!(!down.holds(address, now + DOWN_TIME));
    }
}
