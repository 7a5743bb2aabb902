//! What boot record, configuration and the manager's word come to for the update machine.

use crate::agent::own_entry;
use weir_device_api::{UpdateOrder, UpdateWord};
use weir_model::{DeviceConfiguration, Role, Stamp};
use weir_rollout::update::{Assignment, Event, Stage, Standing, UpdateReason, UpdateState};
use weir_slots::{BootRecord, DataDirectory, Digest, SlotRef};

/// The slot whose program this process runs; `None` when it runs from nowhere below `slots/`.
pub(super) fn running_slot(data: &DataDirectory) -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let slots = std::fs::canonicalize(data.slots()).ok()?;
    let slot = program.strip_prefix(&slots).ok()?.components().next()?;
    Some(slot.as_os_str().to_str()?.to_owned())
}

/// The slot of an assignment; `None` when its digest is none.
pub(super) fn slot_of(assignment: &Assignment) -> Option<SlotRef> {
    let manifest = Digest::try_from(assignment.manifest.clone()).ok()?;
    Some(SlotRef::of(&assignment.version.to_string(), manifest))
}

/// What the boot record says of the assignment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots<'a> {
    pub(super) record: &'a BootRecord,
    /// The slot of the worker that drives.
    pub(super) running: &'a str,
}

impl Slots<'_> {
    /// Whether the assigned image serves.
    pub(super) fn runs(self, target: &SlotRef) -> bool {
        self.running == target.name
    }

    /// Whether the keeper has the assigned image on trial.
    pub(super) fn tries(self, target: &SlotRef) -> bool {
        self.record.trial.as_ref().is_some_and(|trial| trial.slot == *target)
    }

    /// Why the keeper left the image that it tried on this word.
    pub(super) fn left(self, target: &SlotRef, stamp: Stamp) -> Option<UpdateReason> {
        let obeyed = Stamp { term: self.record.term, generation: self.record.generation };
        let fell_back = self.record.fell_back.as_ref().filter(|left| left.slot == *target && obeyed == stamp)?;
        Some(reason(&fell_back.reason))
    }

    /// Whether the keeper has left the slot of this very worker, which is about to end.
    pub(super) fn is_left(self) -> bool {
        let left = self.record.fell_back.as_ref().is_some_and(|left| left.slot.name == self.running);
        let named = [Some(&self.record.active), self.record.trial.as_ref().map(|trial| &trial.slot)];
        left && named.into_iter().flatten().all(|slot| slot.name != self.running)
    }
}

/// The reason of a word in the boot record; a later line's word is a crash, which is the plainest of them.
pub(super) fn reason(word: &str) -> UpdateReason {
    serde_json::from_value(word.into()).unwrap_or(UpdateReason::Crashed)
}

/// Whether the boot record is behind what the keeper did: the assigned image is on trial in it, and another one serves. The keeper
/// could not write why it went back, and writes it as soon as it can.
pub(super) fn is_behind(state: &UpdateState, slots: Slots<'_>) -> bool {
    let target = state.assignment.as_ref().and_then(slot_of);
    let left = target.is_some_and(|target| slots.tries(&target) && !slots.runs(&target));
    left && state.stage.tried() && state.stage != Stage::Switching
}

/// What the machine must learn from the boot record.
pub(super) fn of_record(state: &UpdateState, slots: Slots<'_>) -> Option<Event> {
    let assignment = state.assignment.as_ref()?;
    let target = slot_of(assignment)?;
    let (runs, tries, left) = (slots.runs(&target), slots.tries(&target), slots.left(&target, assignment.stamp));
    match state.stage {
        Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged if runs => {
            Some(Event::Runs(if tries { Standing::OnTrial } else { Standing::Active }))
        }
        Stage::Switching if runs => Some(Event::Switched),
        Stage::Switching if tries => None,
        Stage::Switching => left.map(Event::SwitchRefused),
        Stage::RollingBack { .. } | Stage::NeedsHands { .. } if !runs && !tries => Some(Event::SwitchedBack),
        stage if stage.tried() && !runs => match (left, stage) {
            (Some(reason), _) => Some(Event::FellBack(reason)),
            // Somebody installed another version by hand, long after.
            (None, Stage::Done) => None,
            // The worker before serves again, and the keeper could not write why.
            (None, _) => Some(Event::FellBack(UpdateReason::Crashed)),
        },
        _ => None,
    }
}

/// What the machine must learn from the manager's order.
pub(super) fn of_order(state: &UpdateState, order: &UpdateOrder) -> Option<Event> {
    let offered = order.assignment.stamp;
    let obeyed = state.assignment.as_ref().map(|assignment| assignment.stamp);
    if obeyed.is_none_or(|obeyed| obeyed < offered) {
        // One that was cancelled before it was heard has taken the place of the older one all the same.
        let event = if order.cancelled { Event::Cancel } else { Event::Assigned(order.assignment.clone()) };
        return (!order.cancelled || state.stage.before_switching()).then_some(event);
    }
    if obeyed != Some(offered) {
        return None;
    }
    match state.stage {
        stage if order.cancelled && stage.before_switching() => Some(Event::Cancel),
        Stage::Staged if order.reload => Some(Event::Reload),
        Stage::Draining if order.drained => Some(Event::Drained),
        _ => None,
    }
}

/// What the machine must learn from the configuration this device runs. A device that is not in it takes no viewer and has
/// nothing to come back to.
pub(super) fn of_configuration(state: &UpdateState, configuration: &DeviceConfiguration) -> Option<Event> {
    let offloaded = match configuration.role {
        Role::Router => configuration.routers.iter().find(|router| router.name == configuration.device).map(|router| router.offloaded),
        Role::Engine | Role::Manager => own_entry(configuration).map(|entry| entry.offload.is_some()),
    };
    match state.stage {
        Stage::OffloadRequested if offloaded != Some(false) => Some(Event::Offloading),
        stage if returns(stage) && offloaded != Some(true) => Some(Event::Readmitted),
        _ => None,
    }
}

/// What the machine must learn from the manager's word on a device that goes back to service: whoever still holds it, an operator
/// say, the rollout does not.
pub(super) fn of_freed(state: &UpdateState, word: &UpdateWord) -> Option<Event> {
    (word.freed && returns(state.stage)).then_some(Event::Readmitted)
}

/// Whether a device at this stage waits until the rollout holds it no longer.
fn returns(stage: Stage) -> bool {
    matches!(stage, Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. })
}

#[cfg(test)]
pub(super) mod tests;
