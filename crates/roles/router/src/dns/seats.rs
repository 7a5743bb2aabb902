//! Seats for DNS connections: when all are taken, whoever has asked nothing for longest gives theirs up (RFC 7766 section 6.2.3).

use crate::places::block_of;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// How many seats there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) all: usize,
    /// For one network of [`block_of`].
    pub(super) block: usize,
}

/// The seats of one router; clones share them.
#[derive(Clone)]
pub(super) struct Seats {
    most: Most,
    taken: Arc<Mutex<Taken>>,
    /// Numbers the moments at which seats fell idle, from 1: exact where a clock would not tell two apart.
    moments: Arc<AtomicU64>,
}

#[derive(Default)]
struct Taken {
    last: u64,
    seats: HashMap<u64, Held>,
}

struct Held {
    block: IpAddr,
    state: Arc<State>,
}

/// What a connection says of itself.
struct State {
    /// [`BUSY`], [`GIVEN_UP`], or the moment since which nothing is asked.
    idle_since: AtomicU64,
    given_up: Notify,
}

const BUSY: u64 = 0;
const GIVEN_UP: u64 = u64::MAX;

impl Seats {
    pub(super) fn new(most: Most) -> Self {
        Self { most, taken: Arc::default(), moments: Arc::default() }
    }

    /// A seat for a connection, idle at first; it may cost another one its own. None when nobody idles who could give way.
    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let block = block_of(address);
        let mut taken = self.lock();
        let of_block = taken.seats.values().filter(|held| held.block == block).count();
        if of_block >= self.most.block {
            taken.give_up(|held| held.block == block)?;
        } else if taken.seats.len() >= self.most.all {
            taken.give_up(|_| true)?;
        }
        taken.last += 1;
        let number = taken.last;
        let state = Arc::new(State { idle_since: AtomicU64::new(self.moment()), given_up: Notify::new() });
        taken.seats.insert(number, Held { block, state: state.clone() });
        Some(Seat { seats: self.clone(), number, state })
    }

    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes the seat of the connection that has idled longest of those that `may`. Only a full house looks through them.
    fn give_up(&mut self, may: impl Fn(&Held) -> bool) -> Option<()> {
        loop {
            let idle = self
                .seats
                .iter()
                .filter(|(_, held)| may(held))
                .map(|(number, held)| (held.state.idle_since.load(Ordering::Acquire), *number));
            let (since, number) = idle.filter(|(since, _)| *since != BUSY).min()?;
            let idle_since = &self.seats[&number].state.idle_since;
            // Else it has just been asked something.
            if idle_since.compare_exchange(since, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                let held = self.seats.remove(&number).expect("it was just there");
                held.state.given_up.notify_one();
                return Some(());
            }
        }
    }
}

/// One connection's seat, free again when it is dropped.
pub(super) struct Seat {
    seats: Seats,
    number: u64,
    state: Arc<State>,
}

/// The seat went to another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenUp;

impl Seat {
    /// A query has begun.
    pub(super) fn busy(&self) -> Result<(), GivenUp> {
        match self.state.idle_since.swap(BUSY, Ordering::AcqRel) {
            GIVEN_UP => Err(GivenUp),
            _ => Ok(()),
        }
    }

    /// The answer is written.
    pub(super) fn idle(&self) {
        self.state.idle_since.store(self.seats.moment(), Ordering::Release);
    }

    /// Waits until the seat goes to another connection.
    pub(super) async fn given_up(&self) {
        self.state.given_up.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { all: 4, block: 2 };

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn kept(seat: &Seat) -> bool {
        seat.seats.lock().seats.contains_key(&seat.number)
    }

    #[tokio::test]
    async fn whoever_idles_longest_gives_way_those_of_the_same_network_first() {
        let seats = Seats::new(MOST);
        let take = |text: &str| seats.take(address(text));
        let oldest = take("192.0.2.1").expect("a seat");
        let one = take("192.0.2.9").expect("a seat");
        let two = take("192.0.2.9").expect("a seat");
        one.busy().expect("its own");
        one.idle();
        let three = take("192.0.2.9").expect("the block is full");
        assert!(kept(&oldest) && kept(&one) && !kept(&two), "the second has idled longest of its address");
        two.given_up().await;
        assert_eq!(two.busy(), Err(GivenUp));
        let _other = take("192.0.2.2").expect("a seat");
        let _last = take("192.0.2.3").expect("the house is full");
        assert!(!kept(&oldest), "the oldest of all");
        drop((oldest, two));
        assert_eq!(seats.lock().seats.len(), MOST.all, "a seat that was given up is not freed twice");
        drop((one, three));
        assert_eq!(seats.lock().seats.len(), 2);
    }

    #[test]
    fn whoever_is_being_answered_keeps_the_seat() {
        let seats = Seats::new(MOST);
        let held: Vec<Seat> = (1..=4).filter_map(|n| seats.take(address(&format!("192.0.2.{n}")))).collect();
        held.iter().for_each(|seat| seat.busy().expect("its own"));
        assert!(seats.take(address("192.0.2.9")).is_none());
        held[2].idle();
        assert!(seats.take(address("192.0.2.9")).is_some());
        assert!(!kept(&held[2]));
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let seats = Seats::new(MOST);
        let held: Vec<Seat> = (1..=3).filter_map(|n| seats.take(address(&format!("2001:db8:0:1::{n}")))).collect();
        assert_eq!(held.iter().map(kept).collect::<Vec<_>>(), [false, true, true]);
        let _elsewhere = seats.take(address("2001:db8:0:2::1")).expect("a seat");
        assert!(kept(&held[1]));
    }
}
