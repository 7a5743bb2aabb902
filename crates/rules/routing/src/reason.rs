//! Reasons of a decision: one enum per kind, one word each, and a sentence for the operator.

use crate::{
    network::Network,
    removal::MassChange,
    url_form::{Unresolved, UrlForm},
    zones::{Nearness, Tier},
};
use ipnet::IpNet;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::{fmt, net::IpAddr};
use weir_model::{DeviceName, Domain, LocationName, ServiceName, offload::SHARE_WHOLE};

/// Why a request gets no engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// It is for no delivery service.
    Unresolved(Unresolved),
    /// No coverage zone holds the client.
    NoCoverageZone,
    /// No engine that carries the service is live and may be chosen.
    NoLiveEngine,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [RefusalReason; 6] = [
        RefusalReason::Unresolved(Unresolved::BadHost),
        RefusalReason::Unresolved(Unresolved::UnknownDomain),
        RefusalReason::Unresolved(Unresolved::NoDomainInPath),
        RefusalReason::Unresolved(Unresolved::NotAPath),
        RefusalReason::NoCoverageZone,
        RefusalReason::NoLiveEngine,
    ];

    /// The word used in JSON, response fields, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::Unresolved(why) => why.as_str(),
            RefusalReason::NoCoverageZone => "no_coverage_zone",
            RefusalReason::NoLiveEngine => "no_live_engine",
        }
    }
}

impl Serialize for RefusalReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusalReason::Unresolved(Unresolved::BadHost) => "the Host is neither a name nor an address",
            RefusalReason::Unresolved(Unresolved::UnknownDomain) => "no delivery service is published under this domain",
            RefusalReason::Unresolved(Unresolved::NoDomainInPath) => {
                "the Host is an address, so the path must begin with a delivery service's domain: /DOMAIN/PATH"
            }
            RefusalReason::Unresolved(Unresolved::NotAPath) => "the request target is not a path",
            RefusalReason::NoCoverageZone => "no coverage zone holds the client",
            RefusalReason::NoLiveEngine => "no engine that carries the delivery service is live",
        })
    }
}

/// Why an engine is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// This router has not heard it since it started.
    NeverHeard,
    /// Its keepalives stopped.
    Silent {
        /// Milliseconds since the last one.
        silent_ms: u64,
    },
    /// It said that it is about to stop.
    Leaving,
    /// Server Offload holds it.
    Offloaded,
    /// Its lifeline ended: its worker is gone or the network between is cut.
    LifelineLost,
    /// Its weight is 0.
    WeightZero,
}

impl DropReason {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::NeverHeard => "never_heard",
            DropReason::Silent { .. } => "silent",
            DropReason::Leaving => "leaving",
            DropReason::Offloaded => "offloaded",
            DropReason::LifelineLost => "lifeline_lost",
            DropReason::WeightZero => "weight_zero",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DropReason::NeverHeard => f.write_str("this router has not heard it"),
            DropReason::Silent { silent_ms } => write!(f, "it has been silent for {silent_ms} ms"),
            DropReason::Leaving => f.write_str("it said that it is about to stop"),
            DropReason::Offloaded => f.write_str("Server Offload holds it"),
            DropReason::LifelineLost => f.write_str("its lifeline ended"),
            DropReason::WeightZero => f.write_str("its weight is 0"),
        }
    }
}

/// One step of a decision. JSON: `{"step", "reason", "object", "text"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The delivery service was found.
    Service {
        /// Its name.
        service: ServiceName,
        /// Its domain.
        domain: Domain,
        /// How the URL named it.
        form: UrlForm,
    },
    /// The client's zone was found.
    Zone {
        /// The client.
        client: IpAddr,
        /// The longest prefix that holds it.
        network: IpNet,
    },
    /// These locations are looked at next.
    Locations {
        /// Why now.
        nearness: Nearness,
        /// Which.
        locations: Vec<LocationName>,
    },
    /// An engine is passed over.
    Dropped {
        /// Which.
        engine: DeviceName,
        /// Where it is.
        location: LocationName,
        /// Why.
        why: DropReason,
    },
    /// An engine may be chosen.
    Candidate {
        /// Which.
        engine: DeviceName,
        /// Where it is.
        location: LocationName,
        /// Its weight.
        weight: u8,
        /// The part of the weight it takes, in thousandths: less than 1000 while it returns to service.
        share_permille: u16,
    },
    /// This router does not run the configuration it was offered last.
    MassChange {
        /// Why, and which.
        change: MassChange,
    },
    /// Over half of the engines vanished at once: this router goes on choosing among them.
    Panic {
        /// Those that vanished.
        vanished: Vec<DeviceName>,
        /// How many were healthy before.
        of: usize,
    },
    /// An engine is chosen among although it is gone, because of a panic.
    Kept {
        /// Which.
        engine: DeviceName,
        /// Where it is.
        location: LocationName,
        /// Why it would be passed over.
        why: DropReason,
    },
    /// The content hash chose an engine.
    Chosen {
        /// Which.
        engine: DeviceName,
        /// The content's placement key.
        key: String,
    },
    /// The engine that steered the viewer here takes it back.
    SentBack {
        /// Which.
        engine: DeviceName,
        /// Why no other engine could be chosen.
        refusal: RefusalReason,
    },
    /// There is no engine.
    Refused(RefusalReason),
}

