//! Effective values of one device, each with its origin: the profile, its activation, a delivery service, the tree, a lease.

use crate::{
    gui::figures::Span,
    snapshot::{DeviceRecord, Snapshot},
};
use weir_model::{DeviceConfiguration, LocationName, Profile, Role};

/// Values of one kind.
pub(super) struct Group {
    pub(super) title: &'static str,
    /// What they are, one sentence.
    pub(super) says: String,
    pub(super) values: Vec<Effective>,
}

/// A value the device runs with.
pub(super) struct Effective {
    pub(super) name: String,
    pub(super) value: String,
    /// Where it comes from.
    pub(super) source: String,
    /// The page on which it is changed; empty when there is none.
    pub(super) link: String,
    /// Generation in which it was last written; absent when it was there from the beginning.
    pub(super) generation: Option<u64>,
}

/// All of them.
pub(super) fn groups(network: &Snapshot, record: &DeviceRecord, document: &DeviceConfiguration) -> Vec<Group> {
    let mut groups = vec![place(network, record)];
    if record.active && record.role != Role::Manager {
        groups.push(carried(network, record, document));
    }
    if record.active && record.role == Role::Engine {
        groups.push(fills(network, record, document));
    }
    groups.push(timers(&network.profile));
    groups
}

fn place(network: &Snapshot, record: &DeviceRecord) -> Group {
    let activation = |name: &str, value: String| Effective {
        name: name.to_owned(),
        value,
        source: "activation".to_owned(),
        link: format!("/devices/{}/activation", record.name),
        generation: Some(record.revision),
    };
    let location = record.location.as_ref().map_or_else(|| "none: it is not active".to_owned(), ToString::to_string);
    let mut values = vec![activation("Location", location)];
    if record.role == Role::Engine {
        values.push(activation("Weight", record.weight.to_string()));
        let capacity = record.capacity_mbps.map_or_else(|| "not stated".to_owned(), |c| format!("{c} Mbit/s"));
        values.push(activation("Capacity", capacity));
    }
    if record.role != Role::Manager {
        values.extend(leases(network, record));
    }
    Group { title: "Place", says: "Where it serves, and whether it does.".to_owned(), values }
}

fn leases(network: &Snapshot, record: &DeviceRecord) -> Vec<Effective> {
    let link = format!("/devices/{}/activation", record.name);
    let Some(outside) = network.outside.get(&record.name) else {
        let (name, value, source) = ("Server Offload".to_owned(), "in service".to_owned(), "no lease".to_owned());
        return vec![Effective { name, value, source, link, generation: None }];
    };
    let generation = Some(outside.peers_generation.unwrap_or(outside.clients_generation));
    let lease = |l: &weir_operator_api::OffloadLease| Effective {
        name: "Server Offload".to_owned(),
        value: outside.epoch().to_string(),
        source: format!("lease of {}: {}", l.owner, l.why),
        link: link.clone(),
        generation,
    };
    outside.leases.iter().map(lease).collect()
}

fn carried(network: &Snapshot, record: &DeviceRecord, document: &DeviceConfiguration) -> Group {
    let carries = |service: &weir_model::DeliveryService| record.role == Role::Router || service.engines.contains(&record.name);
    let effective = |service: &weir_model::DeliveryService| {
        let defined = network.service(service.name.as_str());
        let by_name = defined.is_some_and(|d| d.engines.is_some());
        let source = match (record.role, by_name) {
            (Role::Router, _) => "routers route every delivery service",
            (_, true) => "the definition names this engine",
            (_, false) => "the definition says every active engine",
        };
        Effective {
            name: service.name.to_string(),
            value: format!("{} from {}", service.domain, service.origin),
            source: source.to_owned(),
            link: format!("/delivery-services/{}", service.name),
            generation: defined.map(|d| d.revision),
        }
    };
    let values: Vec<_> = document.services.iter().filter(|s| carries(s)).map(effective).collect();
    let says = if values.is_empty() { "It carries no delivery service." } else { "What it delivers." };
    Group { title: "Delivery services", says: says.to_owned(), values }
}

/// The locations the engine fills through, up the tree.
fn fills(network: &Snapshot, record: &DeviceRecord, document: &DeviceConfiguration) -> Group {
    let mut values = Vec::new();
    let mut at: Option<&LocationName> = record.location.as_ref();
    // A loop cannot be written; a damaged database must not hang the manager.
    for _ in 0..network.locations.len() {
        let Some(location) = at.and_then(|name| network.locations.get(name)) else { break };
        let own = record.location.as_ref() == Some(&location.name);
        let peers: Vec<String> = document
            .engines
            .iter()
            .filter(|e| e.location == location.name && e.name != record.name && e.offload != Some(weir_model::OffloadEpoch::Peers))
            .map(|e| e.name.to_string())
            .collect();
        let below = if own { "its own location" } else { "above it in the location tree" };
        values.push(Effective {
            name: location.name.to_string(),
            value: if peers.is_empty() { "no other engine".to_owned() } else { peers.join(", ") },
            source: below.to_owned(),
            link: format!("/locations/{}", location.name),
            generation: Some(location.revision),
        });
        at = location.parent.as_ref();
    }
    let says = "Engines it may fill from, nearest first; the content's key picks one of a location. Above the root is the origin.";
    Group { title: "Parents", says: says.to_owned(), values }
}

fn timers(profile: &Profile) -> Group {
    let span = |name: &str, millis: u64| (name.to_owned(), Span(millis).to_string());
    let rows = [
        span("Report to the manager every", profile.report_ms),
        ("Reports missed before it is offline".to_owned(), profile.reports_missed.to_string()),
        span("Keepalive to routers every", profile.keepalive_ms),
        ("Keepalives missed before routers drop it".to_owned(), profile.keepalives_missed.to_string()),
        span("Configuration poll held for", profile.poll_ms),
        span("Session ends after silence of", profile.session_window_ms),
        span("Clock difference alarmed above", profile.clock_skew_ms),
        span("TTL of DNS answers", u64::from(profile.dns_ttl_seconds) * 1000),
        span("Offloaded viewers are steered after", profile.drain_soft_ms),
        span("Drain is alarmed after", profile.drain_hard_ms),
        span("Idle before it counts as drained", profile.drain_stable_ms),
        span("Silent device no longer waited for after", profile.acknowledge_silence_ms),
        span("Return to service ramps over", profile.ramp_ms),
    ];
    let source = format!("profile {} of the network", profile.name);
    let effective =
        |(name, value): (String, String)| Effective { name, value, source: source.clone(), link: String::new(), generation: None };
    let says = format!("The named profile \u{201c}{}\u{201d}, chosen when the network was made.", profile.name);
    Group { title: "Timers", says, values: rows.into_iter().map(effective).collect() }
}
