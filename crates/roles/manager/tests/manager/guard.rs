//! The capacity guard where a device leaves its location: moved, without weight, deactivated, deleted.

use crate::{
    browser::Browser,
    fleet::Fleet,
    harness::{Answer, Running},
};
use hyper::Method;
use serde_json::{Value, json};
use weir_model::Role;

const NETWORK: [&str; 5] = ["core-1", "core-2", "east-1", "east-2", "router-1"];

async fn post(running: &Running, device: &str, verb: &str, body: Option<Value>) -> Answer {
    running.call(Method::POST, &format!("/api/v1/devices/{device}/{verb}"), body).await
}

async fn delete(running: &Running, device: &str) -> Answer {
    running.call(Method::DELETE, &format!("/api/v1/devices/{device}"), None).await
}

async fn offload(running: &Running, fleet: &mut Fleet, device: &str) {
    post(running, device, "offload", Some(json!({"why": "a new disk"}))).await.expect(200);
    fleet.beat(running).await;
}

/// Each way of taking an engine from the viewers of its location, tried without an override.
async fn ways_out(running: &Running, device: &str) -> [(&'static str, Answer); 4] {
    let (moved, idle) = (json!({"location": "core"}), json!({"location": "east", "weight": 0}));
    [
        ("moved", post(running, device, "activate", Some(moved)).await),
        ("without weight", post(running, device, "activate", Some(idle)).await),
        ("deactivated", post(running, device, "deactivate", None).await),
        ("deleted", delete(running, device).await),
    ]
}

/// What the newest audit row of a device says of an override.
async fn overridden(running: &Running, device: &str) -> Value {
    let entries = running.get("/api/v1/audit").await["items"].as_array().expect("items").clone();
    let about = |e: &&Value| e["object"] == format!("device {device}");
    entries.iter().filter(about).max_by_key(|e| e["id"].as_i64()).expect("audited")["after"]["overridden"].clone()
}

#[tokio::test]
async fn no_way_out_of_a_location_goes_around_the_floors() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    offload(&running, &mut fleet, "east-1").await;
    let generation = running.generation().await;
    for (way, refused) in ways_out(&running, "east-2").await {
        let detail = refused.json["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("2 of 2 engines of location east would be out"), "{way}: {}", refused.json);
        assert!(refused.json["next"].as_str().expect("text").contains("--override"), "{}", refused.json);
        assert_eq!(refused.refusal(), ("offload_guard".to_owned(), None), "{way}");
    }
    let activate = async |body: Value| post(&running, "east-2", "activate", Some(body)).await;
    assert_eq!(running.generation().await, generation);
    activate(json!({"location": "east", "weight": 1})).await.expect(200);

    // What Server Offload has taken out has left already; then the other one is the last.
    post(&running, "east-1", "deactivate", None).await.expect(200);
    for (way, refused) in ways_out(&running, "east-2").await {
        let detail = refused.json["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("east-2 is the last engine in service of delivery service demo in location east"), "{way}: {detail}");
    }
    activate(json!({"location": "east", "weight": 0, "override": true})).await.expect(200);
    assert!(overridden(&running, "east-2").await.to_string().contains("last engine in service"));
    post(&running, "east-2", "deactivate", None).await.expect(200);
    assert_eq!(overridden(&running, "east-2").await, Value::Null, "without weight it carried nothing: nothing was overridden");
}

#[tokio::test]
async fn an_override_deactivates_and_deletes() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "router-1", "router-2"]).await;
    post(&running, "east-1", "deactivate?override=true", None).await.expect(200);
    assert!(overridden(&running, "east-1").await.to_string().contains("in location east"));
    post(&running, "core-1", "deactivate?overrides=true", None).await.refusal();
    offload(&running, &mut fleet, "router-1").await;
    assert_eq!(delete(&running, "router-2").await.refusal().0, "offload_guard");
    delete(&running, "router-2?override=true").await.expect(204);
    assert!(overridden(&running, "router-2").await.to_string().contains("2 routers of location core would be out"));
}

