//! How much a configuration takes away at once: engines out of service, by location.
//!
//! A configuration that takes more than [`MASS_PERCENT`] of a location's engines, and more than one, is one that nobody may have
//! meant: a router runs it only as far as operators gave their word since what the router runs ([`Network::confirmed`]), for
//! each engine that an operator's write took, or for a location. What has no word, such as the rollout's own leases, counts.
//! The manager asks by the same functions before it lets a write through.

use crate::network::Network;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use weir_model::{
    DeviceName, LocationName, Stamp,
    configuration::{Confirmed, EngineEntry},
};

/// What a configuration may take of a location's engines without anybody's word, in percent; one engine it always may.
pub const MASS_PERCENT: usize = 25;
/// Engines of a location that a sentence names. With the next limit it stays within what a report may carry, 1,024 bytes.
const ENGINES_NAMED_MAX: usize = 3;
/// Locations that a sentence names.
const LOCATIONS_NAMED_MAX: usize = 2;

/// The engines of each location that take viewers.
pub type Sites = BTreeMap<LocationName, BTreeSet<DeviceName>>;

/// More of a location's engines than may go unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Where.
    pub location: LocationName,
    /// Which go without anybody's word, by name.
    pub engines: Vec<DeviceName>,
    /// All that were in service there, by name.
    pub of: Vec<DeviceName>,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Removal { location, engines, of } = self;
        let named: Vec<&str> = engines.iter().take(ENGINES_NAMED_MAX).map(DeviceName::as_str).collect();
        let more = if engines.len() > ENGINES_NAMED_MAX { ", .." } else { "" };
        write!(f, "{} of {} engines of {location} ({}{more})", engines.len(), of.len(), named.join(", "))
    }
}

/// A configuration takes too much away and nobody gave their word for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{offered} takes out of service {}, and nobody has confirmed that since {running}", sentence(removals))]
pub struct MassChange {
    /// The configuration that is not run.
    pub offered: Stamp,
    /// The one that is.
    pub running: Stamp,
    /// What it takes.
    pub removals: Vec<Removal>,
}

impl MassChange {
    /// What it takes of one location, in the words of the whole.
    pub fn about(&self, removal: &Removal) -> String {
        MassChange { removals: vec![removal.clone()], ..self.clone() }.to_string()
    }
}

fn sentence(removals: &[Removal]) -> String {
    let named: Vec<String> = removals.iter().take(LOCATIONS_NAMED_MAX).map(Removal::to_string).collect();
    let more = removals.len().saturating_sub(LOCATIONS_NAMED_MAX);
    match more {
        0 => named.join("; "),
        more => format!("{}; and of {more} other locations", named.join("; ")),
    }
}

/// How many of a location's engines may go at once without anybody's word.
pub fn most_unasked(of: usize) -> usize {
    (of * MASS_PERCENT / 100).max(1)
}

/// The engines of a configuration that take viewers, by location: those of weight 0 and those Server Offload holds do not.
pub fn in_service(engines: &[EngineEntry]) -> Sites {
    let serving = engines.iter().filter(|engine| engine.weight > 0 && engine.offload.is_none());
    sites(serving.map(|engine| (engine.location.clone(), engine.name.clone())))
}

fn sites(engines: impl Iterator<Item = (LocationName, DeviceName)>) -> Sites {
    let mut sites = Sites::new();
    for (location, engine) in engines {
        sites.entry(location).or_default().insert(engine);
    }
    sites
}

/// What goes between two configurations that may not go unasked, by location. An engine that serves elsewhere afterwards is not
/// gone.
pub fn removals(before: &Sites, after: &Sites) -> Vec<Removal> {
    unasked(before, after, |_, _| false)
}

/// The same, without the engines that are meant to go.
fn unasked(before: &Sites, after: &Sites, is_meant: impl Fn(&LocationName, &DeviceName) -> bool) -> Vec<Removal> {
    let serving: BTreeSet<&DeviceName> = after.values().flatten().collect();
    let removal = |(location, engines): (&LocationName, &BTreeSet<DeviceName>)| {
        let goes = |engine: &&DeviceName| !serving.contains(*engine) && !is_meant(location, engine);
        let gone: Vec<DeviceName> = engines.iter().filter(goes).cloned().collect();
        let too_many = gone.len() > most_unasked(engines.len());
        too_many.then(|| Removal { location: location.clone(), engines: gone, of: engines.iter().cloned().collect() })
    };
    before.iter().filter_map(removal).collect()
}

impl Network {
    /// What operators said may be out of service.
    pub fn confirmed(&self) -> &Confirmed {
        &self.confirmed
    }

