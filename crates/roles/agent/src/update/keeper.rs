//! What the keeper is asked for, as the state of the update wants it, and what its refusals mean.

use super::evidence::{Slots, slot_of};
use weir_keeper_api::{Reason, Switch, Text};
use weir_model::profile::UpdateProfile;
use weir_rollout::update::{Event, Leave, Stage, UpdateReason, UpdateState};
use weir_sockets::{ControlError, ControlSender};

/// Time a trial has beyond every wait of the machine, in milliseconds: the agent decides first, the keeper is the last resort.
const TRIAL_GRACE_MS: u64 = 60_000;

/// A request to the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Start this slot on trial.
    Switch(Switch),
    /// Go back to the slot before.
    Back {
        reason: UpdateReason,
        /// Times it did not work: asked again, this is another request.
        failures: u8,
    },
    /// The slot on trial is good.
    Commit,
    /// End the parked worker.
    Retire,
}

/// What the keeper should do now, as far as the boot record does not say that it did.
pub(super) fn wants(state: &UpdateState, slots: Slots<'_>, parked_for_good: bool, profile: &UpdateProfile) -> Option<Ask> {
    let assignment = state.assignment.as_ref()?;
    let target = slot_of(assignment)?;
    let (runs, tries) = (slots.runs(&target), slots.tries(&target));
    match state.stage {
        Stage::Switching if !runs && !tries => Some(Ask::Switch(Switch {
            version: Text::new(&target.version),
            manifest: Text::new(target.manifest),
            term: assignment.stamp.term,
            generation: assignment.stamp.generation,
            ready_ms: profile.ready_ms,
            trial_ms: trial_ms(assignment.leave, profile),
        })),
        Stage::RollingBack { reason, failures } if runs || tries => Some(Ask::Back { reason, failures }),
        Stage::Committed | Stage::Ramping | Stage::Done if runs && tries => Some(Ask::Commit),
        Stage::Done if parked_for_good => Some(Ask::Retire),
        _ => None,
    }
}

/// Longest time from ACCEPT to COMMIT that the machine's own timers allow, and some grace.
fn trial_ms(leave: Leave, profile: &UpdateProfile) -> u64 {
    let waits = match leave {
        // For the manager, then for the lease to end.
        Leave::Drained => profile.lease_ms.saturating_mul(2),
        Leave::HandedOver => profile.contact_ms,
    };
    waits.saturating_add(profile.prove_max_ms).saturating_add(TRIAL_GRACE_MS)
}

/// Asks. Blocks as long as the keeper does not read.
pub(super) fn ask(sender: &ControlSender, ask: &Ask, profile: &UpdateProfile) -> Result<(), ControlError> {
    match ask {
        Ask::Switch(switch) => sender.switch(switch.clone()),
        Ask::Back { reason, .. } => sender.back(reason.as_str(), reason.burns()),
        Ask::Commit => sender.commit(),
        Ask::Retire => sender.retire(std::time::Duration::from_millis(profile.retire_ms)),
    }
}

/// What a refusal of `verb` means for the machine; nothing when it is asked again later.
pub(super) fn refused(state: &UpdateState, slots: Slots<'_>, verb: &str, reason: Reason) -> Option<Event> {
    let target = slot_of(state.assignment.as_ref()?)?;
    match (state.stage, verb) {
        // It was asked twice, and does it.
        (Stage::Switching, "SWITCH") if slots.tries(&target) || slots.runs(&target) => None,
        (Stage::Switching, "SWITCH") => Some(Event::SwitchRefused(switch_refused(reason))),
        (Stage::RollingBack { .. }, "BACK") if reason != Reason::NoWayBack => None,
        (Stage::RollingBack { .. }, "BACK") if slots.runs(&target) => Some(Event::SwitchBackFailed),
        // The slot before runs: there was nothing to go back from.
        (Stage::RollingBack { .. }, "BACK") => Some(Event::SwitchedBack),
        _ => None,
    }
}

fn switch_refused(reason: Reason) -> UpdateReason {
    match reason {
        Reason::Burned => UpdateReason::Burned,
        // The word that was obeyed last is newer than this one, or another one is being obeyed.
        Reason::Stale | Reason::Trial => UpdateReason::Superseded,
        // The boot record cannot be written.
        Reason::SystemError => UpdateReason::NoSpace,
        // The slot is not what was staged; anything else is a keeper that cannot start it, which is no fault of the image's either.
        _ => UpdateReason::ImageRefused,
    }
}

#[cfg(test)]
mod tests;
