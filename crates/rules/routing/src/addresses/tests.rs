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
    let engine = network.engine(&sample::name(engine)).expect("one of the sample's");
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

#[test]
fn an_answer_without_an_address_of_the_family_is_none_and_not_a_failure() {
    let mut configuration = sample::configuration();
    configuration.engines[4].http = "[2001:db8::24]:8080".parse().expect("address");
    let network = Network::compile(&configuration).expect("valid");
    let v6 = |client: &str| AddressQuestion { family: Family::V6, ..question(client, 32) };
    let health = sample::heard(&sample::ENGINES);
    assert_eq!(apex(&network, &health, &v6("127.200.0.1")), Ok((vec!["west-1".to_owned()], 24)));
    assert_eq!(apex(&network, &health, &question("127.200.0.1", 32)), Ok((vec!["west-2".to_owned()], 24)));
    assert_eq!(apex(&network, &sample::heard(&["east-1"]), &v6("127.0.0.1")), Ok((Vec::new(), 24)));
    assert_eq!(apex(&network, &HealthTable::default(), &v6("127.0.0.1")), Err(RefusalReason::NoLiveEngine));
    assert_eq!(named(&network, &health, "east-1", &v6("127.0.0.1")), Ok((Vec::new(), 0)));
    assert_eq!(named(&network, &health, "west-1", &v6("127.0.0.1")), Ok((vec!["west-1".to_owned()], 0)));
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
        dead in prop::sample::select(sample::ENGINES.to_vec()),
    ) {
        let mut configuration = sample::configuration();
        let near = ["east", "west", "core"];
        configuration.zones = zones
            .iter()
            .map(|(network, at)| ZoneEntry { network: *network, locations: [(sample::name(near[*at]), 0)].into() })
            .collect();
        let network = Network::compile(&configuration).expect("valid");
        let health = sample::heard(&live);
        let asked = AddressQuestion { client, prefix, family: Family::V4, now_ms: 1000 };
        type Ask<'a> = &'a dyn Fn(&AddressQuestion) -> Result<(Vec<String>, u8), RefusalReason>;
        let of_apex: Ask<'_> = &|asked| apex(&network, &health, asked);
        let of_name: Ask<'_> = &|asked| named(&network, &health, dead, asked);
        for ask in [of_apex, of_name] {
            let Ok((engines, scope)) = ask(&asked) else { continue };
            if prefix == 0 {
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