#[tokio::test]
async fn who_carries_nothing_and_who_never_did_is_missed_by_nobody() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "east-2", "east-3", "router-1"]).await;
    post(&running, "east-3", "activate", Some(json!({"location": "east", "weight": 0}))).await.expect(200);
    fleet.beat(&running).await;
    // Were the spare one that is out, two of three would be.
    offload(&running, &mut fleet, "east-1").await;
    let preview = running.get("/api/v1/devices/east-2/offload/preview").await;
    assert!(preview["breaks"].to_string().contains("last engine in service"), "a spare serves nobody: {preview}");
    running.post("/api/v1/locations", json!({"name": "west"})).await;
    running.device("west-1", Role::Engine, Some("west")).await;
    delete(&running, "west-1").await.expect(204);
    delete(&running, "east-3").await.expect(204);
}

#[tokio::test]
async fn a_peer_that_is_out_is_no_way_to_fill() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    offload(&running, &mut fleet, "core-2").await;
    assert_eq!(delete(&running, "core-1?override=true").await.refusal().0, "sole_root_engine");
    post(&running, "core-2", "unoffload", Some(json!({"why": "done"}))).await.expect(200);
    fleet.beat(&running).await;
    post(&running, "core-2", "activate", Some(json!({"location": "core", "weight": 0}))).await.expect(200);
    let idle = json!({"location": "core", "weight": 0, "override": true});
    assert_eq!(post(&running, "core-1", "activate", Some(idle)).await.refusal().0, "sole_root_engine");
    post(&running, "core-1", "offload", Some(json!({"why": "a new disk", "override": true}))).await.expect(200);
    delete(&running, "core-2").await.expect(204);
}

#[tokio::test]
async fn right_after_a_start_nothing_leaves_without_an_override() {
    let running = Running::start().await;
    let _fleet = Fleet::start(&running, &NETWORK).await;
    let running = running.restart().await;
    let refused = delete(&running, "east-2").await;
    // A machine that takes two seconds for one request proves nothing here.
    if running.get("/api/v1/status").await["uptime_ms"].as_u64().expect("number") < 2_000 {
        assert_eq!(refused.refusal().0, "too_early");
        delete(&running, "east-2?override=true").await.expect(204);
    }
}

#[tokio::test]
async fn the_pages_show_the_override_when_the_guard_refuses() {
    let running = Running::start().await;
    let _fleet = Fleet::start(&running, &["core-1", "east-1", "router-1"]).await;
    let mut browser = Browser::signed_in(&running).await;
    let path = "/devices/east-1/activation";
    let page = browser.get(path).await;
    let box_of = |text: &str, verb: &str| text.contains(&format!("<span>{verb} although it breaks a floor"));
    assert!(!box_of(page.page(200), "Deactivate") && !box_of(&page.text, "Save"));
    let seen = browser.submit(path, &page, &[("location", "east"), ("weight", "0"), ("capacity_mbps", "")]).await;
    assert!(box_of(seen.page(409), "Save") && !box_of(&seen.text, "Deactivate"), "{}", seen.text);
    assert!(seen.text.contains("last engine in service") && seen.text.contains("value=\"0\""), "{}", seen.text);
    let seen = browser.submit("/devices/east-1/deactivate", &page, &[]).await;
    assert!(box_of(seen.page(409), "Deactivate") && !box_of(&seen.text, "Save"), "{}", seen.text);
    let seen = browser.submit("/devices/east-1/delete", &page, &[("name", "east-1")]).await;
    assert!(box_of(seen.page(409), "Delete"), "{}", seen.text);
    assert_eq!(browser.submit("/devices/east-1/deactivate", &page, &[("override", "on")]).await.location(), path);
    assert_eq!(running.status_of("east-1").await, "inactive");
}
