//! Which engines hold a key, in order: weighted rendezvous hashing, in integers only.
//!
//! Every router and every engine computes the same order from the same configuration without talking to each other. That
//! makes it a wire contract between lines: two lines that order differently would double the load on parents and the
//! origin. `docs/protocols/placement.md` states it, known-answer tests freeze it.
//!
//! For a key and an engine: `hash = finish(fnv1a(key, 0x00, name))`, a uniform draw `u = hash / 2^64`, and the score
//! `weight / -log2(u)`; the highest score is first. `-log2(u)` of a uniform draw is exponential, so the share of keys an
//! engine wins is its share of the weights, and removing an engine moves its own keys only. The logarithm is
//! computed bit by bit in fixed point because floating-point `ln` differs between platforms in the last digit, which would
//! be a different order.
//!
//! An engine that returns to service takes a share of its weight that grows: its score is scaled by it, so a growing share
//! only moves keys to that engine. Engines' choice of parents knows full weights only.

use crate::network::Engine;
use std::{cmp::Ordering, fmt, net::IpAddr};
use weir_model::{Domain, offload::SHARE_WHOLE};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// Fraction bits of the fixed-point logarithm.
const FRACTION_BITS: u32 = 32;

/// What engines are ordered for: a domain and a directory of it.
///
/// The directory is the path up to and including its last `/`, so the playlists and segments of one stream are placed
/// together: a viewer is redirected once, and a stream warms one engine per site instead of all of them. The query is no
/// part of it. Bytes are taken as they stand in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of a content path of a service.
    pub fn of(domain: &Domain, path: &str) -> Self {
        let directory = path.rfind('/').map_or("/", |last| &path[..=last]);
        Self(fnv1a(fnv1a(FNV_OFFSET, domain.as_str().as_bytes()), directory.as_bytes()))
    }

    /// The key of a client network of a service: what a name is resolved by, which has no path yet. Only the network's
    /// leading bits may be set, so that every resolver of one network gets one answer.
    pub fn of_client(domain: &Domain, network: IpAddr) -> Self {
        // A directory begins with a slash, so this byte keeps the two kinds of key apart.
        let named = fnv1a(fnv1a(FNV_OFFSET, domain.as_str().as_bytes()), &[0]);
        Self(match network {
            IpAddr::V4(v4) => fnv1a(named, &v4.octets()),
            IpAddr::V6(v6) => fnv1a(named, &v6.octets()),
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An engine that may be chosen, and how much of its weight it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'n> {
    /// The engine.
    pub engine: &'n Engine,
    /// The part of its weight it takes, in thousandths; 0 counts as the smallest part and more than [`SHARE_WHOLE`] as the
    /// whole: a share says how often an engine is chosen, never whether.
    pub share_permille: u16,
}

impl<'n> From<&'n Engine> for Candidate<'n> {
    fn from(engine: &'n Engine) -> Self {
        Self { engine, share_permille: SHARE_WHOLE }
    }
}

/// Engines in the order in which they hold the key. Engines of weight 0 are left out.
pub fn order<'n>(key: Key, candidates: impl IntoIterator<Item: Into<Candidate<'n>>>) -> Vec<&'n Engine> {
    let mut draws: Vec<Draw<'n>> = draws(key, candidates).collect();
    draws.sort_by(Draw::compare);
    draws.into_iter().map(|draw| draw.engine).collect()
}

/// The first of [`order`], without allocating.
pub fn first<'n>(key: Key, candidates: impl IntoIterator<Item: Into<Candidate<'n>>>) -> Option<&'n Engine> {
    draws(key, candidates).min_by(Draw::compare).map(|draw| draw.engine)
}

/// The first two of [`order`], without allocating.
pub fn first_two<'n>(key: Key, candidates: impl IntoIterator<Item: Into<Candidate<'n>>>) -> [Option<&'n Engine>; 2] {
    let (mut best, mut second) = (None, None);
    for draw in draws(key, candidates) {
        if best.as_ref().is_none_or(|best| draw.compare(best).is_lt()) {
            second = best.replace(draw);
        } else if second.as_ref().is_none_or(|second| draw.compare(second).is_lt()) {
            second = Some(draw);
        }
    }
    [best, second].map(|draw| draw.map(|draw| draw.engine))
}

