//! Floors of the capacity guard that do not hold, or that nobody can judge, each as one sentence with its figures.

use crate::guard::{EGRESS_FILL_PERMILLE, Out, ROUTERS_OUT_MAX};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use weir_model::{DeviceName, LocationName, ServiceName};

/// A floor that would be broken by `leaving`, or that is broken now when there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Broken {
    /// Too many engines of a location are out.
    EnginesOut {
        /// Where.
        location: LocationName,
        /// Who would be one more.
        leaving: Option<DeviceName>,
        /// Who is out besides, and why.
        out: BTreeMap<DeviceName, Out>,
        /// Engines of the location.
        engines: usize,
        /// How many of them may be out.
        limit: usize,
    },
    /// The engines left cannot carry a location's peak.
    Egress {
        /// Where.
        location: LocationName,
        /// Who would be one more.
        leaving: Option<DeviceName>,
        /// Who is out besides, and why.
        out: BTreeMap<DeviceName, Out>,
        /// The peak, Mbit/s.
        peak_mbps: f64,
        /// What the engines left can send, Mbit/s.
        capacity_mbps: u64,
    },
    /// A delivery service has no engine in service left in a location.
    ServiceEngine {
        /// The service.
        service: ServiceName,
        /// Where.
        location: LocationName,
        /// Whose leaving would take the last one.
        leaving: Option<DeviceName>,
        /// Who else carries it there and is out, and why.
        out: BTreeMap<DeviceName, Out>,
    },
    /// Too many routers of a location are out.
    RoutersOut {
        /// Where.
        location: LocationName,
        /// Who would be one more.
        leaving: Option<DeviceName>,
        /// Who is out besides, and why.
        out: BTreeMap<DeviceName, Out>,
    },
    /// No router of the network is in service.
    LastRouter {
        /// Who is the last one.
        leaving: Option<DeviceName>,
    },
}

impl Broken {
    /// The word of the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Broken::EnginesOut { .. } => "engines_out",
            Broken::Egress { .. } => "egress",
            Broken::ServiceEngine { .. } => "service_engine",
            Broken::RoutersOut { .. } => "routers_out",
            Broken::LastRouter { .. } => "last_router",
        }
    }

    /// Who is out besides, and why; absent for the last router, which nobody else's absence explains.
    pub fn out(&self) -> Option<&BTreeMap<DeviceName, Out>> {
        match self {
            Broken::EnginesOut { out, .. }
            | Broken::Egress { out, .. }
            | Broken::ServiceEngine { out, .. }
            | Broken::RoutersOut { out, .. } => Some(out),
            Broken::LastRouter { .. } => None,
        }
    }

    /// Where it is broken; nowhere in particular for the last router.
    pub fn location(&self) -> Option<&LocationName> {
        match self {
            Broken::EnginesOut { location, .. }
            | Broken::Egress { location, .. }
            | Broken::ServiceEngine { location, .. }
            | Broken::RoutersOut { location, .. } => Some(location),
            Broken::LastRouter { .. } => None,
        }
    }

    /// Whether it is a floor of this location's engines; what is said of its routers is another matter.
    pub fn is_of_engines_in(&self, location: &LocationName) -> bool {
        matches!(self, Broken::EnginesOut { .. } | Broken::Egress { .. } | Broken::ServiceEngine { .. })
            && self.location() == Some(location)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::EnginesOut { location, leaving, out, engines, limit } => {
                let count = out.len() + usize::from(leaving.is_some());
                write!(f, "{}{count} of {engines} engines of location {location} {}", With(leaving), are_out(leaving))?;
                write!(f, ", at most {limit} may be; {}", OutNow(out))
            }
            Broken::Egress { location, leaving, out, peak_mbps, capacity_mbps } => {
                let fill = f64::from(EGRESS_FILL_PERMILLE) / 1000.0;
                write!(f, "{}location {location} has engines for {capacity_mbps} Mbit/s left", Without(leaving))?;
                write!(f, " and its peak is {peak_mbps:.1} Mbit/s, more than {fill} of that; {}", OutNow(out))
            }
            Broken::ServiceEngine { service, location, leaving: Some(leaving), out } => {
                write!(f, "{leaving} is the last engine in service of delivery service {service} in location {location}; ")?;
                if out.is_empty() { f.write_str("no other one there carries it") } else { OutNow(out).fmt(f) }
            }
            Broken::ServiceEngine { service, location, leaving: None, out } => {
                write!(f, "delivery service {service} has no engine in service in location {location}; {}", OutNow(out))
            }
            Broken::RoutersOut { location, leaving, out } => {
                let count = out.len() + usize::from(leaving.is_some());
                write!(f, "{}{count} routers of location {location} {}", With(leaving), are_out(leaving))?;
                write!(f, ", at most {ROUTERS_OUT_MAX} may be; {}", OutNow(out))
            }
            Broken::LastRouter { leaving: Some(leaving) } => {
                write!(f, "{leaving} is the last router in service: nobody else could send viewers to engines")
            }
            Broken::LastRouter { leaving: None } => f.write_str("no router is in service: nobody sends viewers to engines"),
        }
    }
}

/// What could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// Engines whose capacity nobody stated.
    Capacity {
        /// Where.
        location: LocationName,
        /// Which engines.
        engines: BTreeSet<DeviceName>,
    },
    /// No egress was measured.
    Egress {
        /// Where.
        location: LocationName,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Capacity { location, engines } => {
                let names: Vec<&str> = engines.iter().map(DeviceName::as_str).collect();
                write!(f, "whether location {location} can carry its peak is not known: nobody stated the capacity of {}", names.join(", "))
            }
            Unknown::Egress { location } => {
                write!(f, "whether location {location} can carry its peak is not known: no egress was measured there yet")
            }
        }
    }
}

fn are_out(leaving: &Option<DeviceName>) -> &'static str {
    if leaving.is_some() { "would be out" } else { "are out" }
}

struct With<'a>(&'a Option<DeviceName>);

impl fmt::Display for With<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|leaving| write!(f, "with {leaving} "))
    }
}

struct Without<'a>(&'a Option<DeviceName>);

impl fmt::Display for Without<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|leaving| write!(f, "without {leaving} "))
    }
}

struct OutNow<'a>(&'a BTreeMap<DeviceName, Out>);

impl fmt::Display for OutNow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no other one is out");
        }
        let named: Vec<String> = self.0.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        write!(f, "out now: {}", named.join(", "))
    }
}
