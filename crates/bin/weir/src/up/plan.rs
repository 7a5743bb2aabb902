//! Which devices `weir up` runs, and where each listens. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use weir_device_api::Listeners;
use weir_model::Role;

/// Engines when the command line says nothing.
pub(crate) const ENGINES: u16 = 6;
/// The root location, nearest the origin.
pub(crate) const ROOT: &str = "core";
/// Locations in the order engines are dealt to them.
pub(crate) const LOCATIONS: [&str; 3] = [ROOT, "east", "west"];
/// The service's name and domain.
pub(crate) const SERVICE: &str = "demo";
pub(crate) const DOMAIN: &str = "demo.weir.test";

/// Ports, fixed so that a killed keeper binds the same address again; all above 1023.
const HTTP: u16 = 8080;
const HTTPS: u16 = 8443;
const DEVICE: u16 = 9443;
const ADMIN: u16 = 9090;
const KEEPALIVE: u16 = 7946;
const DNS: u16 = 5353;

/// Last octets of the addresses.
const ORIGIN_HOST: u8 = 9;
const MANAGER_HOST: u8 = 2;
const ROUTER_HOST: u8 = 11;
const ENGINE_HOST: u8 = 21;

/// Disk each engine keeps content on, in MiB: all of them are on one box.
const DISK_MIB: u64 = 512;

/// What the network delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// The demo origin's streams.
    Demo,
    /// What an origin of the operator's has.
    Origin,
}

/// One device to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Device name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: Role,
    /// Its location.
    pub(crate) location: &'static str,
    /// Where it listens.
    pub(crate) listeners: Listeners,
}

/// The network `weir up` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The /24.
    pub(crate) base: Ipv4Addr,
    /// Managers, routers, engines, in this order; the first manager makes the network.
    pub(crate) devices: Vec<Planned>,
}

impl Plan {
    /// The network of `engines` engines on `base`'s /24.
    pub(crate) fn new(base: Ipv4Addr, engines: u16) -> Self {
        let at = |host: u8, port: u16| Some(SocketAddr::new(address(base, host), port));
        let manager = |n: u8| Planned {
            name: format!("manager-{n}"),
            role: Role::Manager,
            location: ROOT,
            listeners: Listeners {
                https: at(MANAGER_HOST + n - 1, HTTPS),
                device: at(MANAGER_HOST + n - 1, DEVICE),
                admin: at(MANAGER_HOST + n - 1, ADMIN),
                ..Listeners::default()
            },
        };
        let router = |n: u8| Planned {
            name: format!("router-{n}"),
            role: Role::Router,
            location: ROOT,
            listeners: Listeners {
                dns: at(ROUTER_HOST + n - 1, DNS),
                http: at(ROUTER_HOST + n - 1, HTTP),
                admin: at(ROUTER_HOST + n - 1, ADMIN),
                keepalive: at(ROUTER_HOST + n - 1, KEEPALIVE),
                ..Listeners::default()
            },
        };
        let mut devices = vec![manager(1), manager(2), router(1), router(2)];
        devices.extend((0..engines).map(|i| {
            let location = LOCATIONS[usize::from(i) % LOCATIONS.len()];
            let host = ENGINE_HOST + u8::try_from(i).expect("at most 200 engines");
            Planned {
                name: format!("{location}-{}", usize::from(i) / LOCATIONS.len() + 1),
                role: Role::Engine,
                location,
                listeners: Listeners { http: at(host, HTTP), admin: at(host, ADMIN), ..Listeners::default() },
            }
        }));
        Self { base, devices }
    }

    /// Where the demo origin listens.
    pub(crate) fn demo_origin(&self) -> SocketAddr {
        SocketAddr::new(address(self.base, ORIGIN_HOST), HTTP)
    }

    /// The manager that makes the network; either may be the primary by now.
    pub(crate) fn first(&self) -> &Planned {
        &self.devices[0]
    }

    /// Devices of one role, in order.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Planned> {
        self.devices.iter().filter(move |d| d.role == role)
    }
}

fn address(base: Ipv4Addr, host: u8) -> IpAddr {
    let [a, b, c, _] = base.octets();
    Ipv4Addr::new(a, b, c, host).into()
}

impl Planned {
    /// Its device.toml, with `threads` sockets for viewers' requests and their resolvers' queries.
    pub(crate) fn device_file(&self, threads: u16) -> String {
        let quoted = |text: &str| format!("{text:?}");
        let mut text = format!("name = {}\nrole = {}\n", quoted(&self.name), quoted(self.role.as_str()));
        if self.role == Role::Manager {
            text += "\n[manager]\nnetwork = \"weir-up\"\nprofile = \"rehearsal\"\n";
        }
        if self.role == Role::Engine {
            text += &format!("\n[engine]\ndisk_mib = {DISK_MIB}\n");
        }
        let l = &self.listeners;
        let rows = [
            ("dns", "udp", l.dns, threads),
            ("dns-tcp", "tcp", l.dns, 1),
            ("http", "tcp", l.http, threads),
            ("https", "tcp", l.https, 1),
            ("device", "tcp", l.device, 1),
            ("admin", "tcp", l.admin, 1),
            ("keepalive", "udp", l.keepalive, 1),
            ("lifeline", "tcp", l.keepalive, 1),
        ];
        for (name, proto, address, count) in rows {
            if let Some(address) = address {
                text += &format!("\n[[listeners]]\nname = {name:?}\nproto = {proto:?}\naddress = \"{address}\"\ncount = {count}\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_dealt_in_turn_and_no_two_listeners_share_an_address() {
        let plan = Plan::new(Ipv4Addr::new(127, 77, 0, 0), 6);
        let names: Vec<&str> = plan.of(Role::Engine).map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["core-1", "east-1", "west-1", "core-2", "east-2", "west-2"]);
        for engines in [1, 6, 200] {
            let plan = Plan::new(Ipv4Addr::new(127, 77, 0, 0), engines);
            let mut seen = std::collections::BTreeSet::from([plan.demo_origin()]);
            for device in &plan.devices {
                let l = device.listeners;
                for address in [l.dns, l.http, l.https, l.device, l.admin, l.keepalive].into_iter().flatten() {
                    assert!(seen.insert(address), "{address}");
                }
            }
        }
    }

    #[test]
    fn the_device_file_is_one_a_keeper_reads() {
        for device in Plan::new(Ipv4Addr::new(127, 77, 0, 0), 3).devices {
            let dir = tempfile::tempdir().expect("dir");
            let path = dir.path().join("device.toml");
            std::fs::write(&path, device.device_file(2)).expect("write");
            let file = weir_slots::DeviceFile::read(&path).expect("a keeper reads it");
            assert_eq!((file.name, file.role), (device.name, device.role.to_string()));
        }
    }
}
