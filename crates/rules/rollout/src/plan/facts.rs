//! What is known of the network at one moment.

use crate::{guard, update::Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use weir_model::{DeviceName, Line, Lineage, LocationName, Role, Stamp, Version};

/// The inventory a plan is made from and goes on by. Devices have positions; they are the plan's too, so a caller keeps them
/// while a plan lives: a new device comes last, one that was taken from the network stays as [`Contact::Gone`].
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Engines and routers that are activated.
    pub devices: Vec<DeviceFacts>,
    /// Locations.
    pub sites: Vec<SiteFacts>,
    /// Every router, as the guard sees it; no engines.
    pub routers: guard::Facts,
    /// The managers.
    pub pair: PairFacts,
    /// Verified images that may be chosen: SHA-256 of the MANIFEST, hex, by version.
    pub images: BTreeMap<Version, String>,
    /// Released lines.
    pub lineage: Lineage,
    /// What the network has agreed to use.
    pub level: LevelFacts,
    /// The two backups of this rollout.
    pub backup: BackupFacts,
    /// The wave that is open, beside devices that were not updated.
    pub comparison: Option<Comparison>,
    /// The manager has listened for less than two report periods: nothing is judged.
    pub settling: bool,
}

/// One engine or router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its name.
    pub name: DeviceName,
    /// Engine or router.
    pub role: Role,
    /// Position of its location.
    pub site: u32,
    /// Lower goes first, within a wave.
    pub wariness: u8,
    /// Whether it is heard.
    pub contact: Contact,
    /// What it runs, as last heard; absent: never heard.
    pub version: Option<Version>,
    /// Where its update stands, as last heard.
    pub stage: Stage,
    /// The word it obeys or obeyed last.
    pub obeyed: Option<Stamp>,
    /// Digests that fell back on it and were not cleared.
    pub burned: Vec<String>,
    /// Its new slot is on probation: it may still fall back by itself.
    pub on_probation: bool,
    /// The rollout's lease of Server Offload is on it.
    pub leased: bool,
}

/// Whether a device is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contact {
    /// It reports in time.
    Reporting,
    /// It missed reports, and may be about to start.
    Silent,
    /// It has been silent for the profile's patience.
    Lost,
    /// It was taken from the network.
    Gone,
}

/// One location.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteFacts {
    /// Its name.
    pub name: LocationName,
    /// Where in the tree.
    pub kind: SiteKind,
    /// Its engines and its egress, as the guard sees them; no routers.
    pub guard: guard::Facts,
}

/// Where a location is in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteKind {
    /// Nearest the origin.
    Root,
    /// Between.
    Inner,
    /// Nobody fills through it.
    Leaf,
}

/// The managers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFacts {
    /// The primary.
    pub primary: ManagerFacts,
    /// The standby, if this network has one.
    pub standby: Option<ManagerFacts>,
    /// The standby has everything and applies what comes; also when there is none.
    pub matched: bool,
    /// The configuration is frozen.
    pub frozen: bool,
    /// The highest stamp of any word so far, the configuration's included: a plan's words come after it.
    pub stamp: Stamp,
}

/// One manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerFacts {
    /// What it runs.
    pub version: Version,
    /// What it does.
    pub cms: Cms,
    /// Whether it is heard.
    pub reachable: bool,
    /// A standby that may still fall back by itself.
    pub on_trial: bool,
    /// Its last switch fell back. The caller clears it when the rollout is resumed.
    pub failed: bool,
}

impl ManagerFacts {
    /// Whether it could take over.
    pub fn is_well(&self) -> bool {
        self.reachable && self.cms == Cms::Running && !self.on_trial
    }
}

/// What a manager's CMS does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cms {
    /// It serves in its seat.
    Running,
    /// Its database is of a later line: it waits for `weir cms database downgrade`.
    SchemaAhead,
    /// It waits for `weir cms enable`.
    Disabled,
}

/// The level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelFacts {
    /// The line whose features the whole network may use.
    pub at: Line,
    /// Every member has it on disk and nothing of a higher one.
    pub settled: bool,
    /// Objects that a level one line lower cannot have.
    pub would_park: u32,
}

/// The two backups of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupFacts {
    /// The one before the first device moves.
    pub gate: Proof,
    /// The one of the frozen configuration; another freeze needs another.
    pub frozen: Proof,
    /// Whether a machine that is no manager can take a copy.
    pub has_safe_place: bool,
}

/// How far a backup is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// There is none yet.
    Missing,
    /// It was taken, rehearsed, copied, and read back equal.
    Proven,
    /// One of these did not work. The caller clears it when the rollout is resumed.
    Failed,
}

/// Two arms of the same locations over the same minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Devices of the open wave.
    pub new: Arm,
    /// Devices that were not updated.
    pub control: Arm,
}

/// What some engines answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Requests.
    pub requests: u64,
    /// Of these: 5xx that no origin caused.
    pub own_errors: u64,
    /// Connections reset.
    pub resets: u64,
    /// 99th percentile of the time to the first byte, milliseconds.
    pub ttfb_p99_ms: u64,
}
