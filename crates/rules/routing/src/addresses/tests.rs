use super::*;
use crate::{health::Beat, health::EngineState, sample};
use proptest::prelude::*;
use std::collections::BTreeSet;
use weir_model::{OffloadEpoch, configuration::ZoneEntry};

fn question(client: &str, prefix: u8) -> AddressQuestion {
    AddressQuestion { client: client.parse().expect(client), prefix, family: Family::V4, now_ms: 1000 }
}

fn names(placed: &Placed<'_>) -> Vec<String> {
    placed.engines().map(|engine| engine.name.to_string()).collect()
}

fn apex(network: &Network, health: &HealthTable, question: &AddressQuestion) -> Result<(Vec<String>, u8), RefusalReason> {
    addresses(network, health, &network.services()[0], question).map(|placed| (names(&placed), placed.scope))
}

fn named(network: &Network, health: &HealthTable, engine: &str, question: &AddressQuestion) -> Result<(Vec<String>, u8), RefusalReason> {
    let engine = network.engine(&sample::name(engine));
    stand_in(network, health, &network.services()[0], engine, question).map(|placed| (names(&placed), placed.scope))
}

fn with_zones(zones: &[(&str, &str)]) -> Network {
    let mut configuration = sample::configuration();
    configuration.zones.extend(
        zones
            .iter()
            .map(|(network, near)| ZoneEntry { network: network.parse().expect(network), locations: [(sample::name(near), 0)].into() }),
    );
    Network::compile(&configuration).expect("valid")
}

#[test]
fn two_engines_of_the_nearest_tier_and_a_network_of_clients_sticks() {
    let (network, health) = (sample::network(), sample::heard(&sample::ENGINES));
    let (engines, scope) = apex(&network, &health, &question("127.0.0.9", 32)).expect("an answer");
    assert_eq!(scope, 24);
    let east: BTreeSet<String> = engines.iter().cloned().collect();
    assert_eq!(east, ["east-1", "east-2"].map(String::from).into());
    for client in ["127.0.0.1", "127.0.0.200"] {
        assert_eq!(apex(&network, &health, &question(client, 32)), Ok((engines.clone(), 24)));
        assert_eq!(apex(&network, &health, &question(client, 24)), Ok((engines.clone(), 24)));
    }
    let firsts: BTreeSet<String> =
        (0..64u8).map(|n| apex(&network, &health, &question(&format!("127.0.{n}.1"), 24)).expect("an answer").0[0].clone()).collect();
    assert_eq!(firsts, east, "networks spread over the engines");
}

#[test]
fn the_dead_the_offloaded_and_the_weightless_are_left_out() {
    let mut configuration = sample::configuration();
    configuration.engines[2].offload = Some(OffloadEpoch::Clients);
    let network = Network::compile(&configuration).expect("valid");
    let asked = question("127.0.0.9", 32);
    assert_eq!(apex(&network, &sample::heard(&sample::ENGINES), &asked).expect("an answer").0, ["east-2"]);
    assert_eq!(apex(&network, &sample::heard(&["east-1", "core-1"]), &asked).expect("an answer").0, ["core-1"]);
    assert_eq!(apex(&network, &HealthTable::default(), &asked), Err(RefusalReason::NoLiveEngine));
    assert_eq!(apex(&network, &sample::heard(&sample::ENGINES), &question("192.0.2.1", 24)), Err(RefusalReason::NoCoverageZone));
}

