//! The index of the disk: which heads there are of a key, by the key's hash. 24 bytes an object, none for its slices.

use super::{
    format::Place,
    record::{Entry, Kind},
    table::{Held, Table},
};
use crate::VARIANTS_MAX;
use weir_model::Line;

/// Tables, so that growing one moves a 64th of the entries.
const TABLES: usize = 64;

/// Heads by hash. Keys are compared when a head is read.
pub(crate) struct DiskIndex {
    tables: Box<[Table]>,
}

impl DiskIndex {
    pub(crate) fn new() -> Self {
        Self { tables: (0..TABLES).map(|_| Table::default()).collect() }
    }

    fn table(&self, hash: u64) -> &Table {
        &self.tables[usize::try_from(hash >> 58).expect("six bits")]
    }

    fn table_mut(&mut self, hash: u64) -> &mut Table {
        &mut self.tables[usize::try_from(hash >> 58).expect("six bits")]
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// The heads of a hash, newest first.
    pub(crate) fn of(&self, hash: u64) -> Vec<Held> {
        let mut held: Vec<Held> = self.table(hash).of(hash).collect();
        held.sort_unstable_by_key(|held| std::cmp::Reverse(held.place));
        held
    }

    /// One head of each table, with its hash: `most` of them.
    pub(crate) fn some(&self, most: usize) -> Vec<(u64, Held)> {
        self.tables.iter().filter_map(Table::first).take(most).collect()
    }

    pub(crate) fn get(&self, hash: u64, place: Place) -> Option<Held> {
        self.table(hash).get(hash, place)
    }

    /// Adds a head; the oldest of its key goes when there are more than [`VARIANTS_MAX`].
    pub(crate) fn insert(&mut self, hash: u64, held: Held) {
        let table = self.table_mut(hash);
        table.insert(hash, held);
        if table.of(hash).count() > VARIANTS_MAX
            && let Some(oldest) = table.of(hash).map(|held| held.place).min()
        {
            table.remove(hash, oldest);
        }
    }

    pub(crate) fn mark_used(&mut self, hash: u64, place: Place) -> bool {
        self.table_mut(hash).mark_used(hash, place)
    }

    pub(crate) fn remove(&mut self, hash: u64, place: Place) -> bool {
        self.table_mut(hash).remove(hash, place).is_some()
    }

    /// Removes the heads of a hash that `unwanted` names; returns where they were.
    pub(crate) fn remove_where(&mut self, hash: u64, unwanted: impl Fn(&Held) -> bool) -> Vec<Place> {
        let gone: Vec<Place> = self.of(hash).iter().filter(|held| unwanted(held)).map(|held| held.place).collect();
        for place in &gone {
            self.remove(hash, *place);
        }
        gone
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Held) -> bool) {
        self.tables.iter_mut().for_each(|table| table.retain(&keep));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Does what an entry of segment `segment` says; returns whether it was a head `reader` cannot read.
    pub(crate) fn apply(&mut self, segment: u32, entry: &Entry, reader: Line) -> bool {
        let place = Place { segment, offset: entry.offset };
        match entry.kind {
            Some(Kind::Head) => {
                // Also of a head that cannot be read: what it replaced is not right any more.
                if !entry.target.is_none() {
                    self.remove(entry.hash, entry.target);
                }
                if entry.min_reader > reader {
                    return true;
                }
                self.insert(entry.hash, Held { place, first: entry.first, length: entry.length, used: false });
            }
            Some(Kind::Tombstone) if entry.target.is_none() => {
                self.remove_where(entry.hash, |held| held.place < place);
            }
            Some(Kind::Tombstone) => {
                self.remove(entry.hash, entry.target);
            }
            Some(Kind::Slice | Kind::Footer) => {}
            None => return true,
        }
        false
    }
}
