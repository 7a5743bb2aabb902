//! Each stage as a lane shows it.

use super::*;
use weir_model::Role;
use weir_operator_api::{UpdateFetch, UpdateProof, UpdateReasonShown};

/// A device at this stage of an assignment that drains it.
pub(in crate::gui) fn update(stage: &str) -> DeviceUpdate {
    DeviceUpdate {
        device: "east-1".parse().expect("name"),
        role: Role::Engine,
        location: Some("east".parse().expect("name")),
        running: Some("1.0.0-b1".into()),
        previous: Some("1.0.0-b1".into()),
        assigned: Some(AssignedUpdate {
            number: 7,
            version: "1.1.0-b1".parse().expect("version"),
            file: 2,
            manifest_sha256: "ab".repeat(32),
            auto_reload: true,
            leave: "drained".into(),
            reload: false,
            cancelled: false,
            at_ms: 1_700_000_000_000,
            by: "user:admin".into(),
        }),
        stage: stage.into(),
        status: format!("Words of {stage}"),
        at_rest: false,
        successful: None,
        reason: None,
        waiting: None,
        for_ms: 12_000,
        fetch: None,
        sessions: 3,
        proof: UpdateProof::default(),
        parked: false,
        burned: Vec::new(),
        keeper: None,
    }
}

pub(in crate::gui) fn why(reason: &str) -> UpdateReasonShown {
    UpdateReasonShown { reason: reason.into(), detail: "what <exactly>".into(), next: "run `weir logs east-1`".into() }
}

/// Every stage the API names.
pub(in crate::gui) const STAGES: [&str; 22] = [
    "pending",
    "idle",
    "assigned",
    "fetching",
    "blocked",
    "staged",
    "offload_requested",
    "draining",
    "drained",
    "switching",
    "trial",
    "readmitting",
    "proving",
    "committed",
    "ramping",
    "done",
    "releasing",
    "rolling_back",
    "rolled_back",
    "failed",
    "needs_hands",
    "lost",
];

fn names(lane: &Lane, place: Place) -> Vec<&'static str> {
    lane.steps().into_iter().filter(|step| step.place == place).map(|step| step.name).collect()
}

#[test]
fn every_stage_but_lost_is_one_step_of_a_way() {
    for stage in STAGES {
        let present = names(&Lane::new(update(stage)), Place::Present);
        assert_eq!(present.len(), usize::from(stage != "lost"), "{stage}: {present:?}");
    }
    assert!(Lane::new(update("of a later version")).steps().is_empty());
    assert!(Lane::new(DeviceUpdate { assigned: None, ..update("idle") }).steps().is_empty(), "nothing was ever assigned");
}

#[test]
fn the_steps_before_are_past() {
    let mut lane = Lane::new(update("draining"));
    assert_eq!(names(&lane, Place::Past), ["Assigned", "Download", "Staged"]);
    assert_eq!(names(&lane, Place::Present), ["Offload"]);
    assert_eq!(names(&lane, Place::Future), ["Switch", "Trial", "Proving", "Ramp", "Done"]);
    lane.update.stage = "switching".into();
    lane.update.assigned.as_mut().expect("assigned").leave = "handed_over".into();
    assert_eq!(names(&lane, Place::Past), ["Assigned", "Download", "Staged"], "there is no offload to show");
    assert_eq!(names(&Lane::new(update("needs_hands")), Place::Present), ["Needs hands"]);
}

#[test]
fn a_badge_tells_good_from_bad() {
    let cancelled = DeviceUpdate { successful: Some(false), reason: Some(why("cancelled")), ..update("idle") };
    let failed = DeviceUpdate { successful: Some(false), reason: Some(why("crashed")), ..update("failed") };
    let mut staged = DeviceUpdate { waiting: Some(why("reload_needed")), ..update("staged") };
    staged.assigned.as_mut().expect("assigned").auto_reload = false;
    for (shown, badge, alarming) in [
        (update("fetching"), "busy", false),
        (DeviceUpdate { waiting: Some(why("guard")), ..update("offload_requested") }, "minor", false),
        (staged, "info", false),
        (DeviceUpdate { at_rest: true, successful: Some(true), ..update("done") }, "ok", false),
        (cancelled, "off", false),
        (failed, "critical", true),
        (update("rolling_back"), "major", false),
        (update("needs_hands"), "critical", false),
        (update("lost"), "critical", false),
        (update("idle"), "off", false),
    ] {
        let lane = Lane::new(shown);
        assert_eq!((lane.badge(), lane.alarming()), (badge, alarming), "{}", lane.update.stage);
    }
}

#[test]
fn buttons_are_there_while_they_can_do_something() {
    let mut may_cancel = Vec::new();
    for stage in STAGES {
        let lane = Lane::new(update(stage));
        assert!(!lane.may_switch(), "{stage}: it switches by itself");
        may_cancel.extend(lane.may_cancel().then_some(stage));
    }
    assert_eq!(may_cancel, ["pending", "assigned", "fetching", "blocked", "staged", "offload_requested", "draining", "drained", "lost"]);
    let mut staged = Lane::new(update("staged"));
    let assigned = |lane: &mut Lane| lane.update.assigned.take().expect("assigned");
    staged.update.assigned = Some(AssignedUpdate { auto_reload: false, ..assigned(&mut staged) });
    assert!(staged.may_switch() && staged.may_cancel());
    staged.update.assigned = Some(AssignedUpdate { reload: true, ..assigned(&mut staged) });
    assert!(!staged.may_switch(), "it is told already");
    staged.update.assigned = Some(AssignedUpdate { reload: false, cancelled: true, ..assigned(&mut staged) });
    assert!(!staged.may_switch() && !staged.may_cancel());
}

#[test]
fn a_download_says_how_far_and_from_where() {
    let fetching = |done, total, from: Option<&str>| {
        let fetch = Some(UpdateFetch { done, total, from: from.map(Into::into) });
        Lane::new(DeviceUpdate { fetch, ..update("fetching") })
    };
    assert_eq!(fetching(30, 20, None).fetched(), Some((20, 20)));
    assert_eq!(fetching(0, 0, None).fetched(), None);
    for (from, text) in [
        (None, "500 B of 1.0 kB"),
        (Some("direct"), "500 B of 1.0 kB, from its own source"),
        (Some("manager"), "500 B of 1.0 kB, from the manager"),
        (Some("core-1"), "500 B of 1.0 kB, from engine core-1"),
    ] {
        assert_eq!(fetching(500, 1_000, from).fetch_text(), text);
    }
    let staged = DeviceUpdate { stage: "staged".into(), ..fetching(1, 2, None).update };
    assert_eq!(Lane::new(staged).fetched(), None, "it is over");
}

#[test]
fn a_proof_is_counted() {
    assert_eq!(Lane::new(update("trial")).proof(), "");
    let proof = UpdateProof { requests: 1_200, own_errors: 1, crashes: 2 };
    assert_eq!(
        Lane::new(DeviceUpdate { proof, ..update("proving") }).proof(),
        "1\u{202f}200 requests answered, 1 error of its own, 2 crashes"
    );
}
