//! Which engines a DNS answer names, and for which clients it holds (client subnet, RFC 7871).
//!
//! A name has no path, so what is placed is the client's network, /24 or /48: all resolvers of one network get one answer
//! and a viewer stays where it is. Everything else is [`crate::decision`]'s: zones, tiers, liveness, weights, shares.

use crate::{
    candidates::{Field, Unrecorded},
    health::HealthTable,
    network::{Engine, Network, Service},
    placement::{self, Candidate, Key},
    reason::RefusalReason,
};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv4 client's address that make its placement key.
pub const KEY_BITS_V4: u8 = 24;
/// Bits of an IPv6 client's address that make its placement key.
pub const KEY_BITS_V6: u8 = 48;
/// Bits of `::ffff:0:0/96`, before an IPv4 address in an IPv6 one.
const MAPPED_BITS: u8 = 96;

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// Whether an engine has an address of the family. One that listens on every address of its box has none to give.
    pub(crate) fn is_of(self, engine: &Engine) -> bool {
        let address = engine.http.ip().to_canonical();
        !address.is_unspecified() && address.is_ipv4() == (self == Family::V4)
    }
}

/// A question for addresses.
#[derive(Debug, Clone, Copy)]
pub struct AddressQuestion {
    /// The client: of the client-subnet option; without one, or with one of prefix 0, the resolver's own address.
    pub client: IpAddr,
    /// How many bits of `client` are told: the option's source prefix length; without an option all of them. 0: the client
    /// asked not to be told apart (RFC 7871 section 7.1.2); the whole of `client` is looked at, and the scope is 0.
    pub prefix: u8,
    /// Which addresses.
    pub family: Family,
    /// Monotonic milliseconds, the clock of the health table.
    pub now_ms: u64,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'n> {
    engines: [Option<&'n Engine>; 2],
    /// Bits of the client's address for which the answer holds: the scope prefix length. It may be larger than the prefix
    /// that was asked with: more bits would have got a better answer (RFC 7871 section 7.2.1).
    pub scope: u8,
}

impl<'n> Placed<'n> {
    /// The engines in placement order, at most two, all of the family asked for. None: there is no address of that family,
    /// for any client.
    pub fn engines(&self) -> impl Iterator<Item = &'n Engine> + use<'n> {
        self.engines.into_iter().flatten()
    }
}

/// Which engines the apex of a service's zone names for a client.
///
/// # Errors
/// [`RefusalReason::NoCoverageZone`] and [`RefusalReason::NoLiveEngine`].
pub fn addresses<'n>(
    network: &'n Network,
    health: &HealthTable,
    service: &'n Service,
    question: &AddressQuestion,
) -> Result<Placed<'n>, RefusalReason> {
    let client = Client::of(question);
    let key = client.key(service);
    or_suddenly(network, health, question, |health| {
        in_zone(Field { network, health, service, now_ms: question.now_ms }, &client, question.family, |candidates| {
            placement::first_two(key, candidates)
        })
    })
}

/// What is answered; before it is that no engine is live, what is answered in a panic that nobody has looked for yet.
fn or_suddenly<'n>(
    network: &'n Network,
    health: &HealthTable,
    question: &AddressQuestion,
    answer: impl Fn(&HealthTable) -> Result<Placed<'n>, RefusalReason>,
) -> Result<Placed<'n>, RefusalReason> {
    answer(health).or_else(|refusal| match health.suddenly(network, question.now_ms) {
        Some(health) if refusal == RefusalReason::NoLiveEngine => answer(&health),
        _ => Err(refusal),
    })
}

/// Which engine an engine's own name leads to: itself while it is up and carries the service, offloaded or not, because a
/// viewer that holds the name is never turned away; else a live peer, at its own location before the client's zone. An engine
/// the network does not have, or has no longer, is stood in for like a dead one.
///
/// # Errors
/// [`RefusalReason::NoCoverageZone`] and [`RefusalReason::NoLiveEngine`].
pub fn stand_in<'n>(
    network: &'n Network,
    health: &HealthTable,
    service: &'n Service,
    engine: Option<&'n Engine>,
    question: &AddressQuestion,
) -> Result<Placed<'n>, RefusalReason> {
    or_suddenly(network, health, question, |health| stood_in(network, health, service, engine, question))
}