#[test]
fn scopes() {
    let network = with_zones(&[("127.0.9.0/25", "west"), ("2001:db8::/32", "east"), ("2001:db8:0:1::/64", "west"), ("10.0.0.0/8", "east")]);
    let health = sample::heard(&sample::ENGINES);
    for (client, prefix, expected) in [
        ("127.0.0.1", 32, 24),
        ("127.0.0.0", 24, 24),
        ("127.0.9.1", 32, 25),
        ("127.0.9.200", 32, 25),
        ("127.0.9.0", 24, 25),
        ("10.1.0.0", 16, 24),
        ("10.0.0.0", 8, 24),
        ("10.1.2.3", 0, 0),
        ("2001:db8:7::1", 128, 48),
        ("2001:db8:7::", 56, 48),
        ("2001:db8:0:7::", 56, 64),
        ("2001:db8:0:7::", 64, 62),
        ("2001:db8::", 32, 64),
        ("::ffff:127.0.0.1", 128, 120),
        ("::ffff:127.0.9.0", 120, 121),
        ("::ffff:127.0.0.1", 0, 0),
    ] {
        let found = apex(&network, &health, &question(client, prefix)).map(|(_, scope)| scope);
        assert_eq!(found, Ok(expected), "{client}/{prefix}");
    }
}

#[test]
fn bits_that_were_not_told_do_not_count() {
    let (network, health) = (sample::network(), sample::heard(&sample::ENGINES));
    for bits in [8, 16, 20, 24] {
        let clean = apex(&network, &health, &question("127.0.0.0", bits));
        assert_eq!(apex(&network, &health, &AddressQuestion { client: masked_but(bits), ..question("127.0.0.0", bits) }), clean);
    }
    let mapped = apex(&network, &health, &question("::ffff:127.0.5.9", 128)).expect("an answer").0;
    assert_eq!(mapped, apex(&network, &health, &question("127.0.5.9", 32)).expect("an answer").0);
}

/// 127.0.0.0 with every bit after the first `bits` set.
fn masked_but(bits: u8) -> IpAddr {
    IpNet::new("127.0.0.0".parse().expect("address"), bits).expect("length").broadcast()
}

fn v6(client: &str) -> AddressQuestion {
    AddressQuestion { family: Family::V6, ..question(client, 32) }
}

/// west-1 at this address, every other engine at an IPv4 one.
fn west_1_at(http: &str) -> Network {
    let mut configuration = sample::configuration();
    configuration.engines[4].http = http.parse().expect("address");
    Network::compile(&configuration).expect("valid")
}

#[test]
fn each_family_has_its_engines() {
    let (network, health) = (west_1_at("[2001:db8::24]:8080"), sample::heard(&sample::ENGINES));
    assert_eq!(apex(&network, &health, &v6("127.200.0.1")), Ok((vec!["west-1".to_owned()], 24)));
    assert_eq!(apex(&network, &health, &question("127.200.0.1", 32)), Ok((vec!["west-2".to_owned()], 24)));
    assert_eq!(named(&network, &health, "east-1", &v6("127.0.0.1")), Ok((Vec::new(), 0)));
    assert_eq!(named(&network, &health, "west-1", &v6("127.0.0.1")), Ok((vec!["west-1".to_owned()], 0)));
}

/// RFC 7871 section 7.4: a resolver takes a negative answer as one for everybody.
#[test]
fn an_answer_without_addresses_is_the_same_for_everybody() {
    let nothing = Ok((Vec::new(), 0));
    let v4_only = sample::network();
    for client in ["127.0.0.1", "127.200.0.1", "192.0.2.1"] {
        for live in [&sample::ENGINES[..], &["core-1"], &[]] {
            assert_eq!(apex(&v4_only, &sample::heard(live), &v6(client)), nothing, "no engine has that family: {client} {live:?}");
        }
    }
    // One engine has it, and the zones of the east do not reach it.
    let mut configuration = sample::configuration();
    configuration.engines[4].http = "[2001:db8::24]:8080".parse().expect("address");
    configuration.zones[0].locations.remove("west");
    let network = Network::compile(&configuration).expect("valid");
    let elsewhere = Ok((vec!["west-1".to_owned()], 24));
    assert_eq!(apex(&network, &sample::heard(&sample::ENGINES), &v6("127.0.0.1")), elsewhere);
    assert_eq!(named(&network, &sample::heard(&["east-1", "west-1"]), "east-2", &v6("127.0.0.1")), elsewhere);
    assert_eq!(apex(&network, &sample::heard(&["east-1"]), &v6("127.0.0.1")), nothing, "for nobody, while it is dead");
    assert_eq!(apex(&network, &sample::heard(&["west-2"]), &v6("127.200.0.1")), nothing, "for nobody, while it is dead");
    assert_eq!(apex(&network, &HealthTable::default(), &v6("127.0.0.1")), Err(RefusalReason::NoLiveEngine));
}

