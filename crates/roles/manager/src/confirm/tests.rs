//! What needs a word, and what the word is over.

use super::*;
use crate::compile::tests::network;
use proptest::prelude::*;
use std::sync::Arc;
use weir_model::configuration::ZoneEntry;
use weir_operator_api::DeliveryService;

fn service(network: &Snapshot, id: i64) -> DeliveryService {
    let name = format!("s-{id}");
    DeliveryService {
        id,
        name: name.parse().expect("name"),
        domain: format!("{name}.weir.test").parse().expect("domain"),
        ..network.services[0].clone()
    }
}

/// The small network with more of everything.
fn wide(engines: i64, services: i64, prefixes: u8) -> Snapshot {
    let mut network = network();
    let record = network.devices["core-1"].clone();
    network.devices.retain(|name, _| !name.as_str().contains('-') || name.as_str().starts_with("manager"));
    for id in 0..engines {
        let name: DeviceName = format!("core-{id:03}").parse().expect("name");
        network.devices.insert(name.clone(), crate::snapshot::DeviceRecord { id: 100 + id, name, ..record.clone() });
    }
    network.services = (0..services).map(|id| service(&network, id)).collect();
    let zone = network.zones[0].clone();
    let prefix = |n| ZoneEntry { network: format!("10.{n}.0.0/16").parse().expect("network"), ..zone.clone() };
    network.zones = Arc::new((0..prefixes).map(prefix).collect());
    network
}

fn deactivate(network: &mut Snapshot, engines: usize) {
    for record in network.devices.values_mut().filter(|d| d.name.as_str().starts_with("core")).take(engines) {
        record.active = false;
        record.location = None;
    }
}

fn needed(before: &Snapshot, change: impl FnOnce(&mut Snapshot)) -> Option<Problem> {
    let mut after = before.clone();
    change(&mut after);
    check(before, &after, None).err()
}

#[test]
fn more_than_a_quarter_and_more_than_one_of_anything() {
    let before = wide(9, 9, 9);
    let few = wide(2, 2, 2);
    let engines = |count| move |n: &mut Snapshot| deactivate(n, count);
    let services = |count: usize| move |n: &mut Snapshot| drop(n.services.drain(..count));
    let zones = |count: usize| move |n: &mut Snapshot| n.zones = Arc::new(n.zones[count..].to_vec());
    assert_eq!(needed(&before, |_| {}), None);
    for (is_needed, problem) in [
        (false, needed(&before, engines(2))),
        (true, needed(&before, engines(3))),
        (false, needed(&few, engines(1))),
        (true, needed(&few, engines(2))),
        (false, needed(&before, services(2))),
        (true, needed(&before, services(3))),
        (false, needed(&few, services(1))),
        (true, needed(&few, services(2))),
        (false, needed(&before, zones(2))),
        (true, needed(&before, zones(3))),
        (false, needed(&few, zones(1))),
        (true, needed(&few, zones(2))),
    ] {
        assert_eq!(problem.is_some(), is_needed, "{problem:?}");
        assert!(problem.is_none_or(|problem| problem.reason == Reason::ConfirmationNeeded));
    }
}

#[test]
fn the_refusal_lists_what_goes_and_names_the_word() {
    let before = wide(9, 9, 9);
    let problem = needed(&before, |n| drop(n.services.drain(..7))).expect("needed");
    let hash = asked(&problem).expect("a hash").to_owned();
    assert_eq!(hash.len(), HASH_DIGITS);
    let expected = format!("this takes away 7 of 9 delivery services (s-0, s-1, s-2, s-3, s-4, ..); confirm={hash}");
    assert_eq!(problem.detail, expected);
    let mut after = before.clone();
    after.services.drain(..7);
    assert_eq!(check(&before, &after, Some(&hash)), Ok(()));
    let stale = check(&before, &after, Some("0123456789abcdef")).expect_err("another");
    assert_eq!((stale.reason, asked(&stale)), (Reason::ConfirmationStale, Some(hash.as_str())));
}

#[test]
fn what_goes_is_read_from_what_was_refused() {
    let before = wide(9, 9, 9);
    let mut after = before.clone();
    after.services.drain(..3);
    after.zones = Arc::new(after.zones[3..].to_vec());
    let expected = ["3 of 9 delivery services (s-0, s-1, s-2)", "3 of 9 coverage prefixes (10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16)"];
    for given in [None, Some("0123456789abcdef"), Some("this takes away all; confirm=0123456789abcdef")] {
        let problem = check(&before, &after, given).expect_err("refused");
        assert_eq!(goes(&problem), expected, "{given:?}");
        assert_eq!(asked(&problem).map(str::len), Some(HASH_DIGITS), "{given:?}");
    }
    assert_eq!(goes(&Problem::new(Reason::DoesNotCompile, "this takes away 1; confirm=1")), Vec::<&str>::new());
}

#[test]
fn the_word_is_over_what_goes_and_what_from() {
    let word = |before: &Snapshot, change: &dyn Fn(&mut Snapshot)| {
        let problem = needed(before, change).expect("needed");
        asked(&problem).expect("a hash").to_owned()
    };
    let before = wide(9, 9, 9);
    let three: &dyn Fn(&mut Snapshot) = &|n| drop(n.services.drain(..3));
    let first = word(&before, three);
    let mut later = before.clone();
    later.stamp.generation += 5;
    later.zones = Arc::new(later.zones[1..].to_vec());
    assert_eq!(word(&later, three), first, "another generation and another kind do not matter");
    assert_ne!(word(&wide(9, 10, 9), three), first, "one more that stays");
    assert_ne!(word(&before, &|n| drop(n.services.drain(1..4))), first, "others that go");
}

