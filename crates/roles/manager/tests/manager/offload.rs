//! Server Offload through the API, with devices that live.

use crate::{
    fleet::{Fleet, awaited, waits},
    harness::{Answer, Running},
};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;
use weir_device_api::RouterContact;
use weir_model::{OffloadEpoch, Role, Stamp};

const NETWORK: [&str; 5] = ["core-1", "core-2", "east-1", "east-2", "router-1"];

async fn offload(running: &Running, device: &str, body: Value) -> Answer {
    running.call(Method::POST, &format!("/api/v1/devices/{device}/offload"), Some(body)).await
}

async fn unoffload(running: &Running, device: &str) -> Answer {
    running.call(Method::POST, &format!("/api/v1/devices/{device}/unoffload"), Some(json!({"why": "done"}))).await
}

fn why() -> Value {
    json!({"why": "a new disk"})
}

fn overriding() -> Value {
    json!({"why": "a new disk", "override": true})
}

fn status(offload: &Value) -> &str {
    offload["status"].as_str().expect("status")
}

/// Verb and reason or epoch of a device's audit rows about offloads.
async fn audited(running: &Running, device: &str) -> Vec<String> {
    let entries = running.get("/api/v1/audit").await["items"].as_array().expect("items").clone();
    let verbs = ["offload", "unoffload", "drain", "expire", "readmit"];
    let about = |e: &&Value| e["object"] == format!("device {device}") && verbs.iter().any(|v| e["verb"] == *v);
    entries.iter().filter(about).map(|e| format!("{} {}", e["actor"].as_str().expect("text"), e["verb"].as_str().expect("text"))).collect()
}

async fn standing(running: &Running) -> Vec<(String, String, String)> {
    let alarms = running.get("/api/v1/alarms").await["items"].as_array().expect("items").clone();
    let text = |a: &Value, field: &str| a[field].as_str().expect("text").to_owned();
    alarms.iter().map(|a| (text(a, "reason"), text(a, "device"), text(a, "object"))).collect()
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_at_its_field() {
    let running = Running::start().await;
    running.two_locations().await;
    running.device("east-1", Role::Engine, Some("east")).await;
    running.device("spare", Role::Engine, None).await;
    let at = |field: &str| Some(field.to_owned());
    let long = "x".repeat(501);
    for (device, body, expected) in [
        ("east-1", json!({"why": "  "}), ("invalid_field", at("why"))),
        ("east-1", json!({"why": long}), ("invalid_field", at("why"))),
        ("east-1", json!({"why": "a\u{1b}[31mb"}), ("invalid_field", at("why"))),
        ("east-1", json!({}), ("missing_field", at("why"))),
        ("east-1", json!({"why": "a", "for_seconds": 0}), ("invalid_field", at("for_seconds"))),
        ("east-1", json!({"why": "a", "for_seconds": 2_592_001}), ("invalid_field", at("for_seconds"))),
        ("east-1", json!({"why": "a", "overrides": true}), ("unknown_field", at("overrides"))),
        ("spare", why(), ("not_active", None)),
        ("manager-1", why(), ("wrong_role", None)),
        ("nobody", why(), ("not_found", None)),
    ] {
        let answer = offload(&running, device, body.clone()).await;
        let (reason, field) = answer.refusal();
        assert_eq!((reason.as_str(), field), expected, "{device} {body}");
    }
    assert_eq!(unoffload(&running, "east-1").await.refusal().0, "not_offloaded");
    assert_eq!(unoffload(&running, "nobody").await.refusal().0, "not_found");
    for device in ["manager-1", "spare"] {
        let expected = if device == "spare" { "not_active" } else { "wrong_role" };
        let path = format!("/api/v1/devices/{device}/offload/preview");
        assert_eq!(running.call(Method::GET, &path, None).await.refusal().0, expected);
        let shown = running.get(&format!("/api/v1/devices/{device}/offload")).await;
        assert_eq!((&shown["leases"], &shown["drain"]), (&json!([]), &Value::Null));
    }
    assert_eq!(audited(&running, "east-1").await, [""; 0]);
}

#[tokio::test]
async fn a_lease_is_taken_changed_and_ended() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    let generation = running.generation().await;
    let taken = offload(&running, "east-2", json!({"why": " a new disk "})).await.expect(200);
    assert_eq!(status(&taken), "offloading");
    let lease = &taken["leases"][0];
    assert_eq!((&lease["owner"], &lease["why"], &lease["by"]), (&json!("operator"), &json!("a new disk"), &json!("token:tests")));
    assert_eq!((&lease["expires_ms"], &lease["overrides"]), (&Value::Null, &json!(false)));
    assert_eq!((&taken["drain"]["epoch"], &taken["share_permille"]), (&json!("clients"), &json!(0)));
    assert_eq!(running.generation().await, generation + 1);

    let again = offload(&running, "east-2", why()).await.expect(200);
    assert_eq!(again["leases"], taken["leases"], "asked again, nothing changes");
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload"]);
    let changed = offload(&running, "east-2", json!({"why": "two disks", "for_seconds": 3600})).await.expect(200);
    let lease = &changed["leases"][0];
    assert_eq!((&lease["why"], &lease["since_ms"]), (&json!("two disks"), &taken["leases"][0]["since_ms"]));
    assert!(lease["expires_ms"].as_u64() > lease["since_ms"].as_u64());
    assert_eq!(running.generation().await, generation + 1, "no device need know why");

    fleet.beat(&running).await;
    assert_eq!(fleet.member("router-1").epoch(), None);
    assert_eq!(fleet.member("east-2").epoch(), Some(OffloadEpoch::Clients));
    let back = unoffload(&running, "east-2").await.expect(200);
    assert_eq!((status(&back), &back["leases"], &back["drain"]), ("online", &json!([]), &Value::Null));
    assert_eq!(back["share_permille"], 0, "it does not know yet");
    assert_eq!(unoffload(&running, "east-2").await.refusal().0, "not_offloaded");
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload", "token:tests offload", "token:tests unoffload"]);
    for share in [400, 1000] {
        fleet.member("east-2").share_permille = Some(share);
        fleet.until(&running, "east-2", "what it takes is its own word", |o| o["share_permille"] == share).await;
    }
}

