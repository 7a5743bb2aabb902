use super::*;
use proptest::prelude::*;

fn name<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

/// Engines `east-1`.. that carry `demo` and can send 1000 Mbit/s each, and `core-1`; a router at each of two locations.
fn facts(east: usize) -> Facts {
    let engine = |location: &str| EngineFacts {
        location: name(location),
        services: [name("demo")].into(),
        standing: Standing::Serving,
        capacity_mbps: Some(1000),
        draining: None,
    };
    let mut engines: BTreeMap<DeviceName, EngineFacts> = (1..=east).map(|n| (name(&format!("east-{n}")), engine("east"))).collect();
    engines.insert(name("core-1"), engine("core"));
    let router = |location: &str| RouterFacts { location: name(location), standing: Standing::Serving };
    Facts {
        engines,
        routers: [(name("router-1"), router("core")), (name("router-2"), router("east"))].into(),
        egress_mbps_peak: [(name("east"), 10.0), (name("core"), 10.0)].into(),
    }
}

fn out(facts: &mut Facts, device: &str, why: Out) {
    match facts.engines.get_mut(device) {
        Some(engine) => engine.standing = Standing::Out(why),
        None => facts.routers.get_mut(device).expect(device).standing = Standing::Out(why),
    }
}

fn draining(facts: &mut Facts, device: &str, sessions: u32, overridden: bool) {
    out(facts, device, Out::Offloaded);
    facts.engines.get_mut(device).expect(device).draining = Some(Draining { sessions, overridden });
}

fn texts(facts: &Facts, device: &str) -> Vec<String> {
    admit(facts, &name(device)).breaks.iter().map(|floor| format!("{}: {floor}", floor.as_str())).collect()
}

fn words(breaks: &[Broken]) -> Vec<&'static str> {
    breaks.iter().map(Broken::as_str).collect()
}

#[test]
fn one_of_up_to_seven_engines_may_be_out_and_two_of_eight() {
    for (engines, already_out, admitted) in
        [(2, 0, true), (3, 0, true), (3, 1, false), (7, 0, true), (7, 1, false), (8, 1, true), (8, 2, false), (12, 2, true), (12, 3, false)]
    {
        let mut facts = facts(engines);
        for number in 2..2 + already_out {
            out(&mut facts, &format!("east-{number}"), Out::Offloaded);
        }
        let verdict = admit(&facts, &name("east-1"));
        assert_eq!(verdict.is_admitted(), admitted, "{already_out} of {engines}: {verdict:?}");
        assert_eq!(broken(&facts), [], "{already_out} of {engines} out now");
    }
}

#[test]
fn what_is_not_known_to_serve_is_out() {
    for why in [Out::Unknown, Out::Offline, Out::Offloaded] {
        let mut facts = facts(3);
        out(&mut facts, "east-2", why);
        let expected =
            format!("engines_out: with east-1 2 of 3 engines of location east would be out, at most 1 may be; out now: east-2 ({why})");
        assert_eq!(texts(&facts, "east-1"), [expected]);
        assert_eq!(texts(&facts, "core-1"), [LAST_AT_CORE], "another location is another matter");
    }
}

const LAST_AT_CORE: &str =
    "service_engine: core-1 is the last engine in service of delivery service demo in location core; no other one there carries it";

#[test]
fn every_service_keeps_an_engine_in_each_of_its_locations() {
    assert_eq!(texts(&facts(1), "core-1"), [LAST_AT_CORE], "a location of one engine");
    let mut facts = facts(3);
    facts.engines.get_mut("east-1").expect("there").services.insert(name("rare"));
    let rare =
        "service_engine: east-1 is the last engine in service of delivery service rare in location east; no other one there carries it";
    assert_eq!(texts(&facts, "east-1"), [rare], "a service on one engine of a location");
    assert_eq!(texts(&facts, "east-2"), [""; 0]);
    facts.engines.get_mut("east-2").expect("there").services.insert(name("rare"));
    assert_eq!(texts(&facts, "east-1"), [""; 0]);
    out(&mut facts, "east-2", Out::Offline);
    let last = "service_engine: east-1 is the last engine in service of delivery service rare in location east; out now: east-2 (offline)";
    assert!(texts(&facts, "east-1").contains(&last.to_owned()), "{:?}", texts(&facts, "east-1"));
    let mut bare = self::facts(1);
    bare.engines.get_mut("east-1").expect("there").services.clear();
    assert_eq!(texts(&bare, "east-1"), [""; 0], "one that carries nothing takes nothing away");
}