#[test]
fn engines_that_carry_nothing_any_longer_count() {
    let before = wide(8, 2, 2);
    let named =
        |from: usize| -> Option<Vec<DeviceName>> { Some((from..8).map(|n| format!("core-{n:03}").parse().expect("name")).collect()) };
    let narrow = |from: usize| move |n: &mut Snapshot| n.services.iter_mut().for_each(|service| service.engines = named(from));
    assert_eq!(needed(&before, narrow(2)), None, "two of eight");
    assert!(needed(&before, narrow(3)).is_some());
    assert_eq!(needed(&before, |n| n.services[0].engines = named(7)), None, "the other service is carried by all");
    assert_eq!(needed(&before, |n| drop(n.services.remove(0))), None, "a service that goes is one service");
}

fn out(network: &mut Snapshot, names: &[&str]) {
    for name in names {
        network.devices.get_mut(*name).expect("there").active = false;
    }
    network.stamp.generation += 1;
}

#[test]
fn a_word_is_an_operators_and_for_the_engines_it_takes() {
    let before = wide(9, 2, 2);
    let mut after = before.clone();
    out(&mut after, &["core-001", "core-004"]);
    let named = |confirmed: Confirmed| confirmed.engines.into_iter().map(|(name, at)| (name.to_string(), at)).collect::<Vec<_>>();
    let both = [("core-001".to_owned(), after.stamp), ("core-004".to_owned(), after.stamp)];
    for (actor, given) in [
        (Actor::Local, true),
        (Actor::Token("t".into()), true),
        (Actor::User("u".into()), true),
        (Actor::Manager, false),
        (Actor::Device("core-001".into()), false),
        (Actor::EnrolmentToken("e".into()), false),
        (Actor::Visitor, false),
    ] {
        let expected: &[_] = if given { &both } else { &[] };
        assert_eq!(named(words(&before, &after, &actor)), expected, "{actor}");
    }
    after.confirmed = words(&before, &after, &Actor::Local);
    let mut later = after.clone();
    later.devices.get_mut("core-001").expect("there").active = true;
    out(&mut later, &["core-007"]);
    let expected = [("core-004".to_owned(), after.stamp)];
    assert_eq!(named(words(&after, &later, &Actor::Manager)), expected, "one that serves again has no word, nor has the manager's doing");
}

/// What an inactive router is told takes everything away from it: whether that is meant, it cannot see otherwise.
#[test]
fn a_router_that_an_operator_deactivates_has_a_word_until_it_serves_again() {
    let mut before = wide(2, 2, 2);
    let name: DeviceName = "router-1".parse().expect("name");
    let like = before.devices["core-000"].clone();
    before.devices.insert(name.clone(), crate::snapshot::DeviceRecord { id: 7, name: name.clone(), role: Role::Router, ..like });
    let mut after = before.clone();
    out(&mut after, &[name.as_str()]);
    assert!(words(&before, &after, &Actor::Manager).is_empty());
    after.confirmed = words(&before, &after, &Actor::Local);
    assert_eq!(after.confirmed.engines, BTreeMap::from([(name.clone(), after.stamp)]));
    let mut again = after.clone();
    again.devices.get_mut(name.as_str()).expect("there").active = true;
    assert!(words(&after, &again, &Actor::Local).is_empty());
}

#[test]
fn words_for_what_is_gone_are_bounded() {
    let mut network = wide(2, 2, 2);
    let at = |generation| Stamp { term: 1, generation };
    for n in 0..WORDS_OF_GONE_MAX as u64 + 5 {
        network.confirmed.engines.insert(format!("gone-{n}").parse().expect("name"), at(n));
    }
    out(&mut network, &["core-001"]);
    network.confirmed.engines.insert("core-001".parse().expect("name"), at(0));
    let kept = words(&network, &network, &Actor::Local).engines;
    assert_eq!(kept.len(), WORDS_OF_GONE_MAX + 1);
    assert!(kept.contains_key("core-001") && !kept.contains_key("gone-4") && kept.contains_key("gone-5"));
}

/// What routers would not take is asked for here, however little it is of the whole.
#[test]
fn a_location_that_loses_too_much_counts_for_itself() {
    let mut before = wide(20, 2, 2);
    for (_, record) in before.devices.iter_mut().filter(|(name, _)| ["core-000", "core-001"].contains(&name.as_str())) {
        record.location = Some("east".parse().expect("name"));
    }
    let problem = needed(&before, |n| deactivate(n, 2)).expect("needed");
    assert!(problem.detail.contains("2 of 2 engines of east (core-000, core-001)"), "{}", problem.detail);
    assert_eq!(needed(&wide(20, 2, 2), |n| deactivate(n, 2)), None);
}

proptest! {
    #[test]
    fn the_word_of_a_change_confirms_it_and_no_other(of in 2i64..20, gone in 1usize..20, other in 1usize..20) {
        let before = wide(2, of, 2);
        let after = |gone: usize| {
            let mut after = before.clone();
            after.services.drain(..gone.min(before.services.len()));
            after
        };
        let word = |gone| check(&before, &after(gone), None).err().and_then(|problem| asked(&problem).map(str::to_owned));
        if let Some(word) = word(gone) {
            prop_assert_eq!(check(&before, &after(gone), Some(&word)), Ok(()));
            let left = |gone: usize| gone.min(before.services.len());
            let another = check(&before, &after(other), Some(&word));
            if left(other) != left(gone) && check(&before, &after(other), None).is_err() {
                prop_assert_eq!(another.expect_err("not of this").reason, Reason::ConfirmationStale);
            }
        }
    }
}