#[test]
fn an_engine_on_every_address_of_its_box_has_none_to_give() {
    let health = sample::heard(&sample::ENGINES);
    for http in ["0.0.0.0:8080", "[::]:8080", "[::ffff:0.0.0.0]:8080"] {
        let network = west_1_at(http);
        assert_eq!(apex(&network, &health, &question("127.200.0.1", 32)), Ok((vec!["west-2".to_owned()], 24)), "{http}");
        assert_eq!(apex(&network, &health, &v6("127.200.0.1")), Ok((Vec::new(), 0)), "{http}");
        assert_eq!(named(&network, &health, "west-1", &question("127.0.0.1", 32)), Ok((Vec::new(), 0)), "{http}");
    }
    let mapped = west_1_at("[::ffff:192.0.2.7]:8080");
    assert_eq!(apex(&mapped, &health, &question("127.200.0.1", 32)).expect("an answer").0.len(), 2, "an IPv4 address however written");
}

#[test]
fn the_name_of_an_engine_the_network_has_no_longer_leads_to_a_live_one() {
    let (network, health) = (sample::network(), sample::heard(&["east-2", "west-2", "core-1"]));
    for (client, expected) in [("127.0.0.1", "east-2"), ("127.200.0.1", "west-2")] {
        assert_eq!(named(&network, &health, "gone-1", &question(client, 32)), Ok((vec![expected.to_owned()], 24)), "the client's zone");
    }
    assert_eq!(named(&network, &health, "gone-1", &question("192.0.2.1", 32)), Err(RefusalReason::NoCoverageZone));
    assert_eq!(named(&network, &HealthTable::default(), "gone-1", &question("127.0.0.1", 32)), Err(RefusalReason::NoLiveEngine));
}

#[test]
fn a_name_leads_to_its_engine_while_it_is_up_offloaded_or_not() {
    let mut configuration = sample::configuration();
    configuration.engines[2].offload = Some(OffloadEpoch::Peers);
    configuration.engines[3].weight = 0;
    let network = Network::compile(&configuration).expect("valid");
    let mut health = sample::heard(&sample::ENGINES);
    health.accept(&Beat { state: EngineState::Offloading, ..sample::beat("east-1", 1, 2, 1000) }).expect("rises");
    for engine in ["east-1", "east-2", "west-1"] {
        assert_eq!(named(&network, &health, engine, &question("192.0.2.1", 32)), Ok((vec![engine.to_owned()], 0)), "from anywhere");
    }
}

#[test]
fn a_dead_engines_name_leads_to_a_live_peer_its_own_site_first() {
    let network = sample::network();
    let asked = question("127.200.0.1", 32);
    let stand_in = |live: &[&str]| named(&network, &sample::heard(live), "east-1", &asked);
    assert_eq!(stand_in(&["east-2", "west-1", "core-1"]), Ok((vec!["east-2".to_owned()], 24)));
    assert_eq!(stand_in(&["west-1", "core-1"]), Ok((vec!["west-1".to_owned()], 24)), "the client's zone");
    assert_eq!(stand_in(&["core-1"]), Ok((vec!["core-1".to_owned()], 24)));
    assert_eq!(stand_in(&[]), Err(RefusalReason::NoLiveEngine));
    assert_eq!(named(&network, &sample::heard(&["east-2"]), "east-1", &question("192.0.2.1", 0)), Ok((vec!["east-2".to_owned()], 0)));
    let nowhere = named(&network, &sample::heard(&["west-1"]), "east-1", &question("192.0.2.1", 24));
    assert_eq!(nowhere, Err(RefusalReason::NoCoverageZone));
}

