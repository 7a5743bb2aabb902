//! The capacity guard: floors no offload may break.
//!
//! | floor | holds while |
//! |---|---|
//! | `engines_out` | at most max(1, n/4, rounded down) of a location's n engines are out |
//! | `egress` | a location's egress peak is at most 0.8 of the stated capacity of its engines in service |
//! | `service_engine` | every delivery service has an engine in service in every location where it has engines |
//! | `routers_out` | at most one router of a location is out |
//! | `last_router` | a router is in service |
//!
//! What the manager does not know to be in service counts as out. A device is judged in its own location only: a floor that
//! is broken elsewhere is no reason to keep it. An engine of weight 0, or one that says nowhere to listen, carries nothing:
//! no router or engine chooses it. It is none of the location's engines here, neither one of the n nor one that is out, so a
//! spare is no reason to keep another engine, and nobody counts on it. The caller leaves it out of the facts.

use crate::broken::{Broken, Unknown};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use weir_model::{DeviceName, LocationName, ServiceName};

/// Of this many engines of a location one may be out; a location with fewer may still miss one.
pub const ENGINES_PER_ONE_OUT: usize = 4;
/// Thousandths of the remaining engines' capacity that the egress peak may fill.
pub const EGRESS_FILL_PERMILLE: u16 = 800;
/// Routers of one location that may be out at once.
pub const ROUTERS_OUT_MAX: usize = 1;

/// Why a device is out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Out {
    /// The manager has not heard it since it started, or it has yet to run a configuration.
    Unknown,
    /// It missed its reports.
    Offline,
    /// Server Offload holds it, whether it reports or not.
    Offloaded,
}

impl Out {
    /// Whether nobody meant it.
    pub fn is_fault(self) -> bool {
        matches!(self, Out::Unknown | Out::Offline)
    }
}

impl fmt::Display for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Out::Unknown => "not heard yet",
            Out::Offline => "offline",
            Out::Offloaded => "Server Offload",
        })
    }
}

/// Whether a device serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Serving,
    /// It does not.
    Out(Out),
}

/// An engine that leaves service and has not left yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining {
    /// Viewer sessions left on it.
    pub sessions: u32,
    /// A lease on it was taken although it breaks a floor, so the guard leaves it alone.
    pub overridden: bool,
}

/// An engine as the guard sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Where it is.
    pub location: LocationName,
    /// Delivery services it carries.
    pub services: BTreeSet<ServiceName>,
    /// Whether it serves.
    pub standing: Standing,
    /// What it can send, in Mbit/s, if somebody stated it.
    pub capacity_mbps: Option<u32>,
    /// Present from its offload until it is drained, while it reports: then its return would help.
    pub draining: Option<Draining>,
}

/// A router as the guard sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterFacts {
    /// Where it is.
    pub location: LocationName,
    /// Whether it serves.
    pub standing: Standing,
}

/// What the guard judges from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Every engine that has a location, an address for viewers and a weight over 0.
    pub engines: BTreeMap<DeviceName, EngineFacts>,
    /// Every router that has a location.
    pub routers: BTreeMap<DeviceName, RouterFacts>,
    /// Egress peak of each location in Mbit/s, as far as it was measured.
    pub egress_mbps_peak: BTreeMap<LocationName, f64>,
}

/// What taking one more device out would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Floors it would break; empty: it is admitted.
    pub breaks: Vec<Broken>,
    /// Floors that could not be judged.
    pub unknown: Vec<Unknown>,
}

impl Verdict {
    /// Whether no floor would be broken.
    pub fn is_admitted(&self) -> bool {
        self.breaks.is_empty()
    }
}

/// What taking this device out would do. A device that is out on purpose already, and one the facts do not have, takes
/// nothing away; one that is out by a fault is judged like one in service, because only the manager may have lost it.
pub fn admit(facts: &Facts, device: &DeviceName) -> Verdict {
    let on_purpose = |standing| matches!(standing, Standing::Out(out) if !out.is_fault());
    let mut verdict = Verdict::default();
    if let Some(engine) = facts.engines.get(device).filter(|engine| !on_purpose(engine.standing)) {
        Site::of(facts, &engine.location, Some(device)).judge(&mut verdict);
    }
    if let Some(router) = facts.routers.get(device).filter(|router| !on_purpose(router.standing)) {
        let location = &router.location;
        verdict.breaks.extend(routers_out(facts, location, Some(device)));
        verdict.breaks.extend(last_router(facts, Some(device)));
    }
    verdict
}

