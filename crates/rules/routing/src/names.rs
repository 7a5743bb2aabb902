//! What a DNS name stands for: each service's domain is a zone.
//!
//! | name | is |
//! |---|---|
//! | `<domain>` | the zone's apex: engines that may be given a viewer |
//! | `<engine>.se.<domain>` | one engine, or while it is down, or no longer part of the network, a stand-in |
//! | `<router>.sr.<domain>` | one router |
//! | `se.<domain>`, `sr.<domain>` | nothing of their own, but there are names below |

use crate::network::{Engine, Network, Router, Service, lowered};
use weir_model::name::{ENGINE_LABEL, LABEL_BYTES};

/// The label under a service's domain that holds router names: `<router>.sr.<domain>`.
pub const ROUTER_LABEL: &str = "sr";

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'n> {
    /// A service's domain.
    Apex(&'n Service),
    /// An engine's name in a service's zone. The engine need not carry the service: a viewer may hold the name for longer.
    Engine {
        /// The zone.
        service: &'n Service,
        /// The engine; absent when the network has none of that name, or has it no longer.
        engine: Option<&'n Engine>,
    },
    /// A router's name in a service's zone.
    Router {
        /// The zone.
        service: &'n Service,
        /// The router.
        router: &'n Router,
    },
    /// A name without records that has names with records below it (RFC 4592 section 2.2.2): it exists.
    Between {
        /// The zone.
        service: &'n Service,
    },
    /// No such name in a zone.
    Absent {
        /// The zone.
        service: &'n Service,
    },
    /// In no zone.
    Outside,
}

impl<'n> Name<'n> {
    /// The service whose zone holds the name.
    pub fn service(&self) -> Option<&'n Service> {
        match self {
            Name::Apex(service)
            | Name::Engine { service, .. }
            | Name::Router { service, .. }
            | Name::Between { service }
            | Name::Absent { service } => Some(service),
            Name::Outside => None,
        }
    }
}

/// What a name stands for. Labels are joined with dots, without a trailing one, in any case; a label that itself holds a dot
/// must be written so that it is none, as the master file format does. Where domains nest the longest one holds the name.
/// Nothing is allocated.
pub fn name_of<'n>(network: &'n Network, name: &str) -> Name<'n> {
    lowered(name, |lower| {
        let (service, below) = zone_of(network, lower)?;
        let exists = |there: bool| if there { Name::Between { service } } else { Name::Absent { service } };
        Some(match below.split_once('.') {
            None if below.is_empty() => Name::Apex(service),
            // There are always names below it: any engine's, past or present.
            None if below == ENGINE_LABEL => exists(true),
            None if below == ROUTER_LABEL => exists(!network.routers().is_empty()),
            Some((label, ENGINE_LABEL)) if is_device_name(label) => Name::Engine { service, engine: network.engine_named(label) },
            Some((label, ROUTER_LABEL)) if let Some(router) = network.router_named(label) => Name::Router { service, router },
            _ => exists(network.domains.between.contains(lower)),
        })
    })
    .unwrap_or(Name::Outside)
}

/// Whether a label in lower case could be a device's name; as [`weir_model::DeviceName`] has it, without allocating.
fn is_device_name(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.len() <= LABEL_BYTES && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}

