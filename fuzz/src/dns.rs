//! DNS queries, as a router with one engine in service answers them.

use std::{net::SocketAddr, sync::LazyLock};

use weir_model::configuration::{Confirmed, EngineEntry, LocationEntry, RouterEntry, ZoneEntry};
use weir_model::service::CachePolicy;
use weir_model::{DeliveryService, DeviceConfiguration, Profile, Role, Stamp};
use weir_router::dns::{Outcome, Transport, UDP_ANSWER_BYTES_MAX, respond};
use weir_router::{Router, RouterSettings};
use weir_telemetry::Metrics;

/// What the router kept on disk: the engine was live when it stopped.
const HEALTH: &str =
    r#"[{"engine":"east-1","state":"serving","boot":1,"sequence":1,"stamp":{"term":1,"generation":1},"share_permille":1000,"live":true}]"#;

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let state = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(state.path().join(weir_router::router::HEALTH_FILE), HEALTH).expect("a file in it");
    let settings = RouterSettings { name: "router-1".parse().expect("a name"), state: state.path().to_owned() };
    let router = Router::new(settings, &Metrics::new("1.0.0-b1", "router", "router-1"));
    router.apply(&configuration()).expect("the sample is a valid configuration");
    router
});

fn configuration() -> DeviceConfiguration {
    let named = "the names of the sample are valid";
    DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 1 },
        device: "router-1".parse().expect(named),
        role: Role::Router,
        location: None,
        managers: Vec::new(),
        // Patient enough for the longest run: the engine is not heard again.
        profile: Profile { keepalive_ms: 1_000_000_000, ..Profile::rehearsal() },
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: vec![LocationEntry { name: "east".parse().expect(named), parent: None }],
        engines: vec![EngineEntry {
            name: "east-1".parse().expect(named),
            location: "east".parse().expect(named),
            http: "127.0.7.22:8080".parse().expect(named),
            weight: 100,
            offload: None,
            offload_since_ms: None,
        }],
        routers: vec![RouterEntry {
            name: "router-1".parse().expect(named),
            keepalive: "127.0.7.9:7400".parse().expect(named),
            http: None,
            dns: Some("127.0.7.9:5353".parse().expect(named)),
            offloaded: false,
        }],
        services: vec![DeliveryService {
            name: "demo".parse().expect(named),
            domain: "demo.weir.test".parse().expect(named),
            origin: "http://127.0.0.1:9000".parse().expect(named),
            engines: vec!["east-1".parse().expect(named)],
            caching: CachePolicy::default(),
        }],
        zones: vec![ZoneEntry { network: "127.0.0.0/8".parse().expect(named), locations: [("east".parse().expect(named), 0)].into() }],
    }
}

/// A query: taken when it is answered with records or their absence. An answer has the query's id and is marked as one, and over UDP it
/// is no longer than the client takes.
pub fn dns(bytes: &[u8]) -> bool {
    let client = SocketAddr::from(([127, 0, 0, 9], 5_000));
    let mut outcomes = [Transport::Udp, Transport::Tcp].into_iter().map(|transport| {
        let mut answer = Vec::new();
        let outcome = respond(&ROUTER, bytes, client, transport, &mut answer);
        assert_eq!(answer.is_empty(), outcome == Outcome::Ignored, "{outcome:?}");
        if !answer.is_empty() {
            assert!(answer.len() >= 12 && answer[..2] == bytes[..2] && answer[2] & 0x80 != 0, "not an answer to it: {answer:?}");
            assert!(transport == Transport::Tcp || answer.len() <= UDP_ANSWER_BYTES_MAX, "{} bytes", answer.len());
        }
        outcome
    });
    let (over_udp, over_tcp) = (outcomes.next(), outcomes.next());
    assert_eq!(over_udp, over_tcp, "the transport decides nothing but the size");
    matches!(over_udp, Some(Outcome::Answered | Outcome::NoData | Outcome::NoName))
}