/// Floors that do not hold now, by location. In a location where no engine is out there is nothing the guard could return,
/// so a high egress alone is none.
pub fn broken(facts: &Facts) -> Vec<Broken> {
    let mut verdict = Verdict::default();
    let sites: BTreeSet<&LocationName> = facts.engines.values().map(|engine| &engine.location).collect();
    for location in sites {
        Site::of(facts, location, None).judge(&mut verdict);
    }
    let sites: BTreeSet<&LocationName> = facts.routers.values().map(|router| &router.location).collect();
    verdict.breaks.extend(sites.into_iter().filter_map(|location| routers_out(facts, location, None)));
    if !facts.routers.is_empty() {
        verdict.breaks.extend(last_router(facts, None));
    }
    verdict.breaks
}

/// Which draining engine to return to service first because a fault broke a floor of its location. Only one whose return
/// helps that floor, and none whose lease overrides the guard; the one with most sessions left, then by name.
pub fn readmit(facts: &Facts) -> Option<DeviceName> {
    if !facts.engines.values().any(is_faulty) {
        return None;
    }
    let broken = broken(facts);
    let helps = |engine: &EngineFacts| {
        broken.iter().any(|floor| match floor {
            Broken::EnginesOut { location, .. } | Broken::Egress { location, .. } => *location == engine.location,
            Broken::ServiceEngine { location, service, .. } => *location == engine.location && engine.services.contains(service),
            Broken::RoutersOut { .. } | Broken::LastRouter { .. } => false,
        })
    };
    let returnable = facts.engines.iter().filter_map(|(name, engine)| {
        let draining = engine.draining.filter(|draining| !draining.overridden)?;
        (fault_in(facts, &engine.location) && helps(engine)).then_some((Reverse(draining.sessions), name))
    });
    returnable.min().map(|(_, name)| name.clone())
}

/// Whether a fault keeps a floor of the location's engines broken, or would if this engine, which was returned or left alone
/// because of it, were out: by a fault somebody else is out, and without either the floor does not hold.
pub fn needs(facts: &Facts, location: &LocationName, engine: &DeviceName) -> bool {
    let serves = |engine: &EngineFacts| engine.location == *location && engine.standing == Standing::Serving;
    let breaks = match facts.engines.get(engine) {
        Some(found) if serves(found) => admit(facts, engine).breaks,
        _ => broken(facts),
    };
    fault_in(facts, location) && breaks.iter().any(|floor| floor.is_of_engines_in(location))
}

/// Whether an engine of the location is out by a fault.
pub fn fault_in(facts: &Facts, location: &LocationName) -> bool {
    facts.engines.values().any(|engine| is_faulty(engine) && engine.location == *location)
}

fn is_faulty(engine: &EngineFacts) -> bool {
    matches!(engine.standing, Standing::Out(out) if out.is_fault())
}

/// A location's engines, with one more counted as out when it is asked about.
struct Site<'f> {
    facts: &'f Facts,
    location: &'f LocationName,
    leaving: Option<&'f DeviceName>,
    serving: BTreeMap<&'f DeviceName, &'f EngineFacts>,
    out: BTreeMap<DeviceName, Out>,
}

impl<'f> Site<'f> {
    fn of(facts: &'f Facts, location: &'f LocationName, leaving: Option<&'f DeviceName>) -> Self {
        let (mut serving, mut out) = (BTreeMap::new(), BTreeMap::new());
        for (name, engine) in facts.engines.iter().filter(|(name, engine)| engine.location == *location && leaving != Some(name)) {
            match engine.standing {
                Standing::Serving => {
                    serving.insert(name, engine);
                }
                Standing::Out(why) => {
                    out.insert(name.clone(), why);
                }
            }
        }
        Self { facts, location, leaving, serving, out }
    }

