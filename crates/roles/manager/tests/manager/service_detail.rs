//! A delivery service's detail, and the gate in front of it: open where line 1.1 made the network, closed where 1.0 did.

use crate::harness::{Running, TestDevice};
use hyper::Method;
use serde_json::{Value, json};
use weir_model::{DeviceConfiguration, Role, Stamp};

const SERVICE: &str = "/api/v1/delivery-services/demo";

fn service(detail: Value) -> Option<Value> {
    Some(json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://192.0.2.1", "detail": detail}))
}

async fn furnish(running: &Running) -> TestDevice {
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    running.call(Method::POST, "/api/v1/delivery-services", service(Value::Null)).await.expect(201);
    engine
}

/// What the engine runs from.
async fn document(running: &Running, engine: &TestDevice) -> DeviceConfiguration {
    engine.poll(running, Stamp::default(), 0).await.configuration.expect("newer than none")
}

/// What `config.db` of a stopped manager is made to say.
fn rewrite(running: &Running, sql: &str) {
    let config = rusqlite::Connection::open(running.dir.path().join("state/manager/config.db")).expect("config.db");
    config.execute_batch(sql).expect(sql);
}

#[tokio::test]
async fn on_a_network_of_this_line_engines_learn_it() {
    let running = Running::start().await;
    let engine = furnish(&running).await;
    let before = document(&running, &engine).await;
    assert_eq!((before.level, before.services[0].detail.clone()), (Some(weir_model::Version::current().line), None));
    let waits = running.get("/api/v1/features").await;
    assert_eq!((&waits["waiting"], &waits["parked_total"]), (&json!([]), &json!(0)), "every feature of this build is in use");
    let answer = running.call(Method::PUT, SERVICE, service(json!("gold"))).await.expect(200);
    assert_eq!(answer["detail"], "gold");
    let running = running.restart().await;
    assert_eq!(running.get(SERVICE).await["detail"], "gold");
    let learnt = document(&running, &engine).await.services[0].detail.clone();
    assert_eq!(learnt.as_ref().map(weir_model::Detail::as_str), Some("gold"));
    for wrong in ["", "Gold", "a b", &"a".repeat(33)] {
        let refused = running.call(Method::PUT, SERVICE, service(json!(wrong))).await.refusal();
        assert_eq!(refused, ("invalid_field".to_owned(), Some("detail".to_owned())), "{wrong:?}");
    }
    running.call(Method::PUT, SERVICE, service(Value::Null)).await.expect(200);
    assert_eq!(document(&running, &engine).await.services[0].detail, None);
}

#[tokio::test]
async fn on_a_network_of_line_1_0_it_waits_for_the_level() {
    let running = Running::start().await;
    let engine = furnish(&running).await;
    running.call(Method::PUT, SERVICE, service(json!("gold"))).await.expect(200);
    for of_1_0 in ["DELETE FROM setting WHERE name = 'level'", "INSERT INTO setting (name, value) VALUES ('level', '1.0')"] {
        rewrite(&running, of_1_0);
    }
    let running = running.restart().await;
    let document = document(&running, &engine).await;
    assert_eq!(document.level, Some(weir_model::FIRST_LEVEL));
    assert_eq!(document.services[0].detail, None, "1.0 could not show it");
    let waits = running.get("/api/v1/features").await;
    assert_eq!(waits["parked"], json!([{"object": "delivery service demo", "gate": "service-detail"}]));
    let waiting = json!([{"gate": "service-detail", "since": "1.1", "devices": ["east-1"], "devices_total": 1}]);
    assert_eq!((&waits["level"], &waits["waiting"]), (&json!("1.0"), &waiting), "east-1 never reported");
    let generation = running.generation().await;
    let refused = running.call(Method::PUT, SERVICE, service(json!("silver"))).await;
    let detail = refused.json["detail"].as_str().expect("a sentence").to_owned();
    assert_eq!(detail, "gate service-detail waits for level 1.1; the network's level is 1.0");
    assert_eq!(refused.refusal(), ("gate_closed".to_owned(), Some("detail".to_owned())));
    assert_eq!(running.generation().await, generation, "nothing was written");
    // Whoever edits something else leaves it, by saying what it is or by not knowing of it.
    for detail in [Value::Null, json!("gold")] {
        let mut edit = service(detail.clone()).expect("a service");
        edit["domain"] = json!(if detail.is_null() { "one.weir.test" } else { "two.weir.test" });
        running.call(Method::PUT, SERVICE, Some(edit)).await.expect(200);
        assert_eq!(running.get(SERVICE).await["detail"], "gold", "{detail}");
    }
    assert_eq!(running.restart().await.get(SERVICE).await["detail"], "gold");
}

#[tokio::test]
async fn a_report_tells_how_many_responses_carried_one() {
    let running = Running::start().await;
    let engine = furnish(&running).await;
    let mut report = engine.report_of(Stamp::default());
    report.detailed_responses = Some(7);
    engine.report(&running, &report).await.expect(200);
    assert_eq!(running.get("/api/v1/devices/east-1").await["last_report"]["detailed_responses"], 7);
}
