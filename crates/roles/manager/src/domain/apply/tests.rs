//! From a network to a document and what lies between the two.

use super::{
    document::export,
    outcome::{Done, note},
    plan::{Deed, Step, plan},
};
use crate::{compile, published::Held, snapshot::Snapshot};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use weir_model::configuration::ZoneEntry;
use weir_operator_api::{DeclaredDevice, DeclaredLocation, DeclaredZone, Location, NetworkDocument, Problem, Reason};

fn steps(document: &NetworkDocument, network: &Snapshot) -> Vec<Deed> {
    plan(document, network).expect("a plan").into_iter().map(|Step { deed, .. }| deed).collect()
}

/// What each step does, in a word and a name.
fn told(deeds: &[Deed]) -> Vec<String> {
    let one = |deed: &Deed| match deed {
        Deed::CreateLocation(request) => format!("create location {}", request.name),
        Deed::MoveLocation(request) => format!("move location {}", request.name),
        Deed::DeleteLocation(name) => format!("delete location {name}"),
        Deed::Activate(name, request) => format!("activate {name} {}", request.location),
        Deed::Deactivate(name) => format!("deactivate {name}"),
        Deed::CreateService(request) => format!("create service {}", request.name),
        Deed::ChangeService(request) => format!("change service {}", request.name),
        Deed::DeleteService(name) => format!("delete service {name}"),
        Deed::ReplaceZones(request) => format!("replace zones by {}", request.zones.len()),
    };
    deeds.iter().map(one).collect()
}

fn location(name: &str, parent: Option<&str>) -> DeclaredLocation {
    DeclaredLocation { name: name.into(), parent: parent.map(str::to_owned) }
}

fn device(name: &str, location: Option<&str>) -> DeclaredDevice {
    DeclaredDevice { name: name.into(), location: location.map(str::to_owned), weight: None, capacity_mbps: None }
}

fn refused(document: &NetworkDocument) -> (Reason, String) {
    let Problem { reason, field, .. } = plan(document, &compile::tests::network()).expect_err("refused");
    (reason, field.expect("a place"))
}

#[test]
fn everything_finds_what_it_needs() {
    let network = compile::tests::network();
    let mut document = export(&network);
    // The tree is turned over, and what is new is written before what it is below of.
    document.locations = Some(vec![location("core", Some("south")), location("south", Some("west")), location("west", None)]);
    let devices = document.devices.as_mut().expect("devices");
    for (name, to) in [("east-1", Some("south")), ("east-2", Some("core")), ("core-2", None)] {
        devices.iter_mut().find(|d| d.name == name).expect("device").clone_from(&device(name, to));
    }
    let services = document.delivery_services.as_mut().expect("services");
    services.retain(|s| s.name != "films");
    services[0].origin = "http://elsewhere.example.com".into();
    services.push(weir_operator_api::DeclaredService { name: "news".into(), domain: "films.weir.test".into(), ..services[0].clone() });
    document.coverage_zones = Some(vec![]);
    assert_eq!(
        told(&steps(&document, &network)),
        [
            "create location west",
            "create location south",
            "move location core",
            "delete service films",
            "activate east-2 core",
            "activate east-1 south",
            "change service demo",
            "create service news",
            "replace zones by 0",
            "deactivate core-2",
            "delete location east",
        ]
    );
}

#[test]
fn what_a_document_does_not_name_is_left_as_it_is() {
    let network = compile::tests::network();
    let nothing = NetworkDocument { format: 1, ..NetworkDocument::default() };
    assert_eq!(steps(&nothing, &network), []);
    let one = NetworkDocument { devices: Some(vec![device("core-1", Some("core"))]), ..nothing };
    assert_eq!(steps(&one, &network), [], "nor are other devices, nor a weight that is not named");
}

#[test]
fn locations_go_from_below() {
    let network = compile::tests::network();
    let document = NetworkDocument { format: 1, locations: Some(vec![]), ..NetworkDocument::default() };
    assert_eq!(told(&steps(&document, &network)), ["delete location east", "delete location core"]);
}

#[test]
fn what_is_wrong_with_a_document_has_a_place() {
    let format = NetworkDocument { format: 2, ..NetworkDocument::default() };
    assert_eq!(refused(&format), (Reason::InvalidField, "format".into()));
    let none = NetworkDocument { format: 1, ..NetworkDocument::default() };
    for (locations, expected) in [
        (vec![location("a", None), location("a", None)], (Reason::InvalidField, "locations[1].name")),
        (vec![location("a", None), location("b", Some("core"))], (Reason::UnknownLocation, "locations[1].parent")),
        (vec![location("a", Some("b")), location("b", Some("a"))], (Reason::LocationCycle, "locations[0].parent")),
        (vec![location("a", Some("a"))], (Reason::LocationCycle, "locations[0].parent")),
    ] {
        let document = NetworkDocument { locations: Some(locations), ..none.clone() };
        assert_eq!(refused(&document), (expected.0, expected.1.to_owned()));
    }
    let heavy = DeclaredDevice { weight: Some(7), ..device("core-1", None) };
    for (device, place) in [(device("ghost", None), "devices[0].name"), (heavy, "devices[0]")] {
        let document = NetworkDocument { devices: Some(vec![device]), ..none.clone() };
        assert_eq!(refused(&document), (Reason::InvalidField, place.to_owned()));
    }
}

