//! A network of two sites and both address families, and a router of it that has heard every engine.

use super::*;
use crate::sample;
use weir_device_api::keepalive::{Channel, EngineState};
use weir_model::{
    DeviceConfiguration, Stamp,
    configuration::{EngineEntry, LocationEntry, RouterEntry, ZoneEntry},
};

/// The sample, with a site in the west, an engine that has an IPv6 address, and three routers, one of them handed over.
pub(super) fn configuration() -> DeviceConfiguration {
    let mut configuration = sample::configuration();
    let engine = |name: &str, location: &str, http: &str| EngineEntry {
        name: name.parse().expect(name),
        location: location.parse().expect(location),
        http: http.parse().expect(http),
        ..sample::configuration().engines[0].clone()
    };
    configuration.locations.push(LocationEntry { name: "west".parse().expect("name"), parent: None });
    configuration.engines.extend([engine("east-3", "east", "[2001:db8::24]:8080"), engine("west-1", "west", "127.0.7.31:8080")]);
    configuration.services[0].engines = configuration.engines.iter().map(|engine| engine.name.clone()).collect();
    let router = |name: &str, http: Option<&str>, dns: Option<&str>, offloaded| RouterEntry {
        name: name.parse().expect(name),
        keepalive: "127.0.7.9:7400".parse().expect("address"),
        http: http.map(|http| http.parse().expect(http)),
        dns: dns.map(|dns| dns.parse().expect(dns)),
        offloaded,
    };
    configuration.routers = vec![
        sample::this_router(false),
        router("router-2", Some("[2001:db8::10]:8080"), Some("0.0.0.0:5353"), false),
        router("router-3", None, Some("127.0.7.11:5353"), true),
    ];
    let zone = |network: &str, locations: [(&str, u32); 2]| ZoneEntry {
        network: network.parse().expect(network),
        locations: locations.map(|(location, metric)| (location.parse().expect(location), metric)).into(),
    };
    configuration.zones = vec![zone("127.0.0.0/8", [("east", 0), ("west", 10)]), zone("127.128.0.0/9", [("west", 0), ("east", 10)])];
    configuration
}

/// The next generation, with more routers than a zone names.
pub(super) fn many_routers() -> DeviceConfiguration {
    let mut configuration = configuration();
    configuration.stamp.generation += 1;
    let router = configuration.routers[0].clone();
    configuration.routers.extend((10..60).map(|number| {
        let name = format!("a-router-with-a-rather-long-name-{number}").parse().expect("name");
        RouterEntry { name, ..router.clone() }
    }));
    configuration
}

pub(super) struct Bench {
    pub(super) router: Router,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(super) fn start() -> Self {
        let (router, dir) = sample::router();
        router.apply(&configuration()).expect("valid");
        let bench = Self { router, _dir: dir };
        for engine in ["east-1", "east-2", "east-3", "west-1"] {
            bench.hear(engine, EngineState::Serving, 1, 5);
        }
        bench
    }

    /// One keepalive of an engine that runs a configuration of this generation.
    pub(super) fn hear(&self, engine: &str, state: EngineState, sequence: u64, generation: u64) {
        let mut keepalive = sample::keepalive(engine, 1, sequence);
        (keepalive.state, keepalive.stamp) = (state, Stamp { term: 1, generation });
        let heard = self.router.hear(&sample::encode(&keepalive, "router-1", Channel::Datagram));
        assert_eq!(heard, crate::keepalive::Heard::Accepted, "{engine}");
    }

    /// What a viewer in the east is answered.
    pub(super) fn answer(&self, query: &[u8], transport: Transport) -> Vec<u8> {
        let mut answer = Vec::new();
        respond(&self.router, query, "127.0.0.9:5000".parse().expect("address"), transport, &mut answer);
        answer
    }

    /// What somebody is answered over UDP.
    pub(super) fn answer_to(&self, query: &[u8], client: &str) -> Vec<u8> {
        let mut answer = Vec::new();
        let client = SocketAddr::new(client.parse().expect("address"), 5000);
        respond(&self.router, query, client, Transport::Udp, &mut answer);
        answer
    }
}
