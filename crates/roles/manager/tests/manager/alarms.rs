//! Alarms: raised once, cleared when their cause ends.

use crate::harness::{Running, until};
use hyper::Method;
use serde_json::Value;
use weir_device_api::Condition;
use weir_model::{AlarmReason, Role};

async fn standing(running: &Running, device: &str) -> Vec<String> {
    let alarms = running.get("/api/v1/alarms").await;
    let items = alarms["items"].as_array().expect("items").clone();
    items.iter().filter(|a| a["device"] == device).map(|a| a["reason"].as_str().expect("reason").to_owned()).collect()
}

/// The first alarm of a device; that of a key that was not confirmed yet is another matter.
async fn first(running: &Running, state: &str) -> Value {
    let alarms = running.get(&format!("/api/v1/alarms?state={state}")).await;
    let items = alarms["items"].as_array().expect("items");
    items.iter().find(|alarm| alarm["reason"] != "KEY_NOT_ESCROWED").cloned().unwrap_or_default()
}

#[tokio::test]
async fn silence_raises_and_a_report_clears() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    let stamp = engine.follow(&running).await;
    assert_eq!(standing(&running, "east-1").await, [""; 0]);
    until("it is alarmed", || async { standing(&running, "east-1").await == ["DEVICE_OFFLINE"] }).await;
    let alarm = first(&running, "raised").await;
    assert_eq!((alarm["severity"].as_str(), alarm["cleared_ms"].is_null()), (Some("critical"), true));
    let counts = running.get("/api/v1/status").await["alarms"]["critical"].clone();
    assert_eq!(counts, 1);
    until("it is cleared", || async {
        engine.report(&running, &engine.report_of(stamp)).await.expect(200);
        standing(&running, "east-1").await.is_empty()
    })
    .await;
    assert_eq!(first(&running, "cleared").await["id"], alarm["id"], "one row from raise to clear");
}

#[tokio::test]
async fn what_a_device_says_is_alarmed_while_it_says_so() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    let stamp = engine.follow(&running).await;
    let mut report = engine.report_of(stamp);
    report.clock_ms -= 3_600_000;
    report.worker_crashes = 1;
    report.last_exit = Some("signal 9".to_owned());
    let text = "connection refused".to_owned();
    report.conditions = vec![Condition { reason: AlarmReason::OriginUnreachable, object: "demo".into(), text }];
    until("all are alarmed", || async {
        engine.report(&running, &report).await.expect(200);
        let mut reasons = standing(&running, "east-1").await;
        reasons.sort();
        reasons == ["CLOCK_SKEW", "ORIGIN_UNREACHABLE", "WORKER_CRASHED"]
    })
    .await;
    let alarms = running.get("/api/v1/alarms").await["items"].to_string();
    assert!(alarms.contains("has crashed 1 times since its keeper started, the last with signal 9"), "{alarms}");
    let skew = running.get("/api/v1/devices/east-1").await["last_report"]["clock_skew_ms"].as_i64().expect("number");
    assert!((-3_660_000..=-3_599_000).contains(&skew), "{skew}");
    let healthy = || {
        let mut report = engine.report_of(stamp);
        report.worker_crashes = 1;
        report
    };
    until("causes that ended are cleared", || async {
        engine.report(&running, &healthy()).await.expect(200);
        standing(&running, "east-1").await == ["WORKER_CRASHED"]
    })
    .await;
    let id = first(&running, "raised").await["id"].clone();
    let acknowledged = running.call(Method::POST, &format!("/api/v1/alarms/{id}/acknowledge"), None).await.expect(200);
    assert_eq!(acknowledged["acknowledged_by"], "token:tests");
    until("a crash taken note of is over", || async {
        engine.report(&running, &healthy()).await.expect(200);
        standing(&running, "east-1").await.is_empty()
    })
    .await;
}
