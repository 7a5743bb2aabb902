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
    /// The word of JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NothingToDo => "nothing_to_do",
            Self::EmptyScope => "empty_scope",
            Self::WrongDirection { .. } => "wrong_direction",
            Self::NoPath { .. } => "no_path",
            Self::ScopedTooFar { .. } => "scoped_too_far",
            Self::NoImage { .. } => "no_image",
            Self::NoWayBack { .. } => "no_way_back",
            Self::BelowPrimary { .. } => "below_primary",
            Self::TooFarApart { .. } => "too_far_apart",
            Self::OlderThanPrimary { .. } => "older_than_primary",
            Self::PairNotLevel => "pair_not_level",
            Self::NoStandby => "no_standby",
            Self::NoSafePlace => "no_safe_place",
            Self::LevelAbove { .. } => "level_above",
            Self::Parking { .. } => "parking",
            Self::Shares => "shares",
        }
    }

    /// What the operator does next, one sentence.
    pub fn next_step(&self) -> String {
        match self {
            Self::NothingToDo => "nothing is left to do".into(),
            Self::EmptyScope => "name a location, a role or devices that are active".into(),
            Self::WrongDirection { .. } => "plan it in the other direction".into(),
            Self::NoPath { .. } => "register the lines between, or ask the publisher for them".into(),
            Self::ScopedTooFar { .. } => "plan the whole network, or take the next line first".into(),
            Self::NoImage { line } => format!("register a software file of line {line} and wait until it is ready"),
            Self::NoWayBack { version } => format!("register the software file of {version}, which the network runs"),
            Self::BelowPrimary { .. } => "plan the whole network: managers go back first".into(),
            Self::TooFarApart { .. } => "bring the ones that are behind on first".into(),
            Self::OlderThanPrimary { device, .. } => format!("bring it on first, with `weir upgrade device {device}`; a dead one stops counting once it is lost, or deactivated"),
            Self::PairNotLevel => "wait until the standby follows; `weir cms info` on each box says what it runs, and `weir cms resync` on the standby asks again".into(),
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
    /// Devices that were pinned when the plan was made keep the managers from going. Of that moment alone, like all a design
    /// has: pins laid or taken away later are in [`Plan::pin`](super::Plan::pin).
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

impl Risk {
    /// The word of JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SeveralLines { .. } => "several_lines",
            Self::Pinned { .. } => "pinned",
            Self::NotHeard { .. } => "not_heard",
            Self::Alone { .. } => "alone",
            Self::OneRouter => "one_router",
            Self::NoStandby => "no_standby",
            Self::BackupSkipped => "backup_skipped",
            Self::Parks { .. } => "parks",
            Self::OperatorsTime => "operators_time",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralLines { lines } => {
                write!(f, "it is {lines} lines away: the network goes there line by line, with every phase for each")
            }
            Self::Pinned { devices } => {
                write!(f, "{devices} devices were pinned when this was planned, and the managers do not go before them")
            }
            Self::NotHeard { devices } => write!(f, "{devices} devices were not heard when this was planned; they go when they are"),
            Self::Alone { devices } => {
                write!(
                    f,
                    "{devices} engines have nobody at their location to stand in: they leave as the policy for engines that are alone says"
                )
            }
            Self::OneRouter => f.write_str("there is one router: it is handed over while it serves"),
            Self::NoStandby => f.write_str("there is no standby manager to fall back on"),
            Self::BackupSkipped => f.write_str("the managers go without a proven backup"),
            Self::Parks { objects } => write!(f, "{objects} objects are parked: kept, and inactive"),
            Self::OperatorsTime => f.write_str("the configuration is frozen for as long as operators take at the managers' command lines"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of JSON are written twice: by hand for pages, by serde for journals.
    #[test]
    fn words_are_those_of_json() {
        let line: Line = "1.1".parse().expect("line");
        let version: Version = "1.1.0-b1".parse().expect("version");
        let device: DeviceName = "e-1".parse().expect("name");
        let refusals = [
            Refusal::NothingToDo,
            Refusal::EmptyScope,
            Refusal::WrongDirection { running: version },
            Refusal::NoPath { from: line, to: line },
            Refusal::ScopedTooFar { lines: 2 },
            Refusal::NoImage { line },
            Refusal::NoWayBack { version },
            Refusal::BelowPrimary { primary: version },
            Refusal::TooFarApart { low: version, high: version },
            Refusal::OlderThanPrimary { device, version },
            Refusal::PairNotLevel,
            Refusal::NoStandby,
            Refusal::NoSafePlace,
            Refusal::LevelAbove { level: line },
            Refusal::Parking { objects: 1 },
            Refusal::Shares,
        ];
        for refusal in refusals {
            assert_eq!(serde_json::to_value(&refusal).expect("JSON")["refusal"], refusal.as_str());
        }
        let risks = [
            Risk::SeveralLines { lines: 2 },
            Risk::Pinned { devices: 1 },
            Risk::NotHeard { devices: 1 },
            Risk::Alone { devices: 1 },
            Risk::OneRouter,
            Risk::NoStandby,
            Risk::BackupSkipped,
            Risk::Parks { objects: 1 },
            Risk::OperatorsTime,
        ];
        for risk in risks {
            assert_eq!(serde_json::to_value(&risk).expect("JSON")["risk"], risk.as_str());
        }
    }
}