#[test]
fn the_egress_peak_fits_into_four_fifths_of_what_is_left() {
    let mut facts = facts(3);
    let mut peak = |peak: f64| {
        facts.egress_mbps_peak.insert(name("east"), peak);
        texts(&facts, "east-1")
    };
    assert_eq!(peak(1600.0), [""; 0]);
    let expected = "egress: without east-1 location east has engines for 2000 Mbit/s left and its peak is 1600.1 Mbit/s, \
                    more than 0.8 of that; no other one is out";
    assert_eq!(peak(1600.1), [expected]);
    assert_eq!(broken(&facts), [], "nobody is out, so there is nobody to bring back");
    out(&mut facts, "east-2", Out::Offline);
    facts.egress_mbps_peak.insert(name("east"), 1600.0);
    assert_eq!(broken(&facts), [], "2000 Mbit/s are left");
    facts.egress_mbps_peak.insert(name("east"), 1601.0);
    assert_eq!(words(&broken(&facts)), ["egress"]);
}

#[test]
fn a_capacity_nobody_stated_is_said_and_does_not_refuse() {
    let mut facts = facts(3);
    facts.egress_mbps_peak.insert(name("east"), 1e9);
    facts.engines.get_mut("east-1").expect("there").capacity_mbps = None;
    assert_eq!(words(&admit(&facts, &name("east-1")).breaks), ["egress"], "its own capacity leaves with it");
    facts.engines.get_mut("east-2").expect("there").capacity_mbps = None;
    let verdict = admit(&facts, &name("east-1"));
    assert_eq!(verdict.breaks, []);
    let unknown: Vec<String> = verdict.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, ["whether location east can carry its peak is not known: nobody stated the capacity of east-2"]);
    let mut facts = self::facts(3);
    for peak in [None, Some(f64::NAN)] {
        facts.egress_mbps_peak.remove("east");
        facts.egress_mbps_peak.extend(peak.map(|peak| (name("east"), peak)));
        assert_eq!(admit(&facts, &name("east-1")).unknown, [Unknown::Egress { location: name("east") }]);
    }
}

#[test]
fn one_router_of_a_location_and_never_the_last() {
    let mut facts = facts(2);
    assert_eq!(texts(&facts, "router-1"), [""; 0]);
    out(&mut facts, "router-2", Out::Offloaded);
    let last = "last_router: router-1 is the last router in service: nobody else could send viewers to engines";
    assert_eq!(texts(&facts, "router-1"), [last]);
    let third = RouterFacts { location: name("east"), standing: Standing::Serving };
    facts.routers.insert(name("router-3"), third);
    let second = "routers_out: with router-3 2 routers of location east would be out, at most 1 may be; out now: router-2 (Server Offload)";
    assert_eq!(texts(&facts, "router-3"), [second]);
    assert_eq!(texts(&facts, "router-1"), [""; 0], "another location");
    out(&mut facts, "router-3", Out::Offline);
    out(&mut facts, "router-1", Out::Unknown);
    let now: Vec<String> = broken(&facts).iter().map(ToString::to_string).collect();
    let expected = [
        "2 routers of location east are out, at most 1 may be; out now: router-2 (Server Offload), router-3 (offline)",
        "no router is in service: nobody sends viewers to engines",
    ];
    assert_eq!(now, expected);
}

#[test]
fn a_device_out_on_purpose_takes_nothing_away_and_one_out_by_a_fault_may() {
    let mut facts = facts(1);
    for (why, admitted) in [(Out::Offloaded, true), (Out::Offline, false), (Out::Unknown, false)] {
        out(&mut facts, "east-1", why);
        assert_eq!(admit(&facts, &name("east-1")).is_admitted(), admitted, "{why}");
    }
    assert_eq!(admit(&facts, &name("stranger")), Verdict::default());
}

#[test]
fn a_fault_returns_the_draining_peer_with_most_sessions() {
    let mut facts = facts(8);
    draining(&mut facts, "east-1", 3, false);
    draining(&mut facts, "east-2", 7, false);
    assert_eq!((broken(&facts), readmit(&facts)), (vec![], None), "two of eight may be out");
    out(&mut facts, "east-3", Out::Offline);
    assert_eq!(words(&broken(&facts)), ["engines_out"]);
    assert_eq!(readmit(&facts), Some(name("east-2")));
    draining(&mut facts, "east-2", 3, false);
    assert_eq!(readmit(&facts), Some(name("east-1")), "then by name");
    draining(&mut facts, "east-1", 9, true);
    assert_eq!(readmit(&facts), Some(name("east-2")), "an override is left alone");
    draining(&mut facts, "east-2", 9, true);
    assert_eq!(readmit(&facts), None);
}

