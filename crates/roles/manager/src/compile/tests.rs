//! Who learns what, and that equal networks compile to equal bytes.

use super::*;
use crate::compressed::Coding;
use std::{collections::BTreeMap, sync::Arc};
use weir_model::{
    LocationName, OffloadEpoch, Profile, Stamp,
    configuration::{Confirmed, KeepaliveKey, ZoneEntry},
};
use weir_operator_api::{Addresses, Caching, Location};

fn location(id: i64, name: &str, parent: Option<&str>) -> (LocationName, Location) {
    let label = |t: &str| t.parse::<LocationName>().expect("name");
    (label(name), Location { id, name: label(name), parent: parent.map(label), revision: 1 })
}

fn device(id: i64, name: &str, role: Role, at: Option<&str>) -> (DeviceName, DeviceRecord) {
    let address = |port: u16| Some(format!("127.0.0.{id}:{port}").parse().expect("address"));
    let addresses = match role {
        Role::Manager => Addresses { https: address(8443), device: address(9443), ..Addresses::default() },
        Role::Router => Addresses { http: address(8080), keepalive: address(7000), ..Addresses::default() },
        Role::Engine => Addresses { http: address(8080), ..Addresses::default() },
    };
    let record = DeviceRecord {
        id,
        name: name.parse().expect("name"),
        role,
        active: at.is_some() || name == "manager-2",
        location: at.map(|l| l.parse().expect("name")),
        weight: 100,
        capacity_mbps: None,
        activated_generation: 1,
        addresses,
        public_key_sha256: String::new(),
        certificate_sha256: String::new(),
        enrolled_with: String::new(),
        enrolled_ms: 1,
        revision: 1,
    };
    (record.name.clone(), record)
}

fn service(id: i64, name: &str, engines: Option<&[&str]>) -> weir_operator_api::DeliveryService {
    weir_operator_api::DeliveryService {
        id,
        name: name.parse().expect("name"),
        domain: format!("{name}.weir.test").parse().expect("domain"),
        origin: "http://origin.example.com".parse().expect("origin"),
        engines: engines.map(|e| e.iter().map(|n| n.parse().expect("name")).collect()),
        caching: Caching::default(),
        #[cfg(feature = "synthetic-next")]
        detail: None,
        revision: 1,
    }
}

/// A small network: core with two engines, east with one and one that is not activated, a router, two managers.
pub(crate) fn network() -> Snapshot {
    Snapshot {
        seal: crate::seal::Seal::of_a_test(),
        stamp: Stamp { term: 1, generation: 42 },
        network: "test".into(),
        profile: Profile::rehearsal(),
        level: weir_model::FIRST_LEVEL,
        level_generation: 0,
        primary: "manager-2".parse().expect("name"),
        keepalive_keys: vec![KeepaliveKey { id: 1, secret: "ab".repeat(32) }],
        locations: BTreeMap::from([location(1, "core", None), location(2, "east", Some("core"))]),
        devices: BTreeMap::from([
            device(1, "manager-1", Role::Manager, Some("core")),
            device(2, "manager-2", Role::Manager, None),
            device(3, "router-1", Role::Router, Some("core")),
            device(4, "core-1", Role::Engine, Some("core")),
            device(5, "core-2", Role::Engine, Some("core")),
            device(6, "east-1", Role::Engine, Some("east")),
            device(7, "east-2", Role::Engine, None),
        ]),
        outside: BTreeMap::new(),
        services: vec![service(1, "demo", None), service(2, "films", Some(&["east-1", "east-2"]))],
        zones_revision: 1,
        zones: Arc::new(vec![ZoneEntry {
            network: "127.0.0.0/8".parse().expect("network"),
            locations: BTreeMap::from([("east".parse().expect("name"), 1)]),
        }]),
        held: BTreeMap::new(),
        earlier: BTreeMap::new(),
        unfit: None,
        confirmed: Confirmed::default(),
    }
}

fn compiled(network: &Snapshot, device: &str) -> DeviceConfiguration {
    document(network, &network.devices[device])
}

