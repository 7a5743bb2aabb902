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

    /// Adds a network (host bits are dropped); false when it is there already.
    pub(crate) fn insert(&mut self, network: IpNet, reach: u32) -> bool {
        match network.trunc() {
            IpNet::V4(v4) => self.v4.insert(v4, reach).is_none(),
            IpNet::V6(v6) => self.v6.insert(v6, reach).is_none(),
        }
    }
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
            zones.reaches.push(reach(number));
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

    proptest! {
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
