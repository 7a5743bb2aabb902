//! Where a device stands on its way to another version.

use serde::{Deserialize, Serialize};
use std::fmt;
use weir_model::{Profile, Stamp, Version};

/// What a device is told to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// (term, generation) of the word: a lower one is refused, an equal one is the same word.
    pub stamp: Stamp,
    /// The version.
    pub version: Version,
    /// SHA-256 of the image's MANIFEST, hex: it names the slot.
    pub manifest: String,
    /// Whether the device switches by itself once the image is staged; else it rests at [`Stage::Staged`].
    pub auto_reload: bool,
    /// How it leaves service for the switch.
    pub leave: Leave,
}

/// How a device leaves service for the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leave {
    /// Server Offload, until nothing runs on it.
    Drained,
    /// Not at all: its listeners are handed over while it serves.
    HandedOver,
}

/// Why a device did not reach what it was told to become, or what keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateReason {
    /// The operator cancelled it.
    Cancelled,
    /// A newer word came before the switch.
    Superseded,
    /// The image could not be fetched.
    FetchFailed,
    /// What was fetched is not the image that was assigned.
    ImageRefused,
    /// The disk has no room, and freeing some did not help in time.
    NoSpace,
    /// This digest fell back on this device before.
    Burned,
    /// The drain passed its hard limit.
    DrainTimeout,
    /// The new worker was not ready in time.
    NeverReady,
    /// The new worker's self-test failed.
    SelfTestFailed,
    /// The new worker crashed.
    Crashed,
    /// Too many answers were errors of our own making.
    OwnErrors,
    /// The new worker did not reach the manager; the one before does.
    NoContact,
    /// The new worker was not proven in time.
    Unproven,
}

impl UpdateReason {
    /// The word on pages, in JSON and in alarms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::FetchFailed => "fetch_failed",
            Self::ImageRefused => "image_refused",
            Self::NoSpace => "no_space",
            Self::Burned => "burned",
            Self::DrainTimeout => "drain_timeout",
            Self::NeverReady => "never_ready",
            Self::SelfTestFailed => "self_test_failed",
            Self::Crashed => "crashed",
            Self::OwnErrors => "own_errors",
            Self::NoContact => "no_contact",
            Self::Unproven => "unproven",
        }
    }

    /// Whether the image is to blame, so that its digest is not tried again on this device.
    pub fn burns(self) -> bool {
        match self {
            Self::NeverReady | Self::SelfTestFailed | Self::Crashed | Self::OwnErrors | Self::Unproven => true,
            Self::Cancelled
            | Self::Superseded
            | Self::FetchFailed
            | Self::ImageRefused
            | Self::NoSpace
            | Self::Burned
            | Self::DrainTimeout
            | Self::NoContact => false,
        }
    }
}

impl fmt::Display for UpdateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Nothing to do.
    Idle {
        /// Why the last assignment was let go; absent when there was none.
        reason: Option<UpdateReason>,
    },
    /// Told, and not begun.
    Assigned,
    /// The image is coming.
    Fetching,
    /// The disk has no room; what can be freed is being freed.
    Blocked,
    /// The image is in its slot, verified.
    Staged,
    /// The offload was asked for.
    OffloadRequested,
    /// No new viewer comes. However long that lasts: an operator decides whether to force it or to cancel.
    Draining,
    /// Nothing runs here.
    Drained,
    /// The keeper starts the new worker and hands the listeners over. The point of no return: from here the way on leads
    /// to Committed or through RollingBack.
    Switching,
    /// The new worker runs and takes no viewer yet.
    Trial,
    /// A tenth of the viewers is asked for.
    Readmitting,
    /// It serves a tenth.
    Proving,
    /// It is the last good slot now.
    Committed,
    /// Its share of viewers rises.
    Ramping,
    /// It is what it was told to become.
    Done,
    /// Back to service as it was.
    Releasing {
        /// Why.
        reason: UpdateReason,
    },
    /// The keeper goes back to the slot before.
    RollingBack {
        /// Why.
        reason: UpdateReason,
        /// Times it did not work.
        failures: u8,
    },
    /// The slot before runs again, and takes no viewer yet.
    RolledBack {
        /// Why.
        reason: UpdateReason,
    },
    /// It serves as it did before, and did not become what it was told to.
    Failed {
        /// Why.
        reason: UpdateReason,
    },
    /// Going back failed: an operator must come. A newer word, or the slot before once it runs, leads out.
    NeedsHands {
        /// Why it went back.
        reason: UpdateReason,
    },
}

