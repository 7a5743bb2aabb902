//! What is alarmed, from when, and until when.

use super::*;
use crate::updates::{
    fixture::{at, device, heard, order},
    record::{Ended, Image, Order},
};
use weir_device_api::UpdateReport;

const CRASHED: UpdateReason = UpdateReason::Crashed;

/// The texts of UPDATE_FAILED and UPGRADE_STUCK.
fn texts(order: Option<&Order>, report: Option<UpdateReport>) -> (Option<String>, Option<String>) {
    let (record, heard) = (device(Role::Engine), heard(Role::Engine, report));
    let seen = Seen { record: &record, order, heard: Some(&heard) };
    (failed(&seen), stuck(&seen))
}

/// Whether each is raised at a stage.
fn raised(stage: Stage) -> (bool, bool) {
    let order = order(1);
    let (failed, stuck) = texts(Some(&order), Some(at(stage, Some(&order))));
    (failed.is_some(), stuck.is_some())
}

#[test]
fn an_alarm_stands_from_when_the_device_turns_back() {
    for stage in [Stage::Assigned, Stage::Fetching, Stage::Drained, Stage::Switching, Stage::Trial, Stage::Proving, Stage::Done] {
        assert_eq!(raised(stage), (false, false), "{stage:?}");
    }
    for stage in
        [Stage::RollingBack { reason: CRASHED, failures: 1 }, Stage::RolledBack { reason: CRASHED }, Stage::Failed { reason: CRASHED }]
    {
        assert_eq!(raised(stage), (true, false), "{stage:?}");
    }
    assert_eq!(raised(Stage::NeedsHands { reason: CRASHED }), (true, true));
    assert_eq!(raised(Stage::Blocked), (false, true));
    for (reason, alarms) in [
        (UpdateReason::Burned, true),
        (UpdateReason::FetchFailed, true),
        (UpdateReason::ImageRefused, true),
        (UpdateReason::NoSpace, true),
        (UpdateReason::Cancelled, false),
        (UpdateReason::Superseded, false),
    ] {
        assert_eq!(raised(Stage::Idle { reason: Some(reason) }), (alarms, false), "{reason}");
        assert_eq!(raised(Stage::Releasing { reason }), (alarms, false), "{reason}");
    }
}

#[test]
fn texts_say_version_particulars_and_reason() {
    let order = order(1);
    let says = |stage, detail: &str| Some(UpdateReport { detail: detail.to_owned(), ..at(stage, Some(&order)) });
    let (failed, _) = texts(Some(&order), says(Stage::Failed { reason: CRASHED }, ""));
    assert_eq!(failed.expect("failed"), "it did not become 1.1.0-b1: the new worker crashed (crashed)");
    let (failed, stuck) = texts(Some(&order), says(Stage::NeedsHands { reason: UpdateReason::OwnErrors }, "no_way_back"));
    assert_eq!(failed.expect("failed"), "it did not become 1.1.0-b1: no_way_back (own_errors)");
    let expected = "going back from 1.1.0-b1 failed: no_way_back (own_errors); an operator must look at this device";
    assert_eq!(stuck.expect("stuck"), expected);
}

#[test]
fn a_failure_stands_until_a_newer_assignment() {
    let ended = |outcome| Order { ended: Some(Ended { outcome, at_ms: 1 }), ..order(1) };
    let (failed, cancelled) = (ended(Outcome::Failed(CRASHED)), ended(Outcome::Failed(UpdateReason::Cancelled)));
    let report = || Some(at(Stage::Failed { reason: CRASHED }, Some(&failed)));
    let alarmed = |order: Option<&Order>, report| texts(order, report).0.is_some();
    assert!(alarmed(Some(&failed), report()));
    assert!(alarmed(Some(&failed), None), "what was kept is enough");
    assert!(alarmed(Some(&ended(Outcome::Successful)), report()), "it went back in probation");
    assert!(alarmed(None, report()), "told by nobody here");
    assert!(!alarmed(Some(&order(2)), report()), "it is to become another one");
    assert!(!alarmed(Some(&cancelled), None), "an operator's own word is no alarm");
    assert!(!alarmed(Some(&ended(Outcome::Successful)), None));
}

/// In probation it goes back to the image before: that is its own from the round that keeps how it ended, and nobody is told otherwise
/// before that.
#[test]
fn an_outcome_that_is_not_kept_yet_is_nothing_out_of_band() {
    let told = |outcome| Order { ended: Some(Ended { outcome, at_ms: 9 }), ..order(1) };
    let image = Image { manifest: "bb".to_owned(), version: "1.1.0-b1".to_owned() };
    let record = device(Role::Engine);
    let kept = Kept { images: [(record.name.clone(), image)].into(), ..Kept::default() };
    let raised = |order: &Order| {
        let mut report = at(Stage::Failed { reason: CRASHED }, Some(order));
        report.slots.manifest = "aa".to_owned();
        let heard = heard(Role::Engine, Some(report));
        out_of_band(&Seen { record: &record, order: Some(order), heard: Some(&heard) }, &kept).is_some()
    };
    assert!(!raised(&told(Outcome::Successful)), "it went back just now");
    assert!(raised(&told(Outcome::Failed(CRASHED))), "that is kept, and it was brought to something else");
}