#[tokio::test]
async fn an_engine_is_offloaded_when_everybody_knows_and_nothing_runs() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    fleet.member("east-2").sessions = 2;
    fleet.member("router-1").stuck = true;
    offload(&running, "east-2", why()).await.expect(200);
    let only_router = |o: &Value| awaited(o) == ["router-1"] && waits(o).contains(&"sessions");
    let found = fleet.until(&running, "east-2", "all but the router know", only_router).await;
    assert_eq!((&found["drain"]["sessions"], status(&found)), (&json!(2), "offloading"));
    let held = |o: &Value| o["drain"]["epoch"] == "clients" && status(o) == "offloading";
    fleet.member("east-2").sessions = 0;
    fleet.meanwhile(&running, "east-2", Duration::from_secs(3), held).await;
    fleet.member("east-2").sessions = 1;
    fleet.beat(&running).await;
    fleet.member("router-1").stuck = false;
    fleet.until(&running, "east-2", "resolvers may still send", |o| waits(o).contains(&"dns_ttl")).await;
    fleet.until(&running, "east-2", "a session is all that is left", |o| waits(o) == ["sessions"]).await;
    fleet.member("core-1").stuck = true;
    fleet.member("east-2").sessions = 0;
    fleet.member("east-2").fills = 1;
    let peers = |o: &Value| o["drain"]["epoch"] == "peers" && awaited(o) == ["core-1"];
    fleet.until(&running, "east-2", "the second step is written and core-1 does not know it", peers).await;
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload", "manager drain"]);
    fleet.member("core-1").stuck = false;
    fleet.until(&running, "east-2", "another engine's fill is all that is left", |o| waits(o) == ["fills_for_others"]).await;
    fleet.member("east-2").fills = 0;
    fleet.until(&running, "east-2", "it must stay so", |o| waits(o) == ["stable"]).await;
    let out = fleet.until(&running, "east-2", "it is offloaded", |o| status(o) == "offloaded").await;
    assert_eq!((&out["drain"]["drained"], waits(&out)), (&json!(true), vec![]));
    assert_eq!(running.get("/api/v1/status").await["devices"]["offloaded"], 1);
    assert_eq!(fleet.member("east-2").epoch(), Some(OffloadEpoch::Peers));

    // A stray viewer makes it busy again; then it is switched off, which is nobody's alarm.
    fleet.member("east-2").sessions = 1;
    fleet.until(&running, "east-2", "somebody came", |o| status(o) == "offloading").await;
    fleet.member("east-2").sessions = 0;
    fleet.until(&running, "east-2", "it is offloaded again", |o| status(o) == "offloaded").await;
    fleet.member("east-2").silent = true;
    fleet.until(&running, "east-2", "it is off", |o| status(o) == "offline").await;
    fleet.meanwhile(&running, "east-2", Duration::from_secs(1), |o| status(o) == "offline").await;
    assert_eq!(standing(&running).await, []);
}

