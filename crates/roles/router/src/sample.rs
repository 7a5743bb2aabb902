//! A small network the tests of this crate share: two engines in east, viewers on loopback.

use crate::{Router, RouterSettings};
use weir_device_api::keepalive::{Audience, Channel, EngineState, Keepalive};
use weir_model::{
    DeliveryService, DeviceConfiguration, Profile, Role, Stamp,
    configuration::{Confirmed, EngineEntry, KeepaliveKey, LocationEntry, RouterEntry, ZoneEntry},
    service::CachePolicy,
};
use weir_telemetry::Metrics;

pub(crate) fn key() -> KeepaliveKey {
    KeepaliveKey { id: 1, secret: format!("{:064x}", 7) }
}

pub(crate) fn configuration() -> DeviceConfiguration {
    let engine = |name: &str, http: &str| EngineEntry {
        name: name.parse().expect(name),
        location: "east".parse().expect("name"),
        http: http.parse().expect(http),
        weight: 100,
        offload: None,
        offload_since_ms: None,
    };
    let engines = vec![engine("east-1", "127.0.7.22:8080"), engine("east-2", "127.0.7.23:8080")];
    DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 5 },
        device: "router-1".parse().expect("name"),
        role: Role::Router,
        location: Some("east".parse().expect("name")),
        managers: Vec::new(),
        profile: Profile::rehearsal(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: vec![key()],
        locations: vec![LocationEntry { name: "east".parse().expect("name"), parent: None }],
        routers: Vec::new(),
        services: vec![DeliveryService {
            name: "demo".parse().expect("name"),
            domain: "demo.weir.test".parse().expect("domain"),
            origin: "http://127.0.7.250:9000".parse().expect("origin"),
            engines: engines.iter().map(|e| e.name.clone()).collect(),
            caching: CachePolicy::default(),
        }],
        engines,
        zones: vec![ZoneEntry { network: "127.0.0.0/8".parse().expect("network"), locations: [("east".parse().expect("name"), 0)].into() }],
    }
}

/// The router of the tests, as configurations name it.
pub(crate) fn this_router(offloaded: bool) -> RouterEntry {
    RouterEntry {
        name: "router-1".parse().expect("name"),
        keepalive: "127.0.7.9:7400".parse().expect("address"),
        http: Some("127.0.7.8:8080".parse().expect("address")),
        dns: Some("127.0.7.9:5353".parse().expect("address")),
        offloaded,
    }
}

/// A router without a configuration, and the directory it keeps its state in.
pub(crate) fn router() -> (Router, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("dir");
    let settings = RouterSettings { name: "router-1".parse().expect("name"), state: dir.path().to_owned() };
    (Router::new(settings, &Metrics::new("1.0.0-b1", "router", "router-1")), dir)
}

pub(crate) fn keepalive(engine: &str, boot: u64, sequence: u64) -> Keepalive {
    Keepalive {
        engine: engine.parse().expect(engine),
        state: EngineState::Serving,
        boot,
        sequence,
        stamp: Stamp { term: 1, generation: 5 },
        sessions: 0,
        active_requests: 0,
        load_permille: 0,
        share_permille: 1000,
    }
}

/// A keepalive signed for a router and a way there.
pub(crate) fn encode(keepalive: &Keepalive, router: &str, channel: Channel) -> Vec<u8> {
    let router = router.parse().expect("name");
    keepalive.encode(&key(), &Audience { router: &router, channel }).expect("key")
}
