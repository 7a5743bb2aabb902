//! Making a plan: the way through the lines, the waves, and every reason against it.

use super::{
    BackupGate, Contact, Counted, Course, Design, Facts, Lane, Member, Parking, Phase, Plan, Policy, Refusal, Risk, Scope, StandbyWord,
    State, Wave, WaveKind, WaveState, place::position_of, waves,
};
use crate::{
    guard,
    pair_order::{Direction, Driver},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weir_model::{Role, Stamp, Version};

/// Of a drain's hard limit, the part that an estimate takes for one device's whole way.
const ETA_DRAIN_PART: u64 = 4;

/// Makes a plan, not started yet.
///
/// # Errors
/// Every reason against it, not only the first.
pub fn make(policy: Policy, facts: &Facts, now_ms: u64) -> Result<Plan, Vec<Refusal>> {
    let scope = in_scope(&policy, facts);
    let mut refusals = Vec::new();
    let rungs = rungs(&policy, facts, &scope).unwrap_or_else(|found| {
        refusals.extend(found);
        Vec::new()
    });
    refusals.extend(against_order(&policy, facts));
    refusals.extend(against_managers(&policy, facts));
    if !policy.shares.is_sorted() || policy.shares.last() != Some(&100) {
        refusals.push(Refusal::Shares);
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let design = design(policy, facts, &scope, rungs, now_ms);
    Ok(begin(design, facts))
}

fn in_scope(policy: &Policy, facts: &Facts) -> Vec<u32> {
    let meant = |position: &u32| {
        let device = &facts.devices[*position as usize];
        let location = &facts.sites[device.site as usize].name;
        device.contact != Contact::Gone && policy.is_in_scope(&device.name, device.role, location)
    };
    (0..position_of(facts.devices.len())).filter(meant).collect()
}

/// What is in scope now: the managers too when the whole network is.
fn versions(policy: &Policy, facts: &Facts, scope: &[u32]) -> BTreeSet<Version> {
    let mut versions: BTreeSet<Version> = scope.iter().filter_map(|position| facts.devices[*position as usize].version).collect();
    if policy.scope == Scope::Network {
        versions.insert(facts.pair.primary.version);
        versions.extend(facts.pair.standby.as_ref().map(|standby| standby.version));
    }
    versions
}

/// The versions one after the other, with what is furthest behind first.
fn rungs(policy: &Policy, facts: &Facts, scope: &[u32]) -> Result<Vec<Version>, Vec<Refusal>> {
    let versions = versions(policy, facts, scope);
    let furthest = if policy.direction == Direction::Up { versions.first() } else { versions.last() };
    let Some(from) = furthest.copied() else { return Err(vec![Refusal::EmptyScope]) };
    let (target, direction) = (policy.target, policy.direction);
    if from == target {
        return Err(vec![Refusal::NothingToDo]);
    }
    if (from < target) != (direction == Direction::Up) {
        return Err(vec![Refusal::WrongDirection { running: from }]);
    }
    let Some(lines) = facts.lineage.path(from.line, target.line) else {
        return Err(vec![Refusal::NoPath { from: from.line, to: target.line }]);
    };
    let hops = lines.len() - 1;
    if policy.scope != Scope::Network && hops > 1 {
        return Err(vec![Refusal::ScopedTooFar { lines: u32::try_from(hops).unwrap_or(u32::MAX) }]);
    }
    let released: BTreeSet<Version> = facts.images.keys().copied().collect();
    let mut refusals: Vec<Refusal> = Vec::new();
    if !released.contains(&target) {
        refusals.push(Refusal::NoImage { line: target.line });
    }
    let between = lines.get(1..hops).unwrap_or_default();
    let missing = between.iter().filter(|line| !released.iter().any(|version| version.line == **line));
    refusals.extend(missing.map(|line| Refusal::NoImage { line: *line }));
    if !released.contains(&from) {
        refusals.push(Refusal::NoWayBack { version: from });
    }
    match facts.lineage.stops(from, target, &released).filter(|_| refusals.is_empty()) {
        Some(stops) => Ok([from].into_iter().chain(stops).collect()),
        None => Err(refusals),
    }
}

/// What the chain and the distance between devices say.
fn against_order(policy: &Policy, facts: &Facts) -> Vec<Refusal> {
    let primary = facts.pair.primary.version;
    let mut refusals = Vec::new();
    if policy.scope != Scope::Network && policy.target < primary {
        refusals.push(Refusal::BelowPrimary { primary });
    }
    if policy.scope != Scope::Network && policy.target.line < facts.level.at {
        refusals.push(Refusal::LevelAbove { level: facts.level.at });
    }
    let counted = || facts.devices.iter().filter(|device| !matches!(device.contact, Contact::Gone | Contact::Lost));
    let older = counted().find_map(|device| Some((device, device.version.filter(|version| *version < primary)?)));
    if let Some((device, version)) = older {
        refusals.push(Refusal::OlderThanPrimary { device: device.name.clone(), version });
    }
    let mut versions: BTreeSet<Version> = counted().filter_map(|device| device.version).collect();
    versions.insert(primary);
    if policy.scope != Scope::Network {
        versions.insert(policy.target);
    }
    if let Err((low, high)) = facts.lineage.fleet_ok(versions) {
        refusals.push(Refusal::TooFarApart { low, high });
    }
    refusals
}

fn against_managers(policy: &Policy, facts: &Facts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if policy.scope != Scope::Network {
        return refusals;
    }
    let pair = &facts.pair;
    match &pair.standby {
        Some(standby) if standby.version != pair.primary.version || !pair.matched => refusals.push(Refusal::PairNotLevel),
        Some(_) => {}
        None if policy.standby == StandbyWord::Expected => refusals.push(Refusal::NoStandby),
        None if policy.backup == BackupGate::Required && !facts.backup.has_safe_place => refusals.push(Refusal::NoSafePlace),
        None => {}
    }
    let objects = facts.level.would_park;
    let lowers = policy.target.line < facts.level.at;
    if lowers && objects > 0 && policy.parking == Parking::Refused {
        refusals.push(Refusal::Parking { objects });
    }
    refusals
}

fn design(policy: Policy, facts: &Facts, scope: &[u32], rungs: Vec<Version>, now_ms: u64) -> Design {
    let waves = waves::deal(&policy, facts, scope);
    let mut wave_of: BTreeMap<u32, u16> = BTreeMap::new();
    for (index, wave) in waves.iter().enumerate() {
        let index = u16::try_from(index).expect("shares are percents: a role has fewer than 2^15 waves");
        wave_of.extend(wave.members.iter().map(|position| (*position, index)));
    }
    let member = |(index, device): (usize, &super::DeviceFacts)| Member {
        name: device.name.clone(),
        role: device.role,
        location: facts.sites[device.site as usize].name.clone(),
        wave: wave_of.get(&position_of(index)).copied(),
    };
    let members = facts.devices.iter().enumerate().map(member).collect();
    let held: BTreeSet<Version> = facts.devices.iter().filter_map(|device| device.version).chain(rungs.iter().copied()).collect();
    let images = held.into_iter().filter_map(|version| Some((version, facts.images.get(&version)?.clone()))).collect();
    let risks = risks(&policy, facts, scope, &rungs, now_ms);
    let eta_ms = eta_ms(&policy, facts, &waves) * (rungs.len() as u64 - 1);
    Design { policy, rungs, images, members, waves, risks, eta_ms }
}

fn risks(policy: &Policy, facts: &Facts, scope: &[u32], rungs: &[Version], now_ms: u64) -> Vec<Risk> {
    let count = |is: &dyn Fn(&super::DeviceFacts) -> bool| position_of(scope.iter().filter(|at| is(&facts.devices[**at as usize])).count());
    let network = policy.scope == Scope::Network;
    let pinned = count(&|device| policy.pins.get(&device.name).is_some_and(|pin| pin.holds(now_ms)));
    let not_heard = count(&|device| device.contact != Contact::Reporting);
    let alone = |device: &super::DeviceFacts| {
        let engines = &facts.sites[device.site as usize].guard.engines;
        device.role == Role::Engine && engines.len() == 1 && engines.contains_key(&device.name)
    };
    let alone = count(&alone);
    let objects = if policy.target.line < facts.level.at { facts.level.would_park } else { 0 };
    let hops = position_of(rungs.len() - 1);
    let console = network && policy.direction == Direction::Down && policy.driver == Driver::Cli;
    let found = [
        (hops > 1).then_some(Risk::SeveralLines { lines: hops }),
        (pinned > 0 && network).then_some(Risk::Pinned { devices: pinned }),
        (not_heard > 0).then_some(Risk::NotHeard { devices: not_heard }),
        (alone > 0).then_some(Risk::Alone { devices: alone }),
        (facts.routers.routers.len() == 1).then_some(Risk::OneRouter),
        (network && facts.pair.standby.is_none()).then_some(Risk::NoStandby),
        (network && policy.backup != BackupGate::Required).then_some(Risk::BackupSkipped),
        (objects > 0).then_some(Risk::Parks { objects }),
        console.then_some(Risk::OperatorsTime),
    ];
    found.into_iter().flatten().collect()
}

/// Each wave takes as many rounds as its fullest location needs, then its bake.
fn eta_ms(policy: &Policy, facts: &Facts, waves: &[Wave]) -> u64 {
    let device_ms = policy.profile.drain_hard_ms / ETA_DRAIN_PART;
    let of_wave = |wave: &Wave| {
        let mut count: BTreeMap<u32, usize> = BTreeMap::new();
        for position in &wave.members {
            *count.entry(facts.devices[*position as usize].site).or_default() += 1;
        }
        let rounds = |(site, count): (&u32, &usize)| {
            let engines = facts.sites[*site as usize].guard.engines.len();
            let at_once = if wave.role == Role::Router { 1 } else { (engines / guard::ENGINES_PER_ONE_OUT).max(1) };
            count.div_ceil(at_once) as u64
        };
        let bake_ms = if wave.kind == WaveKind::Canary { policy.profile.canary_bake_ms } else { policy.profile.wave_bake_ms };
        count.iter().map(rounds).max().map_or(0, |rounds| rounds * device_ms + bake_ms)
    };
    let soaks = policy.scope == Scope::Network && policy.direction == Direction::Up;
    waves.iter().map(of_wave).sum::<u64>() + if soaks { policy.profile.soak_ms } else { 0 }
}

fn begin(design: Design, facts: &Facts) -> Plan {
    let course = Course { direction: design.policy.direction, driver: design.policy.driver, back: false, hop: 0 };
    let lane = |(member, device): (&Member, &super::DeviceFacts)| Lane::new(member.wave, device.version);
    Plan {
        stamp: Stamp { term: facts.pair.stamp.term, generation: facts.pair.stamp.generation + 1 },
        parent: 0,
        state: State::Planned,
        course,
        phase: Phase::all(course.direction)[0],
        waves: vec![WaveState::Pending; design.waves.len()],
        failures: BTreeMap::new(),
        lanes: design.members.iter().zip(&facts.devices).map(lane).collect(),
        late: Vec::new(),
        held: None,
        soaked: false,
        pins: BTreeMap::new(),
        counted: Counted::default(),
        design: Arc::new(design),
    }
}
