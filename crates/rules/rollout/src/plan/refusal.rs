//! Why a rollout cannot be planned, and what an operator should know of one that can.

use serde::{Deserialize, Serialize};
use std::fmt;
use weir_model::{DeviceName, Line, Version};

/// One reason against a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Everything in scope runs the target.
    NothingToDo,
    /// Nothing is in scope.
    EmptyScope,
    /// The target is on the other side of what the network runs.
    WrongDirection {
        /// What it runs.
        running: Version,
    },
    /// No released lines lead there one step at a time.
    NoPath {
        /// From.
        from: Line,
        /// To.
        to: Line,
    },
    /// A part of the network, and more than one line away: the managers would have to follow first.
    ScopedTooFar {
        /// How many lines.
        lines: u32,
    },
    /// A line on the way has no image that may be installed.
    NoImage {
        /// Which line.
        line: Line,
    },
    /// No image leads back.
    NoWayBack {
        /// To what.
        version: Version,
    },
    /// A device would be older than the primary.
    BelowPrimary {
        /// What the primary runs.
        primary: Version,
    },
    /// Devices would be more than one line apart.
    TooFarApart {
        /// The lower.
        low: Version,
        /// The higher.
        high: Version,
    },
    /// A device is older than the primary already.
    OlderThanPrimary {
        /// Which.
        device: DeviceName,
        /// What it runs.
        version: Version,
    },
    /// The managers run different versions, or are not level.
    PairNotLevel,
    /// There is no standby, and nobody said that there need be none.
    NoStandby,
    /// There is no standby, and no other machine takes the backup.
    NoSafePlace,
    /// The level is above what the target can do, and only the whole network lowers it.
    LevelAbove {
        /// The level.
        level: Line,
    },
    /// Objects that the lower level cannot have.
    Parking {
        /// How many.
        objects: u32,
    },
    /// The last share is not all, or they do not rise.
    Shares,
}

impl Refusal {
    /// What the operator does next, one sentence.
    pub fn next_step(&self) -> String {
        match self {
            Self::NothingToDo => "nothing is left to do".into(),
            Self::EmptyScope => "name a location, group or role that has active engines or routers".into(),
            Self::WrongDirection { .. } => "plan it in the other direction".into(),
            Self::NoPath { .. } => "register the lines between, or ask the publisher for them".into(),
            Self::ScopedTooFar { .. } => "plan the whole network, or take the next line first".into(),
            Self::NoImage { line } => format!("register a software file of line {line} and wait until it is ready"),
            Self::NoWayBack { version } => format!("register the software file of {version}, which the network runs"),
            Self::BelowPrimary { .. } => "plan the whole network: managers go back first".into(),
            Self::TooFarApart { .. } => "bring the ones that are behind on first".into(),
            Self::OlderThanPrimary { device, .. } => format!("update {device}, or excuse it when it is dead"),
            Self::PairNotLevel => "wait until the standby follows, or run `weir cms resync` on it".into(),
            Self::NoStandby => "acknowledge that there is none, or enrol one".into(),
            Self::NoSafePlace => "name an upload URL or an engine's vault for the backup".into(),
            Self::LevelAbove { .. } => "plan the whole network, which lowers the level first".into(),
            Self::Parking { .. } => "accept that they are parked, or remove them".into(),
            Self::Shares => "give shares that rise to 100".into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToDo => f.write_str("everything in scope runs that version or is beyond it"),
            Self::EmptyScope => f.write_str("no active device is in scope"),
            Self::WrongDirection { running } => write!(f, "the network runs {running}, and that version is the other way"),
            Self::NoPath { from, to } => write!(f, "no released lines lead from {from} to {to} one step at a time"),
            Self::ScopedTooFar { lines } => {
                write!(f, "it is {lines} lines away, and a part of the network may be one line apart from the rest")
            }
            Self::NoImage { line } => write!(f, "no image of line {line} may be installed"),
            Self::NoWayBack { version } => write!(f, "the image of {version} is not there, so there is no way back"),
            Self::BelowPrimary { primary } => write!(f, "that is older than the primary manager, which runs {primary}"),
            Self::TooFarApart { low, high } => write!(f, "{low} and {high} would run at once, more than one line apart"),
            Self::OlderThanPrimary { device, version } => write!(f, "{device} runs {version}, which is older than the primary manager"),
            Self::PairNotLevel => f.write_str("the managers run different versions or the standby does not follow"),
            Self::NoStandby => f.write_str("this network has no standby manager"),
            Self::NoSafePlace => f.write_str("there is no standby and no other machine that takes the backup"),
            Self::LevelAbove { level } => write!(f, "the level is {level}, above what that version can do"),
            Self::Parking { objects } => write!(f, "{objects} objects need features of the present level and would be parked"),
            Self::Shares => f.write_str("the shares of the waves do not rise to 100 percent"),
        }
    }
}

/// Something an operator should know before the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "risk", rename_all = "snake_case")]
pub enum Risk {
    /// The target is several lines away: each is a rollout of its own.
    SeveralLines {
        /// How many.
        lines: u32,
    },
    /// Pinned devices keep the managers from going.
    Pinned {
        /// How many.
        devices: u32,
    },
    /// Devices that are not heard now.
    NotHeard {
        /// How many.
        devices: u32,
    },
    /// Engines with nobody at their location to stand in.
    Alone {
        /// How many.
        devices: u32,
    },
    /// One router: it is handed over while it serves.
    OneRouter,
    /// There is no standby to fall back on.
    NoStandby,
    /// No backup is proven.
    BackupSkipped,
    /// Objects are parked.
    Parks {
        /// How many.
        objects: u32,
    },
    /// The configuration is frozen for as long as operators take at the managers' command lines.
    OperatorsTime,
}
