//! The network the tests of this crate share: `weir up`'s, with core at the root and viewers in east and west.

use crate::{HealthTable, Network, health::Beat, health::EngineState};
use std::{fmt::Debug, str::FromStr};
use weir_model::{
    DeliveryService, DeviceConfiguration, Profile, Role, Stamp,
    configuration::{Confirmed, EngineEntry, LocationEntry, RouterEntry, ZoneEntry},
    service::CachePolicy,
};

pub(crate) fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

pub(crate) const ENGINES: [&str; 6] = ["core-1", "core-2", "east-1", "east-2", "west-1", "west-2"];

pub(crate) fn configuration() -> DeviceConfiguration {
    let location = |text: &str, parent: Option<&str>| LocationEntry { name: name(text), parent: parent.map(name) };
    let engine = |(number, text): (usize, &str)| EngineEntry {
        name: name(text),
        location: name(&text[..4]),
        http: format!("127.0.7.{}:8080", 20 + number).parse().expect("address"),
        weight: 100,
        offload: None,
        offload_since_ms: None,
    };
    let zone = |network: &str, near: &str, far: &str| ZoneEntry {
        network: network.parse().expect(network),
        locations: [(name(near), 0), (name(far), 10)].into(),
    };
    let router = |number: u8| RouterEntry {
        name: name(&format!("router-{number}")),
        keepalive: format!("127.0.7.{}:9443", 10 + number).parse().expect("address"),
        http: Some(format!("127.0.7.{}:8080", 10 + number).parse().expect("address")),
        dns: Some(format!("127.0.7.{}:5353", 10 + number).parse().expect("address")),
        offloaded: false,
    };
    DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 5 },
        device: name("router-1"),
        role: Role::Router,
        location: Some(name("core")),
        managers: Vec::new(),
        profile: Profile::rehearsal(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: vec![location("core", None), location("east", Some("core")), location("west", Some("core"))],
        engines: ENGINES.into_iter().enumerate().map(engine).collect(),
        routers: [1, 2].map(router).to_vec(),
        services: vec![DeliveryService {
            name: name("demo"),
            domain: name("demo.weir.test"),
            origin: name("http://127.0.7.250:9000"),
            engines: ENGINES.map(name).to_vec(),
            caching: CachePolicy::default(),
        }],
        zones: vec![zone("127.0.0.0/8", "east", "west"), zone("127.128.0.0/9", "west", "east")],
    }
}

pub(crate) fn network() -> Network {
    Network::compile(&configuration()).expect("the sample is valid")
}

pub(crate) fn beat(engine: &str, boot: u64, sequence: u64, at_ms: u64) -> Beat {
    Beat { engine: name(engine), state: EngineState::Serving, boot, sequence, stamp: Stamp::default(), share_permille: 1000, at_ms }
}

/// These engines were heard at 1000 ms.
pub(crate) fn heard(engines: &[&str]) -> HealthTable {
    let mut table = HealthTable::default();
    for engine in engines {
        table.accept(&beat(engine, 1, 1, 1000)).expect("first");
    }
    table
}
