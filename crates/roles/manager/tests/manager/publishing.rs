//! What is published when a delivery service is bad, what needs a word, and what was done to one object.

use crate::harness::{Answer, Running, until};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use weir_device_api::{Condition, Report};
use weir_model::{AlarmReason, DeviceConfiguration, Role, Stamp};

const SERVICES: &str = "/api/v1/delivery-services";
const ZONES: &str = "/api/v1/coverage-zones";

fn service(name: &str, ttl: Option<u64>, engines: Option<&[&str]>) -> Value {
    json!({
        "name": name, "domain": format!("{name}.weir.test"), "origin": "http://192.0.2.1", "engines": engines,
        "caching": { "default_ttl_seconds": null, "max_ttl_seconds": ttl, "ignore_query": false, "store_set_cookie": false },
    })
}

fn zones(count: usize) -> Value {
    let zone = |n| json!({ "network": format!("10.{n}.0.0/16"), "locations": { "core": 1 } });
    json!({ "zones": (0..count).map(zone).collect::<Vec<_>>() })
}

impl Running {
    async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// What `config.db` is made to say behind the manager's back.
    fn rewrite(&self, sql: &str) {
        let config = rusqlite::Connection::open(self.dir.path().join("state/manager/config.db")).expect("config.db");
        config.execute_batch(sql).expect(sql);
    }

    async fn services_held(&self) -> Vec<String> {
        let alarms = self.get("/api/v1/alarms").await;
        let held = alarms["items"].as_array().expect("items").iter().filter(|a| a["reason"] == "SERVICE_HELD" && a["cleared_ms"].is_null());
        held.map(|alarm| alarm["object"].as_str().expect("text").to_owned()).collect()
    }
}

