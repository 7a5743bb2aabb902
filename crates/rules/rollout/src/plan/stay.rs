//! Why a device does not move, and what the rollout as a whole waits for: each one word and its particulars.

use super::{BackupKind, Phase};
use crate::{
    broken::Broken,
    pair_order::Seat,
    update::{Stage, UpdateReason},
};
use serde::Serialize;
use weir_model::Version;

/// A floor of the capacity guard, by its word; [`crate::guard::admit`] says it with its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// Too many engines of its location would be out.
    EnginesOut,
    /// The engines left could not carry the peak.
    Egress,
    /// A delivery service would lose its last engine there.
    ServiceEngine,
    /// Another router of its location is out.
    RoutersOut,
    /// It is the last router in service.
    LastRouter,
}

impl From<&Broken> for Floor {
    fn from(broken: &Broken) -> Self {
        match broken {
            Broken::EnginesOut { .. } => Self::EnginesOut,
            Broken::Egress { .. } => Self::Egress,
            Broken::ServiceEngine { .. } => Self::ServiceEngine,
            Broken::RoutersOut { .. } => Self::RoutersOut,
            Broken::LastRouter { .. } => Self::LastRouter,
        }
    }
}

/// Why a device does not move now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "stay", rename_all = "snake_case")]
pub enum Stay {
    /// It runs what it is to run.
    AtGoal,
    /// It is not part of this rollout.
    OutOfScope,
    /// The rollout was not started.
    NotStarted,
    /// The rollout is paused.
    Paused,
    /// The rollout is being aborted, or was.
    Aborted,
    /// The rollout is over.
    Over,
    /// The manager has just begun to listen.
    Settling,
    /// It was taken from the network.
    Decommissioned,
    /// An operator said that it is dead.
    Excused,
    /// An operator pinned it.
    Pinned,
    /// It was never heard.
    NeverHeard,
    /// It missed reports.
    Silent,
    /// It has been silent for too long.
    Lost {
        /// Where it was last heard.
        at: Stage,
    },
    /// It needs hands.
    NeedsHands,
    /// It runs a version that nobody told it.
    OutOfBand {
        /// Which.
        version: Version,
    },
    /// It went back by itself.
    Failed {
        /// Why.
        reason: UpdateReason,
    },
    /// It let its word go too often.
    LetGo {
        /// Why the last time.
        reason: UpdateReason,
    },
    /// The image fell back on it before.
    Burned,
    /// What it is to run would be older than the primary.
    BelowPrimary,
    /// It is more than one hop away.
    TooFar {
        /// What it runs.
        version: Version,
    },
    /// The image is no longer one that may be installed.
    NoImage,
    /// Its role comes in a later phase.
    LaterPhase {
        /// The present one.
        now: Phase,
    },
    /// Its wave is not open.
    LaterWave {
        /// Its wave.
        wave: u16,
        /// The one that is.
        now: u16,
    },
    /// Its wave failed or could not be judged.
    WaveStopped {
        /// Which.
        wave: u16,
    },
    /// Enough devices fetch.
    StagingFull,
    /// Enough devices are in flight.
    InFlightFull,
    /// No maintenance window is open.
    OutsideWindow,
    /// An event window is open.
    Event,
    /// A capacity floor.
    Guard {
        /// Which.
        floor: Floor,
    },
}

impl Stay {
    /// Whether the network should not count on this device ever moving without help.
    pub fn is_aside(self) -> bool {
        matches!(
            self,
            Self::Decommissioned
                | Self::Excused
                | Self::Pinned
                | Self::NeverHeard
                | Self::Lost { .. }
                | Self::NeedsHands
                | Self::OutOfBand { .. }
                | Self::Failed { .. }
                | Self::LetGo { .. }
                | Self::Burned
                | Self::BelowPrimary
                | Self::TooFar { .. }
                | Self::NoImage
                | Self::OutOfScope
        )
    }
}

/// What the rollout as a whole waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The manager has just begun to listen.
    Settling,
    /// No maintenance window is open.
    Window,
    /// An event window is open.
    Event,
    /// A wave's devices fetch.
    Staging {
        /// Which wave.
        wave: u16,
    },
    /// A wave's devices move.
    Moving {
        /// Which wave.
        wave: u16,
    },
    /// A wave is watched.
    Baking {
        /// Which wave.
        wave: u16,
        /// How much longer, milliseconds.
        left_ms: u64,
    },
    /// Devices may still fall back by themselves.
    Probation {
        /// How many.
        devices: u32,
    },
    /// A backup is being proven.
    Backup(BackupKind),
    /// The managers must be reachable and level before they are frozen.
    PairNotLevel,
    /// The configuration is being frozen.
    Freezing,
    /// A manager switches.
    Manager(Seat),
    /// An operator at a manager's command line.
    AwaitingConsole(ConsoleStep),
    /// A database goes back.
    Database(Seat),
    /// The standby catches up.
    Resync,
    /// The configuration is being unfrozen.
    Unfreezing,
    /// The network is watched.
    Soaking {
        /// How much longer, milliseconds.
        left_ms: u64,
    },
    /// An operator holds the level.
    Held,
    /// Members take the level up.
    Level,
    /// Devices come to rest.
    Resting {
        /// How many are not.
        devices: u32,
    },
}

/// What an operator types at a manager's command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsoleStep {
    /// `weir cms software switch VERSION`.
    Switch(Seat, Version),
    /// `weir cms database downgrade`.
    DatabaseDowngrade(Seat),
    /// `weir cms enable`.
    Enable(Seat),
}
