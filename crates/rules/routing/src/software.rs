//! The system delivery service in a network: which engines carry it, and which of them a device asks for a release archive.

use crate::{
    network::{Engine, Network},
    placement::{self, Key},
};
use std::net::SocketAddr;
use weir_model::{
    DeviceConfiguration, DeviceName, OffloadEpoch,
    configuration::{Confirmed, EngineEntry},
    delivery,
};

/// The configuration with the system delivery service, carried by every engine. Nothing when an operator's service has its name
/// or its domain, which no manager of this line allows: the operator's is served then.
pub fn with_software(configuration: &DeviceConfiguration) -> Option<DeviceConfiguration> {
    let system = delivery::service(configuration.engines.iter().map(|engine| engine.name.clone()).collect());
    let taken = configuration.services.iter().any(|service| service.name == system.name || service.domain == system.domain);
    if taken {
        return None;
    }
    let mut with = configuration.clone();
    with.services.push(system);
    Some(with)
}

/// An engine that holds archives, or fetches them for whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: DeviceName,
    /// Where it is asked.
    pub http: SocketAddr,
}

/// The engines that the device of this configuration asks for archives, in order: those of its own location, then those up the
/// tree to the root; within a location in placement order, so that all devices of a site ask the same engine first, and behind
/// the others those that Server Offload holds. One at [`OffloadEpoch::Peers`] is not asked: a transfer would keep it from being
/// drained. An engine asks itself too, where its place is and, when it is left out, last: what it fetches through its own store
/// stays there. None where the device has no place in the tree.
pub fn copies(configuration: &DeviceConfiguration) -> Vec<Holder> {
    let Some(network) = tree(configuration) else { return Vec::new() };
    let Some(system) = network.services().first() else { return Vec::new() };
    let key = Key::of(&system.service.domain, "/");
    let mut found: Vec<&Engine> = Vec::new();
    let mut at = configuration.location.as_ref().and_then(|name| network.location_named(name));
    while let Some(location) = at {
        let order = |offload| placement::order(key, network.engines_of(system, location).filter(|engine| engine.offload == offload));
        found.extend(order(None));
        found.extend(order(Some(OffloadEpoch::Clients)));
        at = network.location(location).parent;
    }
    if let Some(me) = network.engine(&configuration.device)
        && !found.iter().any(|engine| engine.name == me.name)
    {
        found.push(me);
    }
    found.into_iter().map(|engine| Holder { name: engine.name.clone(), http: engine.http }).collect()
}

/// The tree and the engines alone, with the system service.
fn tree(configuration: &DeviceConfiguration) -> Option<Network> {
    let engines: Vec<EngineEntry> = configuration.engines.clone();
    let names = engines.iter().map(|engine| engine.name.clone()).collect();
    let alone = DeviceConfiguration {
        stamp: configuration.stamp,
        device: configuration.device.clone(),
        role: configuration.role,
        location: None,
        managers: Vec::new(),
        profile: configuration.profile.clone(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: configuration.locations.clone(),
        engines,
        routers: Vec::new(),
        services: vec![delivery::service(names)],
        zones: Vec::new(),
    };
    Network::compile(&alone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use weir_model::Role;

    fn of(device: &str, location: Option<&str>) -> DeviceConfiguration {
        let device = sample::name(device);
        DeviceConfiguration { device, location: location.map(sample::name), ..sample::configuration() }
    }

    fn asked(configuration: &DeviceConfiguration) -> Vec<String> {
        copies(configuration).into_iter().map(|holder| holder.name.to_string()).collect()
    }

    fn sorted(names: &[String]) -> Vec<&str> {
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_own_location_comes_first_and_then_the_tree() {
        let found = asked(&of("east-1", Some("east")));
        assert_eq!((sorted(&found[..2]), sorted(&found[2..])), (vec!["east-1", "east-2"], vec!["core-1", "core-2"]));
        assert_eq!(asked(&of("router-1", Some("east"))), found, "every device of a site asks the same engine first");
        assert_eq!(sorted(&asked(&of("core-1", Some("core")))), ["core-1", "core-2"]);
        assert!(asked(&of("router-1", None)).is_empty() && asked(&of("router-1", Some("nowhere"))).is_empty());
    }

    #[test]
    fn an_engine_out_of_service_is_asked_behind_the_others_and_at_last_not_at_all() {
        let with = |device: &str, offload| {
            let mut configuration = of(device, Some("east"));
            let first = asked(&configuration).swap_remove(0);
            let held = configuration.engines.iter_mut().find(|engine| engine.name.as_str() == first).expect("there");
            held.offload = Some(offload);
            (first, asked(&configuration))
        };
        let (held, found) = with("router-1", OffloadEpoch::Clients);
        assert_eq!((found[1].as_str(), found.len()), (held.as_str(), 4));
        let (held, found) = with("router-1", OffloadEpoch::Peers);
        assert!(!found.contains(&held) && found.len() == 3, "{found:?}");
        let held = asked(&of("router-1", Some("east"))).swap_remove(0);
        let (_, found) = with(&held, OffloadEpoch::Peers);
        assert_eq!(found.last(), Some(&held), "itself it may ask, at the end");
    }

    #[test]
    fn an_engines_own_document_carries_the_service_on_every_engine() {
        let configuration = of("east-1", Some("east"));
        let with = with_software(&configuration).expect("nobody has its name");
        let network = Network::compile(&with).expect("compiles");
        let system = network.services().last().expect("there");
        assert!(network.engines().iter().all(|engine| network.carries(system, engine)));
        assert_eq!(network.services().len(), configuration.services.len() + 1);
        for taken in [
            |s: &mut weir_model::DeliveryService| s.name = sample::name(delivery::SERVICE),
            |s: &mut weir_model::DeliveryService| {
                s.domain = delivery::DOMAIN.parse().expect("a domain");
            },
        ] {
            let mut configuration = of("east-1", Some("east"));
            taken(&mut configuration.services[0]);
            assert_eq!(with_software(&configuration), None, "the operator's is served");
        }
    }

    #[test]
    fn a_document_without_a_tree_names_nobody() {
        let mut configuration = of("router-1", Some("east"));
        configuration.role = Role::Router;
        configuration.locations.clear();
        assert!(copies(&configuration).is_empty());
    }
}
