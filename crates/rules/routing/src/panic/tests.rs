//! When a router panics, for how long, and whom it then chooses.

use super::*;
use crate::{
    RouteRequest,
    addresses::{AddressQuestion, Family, addresses, stand_in},
    decision::{explain, route},
    health::{Beat, EngineState, LifelineId},
    reason::Reason,
    sample,
};
use proptest::prelude::*;
use weir_model::{DeviceConfiguration, OffloadEpoch};

/// A panic is looked for this often, in milliseconds.
const LOOK_MS: u64 = 50;

/// The table and the time.
struct Scene {
    network: Network,
    health: HealthTable,
    now_ms: u64,
    sequence: u64,
}

impl Scene {
    fn new(change: impl FnOnce(&mut DeviceConfiguration)) -> Self {
        let mut configuration = sample::configuration();
        change(&mut configuration);
        let network = Network::compile(&configuration).expect("valid");
        let mut scene = Self { network, health: HealthTable::default(), now_ms: 1000, sequence: 0 };
        scene.run(1000, &sample::ENGINES);
        scene
    }

    /// Time passes, and these engines are heard.
    fn run(&mut self, for_ms: u64, heard: &[&str]) {
        let end = self.now_ms + for_ms;
        while self.now_ms < end {
            self.now_ms += LOOK_MS;
            self.sequence += 1;
            for engine in heard {
                self.health.accept(&sample::beat(engine, 1, self.sequence, self.now_ms)).expect("rises");
            }
            self.health.look_for_panic(&self.network, self.now_ms);
        }
    }

    fn say(&mut self, engine: &str, state: EngineState) {
        self.sequence += 1;
        let beat = Beat { state, ..sample::beat(engine, 1, self.sequence, self.now_ms) };
        self.health.accept(&beat).expect("rises");
    }

    fn vanished(&self) -> Option<Vec<&str>> {
        self.health.panic(self.now_ms).map(|panic| panic.vanished.iter().map(DeviceName::as_str).collect())
    }