/// Else the steps after it, and what speaks against it, go by what it was.
#[test]
fn what_is_written_anew_is_held_no_longer() {
    let service = |network: &Snapshot| network.services[0].clone();
    let request: weir_operator_api::DeliveryServiceRequest =
        serde_json::from_value(serde_json::json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://o"})).expect("a request");
    let as_it_is = service(&compile::tests::network());
    let wrote = (Deed::ChangeService(request), Done::Service(as_it_is));
    let deleted = (Deed::DeleteService("demo".into()), Done::Gone);
    for (deed, done) in [wrote, deleted] {
        let mut network = compile::tests::network();
        let held = Held { name: "demo".into(), why: String::new(), last: Some(service(&network)), unreadable: false };
        network.held.insert(network.services[0].id, held);
        note(&mut network, &deed, done);
        assert!(network.held.is_empty(), "{deed:?}");
    }
}

/// The tree of a network, as which location each is below of: one made before it, or none.
fn trees() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop::collection::vec(any::<prop::sample::Index>(), 2..12).prop_map(|picks| {
        let parent = |(at, pick): (usize, prop::sample::Index)| Some(pick.index(at + 1)).filter(|above| *above < at);
        picks.into_iter().enumerate().map(parent).collect()
    })
}

/// A network with these locations, and with devices, services and zones that differ from case to case.
fn network_of(tree: &[Option<usize>], weights: &[u8], zones: &[(u8, u32)]) -> Snapshot {
    let mut network = compile::tests::network();
    let name = |at: usize| format!("l{at:02}").parse::<weir_model::LocationName>().expect("name");
    let row = |(at, parent): (usize, &Option<usize>)| {
        let id = 100 + i64::try_from(at).expect("few");
        (name(at), Location { id, name: name(at), parent: parent.map(name), revision: 1 })
    };
    network.locations = tree.iter().enumerate().map(row).collect();
    for (at, record) in network.devices.values_mut().enumerate() {
        let weight = weights.get(at).copied().unwrap_or(100);
        record.active = weight % 3 > 0;
        record.location = record.active.then(|| name(usize::from(weight) % tree.len()));
        record.weight = weight;
        record.capacity_mbps = (weight % 2 == 0).then_some(u32::from(weight) + 1);
    }
    network.services.retain(|service| weights.len().is_multiple_of(2) || service.name.as_str() == "demo");
    let zones: BTreeMap<_, _> = zones.iter().map(|(net, metric)| (format!("10.{net}.0.0/16"), *metric)).collect();
    let entry =
        |(net, metric): (String, u32)| ZoneEntry { network: net.parse().expect("network"), locations: BTreeMap::from([(name(0), metric)]) };
    network.zones = Arc::new(zones.into_iter().map(entry).collect());
    network
}

proptest! {
    #[test]
    fn an_exported_network_needs_nothing(
        tree in trees(), weights in prop::collection::vec(0u8..=100, 0..8), zones in prop::collection::vec((any::<u8>(), 0u32..9), 0..6)
    ) {
        let network = network_of(&tree, &weights, &zones);
        prop_assert_eq!(steps(&export(&network), &network), vec![]);
    }

    /// Each step is on its place: what it names above itself is there by then, and nothing is deleted from under another.
    #[test]
    fn trees_are_turned_into_each_other_step_by_step(from in trees(), to in trees()) {
        let mut network = network_of(&from, &[], &[]);
        network.devices.clear();
        let wanted = export(&network_of(&to, &[], &[]));
        let document = NetworkDocument { format: 1, locations: wanted.locations.clone(), ..NetworkDocument::default() };
        for deed in steps(&document, &network) {
            match deed {
                Deed::CreateLocation(request) | Deed::MoveLocation(request) => {
                    let name: weir_model::LocationName = request.name.parse().expect("name");
                    let parent = request.parent.map(|p| p.parse::<weir_model::LocationName>().expect("name"));
                    if let Some(parent) = &parent {
                        prop_assert!(network.locations.contains_key(parent), "{} is not there yet for {}", parent, name);
                        prop_assert!(!network.is_under(parent, &name), "{} would be below itself", name);
                    }
                    let id = network.locations.get(&name).map_or(0, |l| l.id);
                    network.locations.insert(name.clone(), Location { id, name, parent, revision: 2 });
                }
                Deed::DeleteLocation(name) => {
                    let used = network.locations.values().find(|l| l.parent.as_ref().is_some_and(|p| p.as_str() == name));
                    prop_assert!(used.is_none(), "{} is still above {:?}", name, used);
                    network.locations.remove(name.as_str());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(export(&network).locations, wanted.locations);
    }

    /// The order of a set of zones says nothing.
    #[test]
    fn zones_in_another_order_are_the_same(zones in prop::collection::vec((any::<u8>(), 0u32..9), 0..6).prop_shuffle()) {
        let network = network_of(&[None, None], &[], &zones);
        let mut document = export(&network);
        document.coverage_zones.as_mut().expect("zones").reverse();
        prop_assert_eq!(steps(&document, &network), vec![]);
        let more = DeclaredZone { network: "192.0.2.0/24".into(), locations: BTreeMap::from([("l00".into(), 1)]) };
        document.coverage_zones.as_mut().expect("zones").push(more);
        prop_assert_eq!(steps(&document, &network).len(), 1);
    }
}