#[tokio::test]
async fn a_restarted_manager_goes_on_with_a_drain() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    fleet.member("east-2").sessions = 1;
    let taken = offload(&running, "east-2", why()).await.expect(200);
    fleet.until(&running, "east-2", "a session is all that is left", |o| waits(o) == ["sessions"]).await;
    let running = running.crash_and_restart().await;
    fleet.member("east-2").sessions = 0;
    let early = fleet.until(&running, "east-2", "it listens first", |o| waits(o).contains(&"manager_start")).await;
    assert_eq!((&early["leases"], &early["drain"]["epoch"]), (&taken["leases"], &json!("clients")));
    fleet.until(&running, "east-2", "it is offloaded", |o| status(o) == "offloaded").await;
    let running = running.crash_and_restart().await;
    let peers = running.get("/api/v1/devices/east-2/offload").await;
    assert_eq!(peers["drain"]["epoch"], "peers");
    fleet.until(&running, "east-2", "it is offloaded again", |o| status(o) == "offloaded").await;
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload", "manager drain"], "each step was written once");
}

#[tokio::test]
async fn the_guard_names_the_floor_it_keeps() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "east-2", "router-1"]).await;
    offload(&running, "east-1", why()).await.expect(200);
    fleet.beat(&running).await;
    let refused = offload(&running, "east-2", why()).await;
    let detail = refused.json["detail"].as_str().expect("text").to_owned();
    assert_eq!(refused.refusal(), ("offload_guard".to_owned(), None));
    assert!(detail.contains("2 of 2 engines of location east would be out") && detail.contains("east-1 (Server Offload)"), "{detail}");
    let preview = running.get("/api/v1/devices/east-2/offload/preview").await;
    let floors: Vec<_> = preview["breaks"].as_array().expect("list").iter().map(|b| b["floor"].as_str().expect("word")).collect();
    assert_eq!(floors, ["engines_out", "service_engine"]);
    assert_eq!(offload(&running, "core-1", why()).await.refusal().0, "offload_guard", "the only engine of its location");
    assert_eq!(offload(&running, "router-1", why()).await.refusal().0, "offload_guard", "the last router");

    let taken = offload(&running, "east-2", overriding()).await.expect(200);
    assert_eq!(taken["leases"][0]["overrides"], true);
    let again = offload(&running, "east-2", json!({"why": "still a new disk"})).await.expect(200);
    assert_eq!(again["leases"][0]["overrides"], true, "once overridden, always");
    // Nothing failed: what an operator overrode is left alone, and so is the one that was admitted before.
    fleet.meanwhile(&running, "east-1", Duration::from_secs(2), |o| o["leases"] != json!([])).await;
    assert_eq!(running.get("/api/v1/devices/east-2/offload").await["leases"], again["leases"]);
}