impl Stage {
    /// Whether the device may still let the assignment go without having changed anything.
    pub fn before_switching(self) -> bool {
        matches!(
            self,
            Self::Assigned | Self::Fetching | Self::Blocked | Self::Staged | Self::OffloadRequested | Self::Draining | Self::Drained
        )
    }

    /// Whether nothing moves until somebody says something.
    pub fn at_rest(self) -> bool {
        matches!(self, Self::Idle { .. } | Self::Done | Self::Failed { .. } | Self::NeedsHands { .. })
    }

    /// Whether the device holds, or has asked for, the rollout's lease of Server Offload.
    pub fn holds_lease(self) -> bool {
        match self {
            Self::OffloadRequested | Self::Draining | Self::Drained | Self::Switching | Self::Trial => true,
            Self::RollingBack { .. } | Self::RolledBack { .. } | Self::NeedsHands { .. } => true,
            Self::Idle { .. } | Self::Assigned | Self::Fetching | Self::Blocked | Self::Staged => false,
            Self::Readmitting | Self::Proving | Self::Committed | Self::Ramping | Self::Done => false,
            Self::Releasing { .. } | Self::Failed { .. } => false,
        }
    }

    /// The word of JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle { .. } => "idle",
            Self::Assigned => "assigned",
            Self::Fetching => "fetching",
            Self::Blocked => "blocked",
            Self::Staged => "staged",
            Self::OffloadRequested => "offload_requested",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Switching => "switching",
            Self::Trial => "trial",
            Self::Readmitting => "readmitting",
            Self::Proving => "proving",
            Self::Committed => "committed",
            Self::Ramping => "ramping",
            Self::Done => "done",
            Self::Releasing { .. } => "releasing",
            Self::RollingBack { .. } => "rolling_back",
            Self::RolledBack { .. } => "rolled_back",
            Self::Failed { .. } => "failed",
            Self::NeedsHands { .. } => "needs_hands",
        }
    }

    /// Why it is there, where a stage has a reason.
    pub fn reason(self) -> Option<UpdateReason> {
        match self {
            Self::Idle { reason } => reason,
            Self::Releasing { reason }
            | Self::RollingBack { reason, .. }
            | Self::RolledBack { reason }
            | Self::Failed { reason }
            | Self::NeedsHands { reason } => Some(reason),
            _ => None,
        }
    }

    /// Whether the assigned image was started, and nothing has gone back since.
    pub fn tried(self) -> bool {
        match self {
            Self::Switching | Self::Trial | Self::Readmitting | Self::Proving => true,
            Self::Committed | Self::Ramping | Self::Done => true,
            Self::Idle { .. } | Self::Assigned | Self::Fetching | Self::Blocked | Self::Staged => false,
            Self::OffloadRequested | Self::Draining | Self::Drained | Self::Releasing { .. } => false,
            Self::RollingBack { .. } | Self::RolledBack { .. } | Self::Failed { .. } | Self::NeedsHands { .. } => false,
        }
    }

    /// Whether viewers come at a tenth of its weight only.
    pub fn is_proving(self) -> bool {
        matches!(self, Self::Trial | Self::Readmitting | Self::Proving)
    }

    /// The words an operator reads.
    pub fn words(self) -> &'static str {
        match self {
            Self::Idle { .. } => "Idle",
            Self::Assigned => "Pending",
            Self::Fetching | Self::Blocked => "Downloading",
            Self::Staged => "Staged",
            Self::OffloadRequested | Self::Draining => "Offloading",
            Self::Drained => "Offloaded",
            Self::Switching => "Switching",
            Self::Trial | Self::Readmitting | Self::Proving | Self::Committed | Self::Ramping => "On trial",
            Self::Done => "Update Successful",
            Self::Releasing { .. } => "Cancelled",
            Self::RollingBack { .. } | Self::RolledBack { .. } | Self::Failed { .. } | Self::NeedsHands { .. } => "Update Failed",
        }
    }
}