/// The service with the longest domain the name is in, and what stands before that domain.
fn zone_of<'n, 'a>(network: &'n Network, lower: &'a str) -> Option<(&'n Service, &'a str)> {
    let dots_max = network.domains.labels_max.checked_sub(1)?;
    // No domain has more labels than this, so the rest of a long name is not looked at.
    let start = lower.rmatch_indices('.').nth(dots_max).map_or(0, |(dot, _)| dot + 1);
    let mut domain = &lower[start..];
    loop {
        if let Some(index) = network.services_by_domain.get(domain) {
            let before = &lower[..lower.len() - domain.len()];
            return Some((network.service(*index), before.strip_suffix('.').unwrap_or(before)));
        }
        domain = domain.split_once('.')?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;

    fn shown(network: &Network, name: &str) -> String {
        let zone = |service: &Service| service.service.domain.to_string();
        match name_of(network, name) {
            Name::Apex(service) => format!("apex {}", zone(service)),
            Name::Engine { service, engine: Some(engine) } => format!("engine {} {}", engine.name, zone(service)),
            Name::Engine { service, engine: None } => format!("some engine {}", zone(service)),
            Name::Router { service, router } => format!("router {} {}", router.name, zone(service)),
            Name::Between { service } => format!("between {}", zone(service)),
            Name::Absent { service } => format!("absent {}", zone(service)),
            Name::Outside => "outside".to_owned(),
        }
    }

    fn nested() -> Network {
        let mut configuration = sample::configuration();
        for (name, domain) in [("deep", "a.b.demo.weir.test"), ("odd", "east-2.se.demo.weir.test")] {
            let mut service = configuration.services[0].clone();
            (service.name, service.domain) = (sample::name(name), sample::name(domain));
            configuration.services.push(service);
        }
        Network::compile(&configuration).expect("valid")
    }

    #[test]
    fn names() {
        let network = nested();
        let long = format!("{}demo.weir.test", "a.".repeat(119));
        let too_long = format!("{}demo.weir.test", "a.".repeat(120));
        for (name, expected) in [
            ("demo.weir.test", "apex demo.weir.test"),
            ("DeMo.Weir.TEST", "apex demo.weir.test"),
            ("east-1.se.demo.weir.test", "engine east-1 demo.weir.test"),
            ("EAST-1.Se.demo.weir.test", "engine east-1 demo.weir.test"),
            ("router-2.sr.demo.weir.test", "router router-2 demo.weir.test"),
            ("router-2.se.demo.weir.test", "some engine demo.weir.test"),
            ("gone-7.se.demo.weir.test", "some engine demo.weir.test"),
            ("Gone-7.SE.demo.weir.test", "some engine demo.weir.test"),
            ("-gone.se.demo.weir.test", "absent demo.weir.test"),
            ("gone-.se.demo.weir.test", "absent demo.weir.test"),
            ("_dmarc.se.demo.weir.test", "absent demo.weir.test"),
            ("a?b.se.demo.weir.test", "absent demo.weir.test"),
            ("x.gone.se.demo.weir.test", "absent demo.weir.test"),
            (&format!("{}.se.demo.weir.test", "g".repeat(63)), "some engine demo.weir.test"),
            (&format!("{}.se.demo.weir.test", "g".repeat(64)), "absent demo.weir.test"),
            ("east-1.sr.demo.weir.test", "absent demo.weir.test"),
            ("se.demo.weir.test", "between demo.weir.test"),
            ("sr.demo.weir.test", "between demo.weir.test"),
            ("x.demo.weir.test", "absent demo.weir.test"),
            ("x.east-1.se.demo.weir.test", "absent demo.weir.test"),
            (".se.demo.weir.test", "absent demo.weir.test"),
            (".demo.weir.test", "apex demo.weir.test"),
            ("xdemo.weir.test", "outside"),
            ("weir.test", "outside"),
            ("test", "outside"),
            ("", "outside"),
            (&long, "absent demo.weir.test"),
            (&too_long, "outside"),
            ("a.b.demo.weir.test", "apex a.b.demo.weir.test"),
            ("b.demo.weir.test", "between demo.weir.test"),
            ("c.b.demo.weir.test", "absent demo.weir.test"),
            ("core-1.se.a.b.demo.weir.test", "engine core-1 a.b.demo.weir.test"),
            ("east-2.se.demo.weir.test", "apex east-2.se.demo.weir.test"),
        ] {
            assert_eq!(shown(&network, name), expected, "{name}");
        }
    }

    #[test]
    fn a_network_without_services_or_engines() {
        let mut configuration = sample::configuration();
        configuration.engines.clear();
        configuration.services[0].engines.clear();
        configuration.routers.clear();
        let bare = Network::compile(&configuration).expect("valid");
        assert_eq!(shown(&bare, "se.demo.weir.test"), "between demo.weir.test");
        assert_eq!(shown(&bare, "sr.demo.weir.test"), "absent demo.weir.test");
        configuration.services.clear();
        assert_eq!(shown(&Network::compile(&configuration).expect("valid"), "demo.weir.test"), "outside");
    }

    proptest! {
        #[test]
        fn what_may_be_a_device_is_a_device_name(label in "[a-zA-Z0-9_.?-]{0,70}") {
            let lower = label.to_ascii_lowercase();
            prop_assert_eq!(is_device_name(&lower), lower.parse::<weir_model::DeviceName>().is_ok());
        }

        #[test]
        fn any_name(name in "\\PC{0,300}", below in "[a-zA-Z0-9.-]{0,40}") {
            let network = nested();
            let _ = name_of(&network, &name);
            let under = name_of(&network, &format!("{below}.demo.weir.test"));
            prop_assert!(under.service().is_some());
        }
    }
}