#[tokio::test]
async fn a_peers_death_returns_the_draining_engine() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    fleet.member("east-2").sessions = 3;
    offload(&running, "east-2", why()).await.expect(200);
    fleet.beat(&running).await;
    fleet.member("east-1").silent = true;
    fleet.until(&running, "east-2", "it is back", |o| o["leases"] == json!([])).await;
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload", "manager readmit"]);
    let entries = running.get("/api/v1/audit").await["items"].as_array().expect("items").clone();
    let why = entries.iter().find(|e| e["verb"] == "readmit").expect("audited")["after"]["why"].to_string();
    assert!(why.contains("east-1 (offline)"), "{why}");
    let guard = ("UPGRADE_GUARD".to_owned(), "east-2".to_owned(), "east".to_owned());
    let raised = |a: &Value| a["items"].to_string().contains("UPGRADE_GUARD");
    fleet.until_of(&running, "it is alarmed", "/api/v1/alarms", raised).await;
    assert!(standing(&running).await.contains(&guard));
    assert_eq!(offload(&running, "east-2", self::why()).await.refusal().0, "offload_guard", "its peer is still dead");
    fleet.member("east-1").silent = false;
    fleet.until_of(&running, "the alarm ends with the fault", "/api/v1/alarms", |a| a["items"] == json!([])).await;
}

#[tokio::test]
async fn a_dead_engine_is_not_returned_for_a_dead_one() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "east-2", "east-3", "router-1"]).await;
    fleet.member("east-2").sessions = 5;
    offload(&running, "east-2", why()).await.expect(200);
    fleet.beat(&running).await;
    fleet.member("east-2").silent = true;
    fleet.until(&running, "east-2", "it is dead", |o| status(o) == "offline").await;
    fleet.member("east-1").silent = true;
    let raised = |a: &Value| a["items"].to_string().contains("UPGRADE_GUARD");
    fleet.until_of(&running, "two of three are out", "/api/v1/alarms", raised).await;
    fleet.meanwhile(&running, "east-2", Duration::from_secs(1), |o| o["leases"] != json!([])).await;
    fleet.member("east-2").silent = false;
    fleet.until(&running, "east-2", "it lives, and is needed", |o| o["leases"] == json!([])).await;
}

#[tokio::test]
async fn an_overridden_lease_outlasts_a_peers_death() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    fleet.member("east-2").sessions = 1;
    offload(&running, "east-2", overriding()).await.expect(200);
    fleet.member("east-1").silent = true;
    let raised = |a: &Value| a["items"].to_string().contains("UPGRADE_GUARD");
    let alarms = fleet.until_of(&running, "it is alarmed", "/api/v1/alarms", raised).await;
    assert!(!alarms.to_string().contains("returned to service"), "{alarms}");
    fleet.meanwhile(&running, "east-2", Duration::from_secs(1), |o| o["leases"] != json!([])).await;
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload"]);
}

#[tokio::test]
async fn a_silent_router_is_waited_for_as_long_as_it_may_still_send() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "core-2", "east-1", "east-2", "router-1", "router-2"]).await;
    let router = "router-2".parse().expect("name");
    fleet.member("east-2").routers = vec![RouterContact { router, obeyed: None }];
    fleet.member("router-2").silent = true;
    // It sends viewers on, by the engine's lifeline: its silence towards the manager says nothing.
    let offline = |d: &Value| d["status"] == "offline";
    fleet.until_of(&running, "it is cut off", "/api/v1/devices/router-2", offline).await;
    let taken = offload(&running, "east-2", why()).await.expect(200);
    let generation = running.generation().await;
    assert!(awaited(&taken).contains(&"router-2"));
    fleet.until(&running, "east-2", "all others know", |o| awaited(o) == ["router-2"]).await;
    // Longer than the silence and the TTL after which nobody else would be waited for.
    fleet.meanwhile(&running, "east-2", Duration::from_secs(6), |o| awaited(o) == ["router-2"]).await;
    let obeyed = |generation| Some(Stamp { term: 1, generation });
    fleet.member("east-2").routers[0].obeyed = obeyed(generation - 1);
    fleet.meanwhile(&running, "east-2", Duration::from_secs(1), |o| awaited(o) == ["router-2"]).await;
    fleet.member("east-2").routers[0].obeyed = obeyed(generation);
    fleet.until(&running, "east-2", "it said so on its lifeline", |o| waits(o).contains(&"dns_ttl")).await;
    // The second step means nothing to a router: nobody waits for it.
    fleet.until(&running, "east-2", "it is offloaded", |o| status(o) == "offloaded").await;
}

