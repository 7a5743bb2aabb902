//! What the disk tier knows of an object in RAM.

use super::format::Place;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// It was asked for again: since it was written, when it was.
const USED: u8 = 1;
/// It was given to the writer.
const OFFERED: u8 = 2;
/// It was replaced or removed: it never comes to the disk again.
const GONE: u8 = 4;
/// It is not for the disk.
const NEVER: u8 = 8;

/// What the disk tier knows of an object in RAM.
pub(crate) struct OnDisk {
    flags: AtomicU8,
    /// Where a head is that has its body; with [`OFFERED`] also its own head, or the writer is about to write it.
    place: AtomicU64,
}

impl OnDisk {
    pub(crate) fn new() -> Self {
        Self { flags: AtomicU8::new(0), place: AtomicU64::new(0) }
    }

    /// Of an object that was brought back from a place.
    pub(crate) fn at(place: Place) -> Self {
        Self { flags: AtomicU8::new(USED | OFFERED), place: AtomicU64::new(place.number()) }
    }

    fn flags(&self) -> u8 {
        self.flags.load(Ordering::Relaxed)
    }

    fn set(&self, flag: u8) -> u8 {
        self.flags.fetch_or(flag, Ordering::AcqRel)
    }

    /// It was asked for again. Cheap when it was before.
    pub(crate) fn used(&self) {
        if self.flags() & USED == 0 {
            self.set(USED);
        }
    }

    pub(crate) fn was_used(&self) -> bool {
        self.flags() & USED != 0
    }

    /// Whether the writer has not heard of it, and may.
    pub(crate) fn is_new(&self) -> bool {
        self.flags() & (OFFERED | GONE | NEVER) == 0
    }

    pub(crate) fn may_be_written(&self) -> bool {
        self.flags() & (GONE | NEVER) == 0
    }

    pub(crate) fn is_offered(&self) -> bool {
        self.flags() & OFFERED != 0
    }

    /// Gives it to the writer; `false`: somebody has, or it is not to be written.
    pub(crate) fn offer(&self) -> bool {
        self.set(OFFERED) & (OFFERED | GONE | NEVER) == 0
    }

    pub(crate) fn withdraw_offer(&self) {
        self.flags.fetch_and(!OFFERED, Ordering::AcqRel);
    }

    pub(crate) fn set_gone(&self) {
        self.set(GONE);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.flags() & GONE != 0
    }

    pub(crate) fn set_never(&self) {
        self.set(NEVER);
    }

    pub(crate) fn place(&self) -> Place {
        Place::of_number(self.place.load(Ordering::Acquire))
    }

    /// It was written to a place. What it was asked for before counts no more.
    pub(crate) fn set_written(&self, place: Place) {
        self.set_place(place);
        self.flags.fetch_and(!USED, Ordering::AcqRel);
    }

    pub(crate) fn set_place(&self, place: Place) {
        self.place.store(place.number(), Ordering::Release);
    }
}