#[test]
fn only_a_fault_and_only_one_that_helps() {
    let mut facts = facts(8);
    for number in 1..=2 {
        out(&mut facts, &format!("east-{number}"), Out::Offloaded);
    }
    draining(&mut facts, "east-3", 1, false);
    assert_eq!((words(&broken(&facts)), readmit(&facts)), (vec!["engines_out"], None), "somebody meant all of it");

    let mut facts = self::facts(8);
    facts.engines.get_mut("east-8").expect("there").services.insert(name("rare"));
    draining(&mut facts, "east-1", 1, false);
    out(&mut facts, "east-8", Out::Offline);
    assert_eq!((words(&broken(&facts)), readmit(&facts)), (vec!["service_engine"], None), "it does not carry the service");
    facts.engines.get_mut("east-1").expect("there").services.insert(name("rare"));
    assert_eq!(readmit(&facts), Some(name("east-1")));

    let mut facts = self::facts(2);
    draining(&mut facts, "core-1", 1, false);
    out(&mut facts, "east-1", Out::Offline);
    out(&mut facts, "east-2", Out::Offline);
    assert_eq!(readmit(&facts), None, "another location's fault");
}

#[test]
fn a_returned_engine_is_needed_until_its_floor_would_hold_without_it() {
    let (east, engine) = (name("east"), name("east-2"));
    let needed = |facts: &Facts| needs(facts, &east, &engine);
    let mut facts = facts(3);
    out(&mut facts, "east-1", Out::Offline);
    assert_eq!((broken(&facts), needed(&facts)), (vec![], true), "it serves; without it two of three would be out");
    out(&mut facts, "east-2", Out::Offloaded);
    assert!(needed(&facts), "it is out itself, by an override");
    out(&mut facts, "router-2", Out::Offline);
    out(&mut facts, "router-1", Out::Offline);
    facts.engines.get_mut("east-1").expect("there").standing = Standing::Serving;
    assert!(!needed(&facts), "the fault is over; routers are another matter");
    let mut grown = self::facts(8);
    out(&mut grown, "east-1", Out::Offline);
    out(&mut grown, "router-2", Out::Offline);
    assert!(!needed(&grown), "the fault is left, and two of eight may be out");
    grown.engines.remove("east-2");
    assert!(!needed(&grown), "it is gone");
    let mut meant = self::facts(3);
    for device in ["east-1", "east-3"] {
        out(&mut meant, device, Out::Offloaded);
    }
    assert!(!needed(&meant), "no fault, somebody meant it");
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let standing = prop_oneof![
        3 => Just(Standing::Serving),
        1 => prop::sample::select(vec![Out::Unknown, Out::Offline, Out::Offloaded]).prop_map(Standing::Out),
    ];
    let services = prop::collection::btree_set(prop::sample::select(vec!["demo", "rare", "news"]).prop_map(name), 0..3);
    let engine = (services, standing, prop::option::of(1u32..2000), prop::option::of((0u32..9, any::<bool>())));
    prop::collection::vec(engine, 1..12).prop_map(|engines| {
        let mut facts = facts(engines.len());
        for (number, (services, standing, capacity_mbps, draining)) in engines.into_iter().enumerate() {
            let engine = facts.engines.get_mut(format!("east-{}", number + 1).as_str()).expect("there");
            (engine.services, engine.standing, engine.capacity_mbps) = (services, standing, capacity_mbps);
            let offloaded = standing == Standing::Out(Out::Offloaded);
            engine.draining = draining.filter(|_| offloaded).map(|(sessions, overridden)| Draining { sessions, overridden });
        }
        facts
    })
}

proptest! {
    /// What is admitted breaks nothing once it is out, and what is refused would.
    #[test]
    fn admitted_is_what_holds_afterwards(facts in any_facts(), peak in 0.0..3000.0f64, at: prop::sample::Index) {
        let mut facts = facts;
        facts.egress_mbps_peak.insert(name("east"), peak);
        let serving: Vec<DeviceName> =
            facts.engines.iter().filter(|(_, e)| e.standing == Standing::Serving).map(|(name, _)| name.clone()).collect();
        let device = at.get(&serving).clone();
        let verdict = admit(&facts, &device);
        let before = broken(&facts);
        out(&mut facts, device.as_str(), Out::Offloaded);
        let location = facts.engines[&device].location.clone();
        let services = facts.engines[&device].services.clone();
        let concerns = |floor: &&Broken| match floor {
            Broken::ServiceEngine { service, .. } => services.contains(service) && !before.contains(floor),
            _ => true,
        };
        let after = broken(&facts);
        let after: Vec<Broken> = after.iter().filter(|floor| floor.location() == Some(&location)).filter(concerns).cloned().collect();
        prop_assert_eq!(words(&verdict.breaks), words(&after), "{:?}", verdict);
    }
    /// Whoever is returned was draining without an override, and returning one after another comes to an end.
    #[test]
    fn readmission_ends(facts in any_facts()) {
        let mut facts = facts;
        let mut left = facts.engines.len();
        while let Some(device) = readmit(&facts) {
            let engine = facts.engines.get_mut(&device).expect("one of them");
            prop_assert!(engine.draining.take().is_some_and(|draining| !draining.overridden));
            engine.standing = Standing::Serving;
            left -= 1;
        }
        prop_assert!(left <= facts.engines.len());
    }
}