#[tokio::test]
async fn a_dead_router_is_waited_for_only_until_it_has_been_silent_for_long() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "core-2", "east-1", "east-2", "router-1", "router-2"]).await;
    fleet.member("router-2").silent = true;
    offload(&running, "east-2", why()).await.expect(200);
    fleet.until(&running, "east-2", "all others know", |o| awaited(o) == ["router-2"]).await;
    fleet.until(&running, "east-2", "nobody waits for it any longer", |o| awaited(o).is_empty()).await;
    fleet.until(&running, "east-2", "it is offloaded", |o| status(o) == "offloaded").await;
}

#[tokio::test]
async fn a_lease_with_an_end_ends() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    offload(&running, "east-2", json!({"why": "a short look", "for_seconds": 1})).await.expect(200);
    fleet.until(&running, "east-2", "it is back", |o| o["leases"] == json!([]) && status(o) == "online").await;
    assert_eq!(audited(&running, "east-2").await, ["token:tests offload", "manager expire"]);
    fleet.beat(&running).await;
    assert_eq!(fleet.member("east-2").epoch(), None);
}

#[tokio::test]
async fn routers_are_handed_over_one_per_location() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "east-2", "router-1", "router-2", "router-3"]).await;
    let preview = running.get("/api/v1/devices/router-1/offload/preview").await;
    assert_eq!((&preview["breaks"], &preview["clients_go"]), (&json!([]), &json!([])));
    fleet.member("router-1").requests = 1;
    offload(&running, "router-1", why()).await.expect(200);
    fleet.until(&running, "router-1", "a request is all that is left", |o| waits(o) == ["requests"]).await;
    fleet.member("router-1").requests = 0;
    let out = fleet.until(&running, "router-1", "it is offloaded", |o| status(o) == "offloaded").await;
    assert_eq!(out["drain"]["epoch"], "clients");
    let refused = offload(&running, "router-2", why()).await;
    assert!(refused.json["detail"].as_str().expect("text").contains("2 routers of location core would be out"), "{}", refused.json);
    unoffload(&running, "router-1").await.expect(200);
    fleet.until(&running, "router-1", "it is back", |o| status(o) == "online" && o["share_permille"] == 1000).await;
}

/// Whether the manager has listened for less than the two report periods after which it judges.
async fn is_early(running: &Running) -> bool {
    running.get("/api/v1/status").await["uptime_ms"].as_u64().expect("number") < 2_000
}

#[tokio::test]
async fn right_after_a_start_only_an_override_is_admitted() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &NETWORK).await;
    let running = running.restart().await;
    let refused = offload(&running, "east-2", why()).await;
    let preview = running.get("/api/v1/devices/east-2/offload/preview").await;
    // A machine that takes two seconds for two requests proves nothing here.
    if is_early(&running).await {
        assert_eq!(refused.refusal().0, "too_early");
        assert!(preview["unknown"].to_string().contains("just started"), "{preview}");
    }
    offload(&running, "core-2", overriding()).await.expect(200);
    fleet.member("east-1").silent = true;
    while is_early(&running).await {
        fleet.beat(&running).await;
    }
    let refused = offload(&running, "east-2", why()).await;
    let detail = refused.json["detail"].as_str().expect("text");
    assert!(detail.contains("east-1 (not heard yet)") || detail.contains("east-1 (offline)"), "{detail}");
    assert_eq!(refused.refusal().0, "offload_guard");
}

