//! What lasts: restarts, crashes, lost state, the audit.

use crate::harness::Running;
use hyper::Method;
use serde_json::{Value, json};
use weir_model::Role;

async fn furnish(running: &Running) {
    running.two_locations().await;
    running.device("router-1", Role::Router, Some("core")).await;
    running.device("core-1", Role::Engine, Some("core")).await;
    running.device("east-1", Role::Engine, Some("east")).await;
    running.post("/api/v1/delivery-services", json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://192.0.2.1"})).await;
    let zones = json!({"zones": [{"network": "127.0.0.0/8", "locations": {"east": 1, "core": 2}}]});
    running.call(Method::PUT, "/api/v1/coverage-zones", Some(zones)).await.expect(200);
}

#[tokio::test]
async fn ids_and_generations_outlast_a_restart_and_a_crash() {
    let running = Running::start().await;
    furnish(&running).await;
    let before = running.dump().await;
    let running = running.restart().await;
    assert_eq!(running.dump().await, before);
    let running = running.crash_and_restart().await;
    assert_eq!(running.dump().await, before);
}

#[tokio::test]
async fn devices_are_not_offline_because_the_manager_was() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    engine.follow(&running).await;
    let running = running.restart().await;
    assert_eq!(running.status_of("east-1").await, "online", "silence counts from the start");
    crate::harness::until("it is offline", || async { running.status_of("east-1").await == "offline" }).await;
}

#[tokio::test]
async fn state_db_may_be_deleted() {
    let running = Running::start().await;
    furnish(&running).await;
    let before = running.dump().await;
    let state = running.dir.path().join("state/manager/state.db");
    let running = running.restart().await;
    std::fs::write(&state, b"damaged beyond recognition, and long enough for a header, one hopes.............................")
        .expect("written");
    let running = running.crash_and_restart().await;
    assert_eq!(running.dump().await, before);
}

#[tokio::test]
async fn every_write_has_one_audit_row_and_a_write_that_changes_nothing_has_none() {
    let running = Running::start().await;
    let entries =
        async |after: usize| running.get(&format!("/api/v1/audit?after={after}")).await["items"].as_array().expect("items").clone();
    let known = entries(0).await.len();
    furnish(&running).await;
    let generation = running.generation().await;
    let row = |e: &Value| format!("{} {} {}", e["verb"].as_str().unwrap(), e["object"].as_str().unwrap(), e["generation"]);
    let rows: Vec<String> = entries(known).await.iter().map(row).filter(|r| !r.contains("enrolment token")).collect();
    let expected = [
        "create location core 2",
        "create location east 3",
        "enrol device router-1 4",
        "enrol device core-1 5",
        "enrol device east-1 6",
        "create delivery service demo 7",
        "change coverage zones 8",
    ];
    assert_eq!(rows, expected);
    let all = entries(0).await;
    let service = all.iter().find(|e| e["object"] == "delivery service demo").expect("audited");
    assert_eq!((&service["actor"], &service["source"], &service["before"]), (&json!("token:tests"), &json!("127.0.0.1"), &Value::Null));
    assert_eq!(service["after"]["origin"], "http://192.0.2.1");

    let zones = json!({"zones": [{"network": "127.0.0.0/8", "locations": {"core": 2, "east": 1}}]});
    running.call(Method::PUT, "/api/v1/coverage-zones", Some(zones)).await.expect(200);
    running.call(Method::PUT, "/api/v1/locations/east", Some(json!({"name": "east", "parent": "core"}))).await.expect(200);
    let same = json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://192.0.2.1:80/"});
    running.call(Method::PUT, "/api/v1/delivery-services/demo", Some(same)).await.expect(200);
    running.post("/api/v1/devices/east-1/activate", json!({"location": "east"})).await;
    assert_eq!((entries(0).await.len(), running.generation().await), (all.len(), generation));

    running.call(Method::PUT, "/api/v1/locations/east", Some(json!({"name": "orient", "parent": "core"}))).await.expect(200);
    assert_eq!(running.generation().await, generation + 1);
    assert_eq!(running.get("/api/v1/coverage-zones").await["zones"][0]["locations"], json!({"orient": 1, "core": 2}));
    assert_eq!(running.get("/api/v1/devices/east-1").await["location"], "orient");
}

#[tokio::test]
async fn secrets_are_in_no_list_and_no_audit() {
    let running = Running::start().await;
    let token = running.enrolment_token("engine", None).await;
    let secrets = [token.split('.').nth(2).expect("secret").to_owned(), running.token.rsplit('.').next().expect("secret").to_owned()];
    let dump = running.dump().await.to_string();
    for secret in secrets {
        assert_eq!(secret.len(), 64);
        assert!(!dump.contains(&secret));
    }
}
