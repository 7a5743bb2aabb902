//! From the assignment to done, and what is seen on the way.

use super::{Lane, handed_over, newer};
use crate::harness::{DEADLINE, Running, TestDevice};
use serde_json::{Value, json};
use weir_device_api::UpdateWord;
use weir_model::Stamp;
use weir_rollout::update::Stage;

const NETWORK: [&str; 5] = ["core-1", "core-2", "east-1", "east-2", "router-1"];

fn status(update: &Value) -> (&str, &str) {
    (update["stage"].as_str().expect("stage"), update["status"].as_str().expect("status"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_is_drained_switched_proven_and_done() {
    let mut lane = Lane::start(&NETWORK).await;
    let generation = lane.running.generation().await;
    assert_eq!(lane.running.get("/api/v1/updates").await["items"], json!([]));
    assert_eq!(status(&lane.shown("east-2").await), ("idle", "Idle"));

    let assigned = lane.try_assign("east-2", newer()).await.expect(200);
    assert_eq!((status(&assigned), &assigned["waiting"]["reason"]), (("pending", "Pending"), &json!("not_acknowledged")));
    let told = &assigned["assigned"];
    assert_eq!((&told["number"], &told["version"], &told["leave"]), (&json!(1), &json!("1.1.0-b1"), &json!("drained")));
    assert_eq!((&told["by"], &told["file"], &told["auto_reload"]), (&json!("token:tests"), &json!(lane.file), &json!(true)));
    assert_eq!(lane.running.generation().await, generation, "an assignment is no configuration");

    lane.fleet.beat(&lane.running).await;
    let word = lane.fleet.member("east-2").word.clone().expect("told");
    let order = word.order.expect("an order");
    let archive = order.archive.expect("where the archive is");
    assert_eq!((archive.bytes, archive.direct, order.assignment.stamp.generation), (lane.archive.len() as u64, None, 1));
    assert_eq!(lane.fleet.member("east-1").word, None, "nobody else is told anything");

    lane.fleet.member("east-2").at(Stage::Fetching);
    let says = lane.fleet.member("east-2").says();
    (says.fetched_bytes, says.archive_bytes, says.from) = (Some(40), Some(100), Some("core-1".to_owned()));
    lane.fleet.beat(&lane.running).await;
    let fetching = lane.shown("east-2").await;
    assert_eq!(status(&fetching), ("fetching", "Downloading 40 %"));
    assert_eq!((&fetching["fetch"]["from"], &fetching["waiting"]), (&json!("core-1"), &Value::Null));

    lane.fleet.member("east-2").sessions = 2;
    lane.at("east-2", Stage::OffloadRequested).await;
    lane.until("east-2", "the offload is granted", |u| u["waiting"]["reason"] != "guard" && u["status"] == "Offloading 2 sessions").await;
    lane.fleet.until(&lane.running, "east-2", "the rollout holds it", |o| o["leases"][0]["owner"] == "rollout").await;
    let offload = lane.running.get("/api/v1/devices/east-2/offload").await;
    let lease = &offload["leases"][0];
    assert_eq!((&lease["why"], &lease["by"]), (&json!("update to 1.1.0-b1"), &json!("manager")));
    assert!(lease["expires_ms"].as_u64().is_some());
    let draining = lane.at("east-2", Stage::Draining).await;
    assert_eq!((&draining["waiting"]["reason"], draining["stage"].as_str()), (&json!("drain"), Some("draining")));
    assert!(lane.fleet.member("east-2").word.as_ref().is_some_and(|w| !w.order.as_ref().expect("order").drained));
    lane.fleet.member("east-2").sessions = 0;
    lane.until_told("east-2", "it is drained", |word| word["order"]["drained"] == true).await;
    assert_eq!(lane.fleet.member("east-2").word.clone().expect("word").order.expect("order").archive, None, "it has the image");

    assert_eq!(status(&lane.at("east-2", Stage::Switching).await), ("switching", "Switching"));
    lane.fleet.member("east-2").runs_new();
    assert_eq!(status(&lane.at("east-2", Stage::Trial).await), ("trial", "On trial"));
    assert_eq!(lane.leases("east-2").await, ["rollout"]);
    lane.at("east-2", Stage::Readmitting).await;
    lane.fleet.until(&lane.running, "east-2", "it is back in service", |o| o["leases"] == json!([])).await;
    lane.at("east-2", Stage::Proving).await;
    let done = lane.at("east-2", Stage::Done).await;
    assert_eq!((status(&done), &done["successful"], &done["at_rest"]), (("done", "Update Successful"), &json!(true), &json!(true)));
    assert_eq!((&done["running"], &done["waiting"], &done["reason"]), (&json!("1.1.0-b1"), &Value::Null, &Value::Null));
    let expected = ["token:tests assign", "manager offload", "manager drain", "manager unoffload", "manager update_successful"];
    lane.until("east-2", "nothing more comes", |u| u["successful"] == true).await;
    assert_eq!(lane.audited("east-2").await, expected);
    assert_eq!(lane.running.get("/api/v1/updates").await["items"], json!([lane.shown("east-2").await]));
    lane.fleet.beat(&lane.running).await;
    assert_eq!(lane.audited("east-2").await, expected, "the outcome is noted once");
    assert_eq!(lane.alarms().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_is_handed_over_and_needs_no_offload() {
    let mut lane = Lane::start(&NETWORK).await;
    let generation = lane.running.generation().await;
    let assigned = lane.assign("router-1", newer()).await;
    assert_eq!(assigned["assigned"]["leave"], "handed_over");
    lane.at("router-1", Stage::Switching).await;
    lane.fleet.member("router-1").runs_new();
    lane.at("router-1", Stage::Proving).await;
    lane.at("router-1", Stage::Done).await;
    lane.until("router-1", "it is done", |u| u["successful"] == true).await;
    assert_eq!(lane.running.generation().await, generation, "no lease was taken");
    assert_eq!(lane.audited("router-1").await, ["token:tests assign", "manager update_successful"]);
}

/// The next word a device is told; a question to it, such as whether it holds an archive, ends a poll too.
async fn next_word(device: &TestDevice, running: &Running, known: Stamp, revision: u64) -> UpdateWord {
    let deadline = weir_clock::monotonic() + DEADLINE;
    loop {
        let poll = device.poll_knowing(running, known, revision, 10_000).await;
        if let Some(word) = poll.update {
            return word;
        }
        assert!(weir_clock::monotonic() < deadline, "no other word: {poll:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_wakes_for_each_new_word() {
    let mut lane = Lane::start(&NETWORK).await;
    let knows = |lane: &mut Lane| (lane.fleet.member("east-2").stamp(), lane.fleet.member("east-2").revision());
    let started = weir_clock::monotonic();
    let (stamp, revision) = knows(&mut lane);
    let assign = lane.try_assign("east-2", json!({"version": "1.1.0-b1", "hand_over": true, "auto_reload": false}));
    let device = &lane.fleet.member_ref("east-2").device;
    let (word, assigned) = tokio::join!(next_word(device, &lane.running, stamp, revision), assign);
    assigned.expect(200);
    lane.fleet.member("east-2").word = Some(word);
    lane.at("east-2", Stage::Staged).await;
    lane.until_told("east-2", "the archive is not wanted any more", |word| word["order"]["archive"].is_null()).await;
    for verb in ["reload", "cancel"] {
        let (stamp, revision) = knows(&mut lane);
        let device = &lane.fleet.member_ref("east-2").device;
        let (word, said) = tokio::join!(next_word(device, &lane.running, stamp, revision), lane.verb("east-2", verb));
        said.expect(200);
        let order = word.order.as_ref().expect("order");
        assert_eq!((order.reload, order.cancelled), (true, verb == "cancel"));
        lane.fleet.member("east-2").word = Some(word);
    }
    assert!(started.elapsed() < DEADLINE / 2, "each word woke its poll");
    let (stamp, revision) = knows(&mut lane);
    let device = &lane.fleet.member_ref("east-2").device;
    assert_eq!(device.poll_knowing(&lane.running, stamp, revision, 50).await.update, None, "and nothing else does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_auto_reload_it_rests_at_staged() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.assign("east-2", json!({"version": "1.1.0-b1", "auto_reload": false})).await;
    let staged = lane.at("east-2", Stage::Staged).await;
    assert_eq!(status(&staged), ("staged", "Staged (Reload Needed)"));
    assert_eq!(staged["waiting"]["reason"], "reload_needed");
    lane.verb("east-2", "reload").await.expect(200);
    lane.until_told("east-2", "it is told to switch", |word| word["order"]["reload"] == true).await;
    assert_eq!((status(&lane.shown("east-2").await), &lane.shown("east-2").await["waiting"]), (("staged", "Staged"), &Value::Null));
    assert_eq!(lane.audited("east-2").await, ["token:tests assign", "token:tests reload"]);
    lane.verb("east-2", "reload").await.expect(200);
    assert_eq!(lane.audited("east-2").await.len(), 2, "asked again, nothing changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_update_gives_its_offload_back() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.asks_to_leave("east-2", newer()).await;
    lane.fleet.until(&lane.running, "east-2", "the rollout holds it", |o| o["leases"][0]["owner"] == "rollout").await;
    lane.at("east-2", Stage::Draining).await;
    lane.verb("east-2", "cancel").await.expect(200);
    lane.until_told("east-2", "it is told", |word| word["order"]["cancelled"] == true).await;
    assert_eq!(lane.leases("east-2").await, ["rollout"], "until the device lets go of it");
    let reason = weir_rollout::update::UpdateReason::Cancelled;
    assert_eq!(status(&lane.at("east-2", Stage::Releasing { reason }).await), ("releasing", "Cancelled"));
    lane.fleet.until(&lane.running, "east-2", "it is back in service", |o| o["leases"] == json!([])).await;
    let over = lane.at("east-2", Stage::Idle { reason: Some(reason) }).await;
    assert_eq!(
        (status(&over), &over["successful"], &over["reason"]["reason"]),
        (("idle", "Cancelled"), &json!(false), &json!("cancelled"))
    );
    lane.until("east-2", "it is over", |u| u["at_rest"] == true).await;
    let expected = ["token:tests assign", "manager offload", "token:tests cancel", "manager unoffload", "manager update_failed"];
    assert_eq!(lane.audited("east-2").await, expected);
    assert_eq!(lane.alarms().await, [], "nobody is alarmed of what an operator wanted");
    lane.assign("east-2", newer()).await;
    assert_eq!(lane.shown("east-2").await["assigned"]["number"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_never_taken_up_is_cancelled_at_once() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.fleet.member("east-2").silent = true;
    lane.assign("east-2", newer()).await;
    let cancelled = lane.verb("east-2", "cancel").await.expect(200);
    assert_eq!((status(&cancelled), &cancelled["at_rest"], &cancelled["successful"]), (("idle", "Cancelled"), &json!(true), &json!(false)));
    assert_eq!(lane.verb("east-2", "cancel").await.refusal().0, "no_update");
    lane.fleet.member("east-2").silent = false;
    lane.fleet.beat(&lane.running).await;
    assert!(lane.fleet.member("east-2").word.clone().expect("word").order.expect("order").cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_assignment_takes_the_place_of_an_older_one() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.asks_to_leave("east-2", newer()).await;
    lane.fleet.until(&lane.running, "east-2", "the rollout holds it", |o| o["leases"][0]["owner"] == "rollout").await;
    let again = lane.assign("east-2", newer()).await;
    assert_eq!(again["assigned"]["number"], 1, "the same while it is under way");
    let told = lane.fleet.member("east-2").update.clone();
    lane.try_assign("east-2", handed_over()).await.expect(200);
    lane.fleet.beat(&lane.running).await;
    assert_eq!(lane.fleet.member("east-2").update, told, "it still says how far the older one is");
    let shown = lane.shown("east-2").await;
    assert_eq!((&shown["assigned"]["number"], &shown["stage"]), (&json!(2), &json!("pending")));
    let reason = weir_rollout::update::UpdateReason::Superseded;
    let old = lane.fleet.member("east-2").says().state.assignment.clone();
    lane.fleet.member("east-2").at(Stage::Releasing { reason });
    lane.fleet.member("east-2").says().state.assignment = old;
    lane.fleet.until(&lane.running, "east-2", "the older one's lease ends", |o| o["leases"] == json!([])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_falls_silent_is_lost_until_it_is_back() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.assign("east-2", handed_over()).await;
    lane.at("east-2", Stage::Fetching).await;
    lane.fleet.member("east-2").silent = true;
    lane.until("east-2", "it does not report", |u| u["waiting"]["reason"] == "offline" && u["stage"] == "fetching").await;
    // The rehearsal profile takes a device for lost after ten seconds.
    lane.until("east-2", "it is lost", |u| u["stage"] == "lost" && u["status"] == "Lost").await;
    lane.fleet.member("east-2").silent = false;
    lane.until("east-2", "it is back", |u| u["stage"] == "fetching").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_outside_its_location_needs_no_offload() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.running.post("/api/v1/devices/core-2/deactivate", json!({})).await;
    lane.asks_to_leave("core-2", newer()).await;
    lane.until_told("core-2", "nobody is on it", |word| word["order"]["drained"] == true).await;
    assert_eq!(lane.leases("core-2").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_one_that_is_cancelled_is_over_when_the_older_one_is() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.assign("east-2", newer()).await;
    lane.at("east-2", Stage::Fetching).await;
    lane.try_assign("east-2", handed_over()).await.expect(200);
    let older = lane.fleet.member("east-2").says().state.assignment.clone();
    let cancelled = lane.verb("east-2", "cancel").await.expect(200);
    assert_eq!((&cancelled["stage"], &cancelled["at_rest"]), (&json!("pending"), &json!(false)), "the older one still runs");
    let reason = weir_rollout::update::UpdateReason::Cancelled;
    lane.fleet.member("east-2").at(Stage::Idle { reason: Some(reason) });
    lane.fleet.member("east-2").says().state.assignment = older;
    lane.until("east-2", "both are over", |u| u["stage"] == "idle" && u["at_rest"] == true && u["status"] == "Cancelled").await;
    let expected = ["token:tests assign", "token:tests assign", "token:tests cancel", "manager update_failed"];
    assert_eq!(lane.audited("east-2").await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_the_operator_holds_too_is_freed() {
    let mut lane = Lane::start(&NETWORK).await;
    lane.asks_to_leave("east-2", newer()).await;
    lane.fleet.until(&lane.running, "east-2", "the rollout holds it", |o| o["leases"][0]["owner"] == "rollout").await;
    lane.running.post("/api/v1/devices/east-2/offload", json!({"why": "bad disk"})).await;
    lane.at("east-2", Stage::Draining).await;
    lane.until_told("east-2", "it is drained, and still held", |w| w["order"]["drained"] == true && w["freed"] == false).await;
    lane.at("east-2", Stage::Readmitting).await;
    lane.until_told("east-2", "the rollout holds it no longer", |word| word["freed"] == true).await;
    assert_eq!(lane.leases("east-2").await, ["operator"]);
}
