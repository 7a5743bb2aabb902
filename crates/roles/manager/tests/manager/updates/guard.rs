//! The capacity guard, and the rollout's leases: taken when it lets them, renewed, never orphaned.

use super::{Lane, newer};
use serde_json::{Value, json};
use std::time::Duration;
use weir_rollout::update::{Stage, UpdateReason};

/// Two engines in east: one of them may be out.
const NETWORK: [&str; 4] = ["core-1", "east-1", "east-2", "router-1"];

fn held_by(offload: &Value) -> Vec<&str> {
    offload["leases"].as_array().expect("list").iter().map(|lease| lease["owner"].as_str().expect("word")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_waits_until_the_first_is_back() {
    let mut lane = Lane::start(&NETWORK).await;
    for engine in ["east-1", "east-2"] {
        lane.assign(engine, newer()).await;
    }
    lane.at("east-1", Stage::OffloadRequested).await;
    lane.fleet.until(&lane.running, "east-1", "the first leaves", |o| held_by(o) == ["rollout"]).await;
    lane.at("east-2", Stage::OffloadRequested).await;
    let waits = lane.until("east-2", "the second waits", |u| u["waiting"]["reason"] == "guard").await;
    let why = waits["waiting"]["detail"].as_str().expect("text");
    assert!(why.contains("2 of 2 engines of location east would be out"), "{why}");
    assert!(waits["waiting"]["next"].as_str().expect("text").contains("--override"));
    let preview = lane.running.get("/api/v1/devices/east-2/update/preview?version=1.1.0-b1").await;
    assert_eq!((&preview["refused"], &preview["waits"][0]["reason"]), (&Value::Null, &json!("guard")));
    lane.fleet.meanwhile(&lane.running, "east-2", Duration::from_secs(1), |o| held_by(o).is_empty()).await;
    lane.at("east-1", Stage::Readmitting).await;
    lane.fleet.until(&lane.running, "east-2", "the first is back", |o| held_by(o) == ["rollout"]).await;
    assert_eq!(lane.leases("east-1").await, [""; 0]);
    let offloads = lane.audited("east-2").await.iter().filter(|row| row.ends_with(" offload")).count();
    assert_eq!(offloads, 1, "what is refused is not audited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_override_is_not_asked_by_the_guard() {
    let mut lane = Lane::start(&["core-1", "east-1", "router-1"]).await;
    lane.asks_to_leave("east-1", newer()).await;
    lane.until("east-1", "the only engine of its location waits", |u| u["waiting"]["reason"] == "guard").await;
    let shown = lane.try_assign("east-1", json!({"version": "1.1.0-b1", "override": true})).await.expect(200);
    assert_eq!(shown["assigned"]["number"], 2);
    lane.fleet.beat(&lane.running).await;
    lane.at("east-1", Stage::OffloadRequested).await;
    let out = lane.fleet.until(&lane.running, "east-1", "it leaves", |o| held_by(o) == ["rollout"]).await;
    assert_eq!(out["leases"][0]["overrides"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_has_just_started_judges_nothing() {
    let mut lane = Lane::start_as(&NETWORK, false).await;
    lane.assign("east-2", newer()).await;
    let before_ms = weir_clock::wall_ms();
    lane = lane.crash_and_restart().await;
    lane.at("east-2", Stage::OffloadRequested).await;
    let held = lane.fleet.until(&lane.running, "east-2", "it leaves", |o| held_by(o) == ["rollout"]).await;
    // Slow as this machine may be: that it waits for the reason too_early may be over before anybody looks.
    let (since_ms, early_ms) = (held["leases"][0]["since_ms"].as_u64().expect("a time"), 2 * weir_model::Profile::rehearsal().report_ms);
    assert!(since_ms >= before_ms + early_ms, "{} ms after its start", since_ms.saturating_sub(before_ms));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_offload_and_the_rollouts_go_side_by_side() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.running.post("/api/v1/devices/east-2/offload", json!({"why": "a new disk"})).await;
    lane.asks_to_leave("east-2", newer()).await;
    lane.fleet.until(&lane.running, "east-2", "both hold it", |o| held_by(o) == ["operator", "rollout"]).await;
    lane.at("east-2", Stage::Readmitting).await;
    lane.fleet.until(&lane.running, "east-2", "the operator's is left", |o| held_by(o) == ["operator"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_nearly_ends_is_renewed_and_an_orphan_is_ended() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.asks_to_leave("east-2", newer()).await;
    lane.fleet.until(&lane.running, "east-2", "it leaves", |o| held_by(o) == ["rollout"]).await;
    lane.at("east-2", Stage::Draining).await;
    let generation = lane.running.generation().await;
    let soon_ms = weir_clock::wall_ms() + 60_000;
    lane = lane.rewrite(&format!("UPDATE offload_lease SET expires_ms = {soon_ms}")).await;
    let renewed = |o: &Value| o["leases"][0]["expires_ms"].as_u64() > Some(soon_ms);
    lane.fleet.until(&lane.running, "east-2", "it is renewed", renewed).await;
    assert_eq!(lane.running.generation().await, generation, "no device need know");
    assert_eq!(lane.audited("east-2").await, ["token:tests assign", "manager offload"]);

    // The manager's memory of the assignment is lost, and the device is at rest.
    lane = lane.rewrite("DELETE FROM device_update").await;
    lane.fleet.member("east-2").says().state.assignment = None;
    let idle = Stage::Idle { reason: Some(UpdateReason::Cancelled) };
    lane.fleet.member("east-2").word = None;
    lane.at("east-2", idle).await;
    lane.fleet.until(&lane.running, "east-2", "nobody holds it", |o| held_by(o).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_needs_hands_stays_out_by_its_fault() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.asks_to_leave("east-2", newer()).await;
    lane.fleet.until(&lane.running, "east-2", "it leaves", |o| held_by(o) == ["rollout"]).await;
    let reason = UpdateReason::Crashed;
    let stuck = lane.at("east-2", Stage::NeedsHands { reason }).await;
    assert_eq!((&stuck["stage"], &stuck["reason"]["reason"]), (&json!("needs_hands"), &json!("crashed")));
    assert!(stuck["reason"]["next"].as_str().expect("text").contains("go to the box"));
    let held = lane.fleet.until(&lane.running, "east-2", "its fault holds it", |o| held_by(o) == ["fault"]).await;
    assert_eq!(held["leases"][0]["expires_ms"], Value::Null);
    let told = |word: &Value| word["order"]["assignment"]["stamp"].clone();
    let before = serde_json::to_value(&lane.fleet.member("east-2").word).expect("JSON");
    lane.assign("east-2", newer()).await;
    lane.until_told("east-2", "a newer assignment may lead out", |word| told(word) != told(&before)).await;
    lane.at("east-2", Stage::Fetching).await;
    lane.fleet.meanwhile(&lane.running, "east-2", Duration::from_secs(1), |o| held_by(o) == ["fault"]).await;
    lane.fleet.member("east-2").word = None;
    lane.at("east-2", Stage::Idle { reason: None }).await;
    lane.fleet.until(&lane.running, "east-2", "it was installed anew", |o| held_by(o).is_empty()).await;
}
