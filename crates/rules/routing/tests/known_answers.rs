//! Placement frozen: a change here is a change of the wire contract between lines (`docs/protocols/placement.md`).

use weir_model::{
    DeliveryService, DeviceConfiguration, Profile, Role, Stamp,
    configuration::{Confirmed, EngineEntry, LocationEntry},
    service::CachePolicy,
};
use weir_routing::{Key, Network, parents, placement, placement::Candidate};

/// Engines and weights the answers are for.
const ENGINES: [(&str, u8); 5] = [("core-1", 100), ("core-2", 100), ("core-3", 50), ("core-4", 10), ("core-5", 0)];

fn network() -> Network {
    let engine = |(name, weight): (&str, u8)| EngineEntry {
        name: name.parse().expect(name),
        location: "core".parse().expect("name"),
        http: "127.0.0.1:8080".parse().expect("address"),
        weight,
        offload: None,
        offload_since_ms: None,
    };
    let mut engines = ENGINES.map(engine).to_vec();
    engines.push(EngineEntry { location: "east".parse().expect("name"), ..engine(("east-1", 100)) });
    let configuration = DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 1 },
        device: "east-1".parse().expect("name"),
        role: Role::Engine,
        location: Some("east".parse().expect("name")),
        managers: Vec::new(),
        profile: Profile::standard(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: vec![
            LocationEntry { name: "core".parse().expect("name"), parent: None },
            LocationEntry { name: "east".parse().expect("name"), parent: Some("core".parse().expect("name")) },
        ],
        services: vec![DeliveryService {
            name: "demo".parse().expect("name"),
            domain: "demo.weir.test".parse().expect("domain"),
            origin: "http://origin.test".parse().expect("origin"),
            engines: engines.iter().map(|e| e.name.clone()).collect(),
            caching: CachePolicy::default(),
        }],
        engines,
        routers: Vec::new(),
        zones: Vec::new(),
    };
    Network::compile(&configuration).expect("valid")
}

/// (domain, path, key, order).
const ANSWERS: [(&str, &str, &str, &str); 8] = [
    ("demo.weir.test", "/", "4d5c2359735737e4", "core-3 core-2 core-1 core-4"),
    ("demo.weir.test", "/vod/sample.m3u8", "5aec36a9d5480d86", "core-2 core-3 core-1 core-4"),
    ("demo.weir.test", "/vod/sample.ts", "5aec36a9d5480d86", "core-2 core-3 core-1 core-4"),
    ("demo.weir.test", "/live/index.m3u8", "814e81996a440b83", "core-2 core-1 core-3 core-4"),
    ("demo.weir.test", "/live/720p/seg-1.m4s", "481b942886152a6f", "core-2 core-1 core-3 core-4"),
    ("demo.weir.test", "/live/1080p/seg-1.m4s", "b3ba86ba33cd0b13", "core-2 core-3 core-1 core-4"),
    ("video.example.com", "/vod/sample.m3u8", "e099f8572a60410e", "core-1 core-2 core-3 core-4"),
    ("video.example.com", "/caf%C3%A9//a", "54c853cbdd95dfba", "core-1 core-2 core-3 core-4"),
];

fn shown<'n>(order: impl IntoIterator<Item = &'n weir_routing::Engine>) -> String {
    order.into_iter().map(|engine| engine.name.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn keys_and_orders() {
    let network = network();
    let core = network.engines().iter().filter(|engine| engine.name.as_str().starts_with("core"));
    let found = ANSWERS.map(|(domain, path, _, _)| {
        let key = Key::of(&domain.parse().expect(domain), path);
        (domain, path, key.to_string(), shown(placement::order(key, core.clone())))
    });
    let expected = ANSWERS.map(|(domain, path, key, order)| (domain, path, key.to_owned(), order.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn an_engines_parents_are_the_same_order() {
    let network = network();
    let service = &network.services()[0];
    for (domain, path, _, order) in ANSWERS {
        if domain == service.service.domain.as_str() {
            let key = Key::of(&service.service.domain, path);
            let found = parents(&network, &"east-1".parse().expect("name"), service, key, |_| true);
            assert_eq!(shown(found.engines), order, "{path}");
        }
    }
}

/// (domain, client network, key, order).
const CLIENT_ANSWERS: [(&str, &str, &str, &str); 5] = [
    ("demo.weir.test", "127.0.0.0", "8473f46613a4f1e6", "core-1 core-2 core-3 core-4"),
    ("demo.weir.test", "192.0.2.0", "661501e42581009b", "core-1 core-2 core-3 core-4"),
    ("demo.weir.test", "198.51.100.0", "cdffa1171ad48bee", "core-1 core-3 core-2 core-4"),
    ("demo.weir.test", "2001:db8:1::", "4cd9f82855026598", "core-3 core-1 core-2 core-4"),
    ("video.example.com", "192.0.2.0", "3d2713f1bc1bab93", "core-1 core-3 core-2 core-4"),
];

#[test]
fn keys_and_orders_of_client_networks() {
    let network = network();
    let core = network.engines().iter().filter(|engine| engine.name.as_str().starts_with("core"));
    let found = CLIENT_ANSWERS.map(|(domain, client, _, _)| {
        let key = Key::of_client(&domain.parse().expect(domain), client.parse().expect(client));
        (domain, client, key.to_string(), shown(placement::order(key, core.clone())))
    });
    let expected = CLIENT_ANSWERS.map(|(domain, client, key, order)| (domain, client, key.to_owned(), order.to_owned()));
    assert_eq!(found, expected);
}

/// `core-2` takes this share of its weight; (share, order for `/vod/`).
const SHARE_ANSWERS: [(u16, &str); 5] = [
    (1000, "core-2 core-3 core-1 core-4"),
    (500, "core-2 core-3 core-1 core-4"),
    (300, "core-3 core-2 core-1 core-4"),
    (100, "core-3 core-1 core-2 core-4"),
    (1, "core-3 core-1 core-4 core-2"),
];

#[test]
fn orders_by_share() {
    let network = network();
    let key = Key::of(&"demo.weir.test".parse().expect("domain"), "/vod/sample.ts");
    let found = SHARE_ANSWERS.map(|(share_permille, _)| {
        let core = network.engines().iter().filter(|engine| engine.name.as_str().starts_with("core"));
        let candidates = core.map(|engine| match engine.name.as_str() {
            "core-2" => Candidate { engine, share_permille },
            _ => engine.into(),
        });
        (share_permille, shown(placement::order(key, candidates)))
    });
    assert_eq!(found, SHARE_ANSWERS.map(|(share, order)| (share, order.to_owned())));
}
