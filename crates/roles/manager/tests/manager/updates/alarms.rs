//! Alarms about updates.

use super::{Lane, handed_over};
use serde_json::{Value, json};
use weir_rollout::update::{Stage, UpdateReason};

fn raised(alarms: &Value, reason: &str) -> bool {
    alarms["items"].as_array().expect("items").iter().any(|alarm| alarm["reason"] == reason && alarm["device"] == "east-1")
}

impl Lane {
    async fn until_alarm(&mut self, what: &str, reason: &str, stands: bool) {
        self.fleet.until_of(&self.running, what, "/api/v1/alarms", |alarms| raised(alarms, reason) == stands).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_update_is_alarmed_until_another_is_assigned() {
    let mut lane = Lane::start_as(&["core-1", "east-1", "router-1"], false).await;
    lane.assign("east-1", handed_over()).await;
    lane.at("east-1", Stage::Blocked).await;
    lane.until_alarm("its disk is full", "UPGRADE_STUCK", true).await;
    let reason = UpdateReason::NoSpace;
    lane.at("east-1", Stage::Idle { reason: Some(reason) }).await;
    lane.until_alarm("it failed", "UPDATE_FAILED", true).await;
    lane.until_alarm("it does not wait any more", "UPGRADE_STUCK", false).await;
    lane.assign("east-1", handed_over()).await;
    lane.until_alarm("it is tried again", "UPDATE_FAILED", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_nobody_assigned_is_alarmed() {
    let mut lane = Lane::start_as(&["core-1", "east-1", "router-1"], false).await;
    lane.assign("east-1", handed_over()).await;
    lane.fleet.member("east-1").runs_new();
    lane.at("east-1", Stage::Proving).await;
    lane.at("east-1", Stage::Done).await;
    lane.until("east-1", "it is done", |u| u["successful"] == true).await;
    assert_eq!(lane.alarms().await, [], "it runs what it was assigned");
    let (manifest, version) = ("77ff".to_owned(), "1.1.7-b1".to_owned());
    lane.fleet.member("east-1").says().slots.manifest = manifest;
    lane.fleet.member("east-1").version = version;
    lane.until_alarm("somebody installed another", "OUT_OF_BAND_VERSION", true).await;
    lane = lane.crash_and_restart().await;
    lane.until_alarm("it stands in the next manager", "OUT_OF_BAND_VERSION", true).await;
    lane.assign("east-1", handed_over()).await;
    lane.until_alarm("its version is restated", "OUT_OF_BAND_VERSION", false).await;
}

/// Of the lines there are 1.0 (or, as the next line, 1.1) at the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_a_line_too_far_away_gets_no_viewer_and_comes_back_a_line_at_a_time() {
    let mut lane = Lane::start_as(&["core-1", "east-1", "router-1"], false).await;
    lane.fleet.member("east-1").version = "1.9.0-b1".to_owned();
    lane.until_alarm("it is quarantined", "QUARANTINED_DEVICE", true).await;
    let offload = "/api/v1/devices/east-1/offload";
    let is_held =
        |o: &Value| o["leases"][0]["owner"] == "fault" && o["leases"][0]["why"].as_str().is_some_and(|why| why.contains("1.9.0-b1"));
    lane.fleet.until_of(&lane.running, "no viewer is placed on it", offload, is_held).await;
    let refused = lane.try_assign("east-1", handed_over()).await.json;
    assert_eq!(refused["reason"], "order_refused", "{refused}");
    lane.assign("core-1", handed_over()).await;
    lane.fleet.member("east-1").version = "1.1.0-b1".to_owned();
    lane.until_alarm("it is one line away, or none", "QUARANTINED_DEVICE", false).await;
    lane.fleet.until_of(&lane.running, "it is in service", offload, |o| o["leases"] == json!([])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_in_probation_is_a_failure_and_nothing_out_of_band() {
    let mut lane = Lane::start_as(&["core-1", "east-1", "router-1"], false).await;
    lane.assign("east-1", handed_over()).await;
    lane.fleet.member("east-1").runs_new();
    lane.at("east-1", Stage::Done).await;
    lane.until("east-1", "it is done", |u| u["successful"] == true).await;
    let reason = UpdateReason::OwnErrors;
    lane.at("east-1", Stage::RollingBack { reason, failures: 0 }).await;
    assert_eq!(lane.shown("east-1").await["successful"], Value::Null, "it is open again");
    lane.until_alarm("it goes back", "UPDATE_FAILED", true).await;
    lane.fleet.member("east-1").says().slots.manifest = super::OLD_MANIFEST.to_owned();
    lane.fleet.member("east-1").version = "1.0.0-b1".to_owned();
    lane.at("east-1", Stage::Failed { reason }).await;
    lane.until_alarm("it failed", "UPDATE_FAILED", true).await;
    assert_eq!(lane.alarms().await, [("UPDATE_FAILED".to_owned(), "east-1".to_owned())]);
    let expected = ["token:tests assign", "manager update_successful", "manager update_failed"];
    assert_eq!(lane.audited("east-1").await, expected);
}
