//! Places for connections, shared out so that no address takes all and strangers shut nobody out who is known.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bits of an IPv6 address that name a network of one owner: whoever has one address there has all the others.
const OWNER_BITS_V6: u32 = 64;

/// The addresses that count as one client: an IPv4 address, or an IPv6 network.
pub(crate) fn block_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> OWNER_BITS_V6)).into(),
    }
}

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    /// For connections from addresses the configuration knows.
    pub(crate) known: usize,
    /// For connections from elsewhere.
    pub(crate) strangers: usize,
    /// For one address the configuration knows, or one client of [`block_of`] that it does not: engines of one site are
    /// neighbours.
    pub(crate) address: usize,
}

/// Whose address a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whence {
    /// The configuration knows it.
    Known,
    /// It does not.
    Stranger,
}

/// The places of one listener; clones share them.
#[derive(Clone)]
pub(crate) struct Places {
    most: Most,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    known: usize,
    strangers: usize,
    addresses: HashMap<IpAddr, usize>,
}

impl Taken {
    fn of(&mut self, from: Whence) -> &mut usize {
        match from {
            Whence::Known => &mut self.known,
            Whence::Stranger => &mut self.strangers,
        }
    }
}

impl Places {
    pub(crate) fn new(most: Most) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for one connection, if there is one.
    pub(crate) fn take(&self, address: IpAddr, from: Whence) -> Option<Place> {
        let address = match from {
            Whence::Known => address,
            Whence::Stranger => block_of(address),
        };
        let mut taken = self.lock();
        let of_address = taken.addresses.get(&address).copied().unwrap_or(0);
        let most = match from {
            Whence::Known => self.most.known,
            Whence::Stranger => self.most.strangers,
        };
        let of_kind = taken.of(from);
        if of_address >= self.most.address || *of_kind >= most {
            return None;
        }
        *of_kind += 1;
        taken.addresses.insert(address, of_address + 1);
        Some(Place { places: self.clone(), address, from })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place, free again when it is dropped.
pub(crate) struct Place {
    places: Places,
    address: IpAddr,
    from: Whence,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        *taken.of(self.from) -= 1;
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
    fn strangers_shut_nobody_out_and_no_address_takes_all() {
        let places = Places::new(Most { known: 256, strangers: 64, address: 16 });
        let one: Vec<Place> = (0..16).map_while(|_| places.take(address(0), Whence::Stranger)).collect();
        assert_eq!(one.len(), 16);
        assert!(places.take(address(0), Whence::Stranger).is_none());
        assert!(places.take(address(0), Whence::Known).is_none());
        let others: Vec<Place> = (1..1000).map_while(|number| places.take(address(number), Whence::Stranger)).collect();
        assert_eq!(one.len() + others.len(), 64);
        let known: Vec<Place> = (1000..2000).map_while(|number| places.take(address(number), Whence::Known)).collect();
        assert_eq!(known.len(), 256);
        drop((one, others, known));
        assert!(places.take(address(0), Whence::Stranger).is_some());
        assert!(places.lock().addresses.is_empty(), "nothing is kept of whom nothing waits for");
    }

    #[test]
    fn an_ipv6_network_is_one_stranger_and_many_engines() {
        let neighbour = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, number]);
        for (from, expected) in [(Whence::Stranger, 16), (Whence::Known, 100)] {
            let places = Places::new(Most { known: 256, strangers: 64, address: 16 });
            let held: Vec<Place> = (0..100).filter_map(|number| places.take(neighbour(number), from)).collect();
            assert_eq!(held.len(), expected, "{from:?}");
        }
        assert_eq!(block_of(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0207])), IpAddr::from([192, 0, 2, 7]));
    }
}
