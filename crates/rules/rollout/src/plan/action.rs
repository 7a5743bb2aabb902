//! What a rollout wants done.

use crate::{pair_order::Seat, update::Assignment};
use weir_model::{Line, Stamp, Version};

/// Something to bring about. Each is wanted until the facts show it: doing it again does no harm. Devices are positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Tell a device what to become; it rests at Staged unless the assignment says otherwise.
    Assign {
        /// Which.
        device: u32,
        /// What.
        assignment: Assignment,
    },
    /// Let a staged device leave service and switch.
    Reload {
        /// Which.
        device: u32,
        /// The word it obeys.
        stamp: Stamp,
    },
    /// Tell a device to let its word go; past Switching it means nothing.
    Cancel {
        /// Which.
        device: u32,
        /// The word it obeys.
        stamp: Stamp,
    },
    /// Take the drain of a device for complete, whatever still runs on it.
    Force {
        /// Which.
        device: u32,
    },
    /// End the rollout's lease on a device that is not on its way.
    ReleaseLease {
        /// Which.
        device: u32,
    },
    /// Take, rehearse, copy and prove a backup.
    Backup(BackupKind),
    /// Freeze the configuration.
    Freeze,
    /// Take writes again.
    Unfreeze,
    /// Let a manager's keeper switch it.
    SwitchManager {
        /// Which.
        seat: Seat,
        /// To what.
        version: Version,
    },
    /// `weir cms database downgrade` on a manager.
    DatabaseDowngrade(Seat),
    /// `weir cms enable` on a manager.
    Enable(Seat),
    /// Bring the standby level with the primary.
    Resync,
    /// Raise the level to a line.
    RaiseLevel(Line),
    /// Lower it.
    LowerLevel(Line),
}

/// Which backup of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupKind {
    /// Before the first device moves.
    Gate,
    /// Of the frozen configuration.
    Frozen,
}
