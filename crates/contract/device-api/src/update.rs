//! A device's update: what the manager wants of it, and how far it is. Both are levels, not events: each word holds until the
//! next one, and losing or repeating one does no harm.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use weir_model::DownloadMethod;
use weir_rollout::update::{Assignment, LeaseWish, UpdateState};

/// Most digests one word clears, and one report lists as burned: as many as the boot record of a device holds.
pub const BURNED_MAX: usize = 256;

/// What the manager wants of a device now, beside its configuration. In every answer to a poll that named another revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateWord {
    /// Names this word: the device says it in its next poll, which waits until there is another one.
    pub revision: u64,
    /// What it is to become; absent: nothing was ever assigned.
    #[serde(default)]
    pub order: Option<UpdateOrder>,
    /// Digests of MANIFESTs, hex, that an operator has cleared since they fell back; at most [`BURNED_MAX`].
    #[serde(default)]
    pub unburn: Vec<String>,
    /// The keeper may be started anew now: the device is out of service, or its partner serves.
    #[serde(default)]
    pub restart_keeper: bool,
    /// The device goes back to service and no lease of the rollout holds it any more; whoever else holds it, its update need not
    /// wait for that.
    #[serde(default)]
    pub freed: bool,
}

/// One assignment and how the operator and the drain stand to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateOrder {
    /// What to become.
    pub assignment: Assignment,
    /// The operator has cancelled it.
    #[serde(default)]
    pub cancelled: bool,
    /// The operator wants the switch now, also without Auto Reload.
    #[serde(default)]
    pub reload: bool,
    /// The drain of the offload the device asked for is complete, as the manager judges it.
    #[serde(default)]
    pub drained: bool,
    /// The archive; absent once the device has staged the image.
    #[serde(default)]
    pub archive: Option<ArchivePlace>,
}

/// Where the release archive of an assignment is. Never journalled: it holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePlace {
    /// SHA-256 of the archive, hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// Through the network's engines, direct, or either.
    pub method: DownloadMethod,
    /// Its own source; absent for an upload, which only managers have.
    #[serde(default)]
    pub direct: Option<DirectSource>,
    /// Networks it may be fetched from beside public ones.
    #[serde(default)]
    pub allow: Vec<IpNet>,
}

/// The URL of a software file, and what its server asks for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectSource {
    /// http or https.
    pub url: String,
    /// User name and password.
    #[serde(default)]
    pub basic: Option<(String, String)>,
    /// A header and its value.
    #[serde(default)]
    pub header: Option<(String, String)>,
}

impl fmt::Debug for DirectSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query of a URL may be a signature.
        f.debug_struct("DirectSource").finish_non_exhaustive()
    }
}

/// How far a device's update is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// Its place, as it is journalled.
    pub state: UpdateState,
    /// Milliseconds since its stage began, or since this worker took it over.
    pub for_ms: u64,
    /// The particulars of its reason, or of what it waits for; one sentence or nothing.
    #[serde(default)]
    pub detail: String,
    /// While an archive is fetched: bytes that are there.
    #[serde(default)]
    pub fetched_bytes: Option<u64>,
    /// And in all.
    #[serde(default)]
    pub archive_bytes: Option<u64>,
    /// Where they come from now: an engine's name, `direct`, `manager`.
    #[serde(default)]
    pub from: Option<String>,
    /// What it wants of the rollout's lease.
    pub lease: LeaseWish,
    /// A worker of the slot before is parked.
    #[serde(default)]
    pub parked: bool,
    /// Its slots.
    pub slots: SlotsReport,
    /// The keeper that runs.
    #[serde(default)]
    pub keeper: Option<KeeperReport>,
}

/// Versions in a device's slots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsReport {
    /// The slot that runs.
    pub active: String,
    /// SHA-256 of its MANIFEST, hex.
    pub manifest: String,
    /// The slot to go back to.
    #[serde(default)]
    pub previous: Option<String>,
    /// The slot last committed.
    #[serde(default)]
    pub last_good: Option<String>,
}

/// The keeper of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperReport {
    /// Its version.
    pub version: String,
    /// It is the one of the active slot; if not, it wants to be started anew once the update is done.
    pub current: bool,
}