fn draws<'n>(key: Key, candidates: impl IntoIterator<Item: Into<Candidate<'n>>>) -> impl Iterator<Item = Draw<'n>> {
    candidates.into_iter().filter_map(move |candidate| Draw::new(key, candidate.into()))
}

/// One engine's draw for a key.
struct Draw<'n> {
    engine: &'n Engine,
    /// In thousandths of a unit of weight.
    weight: u64,
    hash: u64,
    cost: u64,
}

impl<'n> Draw<'n> {
    fn new(key: Key, Candidate { engine, share_permille }: Candidate<'n>) -> Option<Self> {
        if engine.weight == 0 {
            return None;
        }
        let weight = u64::from(engine.weight) * u64::from(share_permille.clamp(1, SHARE_WHOLE));
        let hash = finish(fnv1a(fnv1a(key.0, &[0]), engine.name.as_str().as_bytes()));
        Some(Self { engine, weight, hash, cost: cost(hash) })
    }

    /// Highest `weight / cost` first, compared as fractions; then the higher hash; then the name.
    fn compare(&self, other: &Self) -> Ordering {
        let mine = self.weight * other.cost;
        let theirs = other.weight * self.cost;
        theirs.cmp(&mine).then(other.hash.cmp(&self.hash)).then_with(|| self.engine.name.cmp(&other.engine.name))
    }
}

