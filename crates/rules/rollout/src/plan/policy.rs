//! What an operator asks of a rollout.

use crate::pair_order::{Direction, Driver};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use weir_model::{DeviceName, LocationName, Role, Version};

/// Devices in flight at once in the whole network where nobody said otherwise; the guard holds each location besides.
pub const AT_ONCE: u32 = 2_000;
/// Devices that fetch at once where nobody said otherwise.
pub const STAGING_AT_ONCE: u32 = 1_000;
/// Times one device is told anew after it let a word go, or fell back, for a reason that is not the image's.
pub const ATTEMPTS_MAX: u8 = 3;

/// What an operator asks for. It is part of what a plan's hash covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Which way.
    pub direction: Direction,
    /// Who takes the managers' steps.
    pub driver: Driver,
    /// What the network is to run in the end.
    pub target: Version,
    /// Which devices.
    pub scope: Scope,
    /// Timers.
    pub profile: RolloutProfile,
    /// Maintenance windows; none stated: any time.
    pub windows: Vec<Window>,
    /// Event windows: nothing is begun in them that viewers of the event could notice.
    pub events: Vec<Window>,
    /// Why event windows do not hold; absent: they do.
    pub during_event: Option<String>,
    /// Devices that stay as they are.
    pub pins: BTreeMap<DeviceName, Pin>,
    /// Shares of a role's devices, percent, that have been reached at the end of each wave after canary and location; the
    /// last is 100.
    pub shares: Vec<u8>,
    /// What follows a failed wave.
    pub on_failed: OnFailed,
    /// How a device leaves that nobody at its location can stand in for.
    pub alone: Alone,
    /// Most devices in flight at once.
    pub at_once: u32,
    /// Most devices that fetch at once.
    pub staging_at_once: u32,
    /// Whether a proven backup is a condition.
    pub backup: BackupGate,
    /// Whether the operator knows that there is no standby.
    pub standby: StandbyWord,
    /// Whether objects that the lower level cannot have may be parked.
    pub parking: Parking,
}

impl Policy {
    /// The whole network to `target`, as a page starts it.
    pub fn network(direction: Direction, target: Version, profile: RolloutProfile) -> Self {
        Self {
            direction,
            driver: Driver::Gui,
            target,
            scope: Scope::Network,
            profile,
            windows: Vec::new(),
            events: Vec::new(),
            during_event: None,
            pins: BTreeMap::new(),
            shares: vec![10, 25, 50, 100],
            on_failed: OnFailed::RollbackWave,
            alone: Alone::Hot,
            at_once: AT_ONCE,
            staging_at_once: STAGING_AT_ONCE,
            backup: BackupGate::Required,
            standby: StandbyWord::Expected,
            parking: Parking::Refused,
        }
    }

    /// Whether a device is meant.
    pub fn is_in_scope(&self, name: &DeviceName, role: Role, location: &LocationName) -> bool {
        match &self.scope {
            Scope::Network => true,
            Scope::Location(only) => only == location,
            Scope::Group(names) => names.contains(name),
            Scope::Role(only) => *only == role,
        }
    }
}

/// Which devices a rollout moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All, the managers too.
    Network,
    /// Engines and routers of one location.
    Location(LocationName),
    /// These engines and routers.
    Group(BTreeSet<DeviceName>),
    /// All engines, or all routers.
    Role(Role),
}

/// A span of wall-clock time, milliseconds since 1970; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From when.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

impl Window {
    /// Whether `now_ms` is in it.
    pub fn holds(self, now_ms: u64) -> bool {
        (self.from_ms..self.until_ms).contains(&now_ms)
    }
}

/// Why a device stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Until when, milliseconds since 1970; absent: until it is taken away.
    pub until_ms: Option<u64>,
    /// The operator's words.
    pub why: String,
}

impl Pin {
    /// Whether it holds now.
    pub fn holds(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until_ms| now_ms < until_ms)
    }
}

/// What follows a failed wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailed {
    /// The rollout pauses.
    Pause,
    /// The wave's devices go back, and the rollout pauses.
    RollbackWave,
    /// Everything goes back.
    RollbackAll,
}

/// How a device leaves service that nobody at its location can stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alone {
    /// Its viewers go to the location above.
    RouteToParent,
    /// It does not leave: its listeners are handed over while it serves.
    Hot,
    /// It leaves in a maintenance window only.
    Window,
}

/// Whether the managers go without a proven backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupGate {
    /// They do not.
    Required,
    /// They do, because the operator said so.
    Skipped {
        /// The operator's words.
        why: String,
    },
}

/// What the operator said of the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandbyWord {
    /// Nothing: there must be one.
    Expected,
    /// There may be none.
    MayBeMissing,
}

/// What becomes of objects that need a feature of the higher level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parking {
    /// While there are any, the level is not lowered.
    Refused,
    /// They are kept, inactive.
    Accepted,
}

/// Timers of a rollout, milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutProfile {
    /// `standard`, `fast`, `rehearsal` or `emergency`.
    pub name: String,
    /// How long the canary wave is watched after its last device is done.
    pub canary_bake_ms: u64,
    /// How long each later wave is.
    pub wave_bake_ms: u64,
    /// How long the whole network is watched before the level rises.
    pub soak_ms: u64,
    /// A device that drains longer pauses the rollout.
    pub drain_hard_ms: u64,
    /// Longest freeze of the configuration when the rollout itself drives the managers.
    pub frozen_ms: u64,
    /// Most time that one tick counts: what nobody watched is no watching.
    pub tick_ms: u64,
    /// Maintenance windows do not hold.
    #[serde(default)]
    pub any_time: bool,
}

impl RolloutProfile {
    /// The named ones.
    pub const NAMES: [&'static str; 4] = ["standard", "fast", "rehearsal", "emergency"];

    /// The profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        let (canary, wave, soak, drain, any_time) = match name {
            "standard" => (1_800_000, 900_000, 86_400_000, 3_600_000, false),
            "fast" => (120_000, 60_000, 600_000, 600_000, false),
            "rehearsal" => (5_000, 3_000, 5_000, 60_000, false),
            "emergency" => (60_000, 10_000, 600_000, 600_000, true),
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            canary_bake_ms: canary,
            wave_bake_ms: wave,
            soak_ms: soak,
            drain_hard_ms: drain,
            frozen_ms: 120_000,
            tick_ms: 30_000,
            any_time,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Network => f.write_str("the network"),
            Scope::Location(location) => write!(f, "location {location}"),
            Scope::Group(names) => write!(f, "{} devices", names.len()),
            Scope::Role(role) => write!(f, "every {role}"),
        }
    }
}
