//! Places for lifelines that have not said who they are yet, shared out so that silent connections shut no engine out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Places for connections from addresses of the configuration's engines: what a large network opens at once after a
/// router's restart, the time of two round trips each.
const ENGINES_MAX: usize = 256;
/// Places for connections from elsewhere: an engine may speak from another address than it serves on, but so may anybody.
const STRANGERS_MAX: usize = 64;
/// Places for one address: the engines behind one translated address, opening at once.
pub(crate) const ADDRESS_MAX: usize = 16;

/// Whose address a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whence {
    /// An engine of the configuration serves there.
    Engine,
    /// No engine does.
    Stranger,
}

/// The places of one router; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    engines: usize,
    strangers: usize,
    addresses: HashMap<IpAddr, usize>,
}

impl Taken {
    fn of(&mut self, from: Whence) -> (&mut usize, usize) {
        match from {
            Whence::Engine => (&mut self.engines, ENGINES_MAX),
            Whence::Stranger => (&mut self.strangers, STRANGERS_MAX),
        }
    }
}

impl Pending {
    /// A place for one connection, if there is one.
    pub(crate) fn take(&self, address: IpAddr, from: Whence) -> Option<Place> {
        let mut taken = self.lock();
        let of_address = taken.addresses.get(&address).copied().unwrap_or(0);
        let (of_kind, most) = taken.of(from);
        if of_address >= ADDRESS_MAX || *of_kind >= most {
            return None;
        }
        *of_kind += 1;
        taken.addresses.insert(address, of_address + 1);
        Some(Place { pending: self.clone(), address, from })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place, free again when it is dropped.
pub(crate) struct Place {
    pending: Pending,
    address: IpAddr,
    from: Whence,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.pending.lock();
        *taken.of(self.from).0 -= 1;
        if let Some(of_address) = taken.addresses.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> IpAddr {
        IpAddr::from([10, 0, (number >> 8) as u8, number as u8])
    }

    #[test]
    fn strangers_shut_no_engine_out_and_no_address_takes_all() {
        let pending = Pending::default();
        let one: Vec<Place> = (0..ADDRESS_MAX).map_while(|_| pending.take(address(0), Whence::Stranger)).collect();
        assert_eq!(one.len(), ADDRESS_MAX);
        assert!(pending.take(address(0), Whence::Stranger).is_none());
        assert!(pending.take(address(0), Whence::Engine).is_none());
        let others: Vec<Place> = (1..1000).map_while(|number| pending.take(address(number), Whence::Stranger)).collect();
        assert_eq!(one.len() + others.len(), STRANGERS_MAX);
        let engines: Vec<Place> = (1000..2000).map_while(|number| pending.take(address(number), Whence::Engine)).collect();
        assert_eq!(engines.len(), ENGINES_MAX);
        drop((one, others, engines));
        assert!(pending.take(address(0), Whence::Stranger).is_some());
        assert!(pending.lock().addresses.is_empty(), "nothing is kept of whom nothing waits for");
    }
}
