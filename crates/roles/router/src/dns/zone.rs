//! The zones of a configuration: the records that are the same for everybody, made once.

use domain::{
    base::{Name, Serial, Ttl},
    rdata::Soa,
};
use std::{collections::HashMap, net::IpAddr};
use weir_model::{DeviceName, Domain};
use weir_routing::{Network, names::ROUTER_LABEL, network};

/// Name servers a zone names at most: as many as the root has, which every resolver copes with. The names of further routers
/// resolve like the others.
const SERVERS_MAX: usize = 13;
/// Who is responsible for a zone, below its apex.
const RESPONSIBLE_LABEL: &str = "hostmaster";
/// For secondary servers, of which there are none: nothing is transferred, and routers agree by configuration. Of the order
/// RFC 1912 section 2.2 suggests.
const REFRESH: Ttl = Ttl::from_secs(3_600);
const RETRY: Ttl = Ttl::from_secs(600);
const EXPIRE: Ttl = Ttl::from_secs(1_209_600);

/// The zones, by their domain.
pub(crate) struct Zones {
    zones: HashMap<Domain, Zone>,
    /// Of every record.
    pub(super) ttl: Ttl,
}

/// One service's domain.
pub(super) struct Zone {
    pub(super) apex: Name<Vec<u8>>,
    pub(super) authority: Soa<Name<Vec<u8>>>,
    /// In the configuration's order.
    pub(super) servers: Vec<Server>,
}

/// A router as a zone names it.
pub(super) struct Server {
    pub(super) name: Name<Vec<u8>>,
    pub(super) address: IpAddr,
}

impl Zones {
    /// The zones of a network, as `me` answers them.
    pub(crate) fn compile(network: &Network, me: &DeviceName) -> Self {
        let ttl = Ttl::from_secs(network.profile().dns_ttl_seconds);
        let domains = network.services().iter().map(|service| &service.service.domain);
        let zones = domains.map(|domain| (domain.clone(), Zone::compile(network, me, domain, ttl))).collect();
        Self { zones, ttl }
    }

    /// The zone of a domain, in lower case.
    pub(super) fn of(&self, domain: &Domain) -> Option<&Zone> {
        self.zones.get(domain)
    }
}

impl Zone {
    fn compile(network: &Network, me: &DeviceName, domain: &Domain, ttl: Ttl) -> Self {
        let apex = name(domain.as_str()).expect("a domain is a name");
        let servers = servers(network, domain);
        // A zone that no router can be named for still has an authority: this one, which answers.
        let first = servers.first().map(|server| server.name.clone()).or_else(|| router_name(me, domain));
        let responsible = name(&format!("{RESPONSIBLE_LABEL}.{domain}"));
        let generation = network.stamp().generation & u64::from(u32::MAX);
        let serial = Serial(u32::try_from(generation).expect("its lower half"));
        let (mname, rname) = (first.unwrap_or_else(|| apex.clone()), responsible.unwrap_or_else(|| apex.clone()));
        Self { authority: Soa::new(mname, rname, serial, REFRESH, RETRY, EXPIRE, ttl), apex, servers }
    }
}

/// The routers a zone names: those in service that have an address, or all with one when none is in service.
fn servers(network: &Network, domain: &Domain) -> Vec<Server> {
    let all = || {
        let server = |router: &network::Router| {
            let (name, address) = (router_name(&router.name, domain)?, address(router)?);
            Some((router.offloaded, Server { name, address }))
        };
        network.routers().iter().filter_map(server)
    };
    let in_service: Vec<Server> = all().filter(|(offloaded, _)| !offloaded).map(|(_, server)| server).take(SERVERS_MAX).collect();
    if in_service.is_empty() { all().map(|(_, server)| server).take(SERVERS_MAX).collect() } else { in_service }
}

/// Where a router is reached: where it answers DNS, or else HTTP; nothing when it listens on every address of its box, and
/// which those are is not known.
pub(super) fn address(router: &network::Router) -> Option<IpAddr> {
    let listeners = [router.dns, router.http].into_iter().flatten();
    listeners.map(|listener| listener.ip().to_canonical()).find(|address| !address.is_unspecified())
}

/// Nothing when that is too long for a name: the domain alone may take up all of it.
fn router_name(router: &DeviceName, domain: &Domain) -> Option<Name<Vec<u8>>> {
    name(&format!("{router}.{ROUTER_LABEL}.{domain}"))
}

fn name(text: &str) -> Option<Name<Vec<u8>>> {
    Name::vec_from_str(text).ok()
}