impl Reason {
    pub(crate) fn locations(network: &Network, tier: &Tier) -> Self {
        let locations = tier.locations.iter().map(|at| network.location(*at).name.clone()).collect();
        Reason::Locations { nearness: tier.nearness, locations }
    }

    /// Which step of the decision this is.
    pub fn step(&self) -> &'static str {
        match self {
            Reason::Service { .. } => "service",
            Reason::Zone { .. } => "zone",
            Reason::Locations { .. } => "locations",
            Reason::MassChange { .. } => "configuration",
            Reason::Panic { .. } => "panic",
            Reason::Dropped { .. } | Reason::Candidate { .. } | Reason::Kept { .. } => "engine",
            Reason::Chosen { .. } | Reason::SentBack { .. } | Reason::Refused(_) => "answer",
        }
    }

    /// The word.
    pub fn reason(&self) -> &'static str {
        match self {
            Reason::Service { form: UrlForm::Name, .. } => "name_form",
            Reason::Service { form: UrlForm::Address, .. } => "address_form",
            Reason::Zone { .. } => "longest_prefix",
            Reason::Locations { nearness: Nearness::Metric(_), .. } => "metric",
            Reason::Locations { nearness: Nearness::Ancestor(_), .. } => "up_the_tree",
            Reason::Dropped { why, .. } => why.as_str(),
            Reason::MassChange { .. } => "mass_change",
            Reason::Panic { .. } => "vanished_at_once",
            Reason::Kept { .. } => "kept_in_panic",
            Reason::Candidate { .. } => "live",
            Reason::Chosen { .. } => "content_hash",
            Reason::SentBack { .. } => "sent_back",
            Reason::Refused(why) => why.as_str(),
        }
    }

    /// What it is about; empty when the step is about nothing that has a name.
    pub fn object(&self) -> String {
        match self {
            Reason::Service { service, .. } => service.to_string(),
            Reason::Zone { network, .. } => network.to_string(),
            Reason::Locations { locations, .. } => joined(locations),
            Reason::MassChange { change } => change.offered.to_string(),
            Reason::Panic { vanished, .. } => joined(vanished),
            Reason::Dropped { engine, .. }
            | Reason::Kept { engine, .. }
            | Reason::Candidate { engine, .. }
            | Reason::Chosen { engine, .. }
            | Reason::SentBack { engine, .. } => engine.to_string(),
            Reason::Refused(_) => String::new(),
        }
    }
}

fn joined(names: &[impl fmt::Display]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Service { service, domain, form: UrlForm::Name } => {
                write!(f, "the Host belongs to {domain}, the domain of delivery service {service}")
            }
            Reason::Service { service, domain, form: UrlForm::Address } => {
                write!(f, "the path begins with {domain}, the domain of delivery service {service}")
            }
            Reason::Zone { client, network } => write!(f, "{network} is the longest coverage-zone prefix that holds {client}"),
            Reason::Locations { nearness: Nearness::Metric(metric), locations } => {
                write!(f, "the zone names {} with metric {metric}", joined(locations))
            }
            Reason::Locations { nearness: Nearness::Ancestor(steps), locations } => {
                write!(f, "no engine nearer; {} up the tree: {}", Steps(*steps), joined(locations))
            }
            Reason::MassChange { change } => write!(f, "this router keeps configuration {}: {change}", change.running),
            Reason::Panic { vanished, of } => {
                write!(f, "{} of {of} engines vanished at once; this router goes on choosing among them", vanished.len())
            }
            Reason::Kept { engine, location, why } => write!(f, "{engine} in {location} is chosen among although {why}"),
            Reason::Dropped { engine, location, why } => write!(f, "{engine} in {location} is passed over: {why}"),
            Reason::Candidate { engine, location, weight, share_permille } => {
                write!(f, "{engine} in {location} is live, weight {weight}")?;
                match *share_permille {
                    SHARE_WHOLE.. => Ok(()),
                    share => write!(f, ", of which it takes {share} thousandths while it returns to service"),
                }
            }
            Reason::Chosen { engine, key } => write!(f, "{engine} is first for content key {key}"),
            Reason::SentBack { engine, refusal } => write!(f, "{refusal}, so {engine}, which steered the viewer here, takes it back"),
            Reason::Refused(why) => why.fmt(f),
        }
    }
}

struct Steps(u32);

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Steps(steps) = self;
        write!(f, "{steps} {}", if *steps == 1 { "step" } else { "steps" })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Reason", 4)?;
        out.serialize_field("step", self.step())?;
        out.serialize_field("reason", self.reason())?;
        out.serialize_field("object", &self.object())?;
        out.serialize_field("text", &self.to_string())?;
        out.end()
    }
}
