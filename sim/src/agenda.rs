//! What happens when: events in order of time, and of their coming where times are equal.

use std::{cmp::Ordering, collections::BinaryHeap};
use weir_model::Version;
use weir_rollout::{
    pair_order::Seat,
    plan::{BackupKind, Contact},
    update,
};

/// Something that happens. Devices are positions.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The manager's round.
    Tick,
    /// The operator looks at the rollout.
    Operator,
    /// The fault at this position of the schedule.
    Fault(usize),
    /// A fault is over.
    Over(usize),
    /// A device goes on by itself; void if its stage has changed since.
    Wake { device: u32, epoch: u32 },
    /// A word reaches a device.
    Hear { device: u32, word: Box<update::Event> },
    /// A device's report reaches the manager.
    Report { device: u32 },
    /// A device has been silent for long; void if it was heard since.
    Silence { device: u32, life: u32, contact: Contact },
    /// Nobody renewed the rollout's lease.
    LeaseOver { device: u32, life: u32 },
    /// A manager's work is done.
    Work(Work),
}

/// A manager's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Backup(BackupKind),
    Freeze,
    Unfreeze,
    Switch(Seat, Version),
    Downgrade(Seat),
    Enable(Seat),
    Resync,
    Level,
}

#[derive(Debug)]
struct Entry {
    at_ms: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}

/// Events to come.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Entry>,
    /// Events so far, those to come included.
    pub(crate) number: u64,
}

impl Agenda {
    /// Puts an event down for a time.
    pub(crate) fn at(&mut self, at_ms: u64, event: Event) {
        self.number += 1;
        self.heap.push(Entry { at_ms, number: self.number, event });
    }

    /// The next event and its time.
    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.at_ms, entry.event))
    }
}
