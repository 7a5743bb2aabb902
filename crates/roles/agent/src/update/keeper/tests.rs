//! What the keeper is asked, stage by stage.

use super::*;
use crate::update::evidence::tests::{records, stages, state};
use weir_model::profile::UpdateProfile;

fn name(ask: &Ask) -> &'static str {
    match ask {
        Ask::Switch(_) => "switch",
        Ask::Back { .. } => "back",
        Ask::Commit => "commit",
        Ask::Retire => "retire",
    }
}

#[test]
fn it_is_asked_for_what_the_record_does_not_say_yet() {
    let expected = |stage: Stage, record: &str, runs: bool, parked: bool| -> Option<&'static str> {
        match (stage, record) {
            (Stage::Switching, "first" | "kept" | "left") if !runs => Some("switch"),
            (Stage::RollingBack { .. }, record) if runs || record == "tried" => Some("back"),
            (Stage::Committed | Stage::Ramping | Stage::Done, "tried") if runs => Some("commit"),
            (Stage::Done, _) if parked => Some("retire"),
            _ => None,
        }
    };
    let profile = UpdateProfile::rehearsal();
    for stage in stages() {
        for (record_name, record) in records() {
            for runs in [false, true] {
                for parked in [false, true] {
                    let active = record.active.name.clone();
                    let state = state(stage);
                    let target = slot_of(state.assignment.as_ref().expect("told")).expect("slot").name;
                    // Whoever does not run the assigned image runs another one.
                    let running = if runs { target } else { active.replace("1.1.0-b1", "1.0.0-b1") };
                    let asked = wants(&state, Slots { record: &record, running: &running }, parked, &profile);
                    let what = format!("{stage:?} {record_name} runs {runs} parked {parked}");
                    assert_eq!(asked.as_ref().map(name), expected(stage, record_name, runs, parked), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_trial_outlasts_every_wait_of_the_machine() {
    for profile in [UpdateProfile::standard(), UpdateProfile::rehearsal()] {
        // Trial and Readmitting each end with the lease at the latest, Proving with its longest time.
        assert!(trial_ms(Leave::Drained, &profile) > 2 * profile.lease_ms + profile.prove_max_ms);
        assert!(trial_ms(Leave::HandedOver, &profile) > profile.contact_ms + profile.prove_max_ms);
    }
}

#[test]
fn a_refusal_is_what_became_of_the_request() {
    let [first, tried, ..] = records();
    let event = |stage: Stage, record: &weir_slots::BootRecord, running: &str, verb: &str, reason: Reason| {
        refused(&state(stage), Slots { record, running }, verb, reason)
    };
    let (old, new) = (first.1.active.name.clone(), tried.1.trial.as_ref().expect("tried").slot.name.clone());
    for (reason, becomes) in [
        (Reason::SlotRefused, UpdateReason::ImageRefused),
        (Reason::Burned, UpdateReason::Burned),
        (Reason::Stale, UpdateReason::Superseded),
        (Reason::Trial, UpdateReason::Superseded),
        (Reason::SystemError, UpdateReason::NoSpace),
        (Reason::NotBuilt, UpdateReason::ImageRefused),
    ] {
        assert_eq!(event(Stage::Switching, &first.1, &old, "SWITCH", reason), Some(Event::SwitchRefused(becomes)));
        assert!(!becomes.burns(), "{reason:?}: the image was never started");
        assert_eq!(event(Stage::Switching, &tried.1, &old, "SWITCH", reason), None, "asked twice");
        assert_eq!(event(Stage::Staged, &first.1, &old, "SWITCH", reason), None);
    }
    let back = Stage::RollingBack { reason: UpdateReason::OwnErrors, failures: 0 };
    assert_eq!(event(back, &tried.1, &new, "BACK", Reason::NoWayBack), Some(Event::SwitchBackFailed));
    assert_eq!(event(back, &tried.1, &old, "BACK", Reason::NoWayBack), Some(Event::SwitchedBack));
    for later in [Reason::SystemError, Reason::Trial, Reason::OutOfOrder] {
        assert_eq!(event(back, &tried.1, &new, "BACK", later), None, "{later:?}: asked again later");
        assert_eq!(event(back, &tried.1, &old, "BACK", later), None, "{later:?}: the record says when it is done");
    }
    assert_eq!(event(Stage::Committed, &tried.1, &new, "COMMIT", Reason::SystemError), None, "asked again later");
}
