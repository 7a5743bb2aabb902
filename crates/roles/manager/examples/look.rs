//! A network that looks busy, for looking at its pages.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::all, clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used)]
#[path = "../tests/manager/harness.rs"]
mod harness;
use harness::*;
use weir_device_api::Condition;
use weir_model::{AlarmReason, Role};
use serde_json::json;
#[tokio::main]
async fn main() {
    let running = Running::start().await;
    let empty = std::env::args().nth(1).as_deref() == Some("empty");
    let pw = std::fs::read_to_string(running.dir.path().join("state/manager/one-time-password")).unwrap();
    std::fs::write("/tmp/auth/at.json", json!({"url": format!("https://{}", running.api), "password": pw.trim()}).to_string()).unwrap();
    println!("https://{} {pw}", running.api);
    let mut fleet = vec![];
    if !empty {
        running.two_locations().await;
        running.post("/api/v1/locations", json!({"name": "west", "parent": "core"})).await;
        for (name, role, at) in [("router-1", Role::Router, "core"), ("router-2", Role::Router, "east"), ("core-1", Role::Engine, "core"), ("core-2", Role::Engine, "core"), ("east-1", Role::Engine, "east"), ("east-2", Role::Engine, "east"), ("west-1", Role::Engine, "west"), ("west-2", Role::Engine, "west"), ("west-silent", Role::Engine, "west")] {
            let device = running.device(name, role, Some(at)).await;
            fleet.push((device, 0u64, 0u64));
        }
        running.device("spare-engine-with-a-rather-long-name-7", Role::Engine, None).await;
        running.post("/api/v1/delivery-services", json!({"name": "demo", "domain": "video.example.net", "origin": "http://192.0.2.10:8088"})).await;
        running.post("/api/v1/delivery-services", json!({"name": "news-live", "domain": "news.live.example.org", "origin": "http://192.0.2.11"})).await;
    }
    let mut n = 0u64;
    loop {
        for (device, client, origin) in &mut fleet {
            if device.name == "west-silent" && n > 0 { continue; }
            let poll = device.poll(&running, Default::default(), 0).await;
            let stamp = match serde_json::to_value(&poll).unwrap() { v => serde_json::from_value(v["configuration"]["stamp"].clone()).or_else(|_| serde_json::from_value(v["stamp"].clone())).unwrap_or_default() };
            let mut r = device.report_of(stamp);
            if device.role == Role::Engine {
                *client += 40_000_000 + (n * 7919 % 13) * 3_000_000;
                *origin += 4_000_000 + (n * 104729 % 7) * 500_000;
                r.load.sessions = 180 + (n * 31 % 60) as u32;
                r.load.active_requests = 12;
            }
            r.uptime_ms = n * 1000 + 1000;
            r.load.requests = n * 240;
            r.load.client_bytes = *client;
            r.load.origin_bytes = *origin;
            if device.name == "core-1" { r.conditions = vec![Condition { reason: AlarmReason::OriginUnreachable, object: "news-live".into(), text: "connect to 192.0.2.11:80: connection refused".into() }]; }
            if device.name == "east-2" { r.clock_ms += 40_000; r.hello.version = "1.0.0-b0".into(); }
            device.report(&running, &r).await;
        }
        n += 1;
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    }
}
