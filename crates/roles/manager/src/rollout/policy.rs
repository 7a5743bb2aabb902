//! What an operator typed, as what is asked of the planner. Pure.

mod whole;

use super::said::WHY_BYTES_MAX;
use crate::domain::fields;
use std::collections::{BTreeMap, BTreeSet};
use weir_model::{DeviceName, Role, Version};
use weir_operator_api::{Problem, Reason, RolloutRequest, RolloutWindow};
use weir_rollout::{
    pair_order::Direction,
    plan::{Alone, Facts, OnFailed, Pin, Policy, RolloutProfile, Scope, Window},
};

/// Most devices or windows one request names.
const NAMED_MAX: usize = 10_000;
/// Most waves after canary and location.
const SHARES_MAX: usize = 20;
/// The profile of a network whose own is the rehearsal's.
const REHEARSAL: &str = "rehearsal";

/// The policy a request means.
///
/// # Errors
/// The field that is wrong, and why.
pub(super) fn policy(request: &RolloutRequest, facts: &Facts, network_profile: &str) -> Result<Policy, Problem> {
    if request.version.is_empty() {
        return Err(Problem::new(Reason::MissingField, "no version is named").at("version"));
    }
    let target: Version = fields::read("version", &request.version)?;
    let scope = scope(request, facts)?;
    let profile = profile(request.profile.as_deref(), network_profile)?;
    let direction = direction(request, facts, &scope, target)?;
    let mut policy = Policy { scope, ..Policy::network(direction, target, profile) };
    if let Some(on_failed) = &request.on_failed {
        policy.on_failed = on_failed_of(on_failed)?;
    }
    if let Some(shares) = &request.shares {
        fields::between("shares", shares.len() as u64, 1, SHARES_MAX as u64)?;
        policy.shares.clone_from(shares);
    }
    if let Some(at_once) = request.at_once {
        fields::between("at_once", at_once.into(), 1, policy.at_once.into())?;
        policy.at_once = at_once;
    }
    policy.windows = windows("windows", &request.windows)?;
    policy.events = windows("events", &request.events)?;
    policy.during_event = request.during_event.as_deref().map(|why| words("during_event", why)).transpose()?;
    if let Some(alone) = &request.alone {
        policy.alone = alone_of(alone)?;
    }
    policy.pins = pins(request, facts)?;
    whole::take(request, &mut policy)?;
    Ok(policy)
}

fn invalid(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Reason::InvalidField, detail).at(field)
}

fn scope(request: &RolloutRequest, facts: &Facts) -> Result<Scope, Problem> {
    match (&request.location, request.devices.as_slice(), &request.role) {
        (None, [], None) => Ok(Scope::Network),
        (Some(location), [], None) => {
            let name = fields::read("location", location)?;
            if !facts.sites.iter().any(|site| site.name == name) {
                return Err(Problem::new(Reason::UnknownLocation, format!("there is no location {name}")).at("location"));
            }
            Ok(Scope::Location(name))
        }
        (None, devices, None) => Ok(Scope::Group(known("devices", devices, facts)?)),
        (None, [], Some(role)) => match role.as_str() {
            "engine" => Ok(Scope::Role(Role::Engine)),
            "router" => Ok(Scope::Role(Role::Router)),
            other => Err(invalid("role", format!("{other:?} is neither engine nor router"))),
        },
        _ => Err(invalid("location", "more than one of location, devices and role is named")),
    }
}

/// Devices that are active, by name.
fn known(field: &str, names: &[String], facts: &Facts) -> Result<BTreeSet<DeviceName>, Problem> {
    fields::between(field, names.len() as u64, 1, NAMED_MAX as u64)?;
    let active: BTreeSet<&DeviceName> = facts.devices.iter().map(|device| &device.name).collect();
    let one = |name: &String| {
        let name: DeviceName = fields::read(field, name)?;
        if active.contains(&name) { Ok(name) } else { Err(invalid(field, format!("{name} is no active engine or router"))) }
    };
    names.iter().map(one).collect()
}

fn profile(named: Option<&str>, of_network: &str) -> Result<RolloutProfile, Problem> {
    let name = named.unwrap_or(if of_network == REHEARSAL { REHEARSAL } else { RolloutProfile::NAMES[0] });
    let unknown = || invalid("profile", format!("{name:?} is none of {}", RolloutProfile::NAMES.join(", ")));
    RolloutProfile::named(name).ok_or_else(unknown)
}

/// Up when anything in scope is below the target; else down.
fn direction(request: &RolloutRequest, facts: &Facts, scope: &Scope, target: Version) -> Result<Direction, Problem> {
    match request.direction.as_deref() {
        Some("upgrade") => return Ok(Direction::Up),
        Some("downgrade") => return Ok(Direction::Down),
        Some(other) => return Err(invalid("direction", format!("{other:?} is neither upgrade nor downgrade"))),
        None => {}
    }
    let policy = Policy { scope: scope.clone(), ..Policy::network(Direction::Up, target, profile(None, REHEARSAL)?) };
    let meant =
        facts.devices.iter().filter(|device| policy.is_in_scope(&device.name, device.role, &facts.sites[device.site as usize].name));
    let pair = [Some(facts.pair.primary.version), facts.pair.standby.as_ref().map(|standby| standby.version)];
    let managers = pair.into_iter().flatten().filter(|_| *scope == Scope::Network);
    let lower = meant.filter_map(|device| device.version).chain(managers).any(|version| version < target);
    Ok(if lower { Direction::Up } else { Direction::Down })
}

fn on_failed_of(word: &str) -> Result<OnFailed, Problem> {
    match word {
        "pause" => Ok(OnFailed::Pause),
        "rollback_wave" => Ok(OnFailed::RollbackWave),
        "rollback_all" => Ok(OnFailed::RollbackAll),
        other => Err(invalid("on_failed", format!("{other:?} is none of pause, rollback_wave, rollback_all"))),
    }
}

fn alone_of(word: &str) -> Result<Alone, Problem> {
    match word {
        "hot" => Ok(Alone::Hot),
        "route_to_parent" => Ok(Alone::RouteToParent),
        "window" => Ok(Alone::Window),
        other => Err(invalid("alone", format!("{other:?} is none of hot, route_to_parent, window"))),
    }
}

/// An operator's words, where there must be some.
fn words(field: &str, text: &str) -> Result<String, Problem> {
    match text.trim() {
        "" => Err(invalid(field, "nobody says why")),
        text if text.len() > WHY_BYTES_MAX => Err(invalid(field, format!("is longer than {WHY_BYTES_MAX} bytes"))),
        text => Ok(text.to_owned()),
    }
}

fn windows(field: &str, asked: &[RolloutWindow]) -> Result<Vec<Window>, Problem> {
    if asked.len() > NAMED_MAX {
        return Err(Problem::new(Reason::LimitExceeded, format!("more than {NAMED_MAX} windows")).at(field));
    }
    let one = |(number, window): (usize, &RolloutWindow)| {
        if window.from_ms >= window.until_ms {
            return Err(invalid(&format!("{field}[{number}]"), "it ends before it begins"));
        }
        Ok(Window { from_ms: window.from_ms, until_ms: window.until_ms })
    };
    asked.iter().enumerate().map(one).collect()
}

fn pins(request: &RolloutRequest, facts: &Facts) -> Result<BTreeMap<DeviceName, Pin>, Problem> {
    if request.pins.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pin = |name| (name, Pin { until_ms: None, why: "planned so".to_owned() });
    Ok(known("pins", &request.pins, facts)?.into_iter().map(pin).collect())
}

#[cfg(test)]
mod tests;