    fn judge(&self, verdict: &mut Verdict) {
        verdict.breaks.extend(self.engines_out());
        match self.egress() {
            Ok(broken) => verdict.breaks.extend(broken),
            Err(unknown) => verdict.unknown.push(unknown),
        }
        verdict.breaks.extend(self.service_engine());
    }

    fn engines_out(&self) -> Option<Broken> {
        let leaving = usize::from(self.leaving.is_some());
        let engines = self.serving.len() + self.out.len() + leaving;
        let limit = (engines / ENGINES_PER_ONE_OUT).max(1);
        let Site { location, out, .. } = self;
        (out.len() + leaving > limit).then(|| Broken::EnginesOut {
            location: (*location).clone(),
            leaving: self.leaving.cloned(),
            out: out.clone(),
            engines,
            limit,
        })
    }

    fn egress(&self) -> Result<Option<Broken>, Unknown> {
        // Where nobody is left it is the services' floor that is broken; no capacity would change that.
        let nobody_out = self.leaving.is_none() && self.out.is_empty();
        if nobody_out || self.serving.is_empty() {
            return Ok(None);
        }
        let location = self.location.clone();
        let unstated: BTreeSet<DeviceName> =
            self.serving.iter().filter(|(_, engine)| engine.capacity_mbps.is_none()).map(|(name, _)| (*name).clone()).collect();
        if !unstated.is_empty() {
            return Err(Unknown::Capacity { location, engines: unstated });
        }
        let peak = self.facts.egress_mbps_peak.get(self.location).copied().filter(|peak| peak.is_finite());
        let Some(peak_mbps) = peak else { return Err(Unknown::Egress { location }) };
        let capacity_mbps: u64 = self.serving.values().filter_map(|engine| engine.capacity_mbps).map(u64::from).sum();
        #[expect(clippy::cast_precision_loss, reason = "capacities are far below 2^52 Mbit/s")]
        let limit = capacity_mbps as f64 * f64::from(EGRESS_FILL_PERMILLE) / 1000.0;
        Ok((peak_mbps > limit).then(|| Broken::Egress {
            location,
            leaving: self.leaving.cloned(),
            out: self.out.clone(),
            peak_mbps,
            capacity_mbps,
        }))
    }

    fn service_engine(&self) -> Vec<Broken> {
        let mut carried: BTreeMap<&ServiceName, BTreeMap<DeviceName, Out>> = BTreeMap::new();
        for (name, why) in &self.out {
            for service in &self.facts.engines[name].services {
                carried.entry(service).or_default().insert(name.clone(), *why);
            }
        }
        if let Some(leaving) = self.leaving {
            // Only what it carries can lose an engine by it.
            let services = &self.facts.engines[leaving].services;
            carried.retain(|service, _| services.contains(*service));
            for service in services {
                carried.entry(service).or_default();
            }
        }
        let served = |service: &ServiceName| self.serving.values().any(|engine| engine.services.contains(service));
        let lost = carried.into_iter().filter(|(service, _)| !served(service));
        lost.map(|(service, out)| Broken::ServiceEngine {
            service: service.clone(),
            location: self.location.clone(),
            leaving: self.leaving.cloned(),
            out,
        })
        .collect()
    }
}

fn routers_out(facts: &Facts, location: &LocationName, leaving: Option<&DeviceName>) -> Option<Broken> {
    let out: BTreeMap<DeviceName, Out> = facts
        .routers
        .iter()
        .filter(|(name, router)| router.location == *location && leaving != Some(name))
        .filter_map(|(name, router)| match router.standing {
            Standing::Serving => None,
            Standing::Out(why) => Some((name.clone(), why)),
        })
        .collect();
    (out.len() + usize::from(leaving.is_some()) > ROUTERS_OUT_MAX).then(|| Broken::RoutersOut {
        location: location.clone(),
        leaving: leaving.cloned(),
        out,
    })
}

fn last_router(facts: &Facts, leaving: Option<&DeviceName>) -> Option<Broken> {
    let mut others = facts.routers.iter().filter(|(name, _)| leaving != Some(name));
    let served = others.any(|(_, router)| router.standing == Standing::Serving);
    (!served).then(|| Broken::LastRouter { leaving: leaving.cloned() })
}

#[cfg(test)]
mod tests;
