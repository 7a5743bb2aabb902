//! Bad input: a problem with reason and field, and nothing changed.

use crate::harness::Running;
use hyper::Method;
use serde_json::{Value, json};
use weir_model::Role;

/// Method, path, body; status, reason, field.
type Case = (Method, &'static str, Value, u16, &'static str, Option<&'static str>);

fn service(change: Value) -> Value {
    let mut body = json!({"name": "new", "domain": "new.weir.test", "origin": "http://192.0.2.1"});
    for (key, value) in change.as_object().expect("object") {
        body[key] = value.clone();
    }
    body
}

fn zones(zones: Value) -> Value {
    json!({ "zones": zones })
}

fn cases() -> Vec<Case> {
    let post = || Method::POST;
    let (services, locations, coverage) = ("/api/v1/delivery-services", "/api/v1/locations", "/api/v1/coverage-zones");
    vec![
        (post(), services, service(json!({"name": "demo"})), 409, "name_taken", Some("name")),
        (post(), services, service(json!({"domain": "demo.weir.test"})), 409, "domain_taken", Some("domain")),
        (post(), services, service(json!({"domain": "software.weir.internal"})), 409, "domain_taken", Some("domain")),
        (post(), services, service(json!({"domain": "x.software.weir.internal"})), 409, "domain_taken", Some("domain")),
        (post(), services, service(json!({"name": "weir-software"})), 409, "name_taken", Some("name")),
        (post(), services, service(json!({"name": "Not A Name"})), 422, "invalid_field", Some("name")),
        (post(), services, service(json!({"domain": "127.0.0.1"})), 422, "invalid_field", Some("domain")),
        (post(), services, service(json!({"origin": "ftp://a"})), 422, "invalid_field", Some("origin")),
        (post(), services, service(json!({"origin": "http://169.254.169.254"})), 422, "invalid_field", Some("origin")),
        (post(), services, service(json!({"origin": "http://127.0.0.1:9000"})), 422, "origin_is_manager", Some("origin")),
        (post(), services, service(json!({"origin": "http://[::ffff:127.0.0.1]"})), 422, "origin_is_manager", Some("origin")),
        (post(), services, service(json!({"engines": ["nobody"]})), 422, "unknown_engine", Some("engines[0]")),
        (post(), services, service(json!({"engines": ["east-1", "router-1"]})), 422, "unknown_engine", Some("engines[1]")),
        (post(), services, service(json!({"engines": []})), 422, "invalid_field", Some("engines")),
        (
            post(),
            services,
            service(json!({"caching": {"max_ttl_seconds": 4_000_000_000u32}})),
            422,
            "invalid_field",
            Some("caching.max_ttl_seconds"),
        ),
        (post(), services, service(json!({"caching": {"ttl": 1}})), 422, "unknown_field", Some("caching.ttl")),
        (post(), services, service(json!({"priority": 1})), 422, "unknown_field", Some("priority")),
        (post(), services, json!({"name": "new"}), 422, "missing_field", Some("domain")),
        (post(), services, json!(["a", "a.b", "http://192.0.2.1"]), 400, "invalid_json", None),
        (post(), services, json!({"name": 1}), 422, "invalid_field", Some("name")),
        (Method::PUT, "/api/v1/delivery-services/demo", service(json!({"domain": "films.weir.test"})), 409, "domain_taken", Some("domain")),
        (Method::PUT, "/api/v1/delivery-services/nobody", service(json!({})), 404, "not_found", None),
        (post(), locations, json!({"name": "core"}), 409, "name_taken", Some("name")),
        (post(), locations, json!({"name": "south", "parent": "nowhere"}), 422, "unknown_location", Some("parent")),
        (Method::PUT, "/api/v1/locations/core", json!({"name": "core", "parent": "east"}), 422, "location_cycle", Some("parent")),
        (Method::PUT, "/api/v1/locations/core", json!({"name": "core", "parent": "core"}), 422, "location_cycle", Some("parent")),
        (Method::DELETE, "/api/v1/locations/core", Value::Null, 409, "location_in_use", None),
        (Method::DELETE, "/api/v1/locations/east", Value::Null, 409, "location_in_use", None),
        (Method::DELETE, "/api/v1/locations/west", Value::Null, 409, "location_in_use", None),
        (post(), "/api/v1/devices/east-1/activate", json!({"location": "nowhere"}), 422, "unknown_location", Some("location")),
        (post(), "/api/v1/devices/east-1/activate", json!({"location": "east", "weight": 101}), 422, "invalid_field", Some("weight")),
        (post(), "/api/v1/devices/nobody/activate", json!({"location": "east"}), 404, "not_found", None),
        (post(), "/api/v1/devices/manager-1/deactivate", Value::Null, 409, "is_primary", None),
        (Method::DELETE, "/api/v1/devices/manager-1", Value::Null, 409, "is_primary", None),
        (Method::DELETE, "/api/v1/devices/router-1", Value::Null, 409, "last_router", None),
        (Method::DELETE, "/api/v1/devices/core-1", Value::Null, 409, "sole_root_engine", None),
        (post(), "/api/v1/devices/core-1/activate", json!({"location": "east"}), 409, "sole_root_engine", None),
        (Method::DELETE, "/api/v1/devices/east-1", Value::Null, 409, "device_in_use", None),
        (
            Method::PUT,
            coverage,
            zones(json!([{"network": "10.0.0.0/8", "locations": {"nowhere": 1}}])),
            422,
            "unknown_location",
            Some("zones[0].locations.nowhere"),
        ),
        (
            Method::PUT,
            coverage,
            zones(json!([{"network": "10.0.0.1/8", "locations": {"east": 1}}])),
            422,
            "invalid_field",
            Some("zones[0].network"),
        ),
        (
            Method::PUT,
            coverage,
            zones(json!([{"network": "all", "locations": {"east": 1}}])),
            422,
            "invalid_field",
            Some("zones[0].network"),
        ),
        (
            Method::PUT,
            coverage,
            zones(json!([{"network": "10.0.0.0/8", "locations": {}}])),
            422,
            "invalid_field",
            Some("zones[0].locations"),
        ),
        (
            Method::PUT,
            coverage,
            zones(json!([{"network": "10.0.0.0/8", "locations": {"east": 1}}, {"network": "10.0.0.0/8", "locations": {"core": 1}}])),
            422,
            "duplicate_network",
            Some("zones[1].network"),
        ),
        (
            post(),
            "/api/v1/enrolment-tokens",
            json!({"role": "chef", "uses": 1, "expires_in_seconds": 1}),
            422,
            "invalid_field",
            Some("role"),
        ),
        (
            post(),
            "/api/v1/enrolment-tokens",
            json!({"role": "engine", "uses": 0, "expires_in_seconds": 1}),
            422,
            "invalid_field",
            Some("uses"),
        ),
        (
            post(),
            "/api/v1/enrolment-tokens",
            json!({"role": "engine", "uses": 1, "expires_in_seconds": 0}),
            422,
            "invalid_field",
            Some("expires_in_seconds"),
        ),
        (post(), "/api/v1/tokens", json!({"name": "tests"}), 409, "name_taken", Some("name")),
        (post(), "/api/v1/alarms/99/acknowledge", Value::Null, 404, "not_found", None),
        (Method::GET, "/api/v1/alarms?state=loud", Value::Null, 400, "invalid_query", Some("state")),
        (Method::GET, "/api/v1/audit?limit=0", Value::Null, 400, "invalid_query", Some("limit")),
        (Method::GET, "/api/v1/route/explain?client=nobody&url=http://a.b/", Value::Null, 422, "invalid_field", Some("client")),
        (Method::GET, "/api/v1/route/explain?client=127.0.0.1&url=x&router=east-1", Value::Null, 409, "wrong_role", Some("router")),
        (Method::GET, "/api/v1/nothing", Value::Null, 404, "not_found", None),
        (Method::PATCH, "/api/v1/locations", Value::Null, 405, "method_not_allowed", None),
    ]
}

async fn furnish(running: &Running) {
    running.two_locations().await;
    running.post("/api/v1/locations", json!({"name": "west"})).await;
    running.device("router-1", Role::Router, Some("core")).await;
    running.device("core-1", Role::Engine, Some("core")).await;
    running.device("east-1", Role::Engine, Some("east")).await;
    running.post("/api/v1/delivery-services", json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://192.0.2.1"})).await;
    let films = json!({"name": "films", "domain": "films.weir.test", "origin": "http://192.0.2.1", "engines": ["east-1"]});
    running.post("/api/v1/delivery-services", films).await;
    let set = zones(json!([{"network": "127.0.0.0/8", "locations": {"west": 1}}]));
    running.call(Method::PUT, "/api/v1/coverage-zones", Some(set)).await.expect(200);
}

#[tokio::test]
async fn every_refusal_names_reason_and_field_and_changes_nothing() {
    let running = Running::start().await;
    furnish(&running).await;
    let before = running.dump().await;
    for (method, path, body, status, reason, field) in cases() {
        let what = format!("{method} {path} {body}");
        let body = if body.is_null() { None } else { Some(body) };
        let answer = running.call(method, path, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.json);
        assert_eq!(answer.refusal(), (reason.to_owned(), field.map(str::to_owned)), "{what}");
    }
    assert_eq!(running.dump().await, before);
}

#[tokio::test]
async fn what_devices_could_not_load_is_refused() {
    let running = Running::start().await;
    let mut parent = Value::Null;
    let mut depth = 0;
    let refused = loop {
        let before = running.generation().await;
        let answer = running.call(Method::POST, "/api/v1/locations", Some(json!({"name": format!("l{depth}"), "parent": parent}))).await;
        if answer.status != 201 {
            assert_eq!(running.generation().await, before);
            break answer;
        }
        parent = format!("l{depth}").into();
        depth += 1;
        assert!(depth < 100, "a tree has a limit");
    };
    assert!(refused.json["detail"].as_str().expect("detail").contains(&format!("location l{depth}")), "{}", refused.json);
    assert_eq!((refused.status, refused.refusal().0.as_str()), (422, "does_not_compile"));
    assert_eq!(running.get("/api/v1/locations").await["items"].as_array().expect("items").len(), depth);
}

#[tokio::test]
async fn bodies_are_json_and_bounded() {
    let running = Running::start().await;
    let large = "x".repeat(1024 * 1024);
    let answer = running.call(Method::POST, "/api/v1/locations", Some(json!({"name": large.as_str()}))).await;
    assert_eq!((answer.status, answer.refusal()), (413, ("body_too_large".into(), None)));
    let set = zones(json!([{"network": "10.0.0.0/8", "locations": {large.as_str(): 1}}]));
    let answer = running.call(Method::PUT, "/api/v1/coverage-zones", Some(set)).await;
    assert_eq!(answer.status, 422, "coverage zones may be larger");
    let answer = running.call(Method::POST, "/api/v1/locations", None).await;
    assert_eq!((answer.status, answer.refusal()), (415, ("unsupported_media_type".into(), None)));
}

#[tokio::test]
async fn nobody_enters_without_a_token() {
    let running = Running::start().await;
    let (id, _) = running.token.trim_start_matches("weir-api.").split_once('.').expect("token");
    let wrong_secret = format!("Bearer weir-api.{id}.{}", "0".repeat(64));
    for authorization in ["Bearer ", "Bearer nonsense", "Basic YTpi", wrong_secret.as_str()] {
        for path in ["/api/v1/status", "/api/v1/nothing"] {
            let answer = running.call_with(authorization, Method::GET, path, None).await;
            assert_eq!((answer.status, answer.refusal()), (401, ("unauthenticated".into(), None)), "{authorization}");
        }
    }
    running.call(Method::DELETE, &format!("/api/v1/tokens/{id}"), None).await.expect(204);
    assert_eq!(running.call(Method::GET, "/api/v1/status", None).await.status, 401, "a deleted token is worth nothing");
}
