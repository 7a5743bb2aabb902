//! The phases of a hop, up and down.

use crate::pair_order::Direction;
use serde::{Deserialize, Serialize};
use std::fmt;
use weir_model::Role;

/// One phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The first wave's devices fetch; the others go on behind it.
    Preposition,
    /// Down: the level goes below what the target can do.
    LowerLevel,
    /// A proven backup.
    BackupGate,
    /// Engines, in waves.
    Engines,
    /// Routers, in waves.
    Routers,
    /// No configuration is written any longer.
    Freeze,
    /// A proven backup of that.
    FrozenBackup,
    /// Standby and primary, in the order of the table.
    Managers,
    /// Down: each manager's database goes back and is enabled.
    Databases,
    /// The standby is level again.
    Resync,
    /// Configuration is written again; from here the managers do not go back by themselves.
    Unfreeze,
    /// Up: the network is watched.
    Soak,
    /// Up: the level rises.
    Finalise,
}

/// Up.
pub(super) const UP: [Phase; 11] = [
    Phase::Preposition,
    Phase::BackupGate,
    Phase::Engines,
    Phase::Routers,
    Phase::Freeze,
    Phase::FrozenBackup,
    Phase::Managers,
    Phase::Resync,
    Phase::Unfreeze,
    Phase::Soak,
    Phase::Finalise,
];

/// Down.
pub(super) const DOWN: [Phase; 11] = [
    Phase::Preposition,
    Phase::LowerLevel,
    Phase::BackupGate,
    Phase::Freeze,
    Phase::FrozenBackup,
    Phase::Managers,
    Phase::Databases,
    Phase::Resync,
    Phase::Unfreeze,
    Phase::Routers,
    Phase::Engines,
];

impl Phase {
    /// The phases of a hop, in order.
    pub fn all(direction: Direction) -> &'static [Phase] {
        match direction {
            Direction::Up => &UP,
            Direction::Down => &DOWN,
        }
    }

    /// The word of JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preposition => "preposition",
            Self::LowerLevel => "lower_level",
            Self::BackupGate => "backup_gate",
            Self::Engines => "engines",
            Self::Routers => "routers",
            Self::Freeze => "freeze",
            Self::FrozenBackup => "frozen_backup",
            Self::Managers => "managers",
            Self::Databases => "databases",
            Self::Resync => "resync",
            Self::Unfreeze => "unfreeze",
            Self::Soak => "soak",
            Self::Finalise => "finalise",
        }
    }

    /// What happens in it, as pages and the command say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Preposition => "the images are fetched",
            Self::LowerLevel => "the level is lowered",
            Self::BackupGate => "the backup is proven",
            Self::Engines => "the engines go",
            Self::Routers => "the routers go",
            Self::Freeze => "the configuration is frozen",
            Self::FrozenBackup => "the backup of the frozen configuration is proven",
            Self::Managers => "the managers go",
            Self::Databases => "the managers' databases go back",
            Self::Resync => "the standby catches up",
            Self::Unfreeze => "the configuration is unfrozen",
            Self::Soak => "the network is watched",
            Self::Finalise => "the level rises",
        }
    }

    /// Whose waves it is.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Engines => Some(Role::Engine),
            Self::Routers => Some(Role::Router),
            _ => None,
        }
    }

    /// Whether the managers may be apart or the configuration frozen in it.
    pub fn is_of_managers(self) -> bool {
        matches!(self, Self::Freeze | Self::FrozenBackup | Self::Managers | Self::Databases | Self::Resync | Self::Unfreeze)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
