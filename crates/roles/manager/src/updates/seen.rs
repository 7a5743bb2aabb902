//! One device, as its last assignment and its last report show it. Pure.

use super::record::{Order, Outcome};
use crate::{reports::Heard, snapshot::DeviceRecord};
use weir_device_api::UpdateReport;
use weir_rollout::update::{Stage, UpdateReason};

/// What is known of one device's update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) record: &'a DeviceRecord,
    pub(crate) order: Option<&'a Order>,
    pub(crate) heard: Option<&'a Heard>,
}

impl<'a> Seen<'a> {
    /// What the device last said of its update, if it ever did.
    pub(crate) fn report(&self) -> Option<&'a UpdateReport> {
        self.heard?.report.update.as_ref()
    }

    /// Whether this manager has heard the device since it began to listen.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard.is_some_and(|heard| heard.at_ms != 0)
    }

    /// What the device last said, when it has taken its last assignment up.
    pub(crate) fn obeyed(&self) -> Option<&'a UpdateReport> {
        let stamp = self.order?.assignment().stamp;
        self.report().filter(|report| report.state.assignment.as_ref().is_some_and(|obeyed| obeyed.stamp == stamp))
    }

    /// What the device last said of its last assignment; where nobody here gave it one, of the one it has.
    pub(crate) fn latest(&self) -> Option<&'a UpdateReport> {
        if self.order.is_some() { self.obeyed() } else { self.report() }
    }

    /// The stage of its last assignment, once it has taken that up.
    pub(crate) fn stage(&self) -> Option<Stage> {
        self.obeyed().map(|report| report.state.stage)
    }

    /// Whether an update is under way.
    pub(crate) fn is_open(&self) -> bool {
        match (self.order, self.stage()) {
            (None, _) => false,
            (Some(_), Some(stage)) => !stage.at_rest(),
            (Some(order), None) => order.ended.is_none(),
        }
    }

    /// What its last assignment came to, by the device's own word.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let Some(stage) = self.stage() else {
            // Cancelled before it was taken up, and the older one in whose place it came is over.
            let never = self.order?.cancelled && self.report()?.state.stage.at_rest();
            return never.then_some(Outcome::Failed(UpdateReason::Cancelled));
        };
        match stage {
            Stage::Done => Some(Outcome::Successful),
            Stage::Idle { reason: Some(reason) } | Stage::Failed { reason } | Stage::NeedsHands { reason } => Some(Outcome::Failed(reason)),
            _ => None,
        }
    }

    /// Why an operator must come, when one must.
    pub(crate) fn needs_hands(&self) -> Option<UpdateReason> {
        match self.report()?.state.stage {
            Stage::NeedsHands { reason } => Some(reason),
            _ => None,
        }
    }

    /// How long the device has been silent, in milliseconds; a report kept from before this manager started counts from its start.
    pub(crate) fn silent_ms(&self, started_ms: u64, now_ms: u64) -> u64 {
        let last_ms = self.heard.map_or(started_ms, |heard| heard.at_ms.max(started_ms));
        now_ms.saturating_sub(last_ms)
    }
}
