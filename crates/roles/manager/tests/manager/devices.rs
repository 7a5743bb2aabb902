//! Devices: statuses, addresses, guards, metrics.

use crate::harness::Running;
use hyper::Method;
use serde_json::json;
use weir_model::{Role, Stamp};

#[tokio::test]
async fn a_device_goes_from_inactive_to_online_and_back() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, None).await;
    engine.follow(&running).await;
    assert_eq!(running.status_of("east-1").await, "inactive");
    let activated = running.post("/api/v1/devices/east-1/activate", json!({"location": "east", "weight": 50})).await;
    assert_eq!((&activated["location"], &activated["weight"]), (&json!("east"), &json!(50)));
    assert_eq!(running.status_of("east-1").await, "pending", "what it runs is older than its activation");
    let stamp = engine.follow(&running).await;
    assert_eq!(running.status_of("east-1").await, "online");
    let shown = running.get("/api/v1/devices/east-1").await;
    assert_eq!(shown["last_report"]["stamp"], json!({"term": stamp.term, "generation": stamp.generation}));
    assert_eq!(shown["last_report"]["load"]["requests"], 7);
    assert_eq!(
        running.get("/api/v1/status").await["devices"],
        json!({"inactive": 0, "pending": 0, "online": 2, "offline": 0, "offloading": 0, "offloaded": 0})
    );
    running.call(Method::POST, "/api/v1/devices/east-1/deactivate", None).await.expect(200);
    assert_eq!(running.status_of("east-1").await, "inactive");
    let document = engine.poll(&running, stamp, 0).await.configuration.expect("it is told");
    assert!(document.location.is_none() && document.engines.is_empty());
}

#[tokio::test]
async fn the_primary_is_a_device_that_is_online() {
    let running = Running::start().await;
    crate::harness::until("its own report", || async { running.status_of("manager-1").await == "online" }).await;
    let own = running.get("/api/v1/devices/manager-1").await;
    assert_eq!(own["role"], "manager");
    assert_eq!(own["addresses"]["https"], json!(running.api.to_string()));
}

#[tokio::test]
async fn where_a_device_says_it_listens_reaches_the_others() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut engine = running.device("east-1", Role::Engine, Some("east")).await;
    let router = running.device("router-1", Role::Router, Some("core")).await;
    engine.follow(&running).await;
    let stamp = router.follow(&running).await;
    engine.listeners.http = Some("127.0.0.9:9999".parse().expect("address"));
    engine.report(&running, &engine.report_of(stamp)).await.expect(200);
    let told = router.poll(&running, stamp, 0).await.configuration.expect("newer");
    assert_eq!(told.engines[0].http.port(), 9999);
    assert_eq!(told.stamp, Stamp { generation: stamp.generation + 1, ..stamp });
    engine.report(&running, &engine.report_of(stamp)).await.expect(200);
    assert!(router.poll(&running, told.stamp, 0).await.configuration.is_none(), "said twice, changed once");
}

#[tokio::test]
async fn guards_let_go_when_nobody_needs_the_device() {
    let running = Running::start().await;
    running.two_locations().await;
    running.device("router-1", Role::Router, Some("core")).await;
    running.device("core-1", Role::Engine, Some("core")).await;
    running.device("east-1", Role::Engine, Some("east")).await;
    for device in ["core-1", "router-1", "east-1"] {
        running.call(Method::DELETE, &format!("/api/v1/devices/{device}"), None).await.expect(204);
    }
    for token in running.get("/api/v1/enrolment-tokens").await["items"].as_array().expect("items") {
        let path = format!("/api/v1/enrolment-tokens/{}", token["id"].as_str().expect("id"));
        running.call(Method::DELETE, &path, None).await.expect(204);
    }
    running.call(Method::DELETE, "/api/v1/locations/east", None).await.expect(204);
}

#[tokio::test]
async fn devices_and_requests_are_measured() {
    let running = Running::start().await;
    running.device("east-1", Role::Engine, None).await;
    running.call(Method::GET, "/api/v1/nothing", None).await.refusal();
    let wanted = [
        "manager_devices{status=\"inactive\"} 1",
        "manager_devices{status=\"online\"} 1",
        "manager_devices{status=\"offloaded\"} 0",
        "manager_configuration_generation 1",
        "manager_alarms_raised{severity=\"critical\"} 0",
        "manager_api_requests_total{status=\"404\"} 1",
        "manager_reports_total 0",
    ];
    crate::harness::until("all is measured", || async {
        let text = running.metrics.text();
        wanted.iter().all(|w| text.lines().any(|l| l == *w))
    })
    .await;
}
