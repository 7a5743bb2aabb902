//! Where a rollout stands as a whole, and why it is paused.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a rollout stands as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Made, not started.
    Planned,
    /// Devices and phases move on.
    Running,
    /// Nothing new begins; what is past the point of no return goes on to its end.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// What can be let go is let go.
    Aborting {
        /// The operator's words.
        why: String,
    },
    /// At rest in a legal mix: resume, revert or plan anew.
    Aborted {
        /// The operator's words.
        why: String,
    },
    /// Every device and manager is what was asked for.
    Done,
    /// Everything is back where it was.
    Reverted,
}

/// Why a rollout is paused. Each names something that an operator or time can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum PauseReason {
    /// An operator said so.
    Operator {
        /// The operator's words.
        why: String,
    },
    /// A wave failed.
    WaveFailed {
        /// Its position.
        wave: u16,
    },
    /// Too little of a wave could be judged.
    WaveInconclusive {
        /// Its position.
        wave: u16,
    },
    /// Devices are behind, so the managers cannot go or the rollout is not done. Ends by itself when they are not.
    Behind {
        /// How many.
        devices: u32,
        /// Position of the first.
        first: u32,
    },
    /// A device runs a version that nobody told it: the operator restates what is wanted.
    OutOfBand {
        /// Position of the first.
        device: u32,
    },
    /// A manager does.
    ManagerOutOfBand,
    /// A device drains for longer than the hard limit: force it, or take it out.
    DrainTimeout {
        /// Its position.
        device: u32,
    },
    /// A manager's switch fell back.
    ManagerFailed,
    /// A backup could not be proven.
    BackupFailed,
    /// The configuration was frozen for too long.
    FrozenTooLong,
    /// The image is no longer one that may be installed.
    ImageWithdrawn,
    /// There are objects the lower level cannot have, and nobody said that they may be parked.
    Parking,
}

impl State {
    /// The word of JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Paused { .. } => "paused",
            Self::Aborting { .. } => "aborting",
            Self::Aborted { .. } => "aborted",
            Self::Done => "done",
            Self::Reverted => "reverted",
        }
    }
}

impl PauseReason {
    /// The word of JSON, pages and alarms.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Operator { .. } => "operator",
            Self::WaveFailed { .. } => "wave_failed",
            Self::WaveInconclusive { .. } => "wave_inconclusive",
            Self::Behind { .. } => "behind",
            Self::OutOfBand { .. } => "out_of_band",
            Self::ManagerOutOfBand => "manager_out_of_band",
            Self::DrainTimeout { .. } => "drain_timeout",
            Self::ManagerFailed => "manager_failed",
            Self::BackupFailed => "backup_failed",
            Self::FrozenTooLong => "frozen_too_long",
            Self::ImageWithdrawn => "image_withdrawn",
            Self::Parking => "parking",
        }
    }

    /// What the operator does next, one sentence.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Operator { .. } => "resume or abort it, or revert it unless it goes back already",
            Self::WaveFailed { .. } => "find out why; resume to try the wave again, or revert",
            Self::WaveInconclusive { .. } => "bring its lost devices back or excuse them, then resume",
            Self::Behind { .. } => {
                "`weir upgrade explain DEVICE` says why: unpin it, retry it, deactivate it, or excuse it when it is dead; then it goes on by itself"
            }
            Self::OutOfBand { .. } => "restate what the network is to run, or bring that device back; then resume",
            Self::ManagerOutOfBand => "bring that manager to one of the two versions of this rollout, then resume",
            Self::DrainTimeout { .. } => "force that device, pin it, or wait and resume",
            Self::ManagerFailed => "read that manager's log; resume to try again, or revert unless it goes back already",
            Self::BackupFailed => "mend the place the backup goes to, then resume",
            Self::FrozenTooLong => "find out what held the managers up, then resume",
            Self::ImageWithdrawn => "register its software file again and resume, or revert unless it goes back already",
            Self::Parking => "remove those objects and resume; or abort, and plan anew with their parking accepted",
        }
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
