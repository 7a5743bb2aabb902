//! Where an engine fills from: the engines of the locations above it, nearest first, then the origin.
//!
//! The order within a location is [`crate::placement`]'s, the one the router uses, so that all engines of a site ask the
//! same parent for the same content.

use crate::{
    network::{Engine, Network, Service},
    placement::{self, Key},
};
use weir_model::{DeviceName, OffloadEpoch, OriginUrl};

/// Whom to ask, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillPath<'n> {
    /// Engines up the tree: the parent location's in placement order, then its parent's, to the root.
    pub engines: Vec<&'n Engine>,
    /// Asked last, and at once by an engine that has nothing above it.
    pub origin: &'n OriginUrl,
}

/// An engine's fill path for a key of a service. Engines that are not `live`, of weight 0, or that do not carry the service
/// are left out, and so are those that Server Offload holds at [`OffloadEpoch::Peers`]: one more fill would keep such an engine
/// from ever being drained. When a location has no other, the next one up is asked and in the end the origin, so there is
/// always somebody to fill from. Locations only lie above, so an engine never asks itself or a peer of its own site; an engine the network
/// does not have asks the origin.
pub fn parents<'n>(
    network: &'n Network,
    me: &DeviceName,
    service: &'n Service,
    key: Key,
    live: impl Fn(&DeviceName) -> bool,
) -> FillPath<'n> {
    let mut engines = Vec::new();
    if let Some(me) = network.engine(me) {
        for location in network.ancestors(me.location) {
            let fills = |engine: &&Engine| engine.offload != Some(OffloadEpoch::Peers) && live(&engine.name);
            engines.extend(placement::order(key, network.engines_of(service, location).filter(fills)));
        }
    }
    FillPath { engines, origin: &service.service.origin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;
    use weir_model::{DeviceConfiguration, configuration::LocationEntry};

    fn path(network: &Network, me: &str, path: &str, live: impl Fn(&DeviceName) -> bool) -> Vec<String> {
        let service = &network.services()[0];
        let found = parents(network, &sample::name(me), service, Key::of(&service.service.domain, path), live);
        assert_eq!(found.origin.to_string(), "http://127.0.7.250:9000");
        found.engines.iter().map(|e| e.name.to_string()).collect()
    }

    fn three_levels() -> DeviceConfiguration {
        let mut configuration = sample::configuration();
        configuration.locations.push(LocationEntry { name: sample::name("edge"), parent: Some(sample::name("east")) });
        let mut edge = configuration.engines[2].clone();
        edge.name = sample::name("edge-1");
        edge.location = sample::name("edge");
        configuration.services[0].engines.push(edge.name.clone());
        configuration.engines.push(edge);
        configuration
    }

    #[test]
    fn the_root_asks_the_origin() {
        assert!(path(&sample::network(), "core-1", "/a/", |_| true).is_empty());
        assert!(path(&sample::network(), "stranger", "/a/", |_| true).is_empty());
    }

    #[test]
    fn nearer_locations_come_first_and_peers_never() {
        let network = Network::compile(&three_levels()).expect("valid");
        let mut found = path(&network, "edge-1", "/a/", |_| true);
        found[..2].sort();
        found[2..].sort();
        assert_eq!(found, ["east-1", "east-2", "core-1", "core-2"]);
    }

    #[test]
    fn the_dead_and_those_without_the_service_are_left_out() {
        let network = Network::compile(&three_levels()).expect("valid");
        assert_eq!(path(&network, "east-1", "/a/", |name| name.as_str() != "core-1"), ["core-2"]);
        let mut configuration = three_levels();
        configuration.services[0].engines.retain(|name| name.as_str() != "core-2");
        let network = Network::compile(&configuration).expect("valid");
        assert_eq!(path(&network, "east-1", "/a/", |_| true), ["core-1"]);
    }

    #[test]
    fn an_offloaded_parent_is_asked_until_its_peers_epoch() {
        let with = |offload| {
            let mut configuration = three_levels();
            for engine in configuration.engines.iter_mut().filter(|engine| engine.name.as_str().starts_with("east")) {
                engine.offload = offload;
            }
            let mut found = path(&Network::compile(&configuration).expect("valid"), "edge-1", "/a/", |_| true);
            found.sort();
            found
        };
        assert_eq!(with(None), ["core-1", "core-2", "east-1", "east-2"]);
        assert_eq!(with(Some(OffloadEpoch::Clients)), with(None));
        assert_eq!(with(Some(OffloadEpoch::Peers)), ["core-1", "core-2"], "the next location up takes over");
    }

    proptest! {
        #[test]
        fn engines_of_one_site_ask_the_same_parents(directory in "/[a-z/]{0,12}") {
            let network = sample::network();
            let expected = path(&network, "east-1", &directory, |_| true);
            for peer in ["east-2", "west-1", "west-2"] {
                prop_assert_eq!(&path(&network, peer, &directory, |_| true), &expected);
            }
        }
    }
}