#[test]
fn who_learns_what() {
    let network = network();
    // device: locations, engines, routers, services, zones, keys
    for (device, expected) in [
        ("manager-1", [2, 3, 1, 0, 0, 0]),
        ("router-1", [2, 3, 1, 2, 1, 1]),
        ("east-1", [2, 3, 1, 2, 0, 1]),
        ("east-2", [0, 0, 0, 0, 0, 0]),
    ] {
        let d = compiled(&network, device);
        let counts = [d.locations.len(), d.engines.len(), d.routers.len(), d.services.len(), d.zones.len(), d.keepalive_keys.len()];
        assert_eq!(counts, expected, "{device}");
        let managers: Vec<_> = d.managers.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(managers, ["manager-2", "manager-1"], "the primary comes first, for {device}");
        assert_eq!(d.stamp, network.stamp);
    }
}

#[test]
fn a_service_is_carried_by_active_engines_only() {
    let document = compiled(&network(), "router-1");
    let engines = |at: usize| document.services[at].engines.iter().map(DeviceName::as_str).collect::<Vec<_>>();
    assert_eq!(engines(0), ["core-1", "core-2", "east-1"]);
    assert_eq!(engines(1), ["east-1"]);
}

#[test]
fn equal_networks_compile_to_equal_bytes() {
    let json = |n: &Snapshot| n.devices.values().map(|d| serde_json::to_string(&document(n, d)).expect("json")).collect::<Vec<_>>();
    assert_eq!(json(&network()), json(&network()));
}

#[test]
fn an_engine_that_is_out_says_since_when() {
    let mut network = network();
    let outside = |peers_generation| Outside { since_ms: 1_700_000_000_000, clients_generation: 40, peers_generation, leases: Vec::new() };
    network.outside.insert("east-1".parse().expect("name"), outside(None));
    network.outside.insert("core-2".parse().expect("name"), outside(Some(41)));
    let found: Vec<_> = engines(&network).into_iter().map(|e| (e.name.to_string(), e.offload, e.offload_since_ms)).collect();
    let since = Some(1_700_000_000_000);
    let expected = [("core-1", None, None), ("core-2", Some(OffloadEpoch::Peers), since), ("east-1", Some(OffloadEpoch::Clients), since)];
    assert_eq!(found, expected.map(|(name, offload, since)| (name.to_owned(), offload, since)));
}

fn engines_of(network: &Snapshot, device: &str) -> Vec<String> {
    compiled(network, device).engines.into_iter().map(|engine| engine.name.to_string()).collect()
}

/// One more engine, in a location below core.
fn place(network: &mut Snapshot, id: i64, name: &str, at: &str) {
    network.locations.extend([location(id, at, Some("core"))]);
    network.devices.extend([device(id, name, Role::Engine, Some(at))]);
}

#[test]
fn an_engine_learns_of_its_line_of_the_tree_and_of_one_elsewhere() {
    let mut network = network();
    for n in 1..=3 {
        place(&mut network, 10 + n, &format!("west-{n}"), "west");
    }
    assert_eq!(engines_of(&network, "east-1"), ["core-1", "core-2", "east-1", "west-1"], "above, itself, and one elsewhere");
    assert_eq!(engines_of(&network, "core-1"), ["core-1", "core-2", "east-1", "west-1", "west-2", "west-3"], "all are below");
    assert_eq!(engines_of(&network, "router-1").len(), 6, "a router learns of all");
    let out = Outside { since_ms: 1, clients_generation: 40, peers_generation: None, leases: Vec::new() };
    network.outside.insert("west-1".parse().expect("name"), out);
    assert_eq!(engines_of(&network, "east-1"), ["core-1", "core-2", "east-1", "west-2"], "one that takes viewers");
    network.services[1].engines = Some(vec!["east-1".parse().expect("name"), "west-3".parse().expect("name")]);
    assert_eq!(engines_of(&network, "east-1"), ["core-1", "core-2", "east-1", "west-2", "west-3"], "one for each service");
}

/// One that moved away while it was cut off goes on filling from here.
#[test]
fn an_engine_knows_the_addresses_of_all_others() {
    let mut network = network();
    for n in 1..=3 {
        place(&mut network, 10 + n, &format!("west-{n}"), "west");
    }
    let of = |device: &str| {
        let document = compiled(&network, device);
        (document.engines.len(), document.engine_addresses.len())
    };
    assert_eq!(of("east-1"), (4, 6), "two of west are not named");
    assert_eq!(of("core-1"), (6, 6));
    assert_eq!(of("router-1"), (6, 0), "a router has all of them by name");
}

