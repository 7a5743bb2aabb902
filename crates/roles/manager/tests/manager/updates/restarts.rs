//! A manager that ends at any stage: nothing is lost, and every word is the one before.

use super::{Lane, newer};
use serde_json::Value;
use weir_rollout::update::{Stage, UpdateReason};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_word_and_the_lane_outlive_the_manager_at_each_stage() {
    let mut lane = Lane::start(&["core-1", "core-2", "east-1", "east-2", "router-1"]).await;
    lane.assign("east-2", newer()).await;
    let reason = UpdateReason::Crashed;
    let stages = [
        None,
        Some(Stage::Fetching),
        Some(Stage::Staged),
        Some(Stage::OffloadRequested),
        Some(Stage::Draining),
        Some(Stage::Switching),
        Some(Stage::Trial),
        Some(Stage::Readmitting),
        Some(Stage::Proving),
        Some(Stage::RollingBack { reason, failures: 0 }),
        Some(Stage::RolledBack { reason }),
        Some(Stage::Failed { reason }),
    ];
    for stage in stages {
        if let Some(stage) = stage {
            lane.fleet.member("east-2").at(stage);
        }
        let holds = stage.is_some_and(Stage::holds_lease) && !matches!(stage, Some(Stage::RolledBack { .. }));
        let held = |o: &Value| holds == (o["leases"][0]["owner"] == "rollout");
        if !matches!(stage, Some(Stage::RollingBack { .. })) {
            lane.fleet.until(&lane.running, "east-2", &format!("{stage:?}"), held).await;
        }
        let drained = stage == Some(Stage::Draining);
        lane.until_told("east-2", &format!("{stage:?}: settled"), |word| word["order"]["drained"] == drained).await;
        let (before, revision) = (lane.shown("east-2").await, lane.fleet.member("east-2").revision());
        lane = lane.crash_and_restart().await;
        // What it had not kept of the last report it is told again.
        lane.fleet.beat(&lane.running).await;
        let knows = (lane.fleet.member("east-2").stamp(), revision);
        let device = &lane.fleet.member_ref("east-2").device;
        let word = device.poll_knowing(&lane.running, knows.0, 0, 0).await.update.expect("a word");
        assert!(word.revision == revision || drained, "{stage:?}: {word:?}");
        let after = lane.shown("east-2").await;
        for field in ["assigned", "stage", "at_rest", "successful", "reason", "running"] {
            assert_eq!(after[field], before[field], "{stage:?} {field}");
        }
        lane.until_told("east-2", &format!("{stage:?}: drained again"), |word| word["order"]["drained"] == drained).await;
    }
    lane.until("east-2", "it is over", |u| u["successful"] == false).await;
    let audited = lane.audited("east-2").await;
    let expected = ["token:tests assign", "manager offload", "manager drain", "manager unoffload", "manager update_failed"];
    assert_eq!(audited, expected, "each deed was done once");
}