#[test]
fn an_engine_that_does_not_carry_the_service_is_stood_in_for() {
    let mut configuration = sample::configuration();
    configuration.services[0].engines.retain(|name| name.as_str() != "east-1");
    let network = Network::compile(&configuration).expect("valid");
    let found = named(&network, &sample::heard(&sample::ENGINES), "east-1", &question("127.0.0.1", 32));
    assert_eq!(found, Ok((vec!["east-2".to_owned()], 24)));
}

fn some_network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (0u32..64, 0u8..=32).prop_map(|(bits, len)| IpNet::new(IpAddr::V4((10 << 24 | bits << 3).into()), len).expect("length").trunc()),
        (0u128..64, 0u8..=128)
            .prop_map(|(bits, len)| IpNet::new(IpAddr::V6((0x2001_0db8 << 96 | bits << 60).into()), len).expect("length").trunc()),
    ]
}

fn some_client() -> impl Strategy<Value = (IpAddr, u8)> {
    prop_oneof![
        (0u32..512, 0u8..=32).prop_map(|(bits, prefix)| (IpAddr::V4((10 << 24 | bits).into()), prefix)),
        (0u128..4096, 0u8..=128).prop_map(|(bits, prefix)| (IpAddr::V6((0x2001_0db8 << 96 | bits << 58).into()), prefix)),
    ]
}

/// An address of the network with these bits where the network leaves them open.
fn inside(network: IpNet, bits: u128) -> IpAddr {
    match (network.network(), network.hostmask()) {
        (IpAddr::V4(base), IpAddr::V4(open)) => IpAddr::V4((u32::from(base) | (bits as u32 & u32::from(open))).into()),
        (IpAddr::V6(base), IpAddr::V6(open)) => IpAddr::V6((u128::from(base) | (bits & u128::from(open))).into()),
        (base, _) => base,
    }
}

proptest! {
    /// RFC 7871 section 7.2.1: an answer holds for every client within its scope, and answers of different networks never
    /// overlap in part.
    #[test]
    fn every_client_within_the_scope_gets_the_same_answer(
        zones in prop::collection::btree_map(some_network(), 0usize..3, 1..12),
        (client, prefix) in some_client(),
        other: u128,
        live in prop::sample::subsequence(sample::ENGINES.to_vec(), 0..=6),
        dead in prop::sample::select([&sample::ENGINES[..], &["gone-1"]].concat()),
        v6 in prop::sample::subsequence((0..sample::ENGINES.len()).collect::<Vec<_>>(), 0..=3),
        family in prop::sample::select(vec![Family::V4, Family::V6]),
    ) {
        let mut configuration = sample::configuration();
        for engine in v6 {
            configuration.engines[engine].http = format!("[2001:db8::{engine}]:8080").parse().expect("address");
        }
        let near = ["east", "west", "core"];
        configuration.zones = zones
            .iter()
            .map(|(network, at)| ZoneEntry { network: *network, locations: [(sample::name(near[*at]), 0)].into() })
            .collect();
        let network = Network::compile(&configuration).expect("valid");
        let health = sample::heard(&live);
        let asked = AddressQuestion { client, prefix, family, now_ms: 1000 };
        type Ask<'a> = &'a dyn Fn(&AddressQuestion) -> Result<(Vec<String>, u8), RefusalReason>;
        let of_apex: Ask<'_> = &|asked| apex(&network, &health, asked);
        let of_name: Ask<'_> = &|asked| named(&network, &health, dead, asked);
        for ask in [of_apex, of_name] {
            let Ok((engines, scope)) = ask(&asked) else { continue };
            if prefix == 0 || engines.is_empty() {
                prop_assert_eq!(scope, 0);
                continue;
            }
            let told = IpNet::new(client, prefix).expect("length").network();
            let within = IpNet::new(told, scope).expect("a scope is at most the address's length").trunc();
            let client = inside(within, other);
            let most = if client.is_ipv4() { 32 } else { 128 };
            for prefix in [scope.max(1), most] {
                prop_assert_eq!(ask(&AddressQuestion { client, prefix, ..asked }), Ok((engines.clone(), scope)), "{}/{}", client, prefix);
            }
        }
    }
}
