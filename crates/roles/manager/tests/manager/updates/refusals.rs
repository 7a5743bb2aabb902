//! What is not assigned, and why.

use super::{Lane, handed_over, newer};
use hyper::Method;
use serde_json::json;
use weir_rollout::update::{Stage, UpdateReason};

const NETWORK: [&str; 3] = ["core-1", "east-1", "router-1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_with_its_reason() {
    let mut lane = Lane::start_as(&NETWORK, false).await;
    let at = |field: &str| Some(field.to_owned());
    let draft = lane.running.register(json!({"file_name": "b.weir", "version": "1.2.0-b1"})).await;
    for (device, body, expected) in [
        ("nobody", newer(), ("not_found", None)),
        ("manager-1", newer(), ("pair_update_required", None)),
        ("manager-1", json!({}), ("pair_update_required", None)),
        ("east-1", json!({}), ("missing_field", at("version"))),
        ("east-1", json!({"version": "1.1.0-b1", "file": lane.file}), ("invalid_field", at("file"))),
        ("east-1", json!({"version": "one"}), ("invalid_field", at("version"))),
        ("east-1", json!({"version": "9.9.9-b1"}), ("no_such_release", at("version"))),
        ("east-1", json!({"version": "1.2.0-b1"}), ("no_such_release", at("version"))),
        ("east-1", json!({"file": 77}), ("no_such_release", at("file"))),
        ("east-1", json!({"file": draft}), ("software_state", at("file"))),
        ("east-1", json!({"version": "1.1.0-b1", "reload": true}), ("unknown_field", at("reload"))),
    ] {
        let (reason, field) = lane.try_assign(device, body.clone()).await.refusal();
        assert_eq!((reason.as_str(), field), expected, "{device} {body}");
        if device == "east-1" && body.get("reload").is_none() {
            let query: Vec<String> = body.as_object().expect("object").iter().map(|(k, v)| format!("{k}={v}").replace('"', "")).collect();
            let preview = lane.running.get(&format!("/api/v1/devices/{device}/update/preview?{}", query.join("&"))).await;
            assert_eq!(preview["refused"]["reason"], expected.0, "{body}");
            assert_eq!(preview["steps"], json!([]));
        }
    }
    for verb in ["reload", "cancel", "clear-burned"] {
        assert_eq!(lane.verb("east-1", verb).await.refusal().0, "no_update", "{verb}");
        assert_eq!(lane.verb("nobody", verb).await.refusal().0, "not_found", "{verb}");
    }
    assert_eq!(lane.audited("east-1").await, [""; 0]);
    assert_eq!(lane.running.call(Method::GET, "/api/v1/devices/nobody/update", None).await.refusal().0, "not_found");
    let second = lane.running.upload(None, lane.archive.clone()).await;
    assert_eq!(second["state"], "ready");
    let two = lane.try_assign("east-1", newer()).await;
    assert!(two.json["detail"].as_str().expect("text").contains(&format!("{} have 1.1.0-b1", second["id"])), "{}", two.json);
    assert_eq!(two.refusal().0, "no_such_release");
    lane.assign("east-1", json!({"file": lane.file})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_versions_is_kept() {
    // The versions are told from line 1.0.
    if cfg!(feature = "synthetic-next") {
        return;
    }
    let mut lane = Lane::start_as(&NETWORK, false).await;
    let publish = async |lane: &Lane, version: &str| {
        let archive = lane.publisher.build(version);
        let file = lane.running.upload(Some(version), archive).await;
        assert_eq!(file["state"], "ready", "{file:#}");
    };
    publish(&lane, "1.2.0-b1").await;
    publish(&lane, "1.0.0-a9").await;
    let far = lane.try_assign("east-1", json!({"version": "1.2.0-b1"})).await;
    assert!(far.json["next"].as_str().expect("text").contains("line 1.1 first"), "{}", far.json);
    assert_eq!(far.refusal().0, "order_refused");
    let below = lane.try_assign("east-1", json!({"version": "1.0.0-a9"})).await;
    assert!(below.json["detail"].as_str().expect("text").contains("older than the primary"), "{}", below.json);
    lane.fleet.member("east-1").version = "1.1.0-b1".to_owned();
    lane.fleet.beat(&lane.running).await;
    let apart = lane.try_assign("east-1", json!({"version": "1.2.0-b1"})).await;
    assert!(apart.json["detail"].as_str().expect("text").contains("runs 1.0.0-b1, which is more than one line"), "{}", apart.json);
    let preview = lane.running.get("/api/v1/devices/east-1/update/preview?version=1.2.0-b1").await;
    assert_eq!((&preview["refused"]["reason"], &preview["direction"]), (&json!("order_refused"), &json!("upgrade")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fell_back_is_not_tried_again_until_it_is_cleared() {
    let mut lane = Lane::start_as(&NETWORK, false).await;
    lane.assign("east-1", handed_over()).await;
    let manifest = lane.fleet.member("east-1").word.clone().expect("word").order.expect("order").assignment.manifest;
    lane.fleet.member("east-1").says().state.burned.push(manifest.clone());
    let reason = UpdateReason::Crashed;
    let failed = lane.at("east-1", Stage::Failed { reason }).await;
    assert_eq!((&failed["status"], &failed["successful"]), (&json!("Update Failed (crashed)"), &json!(false)));
    assert_eq!(failed["burned"], json!([format!("1.1.0-b1 {manifest}")]));
    assert_eq!(lane.try_assign("east-1", newer()).await.refusal().0, "digest_burned");
    lane.verb("east-1", "clear-burned").await.expect(200);
    lane.until_told("east-1", "it may be tried again", |word| word["unburn"] == json!([manifest])).await;
    lane.verb("east-1", "clear-burned").await.expect(200);
    lane.assign("east-1", newer()).await;
    lane.fleet.member("east-1").says().state.burned.clear();
    lane.until_told("east-1", "it is not said for ever", |word| word["unburn"] == json!([])).await;
    let expected = ["token:tests assign", "manager update_failed", "token:tests clear_burned", "token:tests assign"];
    assert_eq!(lane.audited("east-1").await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_point_of_no_return_nothing_else_is_assigned() {
    let mut lane = Lane::start_as(&NETWORK, false).await;
    lane.assign("east-1", handed_over()).await;
    let file = format!("/api/v1/software-files/{}?override=true", lane.file);
    let kept = lane.running.call(Method::DELETE, &file, None).await;
    assert!(kept.json["next"].as_str().expect("text").contains("weir upgrade cancel east-1"), "{}", kept.json);
    assert_eq!(kept.refusal().0, "software_in_use");
    let reason = UpdateReason::Crashed;
    for stage in [Stage::Switching, Stage::Proving, Stage::Committed, Stage::RollingBack { reason, failures: 0 }] {
        lane.at("east-1", stage).await;
        assert_eq!(lane.try_assign("east-1", newer()).await.refusal().0, "update_under_way", "{stage:?}");
        assert_eq!(lane.verb("east-1", "cancel").await.refusal().0, "update_under_way", "{stage:?}");
        assert_eq!(lane.verb("east-1", "reload").await.refusal().0, "no_update", "{stage:?}");
    }
    lane.at("east-1", Stage::Failed { reason }).await;
    lane.until("east-1", "it is over", |u| u["at_rest"] == true).await;
    let path = format!("/api/v1/software-files/{}?override=true", lane.file);
    super::super::harness::until("its software file may go", || async {
        lane.running.call(Method::DELETE, &path, None).await.status == 204
    })
    .await;
    assert_eq!(lane.shown("east-1").await["assigned"]["version"], "1.1.0-b1", "what was assigned is remembered");
    lane.running.call(Method::DELETE, "/api/v1/devices/east-1?override=true", None).await.expect(204);
    assert_eq!(lane.running.get("/api/v1/updates").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_outside_its_location_gets_nothing_through_engines_alone() {
    let mut lane = Lane::start(&["core-1", "core-2", "east-1", "router-1"]).await;
    lane.running.post("/api/v1/devices/core-2/deactivate", json!({})).await;
    lane.assign("core-2", newer()).await;
    lane.verb("core-2", "cancel").await.expect(200);
    let (file, manifest) = (lane.file, format!("UPDATE software_file SET method = 'prepositioned_only' WHERE id = {}", lane.file));
    lane = lane.rewrite(&manifest).await;
    let refused = lane.try_assign("core-2", json!({"file": file})).await;
    assert!(refused.json["next"].as_str().expect("text").contains("activate core-2"), "{}", refused.json);
    assert_eq!(refused.refusal().0, "not_active");
    lane.assign("east-1", json!({"file": file})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_a_device_has_heard_is_not_given_again() {
    let mut lane = Lane::start_as(&NETWORK, false).await;
    lane.assign("east-1", handed_over()).await;
    lane.at("east-1", Stage::Failed { reason: UpdateReason::Crashed }).await;
    lane.until("east-1", "it is over", |u| u["at_rest"] == true).await;
    let heard =
        |lane: &mut Lane, number| lane.fleet.member("east-1").says().state.assignment.as_mut().expect("told").stamp.generation = number;
    heard(&mut lane, 41);
    lane.fleet.beat(&lane.running).await;
    assert_eq!(lane.assign("router-1", newer()).await["assigned"]["number"], 42, "of a database made anew");
    heard(&mut lane, u64::MAX);
    lane.fleet.beat(&lane.running).await;
    assert_eq!(lane.assign("core-1", newer()).await["assigned"]["number"], 43, "nobody has given that");
}
