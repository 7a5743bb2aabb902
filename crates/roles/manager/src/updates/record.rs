//! What the manager keeps of devices' updates: the last assignment of each, how it ended, and the image each has rightly.

use std::collections::{BTreeMap, BTreeSet};
use weir_model::{DeviceName, Stamp, Version};
use weir_operator_api::AssignedUpdate;
use weir_rollout::update::{Assignment, Leave, UpdateReason};

/// What one device was last assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Rises with each assignment of the network; never used again.
    pub(crate) number: u64,
    /// The term it was given in.
    pub(crate) term: u64,
    /// The software file; it may be gone once the update has ended.
    pub(crate) file: i64,
    pub(crate) version: Version,
    /// SHA-256 of the image's MANIFEST, hex.
    pub(crate) manifest: String,
    /// SHA-256 of the archive, hex, and its length.
    pub(crate) archive_sha256: String,
    pub(crate) archive_bytes: u64,
    pub(crate) auto_reload: bool,
    pub(crate) leave: Leave,
    /// The operator wants the switch of the staged image.
    pub(crate) reload: bool,
    pub(crate) cancelled: bool,
    /// Its offload may break a capacity floor.
    pub(crate) overrides: bool,
    pub(crate) at_ms: u64,
    pub(crate) by: String,
    pub(crate) ended: Option<Ended>,
}

/// How an update came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) at_ms: u64,
}

/// What an update came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The device is what it was told to become.
    Successful,
    /// It is not.
    Failed(UpdateReason),
}

/// The word of [`Outcome::Successful`], which no reason has.
const SUCCESSFUL: &str = "successful";

impl Outcome {
    /// The word of SQL and of the audit.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Successful => SUCCESSFUL,
            Self::Failed(reason) => reason.as_str(),
        }
    }

    /// The outcome whose word it is.
    pub(crate) fn of(word: &str) -> Option<Self> {
        if word == SUCCESSFUL {
            return Some(Self::Successful);
        }
        serde_json::from_value(word.into()).ok().map(Self::Failed)
    }
}

impl Order {
    /// As the device is told.
    pub(crate) fn assignment(&self) -> Assignment {
        Assignment {
            stamp: Stamp { term: self.term, generation: self.number },
            version: self.version,
            manifest: self.manifest.clone(),
            auto_reload: self.auto_reload,
            leave: self.leave,
        }
    }

    /// As operators and the audit see it.
    pub(crate) fn view(&self) -> AssignedUpdate {
        AssignedUpdate {
            number: self.number,
            version: self.version,
            file: self.file,
            manifest_sha256: self.manifest.clone(),
            auto_reload: self.auto_reload,
            leave: leave_word(self.leave).to_owned(),
            reload: self.reload,
            cancelled: self.cancelled,
            at_ms: self.at_ms,
            by: self.by.clone(),
        }
    }
}

/// The word of JSON and SQL.
pub(crate) fn leave_word(leave: Leave) -> &'static str {
    match leave {
        Leave::Drained => "drained",
        Leave::HandedOver => "handed_over",
    }
}

/// The image a device has rightly: the one it was last brought to, or the one it was first heard with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// SHA-256 of its MANIFEST, hex.
    pub(crate) manifest: String,
    pub(crate) version: String,
}

/// All that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) orders: BTreeMap<DeviceName, Order>,
    pub(crate) images: BTreeMap<DeviceName, Image>,
    /// Digests that an operator has cleared and the device still calls burned.
    pub(crate) unburned: BTreeMap<DeviceName, BTreeSet<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        let reasons = [UpdateReason::Cancelled, UpdateReason::Crashed, UpdateReason::NoSpace].map(Outcome::Failed);
        for outcome in reasons.into_iter().chain([Outcome::Successful]) {
            assert_eq!(Outcome::of(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Outcome::of("nothing of the kind"), None);
    }
}