/// The hash that a refusal names.
fn asked(refused: &Answer) -> String {
    let detail = refused.json["detail"].as_str().expect("a sentence");
    detail.rsplit_once("confirm=").expect("a hash").1.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_went_bad_is_held_and_everything_else_goes_on() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    for name in ["demo", "films"] {
        running.post(SERVICES, service(name, Some(60), None)).await;
    }
    let document = async |running: &Running| -> DeviceConfiguration {
        engine.poll(running, Stamp::default(), 0).await.configuration.expect("newer than none")
    };
    let before = document(&running).await;
    running.rewrite("UPDATE delivery_service SET max_ttl_seconds = 99999999, origin = 'nowhere' WHERE name = 'demo'");
    let running = running.restart().await;
    let held = document(&running).await;
    assert_eq!((held.stamp, &held.services), (before.stamp, &before.services), "equal stamps are equal bytes");
    until("SERVICE_HELD", || async { running.services_held().await == ["demo"] }).await;

    running.put(&format!("{SERVICES}/films"), service("films", Some(120), None)).await.expect(200);
    let after = document(&running).await;
    assert_eq!(after.services[0], before.services[0]);
    assert_eq!(after.services[1].caching.max_ttl_seconds, Some(120), "another service is published on");

    assert_eq!(running.get(&format!("{SERVICES}/demo")).await["origin"], "http://192.0.2.1", "it is listed as it was last");
    running.put(&format!("{SERVICES}/demo"), service("demo", Some(60), None)).await.expect(200);
    until("it is mended", || async { running.services_held().await.is_empty() }).await;
    assert_eq!(document(&running).await.services[0], before.services[0]);
    let running = running.restart().await;
    assert_eq!(document(&running).await.services[0], before.services[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_service_can_be_deleted() {
    let running = Running::start().await;
    running.post(SERVICES, service("demo", None, None)).await;
    running.rewrite("DELETE FROM published_service; UPDATE delivery_service SET origin = 'nowhere'");
    let running = running.restart().await;
    let listed = running.get(SERVICES).await;
    assert_eq!(listed["items"], json!([]), "nothing of it can be shown");
    let taken = running.call(Method::POST, SERVICES, Some(service("demo", None, None))).await;
    assert_eq!(taken.refusal(), ("name_taken".to_owned(), Some("name".to_owned())));
    running.call(Method::DELETE, &format!("{SERVICES}/demo"), None).await.expect(204);
    running.post(SERVICES, service("demo", None, None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_much_away_needs_a_word() {
    let running = Running::start().await;
    running.two_locations().await;
    running.put(ZONES, zones(8)).await.expect(200);
    running.put(ZONES, zones(6)).await.expect(200);
    let generation = running.generation().await;
    let refused = running.put(ZONES, zones(4)).await;
    let hash = asked(&refused);
    assert_eq!(refused.refusal(), ("confirmation_needed".to_owned(), Some("confirm".to_owned())));
    assert_eq!(running.generation().await, generation, "nothing was written");
    let stale = running.put(&format!("{ZONES}?confirm={hash}"), zones(3)).await;
    assert_eq!(stale.refusal(), ("confirmation_stale".to_owned(), Some("confirm".to_owned())));
    let confirmed = running.put(&format!("{ZONES}?confirm={hash}"), zones(4)).await.expect(200);
    assert_eq!(confirmed["zones"].as_array().map(Vec::len), Some(4));

    // What brings much is no removal; taking that back is one.
    running.put(ZONES, zones(20)).await.expect(200);
    let newest = running.get("/api/v1/changesets?newest=1").await["items"][0]["rev"].as_u64().expect("number");
    let undo = format!("/api/v1/changesets/{newest}/undo");
    let refused = running.call(Method::POST, &undo, None).await;
    let hash = asked(&refused);
    assert_eq!(refused.refusal().0, "confirmation_needed");
    running.call(Method::POST, &format!("{undo}?confirm={hash}"), None).await.expect(200);
    assert_eq!(running.get(ZONES).await["zones"].as_array().map(Vec::len), Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_that_are_left_without_a_service_need_a_word() {
    let running = Running::start().await;
    running.two_locations().await;
    for name in ["core-1", "core-2", "core-3"] {
        running.device(name, Role::Engine, Some("core")).await;
    }
    running.post(SERVICES, service("demo", None, None)).await;
    let path = format!("{SERVICES}/demo");
    running.put(&path, service("demo", None, Some(&["core-1", "core-2"]))).await.expect(200);
    running.put(&path, service("demo", None, None)).await.expect(200);
    let narrow = service("demo", None, Some(&["core-1"]));
    let refused = running.put(&path, narrow.clone()).await;
    let hash = asked(&refused);
    assert!(refused.json["detail"].as_str().expect("a sentence").contains("2 of 3 engines in service (core-2, core-3)"));
    running.put(&format!("{path}?confirm={hash}"), narrow).await.expect(200);
}

/// Routers see only what is left, so they are told what somebody meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_say_which_engines_were_taken_out_on_purpose() {
    let running = Running::start().await;
    running.two_locations().await;
    let router = running.device("router-1", Role::Router, Some("core")).await;
    for name in ["core-1", "core-2", "core-3"] {
        running.device(name, Role::Engine, Some("core")).await;
    }
    let confirmed = async |running: &Running| {
        let document = router.poll(running, Stamp::default(), 0).await.configuration.expect("newer than none");
        (document.confirmed, document.stamp)
    };
    assert!(confirmed(&running).await.0.is_empty());
    running.post("/api/v1/devices/core-3/deactivate?override=true", json!({})).await;
    let (word, stamp) = confirmed(&running).await;
    assert_eq!(word.engines, BTreeMap::from([("core-3".parse().expect("name"), stamp)]));
    running.post("/api/v1/locations", json!({"name": "west", "parent": "core"})).await;
    let later = Stamp { generation: stamp.generation + 1, ..stamp };
    assert_eq!(confirmed(&running).await, (word.clone(), later), "a write that takes nothing is nobody's word");
    let running = running.restart().await;
    assert_eq!(confirmed(&running).await, (word, later));
    running.post("/api/v1/devices/core-3/activate", json!({"location": "core"})).await;
    assert!(confirmed(&running).await.0.is_empty(), "it serves again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_routers_hold_back_is_confirmed_by_its_location() {
    let running = Running::start().await;
    running.two_locations().await;
    let router = running.device("router-1", Role::Router, Some("core")).await;
    let path = |location: &str| format!("/api/v1/locations/{location}/confirm-removal");
    let unknown = running.call(Method::POST, &path("west"), None).await;
    assert_eq!(unknown.refusal().0, "not_found", "neither is it there nor does a router miss it");
    running.call(Method::POST, &path("core"), None).await.expect(200);

    // A restore has lost the location; the router has not.
    let stamp = router.follow(&running).await;
    let held_back = Condition { reason: AlarmReason::MassChange, object: "west".into(), text: "held back".into() };
    let report = Report { conditions: vec![held_back], ..router.report_of(stamp) };
    router.report(&running, &report).await.expect(200);
    let confirmed = running.call(Method::POST, &path("west"), None).await.expect(200);
    let document = router.poll(&running, stamp, 0).await.configuration.expect("a newer one");
    assert_eq!(confirmed, json!({"location": "west", "generation": document.stamp.generation}));
    assert_eq!(document.confirmed.locations.get("west"), Some(&document.stamp));
    let running = running.restart().await;
    let document = router.poll(&running, Stamp::default(), 0).await.configuration.expect("newer than none");
    assert_eq!(document.confirmed.locations.len(), 2);
}

/// After a promotion with a loss, or a restore.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_go_on_above_those_that_devices_know() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    let before = running.generation().await;
    let known = Stamp { term: 0, generation: before + 40 };
    for _ in 0..2 {
        engine.report(&running, &engine.report_of(known)).await.expect(200);
        assert_eq!(running.generation().await, before + 41, "once");
    }
    let document = engine.poll(&running, known, 0).await.configuration.expect("of a higher term");
    assert_eq!(document.stamp.generation, before + 41);
    engine.report(&running, &engine.report_of(Stamp { term: 0, generation: u64::MAX })).await.expect(200);
    assert_eq!(running.generation().await, before + 41, "nobody uses generations up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_object_has_its_history() {
    let running = Running::start().await;
    running.two_locations().await;
    running.post("/api/v1/locations", json!({"name": "east-2", "parent": "east"})).await;
    running.device("core-1", Role::Engine, Some("core")).await;
    running.post(SERVICES, service("demo", None, None)).await;
    for ttl in [1, 2, 3] {
        running.put(&format!("{SERVICES}/demo"), service("demo", Some(ttl), None)).await.expect(200);
    }
    running.put(ZONES, zones(1)).await.expect(200);
    let did = async |path: &str| -> Vec<String> {
        let page = running.get(path).await;
        page["items"].as_array().expect("items").iter().map(|c| c["did"][0].as_str().expect("text").to_owned()).collect()
    };
    let (change, create) = ("change delivery service demo", "create delivery service demo");
    assert_eq!(did(&format!("{SERVICES}/demo/history")).await, [change, change, change, create]);
    assert_eq!(did("/api/v1/locations/east/history").await, ["create location east"]);
    assert_eq!(did("/api/v1/devices/core-1/history").await, ["enrol device core-1"]);
    assert_eq!(did(&format!("{ZONES}/history")).await, ["change coverage zones"]);
    assert_eq!(did(&format!("{SERVICES}/nothing/history")).await, Vec::<String>::new());

    let first = running.get(&format!("{SERVICES}/demo/history?limit=3")).await;
    let next = first["next"].as_str().expect("more");
    assert_eq!(did(&format!("{SERVICES}/demo/history?limit=3&before={next}")).await, [create]);
    running.call(Method::DELETE, &format!("{SERVICES}/demo"), None).await.expect(204);
    assert_eq!(did(&format!("{SERVICES}/demo/history")).await[0], "delete delivery service demo", "it outlives the object");
}