fn stood_in<'n>(
    network: &'n Network,
    health: &HealthTable,
    service: &'n Service,
    engine: Option<&'n Engine>,
    question: &AddressQuestion,
) -> Result<Placed<'n>, RefusalReason> {
    let &AddressQuestion { family, now_ms, .. } = question;
    let is_up = |engine: &Engine| health.is_up(&engine.name, now_ms, network.profile().keepalive_patience_ms());
    if let Some(engine) = engine.filter(|engine| network.carries(service, engine) && is_up(engine)) {
        return Ok(Placed { engines: [Some(engine).filter(|engine| family.is_of(engine)), None], scope: 0 });
    }
    let client = Client::of(question);
    let key = client.key(service);
    let field = Field { network, health, service, now_ms };
    let peer = engine.and_then(|engine| {
        let (here, mut unrecorded) = ([engine.location], Unrecorded);
        placement::first(key, field.at(&here, &mut unrecorded).filter(|candidate| family.is_of(candidate.engine)))
    });
    match peer {
        Some(peer) => Ok(Placed { engines: [Some(peer), None], scope: client.scope(client.key_bits) }),
        None => in_zone(field, &client, family, |candidates| [placement::first(key, candidates), None]),
    }
}

/// What `choose` takes of the nearest tier that has an engine of the family.
///
/// Resolvers take an empty answer as one for everybody, whatever its scope (RFC 7871 section 7.4). So it is given only when
/// no client could be told more, with scope 0; a client whose own tiers have engines of the other family alone gets one from
/// elsewhere.
fn in_zone<'n>(
    field: Field<'n, '_>,
    client: &Client,
    family: Family,
    choose: impl Fn(&mut dyn Iterator<Item = Candidate<'n>>) -> [Option<&'n Engine>; 2],
) -> Result<Placed<'n>, RefusalReason> {
    if !field.service.families.contains(&family) {
        return Ok(Placed { engines: [None; 2], scope: 0 });
    }
    let zones = field.network.zones();
    let (_, tiers) = zones.nearest(client.address).ok_or(RefusalReason::NoCoverageZone)?;
    let bits = zones.uniform_bits(client.address, client.key_bits).ok_or(RefusalReason::NoCoverageZone)?;
    let (mut somebody, mut unrecorded) = (false, Unrecorded);
    for tier in tiers {
        let live = field.at(&tier.locations, &mut unrecorded).inspect(|_| somebody = true);
        let engines = choose(&mut live.filter(|candidate| family.is_of(candidate.engine)));
        if engines[0].is_some() {
            return Ok(Placed { engines, scope: client.scope(bits) });
        }
    }
    if !somebody {
        return Err(RefusalReason::NoLiveEngine);
    }
    let engines = choose(&mut field.anywhere().filter(|candidate| family.is_of(candidate.engine)));
    Ok(Placed { engines, scope: if engines[0].is_some() { client.scope(bits) } else { 0 } })
}

/// A client as far as it was told.
struct Client {
    /// Bits that were not told are 0.
    address: IpAddr,
    key_bits: u8,
    /// What counts before `address` begins, in bits; absent: the scope is 0.
    offset: Option<u8>,
}

impl Client {
    fn of(question: &AddressQuestion) -> Self {
        let &AddressQuestion { client, prefix, .. } = question;
        let mapped = match client {
            IpAddr::V6(v6) if prefix == 0 || prefix >= MAPPED_BITS => v6.to_ipv4_mapped(),
            _ => None,
        };
        let (address, before) = mapped.map_or((client, 0), |v4| (v4.into(), MAPPED_BITS));
        let (all, key_bits) = if address.is_ipv4() { (32, KEY_BITS_V4) } else { (Ipv6Addr::BITS as u8, KEY_BITS_V6) };
        let told = if prefix == 0 { all } else { prefix.saturating_sub(before).min(all) };
        Self { address: masked(address, told), key_bits, offset: (prefix > 0).then_some(before) }
    }

    fn key(&self, service: &Service) -> Key {
        Key::of_client(&service.service.domain, masked(self.address, self.key_bits))
    }

    fn scope(&self, bits: u8) -> u8 {
        self.offset.map_or(0, |before| before + bits)
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    IpNet::new(address, bits).expect("at most the length of the address").network()
}

#[cfg(test)]
mod tests;
