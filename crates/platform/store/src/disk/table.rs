//! A table of fixed slots by hash: open addressing that grows by a quarter, so that its memory has a bound per entry.

use super::format::Place;

/// Slots are filled up to this many hundredths before the table grows.
const FULL_PERCENT: usize = 85;
/// A table grows by this fraction of its slots (1/4): fuller than one that doubles.
const GROWTH: usize = 4;
/// Fewest slots.
const SLOTS_MIN: usize = 16;

/// The bit of a slot's length that says it was used.
const USED: u32 = 1 << 31;

/// Where the head record of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) place: Place,
    /// The oldest segment it needs.
    pub(crate) first: u32,
    /// Bytes of the record.
    pub(crate) length: u32,
    /// It was read since it was written.
    pub(crate) used: bool,
}

/// 24 bytes; free when its place is none.
#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    place: Place,
    first: u32,
    length_used: u32,
}

const FREE: Slot = Slot { hash: 0, place: Place::NONE, first: 0, length_used: 0 };

impl Slot {
    fn new(hash: u64, held: Held) -> Self {
        let used = if held.used { USED } else { 0 };
        Self { hash, place: held.place, first: held.first, length_used: held.length & !USED | used }
    }

    fn held(&self) -> Held {
        Held { place: self.place, first: self.first, length: self.length_used & !USED, used: self.length_used & USED != 0 }
    }
}

/// Several entries may have one hash.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    live: usize,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Where a hash's entries begin. The top six bits have chosen the table.
    fn home(&self, hash: u64) -> usize {
        let scaled = u128::from(hash.rotate_left(6)) * self.slots.len() as u128;
        usize::try_from(scaled >> 64).expect("less than the slots")
    }

    /// The slots of a hash.
    fn slots_of(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let home = if self.slots.is_empty() { 0 } else { self.home(hash) };
        let around = (home..self.slots.len()).chain(0..home);
        around.take_while(|at| !self.slots[*at].place.is_none()).filter(move |at| self.slots[*at].hash == hash)
    }

    fn slot_at(&self, hash: u64, place: Place) -> Option<usize> {
        self.slots_of(hash).find(|at| self.slots[*at].place == place)
    }

    /// The entries of a hash, in no order.
    pub(crate) fn of(&self, hash: u64) -> impl Iterator<Item = Held> + '_ {
        self.slots_of(hash).map(|at| self.slots[at].held())
    }

    pub(crate) fn first(&self) -> Option<(u64, Held)> {
        self.slots.iter().find(|slot| !slot.place.is_none()).map(|slot| (slot.hash, slot.held()))
    }

    pub(crate) fn get(&self, hash: u64, place: Place) -> Option<Held> {
        self.slot_at(hash, place).map(|at| self.slots[at].held())
    }

    /// Adds an entry; one of the same place stays as it is.
    pub(crate) fn insert(&mut self, hash: u64, held: Held) {
        if self.slot_at(hash, held.place).is_some() {
            return;
        }
        if (self.live + 1) * 100 > self.slots.len() * FULL_PERCENT {
            self.grow();
        }
        self.put(Slot::new(hash, held));
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while !self.slots[at].place.is_none() {
            at = (at + 1) % self.slots.len();
        }
        self.slots[at] = slot;
        self.live += 1;
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() + self.slots.len() / GROWTH).max(SLOTS_MIN);
        let before = std::mem::replace(&mut self.slots, vec![FREE; slots]);
        self.live = 0;
        before.into_iter().filter(|slot| !slot.place.is_none()).for_each(|slot| self.put(slot));
    }

    pub(crate) fn mark_used(&mut self, hash: u64, place: Place) -> bool {
        let at = self.slot_at(hash, place);
        at.inspect(|at| self.slots[*at].length_used |= USED).is_some()
    }

    pub(crate) fn remove(&mut self, hash: u64, place: Place) -> Option<Held> {
        let at = self.slot_at(hash, place)?;
        let held = self.slots[at].held();
        self.free(at);
        Some(held)
    }

    /// Frees a slot and moves up those behind it that this lets come nearer to their home.
    fn free(&mut self, mut hole: usize) {
        let slots = self.slots.len();
        let distance = |from: usize, to: usize| (to + slots - from) % slots;
        let mut at = hole;
        loop {
            at = (at + 1) % slots;
            if self.slots[at].place.is_none() {
                break;
            }
            if distance(self.home(self.slots[at].hash), at) >= distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
        }
        self.slots[hole] = FREE;
        self.live -= 1;
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Held) -> bool) {
        let (slots, live) = (self.slots.len(), self.live);
        let before = std::mem::replace(&mut self.slots, vec![FREE; slots]);
        self.live = 0;
        before.into_iter().filter(|slot| !slot.place.is_none() && keep(&slot.held())).for_each(|slot| self.put(slot));
        debug_assert!(self.live <= live);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn an_entry_takes_at_most_40_bytes() {
        // Just after it grew by a quarter a table is 85/1.25 = 68 hundredths full.
        let least = FULL_PERCENT * GROWTH / (GROWTH + 1);
        assert!(size_of::<Slot>() * 100 <= 40 * least, "{} bytes at {least} %", size_of::<Slot>());
        let mut table = Table::default();
        for entry in 0..100_000u32 {
            let hash = u64::from(entry).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            table.insert(hash, Held { place: Place { segment: 1, offset: entry }, first: 1, length: 9, used: false });
            assert!(table.slots.len() == SLOTS_MIN || table.slots.len() * size_of::<Slot>() <= 40 * table.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn it_is_a_set_of_hash_and_place(ops in prop::collection::vec((0u8..4, 0u64..8, 1u32..20), 0..200)) {
            // Few homes, so that runs of entries meet and wrap.
            let hash = |h: u64| h << 55 | 0x3ff << 45;
            let (mut table, mut model) = (Table::default(), HashSet::new());
            for (op, h, segment) in ops {
                let (hash, place) = (hash(h), Place { segment, offset: 1 });
                match op {
                    0 | 1 => {
                        table.insert(hash, Held { place, first: 1, length: 77, used: false });
                        model.insert((hash, place));
                    }
                    2 => prop_assert_eq!(table.remove(hash, place).is_some(), model.remove(&(hash, place))),
                    _ => {
                        table.retain(|held| held.place != place);
                        model.retain(|(_, p)| *p != place);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                for h in 0..8u64 {
                    let there: HashSet<_> = table.of(h << 55 | 0x3ff << 45).map(|held| held.place).collect();
                    let wanted: HashSet<_> = model.iter().filter(|(m, _)| *m == h << 55 | 0x3ff << 45).map(|(_, p)| *p).collect();
                    prop_assert_eq!(there, wanted);
                }
            }
        }
    }
}