    /// Whoever is chosen for a viewer in east.
    fn chosen(&self) -> BTreeSet<String> {
        let path: Vec<String> = (0..64).map(|n| format!("/s{n}/x.ts")).collect();
        let request = |path| RouteRequest {
            client: "127.0.0.9".parse().expect("address"),
            host: "demo.weir.test",
            path,
            query: None,
            now_ms: self.now_ms,
        };
        path.iter().filter_map(|path| route(&self.network, &self.health, &request(path)).ok()).map(|r| r.engine.name.to_string()).collect()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn over_half_at_once_are_kept_and_fewer_are_not() {
    for (left, panics) in [(5, false), (4, false), (3, false), (2, true), (1, true), (0, true)] {
        let mut scene = Scene::new(|_| {});
        scene.run(1500, &sample::ENGINES[..left]);
        let expected = panics.then(|| sample::ENGINES[left..].to_vec());
        assert_eq!(scene.vanished(), expected, "{left} are left");
    }
}

#[test]
fn viewers_are_sent_to_whoever_vanished_until_the_panic_ends() {
    let mut scene = Scene::new(|_| {});
    scene.run(1500, &["core-1"]);
    assert_eq!(scene.chosen(), set(&["east-1", "east-2"]), "their own zone, as before");
    assert!(scene.health.is_up(&sample::name("east-1"), scene.now_ms, 0), "its own name leads to it still");
    let profile = scene.network.profile().clone();
    scene.run(profile.panic_hold_ms, &["core-1"]);
    assert_eq!(scene.vanished(), None);
    assert_eq!(scene.chosen(), set(&["core-1"]), "what is gone is gone by now, and is no panic of its own");
}

#[test]
fn a_panic_ends_with_those_who_come_back() {
    let mut scene = Scene::new(|_| {});
    scene.run(1500, &["core-1"]);
    scene.run(200, &["core-1", "core-2"]);
    assert!(scene.vanished().is_some(), "four of six are still missing");
    scene.run(200, &["core-1", "core-2", "west-1"]);
    assert_eq!(scene.vanished(), None, "no more than half");
    assert_eq!(scene.chosen(), set(&["west-1"]));
}

#[test]
fn one_after_the_other_is_no_panic() {
    let mut scene = Scene::new(|_| {});
    let window_ms = scene.network.profile().panic_window_ms;
    for left in [5, 4, 3, 2, 1, 0] {
        scene.run(window_ms, &sample::ENGINES[..left]);
        assert_eq!(scene.vanished(), None, "{left} are left");
    }
}

/// The router was held up: it heard nobody and looked for nothing, and viewers ask before it looks.
#[test]
fn a_router_that_was_held_up_refuses_nobody_for_as_long_as_a_panic_lasts() {
    let mut scene = Scene::new(|_| {});
    let (heard_ms, profile) = (scene.now_ms, scene.network.profile().clone());
    let gone_ms = heard_ms + profile.keepalive_patience_ms();
    let question = |now_ms| AddressQuestion { client: "127.0.0.9".parse().expect("address"), prefix: 32, family: Family::V4, now_ms };
    for (later_ms, is_answered) in
        [(0, true), (1, true), (profile.panic_window_ms + 1, true), (profile.panic_hold_ms - 1, true), (profile.panic_hold_ms, false)]
    {
        scene.now_ms = gone_ms + later_ms;
        assert_eq!(scene.chosen(), if is_answered { set(&["east-1", "east-2"]) } else { set(&[]) }, "{later_ms} ms");
        let service = &scene.network.services()[0];
        let asked = question(scene.now_ms);
        assert_eq!(addresses(&scene.network, &scene.health, service, &asked).is_ok(), is_answered, "the DNS, {later_ms} ms");
        let engine = scene.network.engine(&sample::name("east-1"));
        let named = stand_in(&scene.network, &scene.health, service, engine, &asked);
        assert_eq!(named.ok().and_then(|placed| placed.engines().next()), engine.filter(|_| is_answered), "its name, {later_ms} ms");
        let mut looked = scene.health.clone();
        looked.look_for_panic(&scene.network, scene.now_ms);
        assert_eq!(looked.panic(scene.now_ms).is_some(), is_answered && later_ms > 0, "a look says the same, {later_ms} ms");
    }
    let mut few = Scene::new(|c| c.engines.iter_mut().skip(PANIC_ENGINES_MIN - 1).for_each(|engine| engine.weight = 0));
    few.now_ms += profile.keepalive_patience_ms() + 1;
    assert_eq!(few.chosen(), set(&[]), "three may well be gone by themselves");
}

#[test]
fn few_engines_never_panic() {
    let mut scene = Scene::new(|c| c.engines.iter_mut().skip(PANIC_ENGINES_MIN - 1).for_each(|engine| engine.weight = 0));
    scene.run(1500, &[]);
    assert_eq!(scene.vanished(), None);
}

#[test]
fn whoever_is_out_for_a_reason_is_not_kept() {
    let mut offloaded = Scene::new(|c| c.engines[1..].iter_mut().for_each(|engine| engine.offload = Some(OffloadEpoch::Clients)));
    offloaded.run(1500, &["core-1"]);
    assert_eq!(offloaded.vanished(), None, "the configuration took them");

    let mut leaving = Scene::new(|_| {});
    for engine in &sample::ENGINES[1..] {
        leaving.say(engine, EngineState::Leaving);
    }
    leaving.run(1500, &["core-1"]);
    assert_eq!(leaving.vanished(), None, "they said so");

    let mut stopping = Scene::new(|_| {});
    for (id, engine) in (1..).map(LifelineId).zip(&sample::ENGINES) {
        stopping.sequence += 1;
        let opened = sample::beat(engine, 1, stopping.sequence, stopping.now_ms);
        stopping.health.lifeline_up(&opened, id).expect("rises");
    }
    for (id, engine) in (1..).map(LifelineId).zip(&sample::ENGINES).skip(1) {
        stopping.say(engine, EngineState::Leaving);
        assert!(stopping.health.lifeline_lost(&sample::name(engine), id), "it ends after the goodbye");
    }
    stopping.run(1500, &["core-1"]);
    assert_eq!(stopping.vanished(), None, "an orderly stop ends lifelines too");
    assert_eq!(stopping.chosen(), set(&["core-1"]));

    let mut panicking = Scene::new(|_| {});
    panicking.run(1500, &["core-1"]);
    panicking.say("east-1", EngineState::Leaving);
    assert_eq!(panicking.chosen(), set(&["east-2"]), "what an engine says itself counts in a panic too");
}

#[test]
fn ended_lifelines_count() {
    let mut scene = Scene::new(|_| {});
    for (number, engine) in (1..).zip(&sample::ENGINES[..4]) {
        scene.sequence += 1;
        scene.health.lifeline_up(&sample::beat(engine, 1, scene.sequence, scene.now_ms), LifelineId(number)).expect("rises");
    }
    for (number, engine) in (1..).zip(&sample::ENGINES[..4]) {
        scene.health.lifeline_lost(&sample::name(engine), LifelineId(number));
    }
    assert!(scene.chosen().is_superset(&set(&["west-1"])), "until it is looked for");
    scene.run(LOOK_MS, &sample::ENGINES[4..]);
    assert_eq!(scene.vanished().map(|vanished| vanished.len()), Some(4));
    assert_eq!(scene.chosen(), set(&["east-1", "east-2"]));
}

#[test]
fn a_panic_is_explained() {
    let mut scene = Scene::new(|_| {});
    scene.run(1500, &["core-1", "core-2"]);
    let request = RouteRequest {
        client: "127.0.0.9".parse().expect("address"),
        host: "demo.weir.test",
        path: "/a",
        query: None,
        now_ms: scene.now_ms,
    };
    let steps: Vec<String> = explain(&scene.network, &scene.health, &request)
        .reasons
        .iter()
        .map(|reason| format!("{} {} {}", reason.step(), reason.reason(), reason.object()))
        .collect();
    assert_eq!(steps[2], "panic vanished_at_once east-1, east-2, west-1, west-2");
    assert_eq!(steps[4], "engine kept_in_panic east-1");
    let kept = explain(&scene.network, &scene.health, &request).reasons.into_iter().find(|reason| matches!(reason, Reason::Kept { .. }));
    let text = kept.expect("a step").to_string();
    assert!(text.starts_with("east-1 in east is chosen among although it has been silent for"), "{text}");
}

proptest! {
    /// Against the words of the rule, with every engine silent from a time of its own on.
    #[test]
    fn a_panic_is_over_half_of_four_within_the_window(ends in prop::collection::vec(0u64..60, 6)) {
        let mut scene = Scene::new(|_| {});
        let (start, profile) = (scene.now_ms, scene.network.profile().clone());
        let ends: Vec<u64> = ends.into_iter().map(|tick| start + tick * 100).collect();
        let mut panicked = false;
        while scene.now_ms < start + 8_000 && !panicked {
            let now_ms = scene.now_ms + LOOK_MS;
            let heard: Vec<&str> = sample::ENGINES.into_iter().zip(&ends).filter(|(_, end)| now_ms <= **end).map(|(name, _)| name).collect();
            scene.run(LOOK_MS, &heard);
            let gone_ms = |end: u64| end / LOOK_MS * LOOK_MS + profile.keepalive_patience_ms();
            let live = ends.iter().filter(|end| gone_ms(**end) >= now_ms).count();
            let last_ms = ends.iter().map(|end| gone_ms(*end)).max().expect("six");
            let at_ms = if live > 0 { now_ms } else { last_ms };
            let lately = ends.iter().filter(|end| gone_ms(**end) < now_ms && at_ms - gone_ms(**end) <= profile.panic_window_ms).count();
            let expected = live + lately >= PANIC_ENGINES_MIN && lately * 2 > live + lately && at_ms + profile.panic_hold_ms > now_ms;
            prop_assert_eq!(scene.vanished().is_some(), expected, "at {} of {:?}", now_ms, ends);
            panicked = expected;
        }
    }
}
