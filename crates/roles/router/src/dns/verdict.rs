//! What there is to say to a query: a decision over the snapshots of one moment.

use super::{
    Outcome,
    query::{NAME_TEXT_BYTES, Query},
    zone::{self, Zone},
};
use crate::router::Running;
use domain::base::{
    Ttl,
    iana::{Class, Rtype},
};
use std::net::IpAddr;
use weir_routing::{
    HealthTable, RefusalReason, Service,
    addresses::{AddressQuestion, Family, Placed, addresses, stand_in},
    names::{Name, name_of},
};

/// What is known at one moment.
#[derive(Clone, Copy)]
pub(super) struct Snapshot<'s> {
    pub(super) running: &'s Running,
    pub(super) health: &'s HealthTable,
}

/// What there is to say.
pub(super) struct Verdict<'s> {
    pub(super) outcome: Outcome,
    pub(super) records: Records<'s>,
    /// Of every record.
    pub(super) ttl: Ttl,
    /// For how many bits of the client's address it holds.
    pub(super) scope: u8,
}

/// The records of an answer.
pub(super) enum Records<'s> {
    /// None: the code says all.
    None,
    /// Addresses of the family asked for, in order.
    Addresses([Option<IpAddr>; 2]),
    /// The zone's name servers and their addresses.
    Servers(&'s Zone),
    /// The zone's authority, which was asked for.
    Authority(&'s Zone),
    /// The zone's authority, for how long there is nothing (RFC 2308).
    Nothing(&'s Zone),
    /// The least there is to say to ANY (RFC 8482 section 4.2).
    Minimal,
}

impl<'s> Verdict<'s> {
    fn bare(outcome: Outcome) -> Self {
        Self { outcome, records: Records::None, ttl: Ttl::ZERO, scope: 0 }
    }
}

/// Decides. `client` is the sender.
pub(super) fn of<'s>(snapshot: Option<Snapshot<'s>>, query: &Query<'_>, client: IpAddr) -> Verdict<'s> {
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return Verdict::bare(Outcome::BadVersion);
    }
    let Some(snapshot) = snapshot else { return Verdict::bare(Outcome::NoConfiguration) };
    let asked = query.question.qtype();
    if query.question.qclass() != Class::IN || matches!(asked, Rtype::AXFR | Rtype::IXFR) {
        return Verdict::bare(Outcome::Refused);
    }
    let name = name_of(&snapshot.running.network, query.name(&mut [0; NAME_TEXT_BYTES]));
    let zone = name.service().and_then(|service| snapshot.running.zones.of(&service.service.domain));
    match zone {
        Some(zone) => InZone { snapshot, zone, query, client }.verdict(name),
        None => Verdict::bare(Outcome::Refused),
    }
}

/// A query for a name of a zone.
struct InZone<'s, 'q> {
    snapshot: Snapshot<'s>,
    zone: &'s Zone,
    query: &'q Query<'q>,
    client: IpAddr,
}

impl<'s> InZone<'s, '_> {
    fn verdict(&self, name: Name<'s>) -> Verdict<'s> {
        let asked = self.query.question.qtype();
        match (name, family(asked)) {
            (Name::Outside, _) => Verdict::bare(Outcome::Refused),
            (Name::Absent { .. }, _) => self.nothing(Outcome::NoName),
            (Name::Between { .. }, _) => self.nothing(Outcome::NoData),
            _ if asked == Rtype::ANY => self.answer(Records::Minimal),
            (Name::Apex(service), Some(family)) => self.placed(family, |question| self.at_apex(service, question)),
            (Name::Engine { service, engine }, Some(family)) => {
                let Snapshot { running, health } = self.snapshot;
                self.placed(family, |question| stand_in(&running.network, health, service, engine, question))
            }
            (Name::Router { router, .. }, Some(family)) => self.found([zone::address(router), None], family, 0),
            (Name::Apex(_), None) if asked == Rtype::SOA => self.answer(Records::Authority(self.zone)),
            (Name::Apex(_), None) if asked == Rtype::NS && !self.zone.servers.is_empty() => self.answer(Records::Servers(self.zone)),
            (Name::Apex(_) | Name::Engine { .. } | Name::Router { .. }, None) => self.nothing(Outcome::NoData),
        }
    }

    fn at_apex(&self, service: &'s Service, question: &AddressQuestion) -> Result<Placed<'s>, RefusalReason> {
        addresses(&self.snapshot.running.network, self.snapshot.health, service, question)
    }

    /// The addresses of the engines a choice made, for the client the query speaks of.
    fn placed(&self, family: Family, choose: impl FnOnce(&AddressQuestion) -> Result<Placed<'s>, RefusalReason>) -> Verdict<'s> {
        let subnet = self.query.edns.and_then(|edns| edns.subnet);
        let (client, prefix) = match subnet {
            Some(subnet) => subnet.client().unwrap_or((self.client, 0)),
            None => (self.client, if self.client.is_ipv4() { 32 } else { 128 }),
        };
        match choose(&AddressQuestion { client, prefix, family, now_ms: weir_clock::monotonic_ms() }) {
            Ok(placed) => {
                let mut engines = placed.engines().map(|engine| engine.http.ip().to_canonical());
                self.found([engines.next(), engines.next()], family, placed.scope)
            }
            // What fails for this client may not for the next one.
            Err(reason) => Verdict { scope: prefix, ..Verdict::bare(Outcome::Unplaced(reason)) },
        }
    }

    fn found(&self, addresses: [Option<IpAddr>; 2], family: Family, scope: u8) -> Verdict<'s> {
        let of_family = addresses.map(|address| address.filter(|address| address.is_ipv4() == (family == Family::V4)));
        match of_family {
            [None, None] => Verdict { scope, ..self.nothing(Outcome::NoData) },
            _ => Verdict { scope, ..self.answer(Records::Addresses(of_family)) },
        }
    }

    fn answer(&self, records: Records<'s>) -> Verdict<'s> {
        Verdict { outcome: Outcome::Answered, records, ttl: self.snapshot.running.zones.ttl, scope: 0 }
    }

    fn nothing(&self, outcome: Outcome) -> Verdict<'s> {
        Verdict { outcome, ..self.answer(Records::Nothing(self.zone)) }
    }
}

fn family(asked: Rtype) -> Option<Family> {
    match asked {
        Rtype::A => Some(Family::V4),
        Rtype::AAAA => Some(Family::V6),
        _ => None,
    }
}