#[tokio::test]
async fn clients_go_where_the_router_would_send_them() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "east-2", "east-3", "router-1"]).await;
    fleet.member("east-2").sessions = 12;
    fleet.member("east-3").silent = true;
    let offline = |d: &Value| d["status"] == "offline";
    fleet.until_of(&running, "a peer is down", "/api/v1/devices/east-3", offline).await;
    let preview = running.get("/api/v1/devices/east-2/offload/preview").await;
    assert_eq!(preview["sessions"], 12);
    let expected = json!([{"service": "demo", "to": [{"engine": "east-1", "location": "east", "share_permille": 1000}]}]);
    assert_eq!(preview["clients_go"], expected);
    assert!(preview["unknown"].to_string().contains("nobody stated the capacity of east-1"), "{preview}");
    offload(&running, "east-2", overriding()).await.expect(200);
    fleet.beat(&running).await;
    let after = running.get("/api/v1/devices/east-2/offload/preview").await;
    assert_eq!(after["clients_go"], expected, "where they went");
    let core = json!([{"engine": "core-1", "location": "core", "share_permille": 1000}]);
    assert_eq!(running.get("/api/v1/devices/east-1/offload/preview").await["clients_go"][0]["to"], core);
}

#[tokio::test]
async fn capacity_bounds_what_may_leave() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "east-1", "east-2", "router-1"]).await;
    let activate = async |device: &str, body: Value| {
        let path = format!("/api/v1/devices/{device}/activate");
        running.call(Method::POST, &path, Some(body)).await
    };
    for mbps in [json!(0), json!(10_000_001)] {
        let answer = activate("east-1", json!({"location": "east", "capacity_mbps": mbps})).await;
        assert_eq!(answer.refusal(), ("invalid_field".to_owned(), Some("capacity_mbps".to_owned())));
    }
    for device in ["east-1", "east-2"] {
        let shown = activate(device, json!({"location": "east", "capacity_mbps": 100})).await.expect(200);
        assert_eq!(shown["capacity_mbps"], 100);
    }
    assert_eq!(activate("east-1", json!({"location": "east"})).await.expect(200)["capacity_mbps"], 100, "absent is unchanged");
    // 750 MB in a minute are 100 Mbit/s: more than 0.8 of what east-1 can send.
    fleet.member("east-2").client_bytes = 750_000_000;
    let full = |p: &Value| p["breaks"].to_string().contains("\"egress\"");
    fleet.until_of(&running, "the peak is known", "/api/v1/devices/east-2/offload/preview", full).await;
    assert_eq!(offload(&running, "east-2", why()).await.refusal().0, "offload_guard");
    activate("east-1", json!({"location": "east", "capacity_mbps": 1000})).await.expect(200);
    fleet.beat(&running).await;
    offload(&running, "east-2", why()).await.expect(200);
}

#[tokio::test]
async fn deactivation_and_deletion_end_leases() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "core-2", "east-1", "east-2", "east-3", "router-1"]).await;
    for device in ["east-2", "east-3"] {
        offload(&running, device, overriding()).await.expect(200);
    }
    fleet.member("east-2").silent = true;
    fleet.member("east-3").silent = true;
    running.call(Method::POST, "/api/v1/devices/east-2/deactivate", None).await.expect(200);
    let shown = running.get("/api/v1/devices/east-2/offload").await;
    assert_eq!((status(&shown), &shown["leases"]), ("inactive", &json!([])));
    running.post("/api/v1/devices/east-2/activate", json!({"location": "east"})).await;
    assert_eq!(running.get("/api/v1/devices/east-2/offload").await["leases"], json!([]), "activated anew, it is in service");
    running.call(Method::DELETE, "/api/v1/devices/east-3", None).await.expect(204);
    for device in ["east-2", "east-3"] {
        assert_eq!(audited(&running, device).await, ["token:tests offload", "token:tests unoffload"]);
    }
}