#[test]
fn routers_alone_learn_what_operators_confirmed() {
    let mut network = network();
    network.confirmed.engines.insert("east-2".parse().expect("name"), network.stamp);
    for (device, told) in [("manager-1", false), ("router-1", true), ("east-1", false), ("east-2", false)] {
        assert_eq!(!compiled(&network, device).confirmed.is_empty(), told, "{device}");
    }
}

/// Of what was confirmed, what it needs to take the document that says it is out of service, and no engine's name.
#[test]
fn an_inactive_router_learns_the_words_for_itself_and_for_locations() {
    let mut network = network();
    for (id, name) in [(12, "idle-1"), (13, "idle-2")] {
        let (name, record) = device(id, name, Role::Router, None);
        network.confirmed.engines.insert(name.clone(), network.stamp);
        network.devices.insert(name, record);
    }
    let (name, record) = device(14, "idle-3", Role::Engine, None);
    network.devices.insert(name, record);
    network.confirmed.engines.insert("east-1".parse().expect("name"), network.stamp);
    let east: LocationName = "east".parse().expect("name");
    network.confirmed.locations.insert(east.clone(), network.stamp);
    let told = |device: &str| compiled(&network, device).confirmed;
    let of = |name: &str| Confirmed {
        engines: [(name.parse().expect("name"), network.stamp)].into(),
        locations: [(east.clone(), network.stamp)].into(),
    };
    assert_eq!((told("idle-1"), told("idle-2")), (of("idle-1"), of("idle-2")));
    assert!(told("idle-3").is_empty(), "engines obey whatever they are told");
}

/// A device's document, in either coding the same.
fn whole(written: &Written, device: &DeviceRecord) -> Vec<u8> {
    let plain = [written.head(device), written.rest(Coding::Identity).concat()].concat();
    let rest = zstd::stream::decode_all(&written.rest(Coding::Zstd).concat()[..]).expect("frames");
    assert_eq!([written.head(device), rest].concat(), plain);
    plain
}

/// The bytes that devices share are those of each device's own document.
#[tokio::test]
async fn written_once_is_what_each_would_get() {
    let mut network = network();
    place(&mut network, 10, "west-1", "west");
    place(&mut network, 11, "east-3", "east");
    for id in 12..=13 {
        let (name, record) = device(id, &format!("idle-{id}"), Role::Router, None);
        network.confirmed.engines.insert(name.clone(), network.stamp);
        network.devices.insert(name, record);
    }
    let mut network = Arc::new(network);
    let documents = Documents::default();
    for pass in 0..2 {
        for device in network.devices.values() {
            let written = documents.of(&network, device, None).await.expect("written");
            assert_eq!(whole(&written, device), serde_json::to_vec(&document(&network, device)).expect("JSON"), "{}", device.name);
        }
        if pass == 0 {
            let of = async |name: &str| documents.of(&network, &network.devices[name], None).await.expect("written");
            assert!(Arc::ptr_eq(&of("east-1").await, &of("east-3").await), "devices of a site share one");
            let older = Arc::new(Snapshot { stamp: Stamp { generation: 41, ..network.stamp }, ..Snapshot::clone(&network) });
            let device = &network.devices["east-1"];
            let written = documents.of(&older, device, None).await.expect("written");
            assert_eq!(whole(&written, device), serde_json::to_vec(&document(&older, device)).expect("JSON"));
            let network = Arc::make_mut(&mut network);
            network.stamp.generation += 1;
            place(network, 14, "east-4", "east");
        }
    }
}

/// What the manager hands out, routers and engines can load.
#[test]
fn every_active_device_can_load_its_document() {
    let network = network();
    for device in ["router-1", "core-1", "east-1"] {
        let loaded = weir_routing::Network::compile(&compiled(&network, device));
        assert!(loaded.is_ok(), "{device}");
    }
}

#[cfg(feature = "synthetic-next")]
#[test]
fn a_detail_is_sent_once_the_level_has_it() {
    let mut network = network();
    network.services[0].detail = Some("gold".parse().expect("detail"));
    for (level, sent) in [((1, 0), None), ((1, 1), Some("gold")), ((2, 0), Some("gold"))] {
        network.level = weir_model::Line::new(level.0, level.1);
        let document = compiled(&network, "east-1");
        assert_eq!(document.services[0].detail.as_ref().map(weir_model::Detail::as_str), sent, "{level:?}");
        assert_eq!(document.level, Some(network.level));
    }
}