    /// Its engines that take viewers, by location.
    pub fn in_service(&self) -> Sites {
        let serving = self.engines().iter().filter(|engine| engine.weight > 0 && engine.offload.is_none());
        sites(serving.map(|engine| (self.location(engine.location).name.clone(), engine.name.clone())))
    }

    /// Whether a router that runs this configuration may run `next`.
    ///
    /// # Errors
    /// [`MassChange`] says what it would take away.
    pub fn may_become(&self, next: &Network) -> Result<(), MassChange> {
        // By the whole stamp: after a restore or a promotion with a loss the generation may be a lower one.
        let is_newer = |word: Option<&Stamp>| word.is_some_and(|word| *word > self.stamp());
        let is_meant = |location: &LocationName, engine: &DeviceName| {
            is_newer(next.confirmed.locations.get(location)) || is_newer(next.confirmed.engines.get(engine))
        };
        let removals = unasked(&self.in_service(), &next.in_service(), is_meant);
        if removals.is_empty() {
            return Ok(());
        }
        Err(MassChange { offered: next.stamp(), running: self.stamp(), removals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;
    use weir_model::{DeviceConfiguration, OffloadEpoch};

    fn next(change: impl FnOnce(&mut DeviceConfiguration)) -> Network {
        let mut configuration = sample::configuration();
        configuration.stamp.generation = 9;
        change(&mut configuration);
        let named: BTreeSet<DeviceName> = configuration.engines.iter().map(|engine| engine.name.clone()).collect();
        configuration.services[0].engines.retain(|engine| named.contains(engine));
        Network::compile(&configuration).expect("valid")
    }

    fn offload(configuration: &mut DeviceConfiguration, names: &[&str]) {
        for engine in configuration.engines.iter_mut().filter(|engine| names.contains(&engine.name.as_str())) {
            engine.offload = Some(OffloadEpoch::Clients);
        }
    }

    #[test]
    fn what_a_router_may_become() {
        let running = sample::network();
        let refused = |change: fn(&mut DeviceConfiguration)| running.may_become(&next(change)).err().map(|why| why.to_string());
        for (change, expected) in [
            (|_| {}, None),
            (|c| offload(c, &["east-1"]), None),
            (|c| offload(c, &["east-1", "west-1", "core-1"]), None),
            (|c| c.engines.retain(|engine| engine.name.as_str() != "east-2"), None),
            (
                |c| offload(c, &["east-1", "east-2"]),
                Some("1.9 takes out of service 2 of 2 engines of east (east-1, east-2), and nobody has confirmed that since 1.5"),
            ),
            (
                |c| c.engines.retain(|engine| !engine.name.as_str().starts_with("east")),
                Some("1.9 takes out of service 2 of 2 engines of east (east-1, east-2), and nobody has confirmed that since 1.5"),
            ),
            (
                |c| c.engines[2..4].iter_mut().for_each(|engine| engine.weight = 0),
                Some("1.9 takes out of service 2 of 2 engines of east (east-1, east-2), and nobody has confirmed that since 1.5"),
            ),
            (|c| c.engines[2..4].iter_mut().for_each(|engine| engine.location = sample::name("west")), None),
        ] as [(fn(&mut DeviceConfiguration), Option<&str>); 8]
        {
            assert_eq!(refused(change).as_deref(), expected);
        }
    }

    #[test]
    fn a_word_counts_when_it_is_newer_than_what_runs() {
        let running = sample::network();
        let stamp = |term, generation| Stamp { term, generation };
        for (word, allowed) in [(stamp(1, 4), false), (stamp(1, 5), false), (stamp(0, 99), false), (stamp(1, 6), true), (stamp(2, 1), true)]
        {
            let of_engine = next(|c| {
                c.confirmed.engines.insert(sample::name("east-1"), word);
                offload(c, &["east-1", "east-2"]);
            });
            let of_location = next(|c| {
                c.confirmed.locations.insert(sample::name("east"), word);
                offload(c, &["east-1", "east-2"]);
            });
            assert_eq!(running.may_become(&of_engine).is_ok(), allowed, "{word}: the other one may always go");
            assert_eq!(running.may_become(&of_location).is_ok(), allowed, "{word}");
        }
    }

    /// An operator takes one engine out elsewhere, or another one of the same place: that is no word for the rest.
    #[test]
    fn a_word_is_for_what_it_is_about_and_nothing_else() {
        let running = Network::compile(&wide(|_| {})).expect("valid");
        let word = Stamp { term: 1, generation: 9 };
        let gone = ["east-1", "east-2"];
        let held_back = |change: &dyn Fn(&mut DeviceConfiguration)| {
            let next = wide(|c| {
                c.stamp.generation = 9;
                offload(c, &gone);
                change(c);
            });
            let error = running.may_become(&Network::compile(&next).expect("valid")).err();
            error.map_or_else(Vec::new, |error| error.removals.into_iter().flat_map(|removal| removal.engines).collect())
        };
        assert_eq!(held_back(&|_| {}), gone.map(sample::name::<DeviceName>));
        let one = |engine: &'static str| {
            move |c: &mut DeviceConfiguration| {
                offload(c, &[engine]);
                c.confirmed.engines.insert(sample::name(engine), word);
            }
        };
        for engine in ["west-1", "east-3"] {
            assert_eq!(held_back(&one(engine)), gone.map(sample::name::<DeviceName>), "a word for {engine}");
        }
        let all_of = |location: &'static str| {
            move |c: &mut DeviceConfiguration| {
                c.confirmed.locations.insert(sample::name(location), word);
            }
        };
        assert_eq!(held_back(&all_of("west")), gone.map(sample::name::<DeviceName>));
        assert_eq!(held_back(&all_of("east")), Vec::<DeviceName>::new());
        assert_eq!(held_back(&one("east-2")), Vec::<DeviceName>::new(), "what is left without a word is one");
    }

    /// A restore brought an older configuration back, in which east has one engine: its generation is lower, its term higher.
    #[test]
    fn after_a_restore_a_word_releases_what_is_held_back() {
        let running = Network::compile(&wide(|c| c.stamp = Stamp { term: 1, generation: 90 })).expect("valid");
        let restored = |generation, word: Option<Stamp>| {
            let document = wide(|c| {
                c.stamp = Stamp { term: 2, generation };
                offload(c, &["east-1", "east-2"]);
                c.confirmed.locations = word.into_iter().map(|word| (sample::name("east"), word)).collect();
            });
            Network::compile(&document).expect("valid")
        };
        running.may_become(&restored(51, None)).expect_err("nobody's word");
        running.may_become(&restored(52, Some(Stamp { term: 2, generation: 52 }))).expect("a word of the new term");
    }

    /// The sample with a third engine in east.
    fn wide(change: impl FnOnce(&mut DeviceConfiguration)) -> DeviceConfiguration {
        let mut configuration = sample::configuration();
        let like = configuration.engines.iter().find(|engine| engine.name.as_str() == "east-1").expect("there").clone();
        configuration.engines.push(EngineEntry { name: sample::name("east-3"), ..like });
        change(&mut configuration);
        configuration
    }

    #[test]
    fn however_much_goes_a_report_may_carry_the_sentence() {
        let name = |prefix: &str, n: usize| format!("{prefix}{n:0>60}");
        let sites = |engines: usize| -> Sites {
            let engine = |at: usize| (0..engines).map(move |n| sample::name(&name("e", at * 100 + n))).collect();
            (0..50).map(|at| (sample::name(&name("l", at)), engine(at))).collect()
        };
        let stamp = Stamp { term: u64::MAX, generation: u64::MAX };
        let change = MassChange { offered: stamp, running: stamp, removals: removals(&sites(20), &sites(0)) };
        let text = change.to_string();
        assert!(text.len() <= 1024, "{} bytes", text.len());
        assert!(text.contains("20 of 20 engines") && text.contains("48 other locations"), "{text}");
    }

    #[test]
    fn a_quarter_may_go_and_one_always() {
        for (of, most) in [(0, 1), (1, 1), (2, 1), (4, 1), (7, 1), (8, 2), (11, 2), (12, 3), (100, 25)] {
            assert_eq!(most_unasked(of), most, "{of}");
        }
    }

    fn engines(of: usize, gone: usize) -> (Sites, Sites) {
        let all: BTreeSet<DeviceName> = (0..of).map(|n| sample::name(&format!("e-{n}"))).collect();
        let left: BTreeSet<DeviceName> = all.iter().skip(gone).cloned().collect();
        (Sites::from([(sample::name("x"), all)]), Sites::from([(sample::name("x"), left)]))
    }

    proptest! {
        /// Against the words of the rule: more than a quarter, and more than one.
        #[test]
        fn a_removal_is_more_than_a_quarter_and_more_than_one(of in 0usize..60, gone in 0usize..60) {
            let gone = gone.min(of);
            let (before, after) = engines(of, gone);
            let found = removals(&before, &after);
            prop_assert_eq!(!found.is_empty(), gone > 1 && gone * 4 > of);
            prop_assert!(found.iter().all(|removal| removal.engines.len() == gone && removal.of.len() == of));
            prop_assert!(removals(&after, &before).is_empty(), "what comes is no removal");
        }
    }
}