/// FNV-1a, 64 bits, continued from `state`.
fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The finaliser of splitmix64: FNV alone leaves the draws of `east-1` and `east-2` correlated.
fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `-log2(hash / 2^64)` in units of 2^-32, rounded up; at least 1, so that it can divide. A hash of 0 counts as 1.
fn cost(hash: u64) -> u64 {
    let hash = hash.max(1);
    let zeros = hash.leading_zeros();
    // The mantissa in [1, 2) with 63 fraction bits; squaring it doubles its logarithm, whose integer part is the next bit.
    let mut mantissa = hash << zeros;
    let mut fraction = 0u64;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let bit = u64::from(square >> 64 != 0);
        fraction = fraction << 1 | bit;
        mantissa = u64::try_from(square >> bit).expect("below 2^64 after the shift");
    }
    let log2 = u64::from(63 - zeros) << FRACTION_BITS | fraction;
    (64 << FRACTION_BITS) - log2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{network::LocationIndex, sample};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn engine(name: &str, weight: u8) -> Engine {
        Engine {
            name: sample::name(name),
            location: LocationIndex(0),
            http: "127.0.0.1:80".parse().expect("address"),
            weight,
            offload: None,
        }
    }

    fn key(path: &str) -> Key {
        Key::of(&sample::name("demo.weir.test"), path)
    }

    fn names(engines: &[&Engine]) -> Vec<String> {
        engines.iter().map(|e| e.name.to_string()).collect()
    }

    /// Vectors of FNV-1a (its authors' list) and splitmix64 (its first output for seed 0).
    #[test]
    fn the_published_vectors_of_its_parts() {
        for (text, hash) in [("", FNV_OFFSET), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
            assert_eq!(fnv1a(FNV_OFFSET, text.as_bytes()), hash, "{text}");
        }
        assert_eq!(finish(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
        for (hash, bits) in [(0, 64u64), (1, 64), (1 << 32, 32), (1 << 63, 1)] {
            assert_eq!(cost(hash), bits << 32, "{hash:x}");
        }
        assert_eq!(cost(u64::MAX), 1);
    }

    #[test]
    fn the_key_is_the_directory() {
        assert_eq!(key("/vod/a/index.m3u8"), key("/vod/a/seg-1.ts"));
        assert_ne!(key("/vod/a/index.m3u8"), key("/vod/b/index.m3u8"));
        assert_ne!(key("/vod/a"), key("/vod/a/"));
        assert_ne!(key("/a"), Key::of(&sample::name("other.weir.test"), "/a"));
    }

    #[test]
    fn weight_zero_is_never_chosen_and_nothing_gives_nothing() {
        let (closed, open) = (engine("east-1", 0), engine("east-2", 1));
        assert_eq!(names(&order(key("/"), [&closed, &open])), ["east-2"]);
        assert!(first(key("/"), [&closed]).is_none());
        assert!(order(key("/"), Vec::<&Engine>::new()).is_empty());
    }

    #[test]
    fn shares_follow_weights() {
        let engines = [engine("a", 100), engine("b", 100), engine("c", 50), engine("d", 10)];
        let mut won: BTreeMap<&str, u32> = BTreeMap::new();
        let keys = 26_000;
        for number in 0..keys {
            let winner = first(key(&format!("/stream-{number}/")), &engines).expect("candidates");
            *won.entry(winner.name.as_str()).or_default() += 1;
        }
        for (name, expected) in [("a", 10_000), ("b", 10_000), ("c", 5_000), ("d", 1_000)] {
            let difference = won[name].abs_diff(expected);
            // Five standard deviations of a binomial share of this size stay under 5 % and 160.
            assert!(difference < 160.max(expected / 25), "{name} won {} of {keys}, expected {expected}", won[name]);
        }
    }

    #[test]
    fn a_share_is_a_share_of_the_weight() {
        let (returning, peer) = (engine("a", 100), engine("b", 100));
        for (share_permille, expected) in [(1000, 5000u32), (500, 3333), (100, 909), (0, 10)] {
            let candidates = [Candidate { engine: &returning, share_permille }, (&peer).into()];
            let won = (0..10_000).filter(|n| first(key(&format!("/{n}/")), candidates).is_some_and(|e| e == &returning)).count();
            let difference = u32::try_from(won).expect("few").abs_diff(expected);
            assert!(difference < 250.min(expected), "{share_permille} thousandths won {won}, expected {expected}");
        }
    }

    fn fleet() -> impl Strategy<Value = Vec<Engine>> {
        prop::collection::btree_map("[a-z]{1,6}-[0-9]", 1u8..=100, 1..12)
            .prop_map(|fleet| fleet.iter().map(|(name, weight)| engine(name, *weight)).collect())
    }

    proptest! {
        #[test]
        fn the_logarithm_is_right(hash: u64) {
            #[expect(clippy::cast_precision_loss, reason = "an approximate oracle")]
            let expected = 64.0 - (hash.max(1) as f64).log2();
            #[expect(clippy::cast_precision_loss, reason = "an approximate oracle")]
            let found = cost(hash) as f64 / 4_294_967_296.0;
            prop_assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
        #[test]
        fn removing_an_engine_moves_its_keys_only(fleet in fleet(), path in "/[a-z/]{0,12}", at: prop::sample::Index) {
            let before = names(&order(key(&path), &fleet));
            let gone = at.index(fleet.len());
            let rest = fleet.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, e)| e);
            let after = names(&order(key(&path), rest));
            let expected: Vec<String> = before.into_iter().filter(|n| n != fleet[gone].name.as_str()).collect();
            prop_assert_eq!(after, expected);
        }
        #[test]
        fn the_order_of_arrival_does_not_matter(fleet in fleet(), path in "/[a-z/]{0,12}") {
            let forward = order(key(&path), &fleet);
            prop_assert_eq!(&forward, &order(key(&path), fleet.iter().rev()));
            prop_assert_eq!(first(key(&path), &fleet), forward.first().copied());
            prop_assert_eq!(first_two(key(&path), &fleet), [forward.first().copied(), forward.get(1).copied()]);
        }
        #[test]
        fn a_growing_share_moves_keys_to_its_engine_only(
            fleet in fleet(), path in "/[a-z/]{0,12}", at: prop::sample::Index, share in 0u16..1000, more in 1u16..=1000,
        ) {
            let returning = at.index(fleet.len());
            let chosen = |share_permille| {
                let candidates = fleet.iter().enumerate().map(|(n, engine)| match n == returning {
                    true => Candidate { engine, share_permille },
                    false => engine.into(),
                });
                names(&order(key(&path), candidates))
            };
            let (before, after) = (chosen(share), chosen(share.saturating_add(more)));
            if before[0] != after[0] {
                prop_assert_eq!(&after[0], fleet[returning].name.as_str());
            }
            let others = |names: Vec<String>| names.into_iter().filter(|n| n != fleet[returning].name.as_str()).collect::<Vec<_>>();
            prop_assert_eq!(others(before), others(after));
        }
        #[test]
        fn raising_a_weight_never_loses_a_key(mut fleet in fleet(), path in "/[a-z/]{0,12}", at: prop::sample::Index) {
            let raised = at.index(fleet.len());
            let rank = |fleet: &[Engine]| order(key(&path), fleet).iter().position(|e| e.name == fleet[raised].name);
            let before = rank(&fleet);
            fleet[raised].weight = 100;
            prop_assert!(rank(&fleet) <= before);
        }
    }
}
