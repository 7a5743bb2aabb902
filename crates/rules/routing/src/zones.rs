//! Coverage zones: from a client's address to the locations that may serve it, nearest first.

use crate::network::LocationIndex;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use serde::Serialize;
use std::net::IpAddr;

/// Why a location is as near as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nearness {
    /// The zone names it with this metric; lower is nearer.
    Metric(u32),
    /// It is this many steps up the tree from a location the zone names.
    Ancestor(u32),
}

/// Locations that are equally near: their engines share the zone's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// How near.
    pub nearness: Nearness,
    /// The locations; each appears in one tier of a reach only.
    pub locations: Vec<LocationIndex>,
}

/// Tiers, nearest first: metrics ascending, then up the tree.
pub type Reach = Vec<Tier>;

/// A trie of client networks per address family. Zones with the same locations share one reach, so a million
/// prefixes over a few dozen sites cost a few dozen reaches.
#[derive(Debug, Default)]
pub struct Zones {
    pub(crate) reaches: Vec<Reach>,
    /// How many zones have each reach.
    zones_of: Vec<u32>,
    v4: PrefixMap<Ipv4Net, u32>,
    v6: PrefixMap<Ipv6Net, u32>,
}

impl Zones {
    /// The zone with the longest prefix that holds the client, and its tiers. An IPv4 client seen through an IPv6
    /// socket (`::ffff:a.b.c.d`) is looked up as IPv4. A zone `0.0.0.0/0` or `::/0` is the default.
    pub fn nearest(&self, client: IpAddr) -> Option<(IpNet, &[Tier])> {
        let (network, reach) = match client.to_canonical() {
            IpAddr::V4(v4) => {
                let (network, reach) = self.v4.get_lpm(&Ipv4Net::from(v4))?;
                (IpNet::V4(network), *reach)
            }
            IpAddr::V6(v6) => {
                let (network, reach) = self.v6.get_lpm(&Ipv6Net::from(v6))?;
                (IpNet::V6(network), *reach)
            }
        };
        Some((network, &self.reaches[reach as usize]))
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether no client is covered.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// How many bits of the client's address decide its zone: the shortest prefix of at least `at_least` bits that lies in
    /// the client's zone and holds no part of a more specific one. Every client within it has the same tiers. Nothing for a
    /// client without a zone. Two such blocks never overlap unless they are equal.
    pub fn uniform_bits(&self, client: IpAddr, at_least: u8) -> Option<u8> {
        match client {
            IpAddr::V4(v4) => {
                let zone = self.v4.get_lpm_prefix(&Ipv4Net::from(v4))?;
                let block = |bits| Ipv4Net::new(v4, bits).expect("at most the length of an address").trunc();
                let divided = |bits| self.v4.children(&block(bits)).any(|(inner, _)| inner != zone);
                Some(shortest_uniform(zone.prefix_len().max(at_least), 32, divided))
            }
            IpAddr::V6(v6) => {
                let zone = self.v6.get_lpm_prefix(&Ipv6Net::from(v6))?;
                let block = |bits| Ipv6Net::new(v6, bits).expect("at most the length of an address").trunc();
                let divided = |bits| self.v6.children(&block(bits)).any(|(inner, _)| inner != zone);
                Some(shortest_uniform(zone.prefix_len().max(at_least), 128, divided))
            }
        }
    }

    /// Every reach, with how many zones have it.
    pub(crate) fn reaches(&self) -> impl Iterator<Item = (&Reach, u32)> {
        self.reaches.iter().zip(self.zones_of.iter().copied())
    }

    /// Adds a reach; its number is for [`Self::insert`].
    pub(crate) fn add_reach(&mut self, reach: Reach) -> u32 {
        let number = u32::try_from(self.reaches.len()).expect("no more reaches than zones, which are fewer");
        self.reaches.push(reach);
        self.zones_of.push(0);
        number
    }

    /// Adds a network (host bits are dropped); false when it is there already.
    pub(crate) fn insert(&mut self, network: IpNet, reach: u32) -> bool {
        let fresh = match network.trunc() {
            IpNet::V4(v4) => self.v4.insert(v4, reach).is_none(),
            IpNet::V6(v6) => self.v6.insert(v6, reach).is_none(),
        };
        self.zones_of[reach as usize] += u32::from(fresh);
        fresh
    }
}

/// The least number of bits from `from` to `most` at which a block is not divided. The more bits, the smaller the block, so
/// once it is undivided it stays so; nearly always the first question settles it.
fn shortest_uniform(from: u8, most: u8, divided: impl Fn(u8) -> bool) -> u8 {
    if !divided(from) {
        return from;
    }
    let (mut low, mut high) = (from, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if divided(middle) { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn reach(number: u32) -> Reach {
        vec![Tier { nearness: Nearness::Metric(number), locations: Vec::new() }]
    }

    fn build(networks: &[IpNet]) -> Zones {
        let mut zones = Zones::default();
        for (number, network) in (0u32..).zip(networks) {
            zones.add_reach(reach(number));
            zones.insert(*network, number);
        }
        zones
    }

    #[test]
    fn the_longest_prefix_decides() {
        let networks = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32"].map(|n| n.parse().expect(n));
        let zones = build(&networks);
        for (client, expected) in [
            ("192.0.2.1", Some("0.0.0.0/0")),
            ("10.200.0.1", Some("10.0.0.0/8")),
            ("10.1.9.9", Some("10.1.0.0/16")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::ffff:10.1.2.3", Some("10.1.2.3/32")),
            ("2001:db8::1", Some("2001:db8::/32")),
            ("2001:db9::1", None),
        ] {
            let found = zones.nearest(client.parse().expect(client)).map(|(network, _)| network.to_string());
            assert_eq!(found.as_deref(), expected, "{client}");
        }
        assert_eq!(zones.len(), 5);
    }

    #[test]
    fn host_bits_do_not_make_another_zone() {
        let mut zones = build(&["10.0.0.0/8".parse().expect("net")]);
        assert!(!zones.insert("10.9.9.9/8".parse().expect("net"), 0));
        assert!(zones.insert("10.9.0.0/16".parse().expect("net"), 0));
    }

    #[test]
    fn the_bits_that_decide_a_zone() {
        let zones = build(&["127.0.0.0/8", "127.128.0.0/9", "10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32"].map(|n| n.parse().expect(n)));
        for (client, at_least, expected) in [
            ("127.0.0.1", 0, Some(9)),
            ("127.200.0.1", 0, Some(9)),
            ("127.0.0.1", 24, Some(24)),
            ("10.1.2.3", 24, Some(32)),
            ("10.1.2.2", 24, Some(32)),
            ("10.1.2.4", 24, Some(30)),
            ("10.1.3.1", 24, Some(24)),
            ("10.1.3.1", 0, Some(24)),
            ("10.200.0.1", 0, Some(9)),
            ("2001:db8::1", 48, Some(48)),
            ("192.0.2.1", 0, None),
        ] {
            assert_eq!(zones.uniform_bits(client.parse().expect(client), at_least), expected, "{client} {at_least}");
        }
    }

    fn network() -> impl Strategy<Value = IpNet> {
        // Few distinct bits, so that networks nest and clients hit them.
        prop_oneof![
            (0u32..16, 0u8..=32)
                .prop_map(|(bits, len)| { IpNet::V4(Ipv4Net::new(Ipv4Addr::from(bits << 28 | bits), len).expect("length").trunc()) }),
            (0u128..16, 0u8..=128)
                .prop_map(|(bits, len)| { IpNet::V6(Ipv6Net::new(Ipv6Addr::from(bits << 124 | bits), len).expect("length").trunc()) }),
        ]
    }

    fn client() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..16, 0u32..16).prop_map(|(high, low)| IpAddr::V4(Ipv4Addr::from(high << 28 | low))),
            (0u128..16, 0u128..16).prop_map(|(high, low)| IpAddr::V6(Ipv6Addr::from(high << 124 | low))),
        ]
    }

    fn block(address: IpAddr, bits: u8) -> IpNet {
        IpNet::new(address, bits).expect("length").trunc()
    }

    proptest! {
        /// Against the definition: no zone cuts through the block, and one bit less is cut or is wider than asked.
        #[test]
        fn uniform_bits_are_the_fewest(networks in prop::collection::vec(network(), 0..40), client in client(), at_least in 0u8..=32) {
            let zones = build(&networks.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
            let zone = zones.nearest(client).map(|(network, _)| network);
            let whole = |bits| {
                let block = block(client, bits);
                zone.is_some_and(|zone| zone.contains(&block)) && !networks.iter().any(|n| Some(*n) != zone && block.contains(n))
            };
            match zones.uniform_bits(client, at_least) {
                None => prop_assert_eq!(zone, None),
                Some(bits) => {
                    prop_assert!(bits >= at_least && whole(bits), "{bits}");
                    prop_assert!(bits == at_least || !whole(bits - 1), "{bits} is not the fewest");
                }
            }
        }
        #[test]
        fn the_trie_agrees_with_a_linear_scan(mut networks in prop::collection::vec(network(), 0..40), client in client()) {
            networks.sort();
            networks.dedup();
            let zones = build(&networks);
            let slow = networks.iter().filter(|n| n.contains(&client.to_canonical())).max_by_key(|n| n.prefix_len());
            let fast = zones.nearest(client);
            prop_assert_eq!(fast.map(|(network, _)| network), slow.copied());
            if let Some((network, tiers)) = fast {
                let number = networks.iter().position(|n| *n == network).expect("one of them");
                prop_assert_eq!(tiers, &reach(u32::try_from(number).expect("few"))[..]);
            }
        }
    }
}