/// What the new worker has shown since it was let to viewers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Requests it answered.
    pub requests: u64,
    /// Of these: errors of our own making.
    pub own_errors: u64,
    /// Crashes.
    pub crashes: u32,
    /// It was committed, and crashes and errors of our own making still lead back.
    #[serde(default)]
    pub on_probation: bool,
}

/// A device's whole place: what is journalled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateState {
    /// The stage.
    #[serde(flatten)]
    pub stage: Stage,
    /// What it was told; absent before the first word.
    pub assignment: Option<Assignment>,
    /// When the stage began, on the device's monotonic clock; 0 in a state that was journalled by an earlier life.
    #[serde(skip)]
    pub since_ms: u64,
    /// What the new worker has shown.
    #[serde(default)]
    pub proof: Proof,
    /// Digests of MANIFESTs, hex, that fell back here and are not tried again, until an operator clears them.
    #[serde(default)]
    pub burned: Vec<String>,
}

impl UpdateState {
    /// What it wants of the rollout's lease.
    pub fn lease_wish(&self) -> LeaseWish {
        let drained = self.assignment.as_ref().is_some_and(|assignment| assignment.leave == Leave::Drained);
        match self.stage {
            Stage::RollingBack { .. } => LeaseWish::Keep,
            // Its viewers come back when the lease is let go.
            Stage::RolledBack { .. } => LeaseWish::Free,
            stage if drained && stage.holds_lease() => LeaseWish::Hold,
            _ => LeaseWish::Free,
        }
    }
}

/// Why a word changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unmoved {
    /// It is older than the one obeyed.
    #[error("the word is older than the one obeyed")]
    Stale,
    /// The device is past the point of no return of another assignment.
    #[error("the device is past the point of no return")]
    Committed,
    /// The digest is burned.
    #[error("this image fell back on this device before")]
    Burned,
    /// The event means nothing at this stage.
    #[error("this means nothing at this stage")]
    NotNow,
}

/// The machine's timers, of the network's profile. Milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateTimers {
    /// Longest time without room on the disk.
    pub space: u64,
    /// Longest wait for what the keeper makes of the switch; it alone judges whether the new worker is ready.
    pub ready: u64,
    /// How long the new worker may be without the manager while the parked one reaches it.
    pub contact: u64,
    /// Shortest time of Proving.
    pub prove_min: u64,
    /// Longest time of Proving: enough by itself when no crash came.
    pub prove_max: u64,
    /// Requests that make the shortest time enough.
    pub prove_requests: u64,
    /// From a tenth to all of the share.
    pub ramp: u64,
    /// How long the new worker waits for a manager before it takes viewers by itself: the life of a rollout's lease.
    pub lease: u64,
    /// How long after it is done crashes and errors of our own making still lead back.
    pub probation: u64,
}

impl UpdateTimers {
    /// Those of a network's profile.
    pub fn of(profile: &Profile) -> Self {
        let update = &profile.update;
        Self {
            space: update.space_ms,
            ready: update.ready_ms,
            contact: update.contact_ms,
            prove_min: update.prove_min_ms,
            prove_max: update.prove_max_ms,
            prove_requests: update.prove_requests,
            ramp: profile.ramp_ms,
            lease: update.lease_ms,
            probation: update.bake_ms,
        }
    }
}

/// What a device wants of the rollout's lease of Server Offload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseWish {
    /// There need be none.
    Free,
    /// It holds the lease, or asks for it.
    Hold,
    /// Whatever there is may stay: it is about to be freed.
    Keep,
}
