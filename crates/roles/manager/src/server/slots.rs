//! Places for connections: so many of a listener, so many of one address, and a share for each listener that no other takes.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of a manager's listeners together.
pub(crate) const CONNECTIONS_MAX: usize = 20_000;
/// Of these, those for pages and the operator API; the rest is for devices.
const PAGES_MAX: usize = 2_000;
/// The part of few connections that is for pages and the operator API.
const PAGES_PART: usize = 4;
/// The part of a listener's connections one address may have without a certificate, and the least and most it means.
const ADDRESS_PART: usize = 8;
const ADDRESS_MIN: usize = 8;
const ADDRESS_MAX: usize = 256;

/// How many connections a listener holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// All of them; more wait to be accepted.
    connections: usize,
    /// Those of one IPv4 address, or IPv6 /64, that have shown no certificate; more are closed.
    per_address: usize,
}

impl Limits {
    fn new(connections: usize) -> Self {
        Self { connections, per_address: (connections / ADDRESS_PART).clamp(ADDRESS_MIN, ADDRESS_MAX) }
    }

    /// Of the pages and the operator API, and of devices, where both together may hold so many.
    pub(crate) fn shares(connections: usize) -> (Self, Self) {
        let pages = (connections / PAGES_PART).min(PAGES_MAX);
        (Self::new(pages), Self::new(connections - pages))
    }
}

/// The places of one listener.
#[derive(Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_address: usize,
}

impl Slots {
    pub(super) fn new(limits: Limits) -> Self {
        Self { all: Arc::new(Semaphore::new(limits.connections)), by_address: Arc::default(), per_address: limits.per_address }
    }

    /// Waits for a place.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Counts a connection of an address; `None` when it has as many as it may.
    pub(super) fn of(&self, address: IpAddr) -> Option<OfAddress> {
        let address = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(OfAddress { by_address: Arc::clone(&self.by_address), address })
    }
}

/// One connection of an address; dropped, it counts no more.
pub(super) struct OfAddress {
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_leave_most_to_devices() {
        for (all, pages, per_page, devices, per_device) in [(20_000, 2_000, 250, 18_000, 256), (768, 192, 24, 576, 72), (64, 16, 8, 48, 8)]
        {
            let expected = (Limits { connections: pages, per_address: per_page }, Limits { connections: devices, per_address: per_device });
            assert_eq!(Limits::shares(all), expected);
        }
    }

    #[test]
    fn an_address_has_so_many_and_a_network_is_one() {
        let slots = Slots::new(Limits { connections: 100, per_address: 2 });
        let of = |text: &str| slots.of(text.parse().expect("address"));
        let held = [of("192.0.2.1"), of("192.0.2.1"), of("2001:db8::1"), of("2001:db8::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(of("192.0.2.1").is_none() && of("::ffff:192.0.2.1").is_none() && of("2001:db8::3").is_none());
        assert!(of("192.0.2.2").is_some());
        drop(held);
        assert!(of("192.0.2.1").is_some());
        assert!(slots.by_address.lock().expect("held by nobody").is_empty());
    }
}
