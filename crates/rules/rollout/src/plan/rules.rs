//! The rules a rollout must not break, as values: the model test breaks them one at a time and must notice.

use super::{Phase, Proof};
use crate::{
    broken::Broken,
    guard,
    pair_order::{Direction, Driver, PairAt, Seat, legal_next},
};
use weir_model::{DeviceName, Version};

/// One set of rules. There is one that counts: [`Rules::HOUSE`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The phases of a hop.
    pub(super) phases: fn(Direction) -> &'static [Phase],
    /// Which manager goes next.
    pub(super) manager: fn(Direction, Driver, PairAt) -> Option<Seat>,
    /// Floors that a device's leaving breaks.
    pub(super) floors: fn(&guard::Facts, &DeviceName) -> Vec<Broken>,
    /// Whether a fault calls a draining device back.
    pub(super) readmits: fn(&guard::Facts) -> Option<DeviceName>,
    /// Whether the managers go with this many devices behind.
    pub(super) managers_go: fn(u32) -> bool,
    /// Whether a backup counts.
    pub(super) is_proven: fn(Proof) -> bool,
    /// Whether a device may run this under that primary.
    pub(super) may_run: fn(Version, Version) -> bool,
    /// Whether a rollout's lease on a device that is not on its way is ended.
    pub(super) frees_leases: bool,
    /// Whether an abort, and a pause in the middle, bring the managers together.
    pub(super) settles_managers: bool,
    /// Whether a manager that falls back after its turn has it again.
    pub(super) returns_to_managers: bool,
}

impl Rules {
    /// The house's.
    pub(super) const HOUSE: Self = Self {
        phases: Phase::all,
        manager: legal_next,
        floors: |facts, device| guard::admit(facts, device).breaks,
        readmits: guard::readmit,
        managers_go: |behind| behind == 0,
        is_proven: |proof| proof == Proof::Proven,
        may_run: |version, primary| version >= primary,
        frees_leases: true,
        settles_managers: true,
        returns_to_managers: true,
    };
}
