//! Server Offload: how far a device is out of service, and who holds it there.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The share of an engine that takes all of its weight, in thousandths.
pub const SHARE_WHOLE: u16 = 1000;
/// The share an engine takes the moment it returns to service, in thousandths.
pub const SHARE_FIRST: u16 = 100;

/// How far an engine is out. Each step is a configuration of its own, which routers and engines acknowledge by running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffloadEpoch {
    /// No viewer is placed here; other engines still fill from it.
    Clients,
    /// No engine chooses it as a parent either.
    Peers,
}

impl OffloadEpoch {
    /// The word of JSON, SQL and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            OffloadEpoch::Clients => "clients",
            OffloadEpoch::Peers => "peers",
        }
    }
}

impl fmt::Display for OffloadEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who holds a lease of Server Offload. A device is out while any lease on it lives; nobody can end another owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseOwner {
    /// A person, through page, command or API.
    Operator,
    /// A rollout.
    Rollout,
    /// A device that needs hands, or is quarantined.
    Fault,
}

impl LeaseOwner {
    /// Every owner.
    pub const ALL: [LeaseOwner; 3] = [LeaseOwner::Operator, LeaseOwner::Rollout, LeaseOwner::Fault];

    /// The word of JSON, SQL and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            LeaseOwner::Operator => "operator",
            LeaseOwner::Rollout => "rollout",
            LeaseOwner::Fault => "fault",
        }
    }
}

impl fmt::Display for LeaseOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
