//! Copies in engines: asked for until every engine that is online holds one; what is for copies alone is ready then.

use super::{Publisher, pinned, standing};
use crate::{
    fleet::Fleet,
    harness::{Running, until},
};
use hyper::Method;
use serde_json::{Value, json};
use weir_device_api::{Answer, Ask, paths};
use weir_model::delivery;

/// The next question to an engine that asks for a copy.
async fn asked(running: &Running, fleet: &Fleet, engine: &str) -> (u64, String) {
    let member = fleet.member_ref(engine);
    let deadline = weir_clock::monotonic() + crate::harness::DEADLINE;
    loop {
        for question in member.device.poll(running, member.stamp(), 500).await.questions {
            if let Ask::Hold { path } = question.ask {
                return (question.id, path);
            }
        }
        assert!(weir_clock::monotonic() < deadline, "nobody asks {engine} for a copy");
    }
}

async fn answer(running: &Running, fleet: &Fleet, engine: &str, answer: Answer) -> String {
    let (id, path) = asked(running, fleet, engine).await;
    let body = serde_json::to_value(answer).expect("JSON");
    fleet.member_ref(engine).device.call(running, Method::POST, &format!("{}/{id}", paths::ANSWERS), Some(body)).await.expect(204);
    path
}

fn detail(file: &Value) -> &str {
    file["reason"]["detail"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_copies_alone_it_is_ready_with_the_last_one() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    let id = running.register(json!({"file_name": "a.weir", "method": "prepositioned_only"})).await;
    let path = format!("{}/{id}/archive", super::FILES);
    running.put_bytes(&path, "application/octet-stream", archive.clone()).await.expect(200);
    let file = running.checked(id).await;
    assert_eq!(standing(&file), ("verified", Some("not_prepositioned")));
    assert!(detail(&file).contains("no engine is online"), "{file:#}");
    assert_eq!(running.get("/api/v1/software-choices").await["choices"][0]["selectable"], false);

    let mut fleet = Fleet::enrolled(&running, &["core-1", "east-1", "router-1"]).await;
    until("copies are being made", || async { running.file(id).await["state"] == "prepositioning" }).await;
    let bytes = archive.len() as u64;
    let wanted = answer(&running, &fleet, "core-1", Answer::Held { bytes: bytes - 1 }).await;
    assert_eq!(wanted, delivery::archive_path(&weir_slots::digest_of_bytes(&archive).to_string()));
    answer(&running, &fleet, "core-1", Answer::Held { bytes }).await;
    answer(&running, &fleet, "east-1", Answer::Refused { reason: "the store does not take it".to_owned() }).await;
    fleet
        .until_of(&running, "why not is said", &format!("{}/{id}", super::FILES), |file| {
            detail(file) == "1 of 2 engines that are online hold it; east-1: the store does not take it"
        })
        .await;
    fleet.member("east-1").silent = true;
    let ready = |file: &Value| file["state"] == "ready";
    fleet.until_of(&running, "who is not online is not waited for", &format!("{}/{id}", super::FILES), ready).await;
    assert_eq!(running.file(id).await["reason"], Value::Null);
    let audit = running.get("/api/v1/audit").await;
    let rows = audit["items"].as_array().expect("items").iter().filter(|entry| entry["verb"] == "preposition");
    assert_eq!(rows.map(|entry| entry["after"]["state"].clone()).collect::<Vec<_>>(), [json!("prepositioning"), json!("ready")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_file_is_ready_at_once_and_copied_where_another_version_runs() {
    let publisher = Publisher::new();
    let running = pinned(&publisher).await;
    let mut fleet = Fleet::enrolled(&running, &["core-1", "router-1"]).await;
    for (version, runs) in [("1.1.0-b1", "1.1.0-b1"), ("1.1.1-b1", "1.1.0-b1")] {
        for name in ["core-1", "router-1"] {
            fleet.member(name).version = runs.to_owned();
        }
        fleet.beat(&running).await;
        let archive = publisher.build(version);
        let file = running.upload(Some(version), archive.clone()).await;
        assert_eq!(standing(&file), ("ready", None), "{version}");
        if version == runs {
            let member = fleet.member_ref("core-1");
            assert_eq!(member.device.poll(&running, member.stamp(), 1_500).await.questions, [], "nobody needs a copy of what all run");
        } else {
            let wanted = answer(&running, &fleet, "core-1", Answer::Held { bytes: archive.len() as u64 }).await;
            assert_eq!(wanted, delivery::archive_path(&weir_slots::digest_of_bytes(&archive).to_string()));
        }
    }
}
