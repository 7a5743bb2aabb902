//! What each reason of an update means, and what an operator does about it, one sentence each.

use weir_operator_api::UpdateReasonShown;
use weir_rollout::update::UpdateReason;

/// What keeps an update that is under way from moving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum WaitReason {
    /// The capacity guard refuses the offload.
    Guard,
    /// The manager has listened for too short a time to judge.
    TooEarly,
    /// What the drain waits for; the detail says what.
    Drain,
    /// The device does not report.
    Offline,
    /// It has yet to take the assignment up.
    NotAcknowledged,
    /// It says nothing of updates.
    NotCapable,
    /// Nobody gives it the archive.
    NoSource,
    /// Its disk has no room.
    NoSpace,
    /// The image is staged, and nobody has said to switch.
    ReloadNeeded,
    /// The image is staged, and the rollout it is part of has yet to let it go.
    Rollout,
    /// The image fell back on this device before, so it refuses it.
    Burned,
    /// Another router must serve while this one's keeper starts anew.
    Partner,
    /// Its keeper did not start anew when it was told to.
    Keeper,
}

impl WaitReason {
    /// Every reason.
    #[cfg(test)]
    pub(super) const ALL: [Self; 13] = [
        Self::Guard,
        Self::TooEarly,
        Self::Drain,
        Self::Offline,
        Self::NotAcknowledged,
        Self::NotCapable,
        Self::NoSource,
        Self::NoSpace,
        Self::ReloadNeeded,
        Self::Rollout,
        Self::Burned,
        Self::Partner,
        Self::Keeper,
    ];

    /// The word of JSON and pages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::TooEarly => "too_early",
            Self::Drain => "drain",
            Self::Offline => "offline",
            Self::NotAcknowledged => "not_acknowledged",
            Self::NotCapable => "not_capable",
            Self::NoSource => "no_source",
            Self::NoSpace => "no_space",
            Self::ReloadNeeded => "reload_needed",
            Self::Rollout => "rollout",
            Self::Burned => "burned",
            Self::Partner => "partner",
            Self::Keeper => "keeper",
        }
    }

    pub(super) fn next_step(self) -> &'static str {
        match self {
            Self::Guard => "return another device of the location to service, or assign it again with `--override`",
            Self::TooEarly => "wait until devices have reported twice to this manager",
            Self::Drain => "wait; the device's page shows what still runs on it",
            Self::Offline => "check that the box is up and reaches the manager's device address",
            Self::NotAcknowledged => "wait; the device takes it up with its next poll",
            Self::NotCapable => "wait; if it goes on, install this line on the box by hand: it runs a build that cannot update itself",
            Self::NoSource => "check that the device reaches an engine, the manager, or the URL of the software file",
            Self::NoSpace => "free space in the device's data directory, or cancel",
            Self::ReloadNeeded => "switch it with `weir upgrade reload DEVICE`, or cancel",
            Self::Rollout => "wait; `weir upgrade explain DEVICE` says for what its turn waits",
            Self::Burned => "find out why it fell back; `weir upgrade clear-burned DEVICE`, then assign it again",
            Self::Partner => "bring another router into service",
            Self::Keeper => "restart the service `weir-keeper` on the box when it carries no viewers",
        }
    }
}

/// What keeps an update from moving, with its particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) reason: WaitReason,
    /// One sentence.
    pub(crate) detail: String,
}

impl Waiting {
    pub(super) fn new(reason: WaitReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(super) fn shown(&self) -> UpdateReasonShown {
        UpdateReasonShown { reason: self.reason.as_str().to_owned(), detail: self.detail.clone(), next: self.reason.next_step().to_owned() }
    }
}

/// A reason of the device's own, with its particulars if it gave any.
pub(super) fn shown(reason: UpdateReason, detail: &str) -> UpdateReasonShown {
    let detail = if detail.is_empty() { meaning(reason) } else { detail };
    UpdateReasonShown { reason: reason.as_str().to_owned(), detail: detail.to_owned(), next: next_step(reason).to_owned() }
}

fn meaning(reason: UpdateReason) -> &'static str {
    match reason {
        UpdateReason::Cancelled => "it was cancelled before the switch",
        UpdateReason::Superseded => "another version was assigned before the switch",
        UpdateReason::FetchFailed => "the archive could not be fetched",
        UpdateReason::ImageRefused => "what was fetched is not the image that was assigned, or may not be installed",
        UpdateReason::NoSpace => "the disk had no room for the image, and freeing some did not help in time",
        UpdateReason::Burned => "this image fell back on this device before",
        UpdateReason::DrainTimeout => "the drain passed its hard limit",
        UpdateReason::NeverReady => "the new worker was not ready in time",
        UpdateReason::SelfTestFailed => "the new worker's self-test failed",
        UpdateReason::Crashed => "the new worker crashed",
        UpdateReason::OwnErrors => "too many of the new worker's answers were errors of its own making",
        UpdateReason::NoContact => "the new worker did not reach the manager, and the one before does",
        UpdateReason::Unproven => "the new worker was not proven in time",
    }
}

fn next_step(reason: UpdateReason) -> &'static str {
    match reason {
        UpdateReason::Cancelled => "assign a version when it suits",
        UpdateReason::Superseded => "see the newer assignment",
        UpdateReason::FetchFailed => "check that the device reaches the source of the software file, then assign it again",
        UpdateReason::ImageRefused => "validate the software file again and read the device's log; then assign it again",
        UpdateReason::NoSpace => "free space in the device's data directory, then assign it again",
        UpdateReason::Burned => "find out why it fell back; `weir upgrade clear-burned DEVICE`, then assign it again",
        UpdateReason::DrainTimeout => "see what still runs on the device, then wait or cancel",
        UpdateReason::NeverReady | UpdateReason::SelfTestFailed | UpdateReason::Crashed => {
            "read `weir logs DEVICE`; the device serves as before and does not try this image again"
        }
        UpdateReason::OwnErrors => "read `weir logs DEVICE`; the device serves as before and does not try this image again",
        UpdateReason::NoContact => "check the way from the box to the manager, then assign it again",
        UpdateReason::Unproven => "send it viewers or wait for more of them, clear the burned image, then assign it again",
    }
}

/// What an operator does where the version before does not run again.
pub(super) const NEEDS_HANDS: &str = "go to the box: `weir-keeper` could not start the slot before, and its log says why; or, while the device reports, give it another version with `weir upgrade device`";

#[cfg(test)]
pub(super) mod tests;
