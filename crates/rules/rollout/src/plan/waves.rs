//! Who goes when: a canary of each kind of location, one location, then growing shares of the rest.

use super::{Facts, Policy};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use weir_model::Role;

/// A wave's members, frozen at planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Whose.
    pub role: Role,
    /// Which.
    pub kind: WaveKind,
    /// Positions of its devices, in the order in which they go.
    pub members: Vec<u32>,
}

/// Which wave of its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveKind {
    /// One device of each kind of location.
    Canary,
    /// One location.
    Location,
    /// A share of all.
    Share,
    /// Devices that joined after planning.
    Late,
}

/// How a wave stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveState {
    /// Not yet.
    Pending,
    /// Its devices go.
    Open,
    /// They have gone, and are watched.
    Baking,
    /// The next may open.
    Passed,
    /// Too many failed.
    Failed,
    /// Too few could be judged.
    Inconclusive,
}

impl WaveKind {
    /// The word of JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Location => "location",
            Self::Share => "share",
            Self::Late => "late",
        }
    }
}

impl WaveState {
    /// The word of JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Open => "open",
            Self::Baking => "baking",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Deals the devices in scope that the positions name into waves.
pub(super) fn deal(policy: &Policy, facts: &Facts, scope: &[u32]) -> Vec<Wave> {
    [Role::Engine, Role::Router].into_iter().flat_map(|role| deal_role(policy, facts, scope, role)).collect()
}

fn deal_role(policy: &Policy, facts: &Facts, scope: &[u32], role: Role) -> Vec<Wave> {
    let mut rest = spread(facts, scope.iter().copied().filter(|position| facts.devices[*position as usize].role == role));
    let total = rest.len();
    let mut waves = Vec::new();
    let mut push = |kind, members: Vec<u32>| {
        if !members.is_empty() {
            waves.push(Wave { role, kind, members });
        }
    };
    let canaries = take(&mut rest, &canaries(facts, &spread_largest_first(facts, scope, role)));
    let mut gone = canaries.len();
    push(WaveKind::Canary, canaries);
    let together = location(facts, &rest);
    let location = take(&mut rest, &together);
    gone += location.len();
    push(WaveKind::Location, location);
    for share in &policy.shares {
        let until = (total * usize::from(*share)).div_ceil(100).min(total);
        let count = until.saturating_sub(gone).min(rest.len());
        gone += count;
        push(WaveKind::Share, rest.drain(..count).collect());
    }
    push(WaveKind::Share, rest);
    waves.push(Wave { role, kind: WaveKind::Late, members: Vec::new() });
    waves
}

/// The least wary first, and of those one of each location before a second of any: so a wave is as wide as it can be.
fn spread(facts: &Facts, positions: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut rank: BTreeMap<(u8, u32), u32> = BTreeMap::new();
    let mut keyed: Vec<(u8, u32, u32, u32)> = positions
        .map(|position| {
            let device = &facts.devices[position as usize];
            let rank = rank.entry((device.wariness, device.site)).or_default();
            *rank += 1;
            (device.wariness, *rank, device.site, position)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(.., position)| position).collect()
}

/// Devices of a role, those of the location with most of them first: a canary should not be the only one there.
fn spread_largest_first(facts: &Facts, scope: &[u32], role: Role) -> Vec<u32> {
    let of_role: Vec<u32> = scope.iter().copied().filter(|position| facts.devices[*position as usize].role == role).collect();
    let mut count: BTreeMap<u32, u32> = BTreeMap::new();
    for position in &of_role {
        *count.entry(facts.devices[*position as usize].site).or_default() += 1;
    }
    let mut sorted = of_role;
    sorted.sort_by_key(|position| {
        let device = &facts.devices[*position as usize];
        (device.wariness, u32::MAX - count[&device.site], device.site, *position)
    });
    sorted
}

fn canaries(facts: &Facts, sorted: &[u32]) -> BTreeSet<u32> {
    let mut seen = BTreeSet::new();
    let kind = |position: u32| facts.sites[facts.devices[position as usize].site as usize].kind;
    sorted.iter().copied().filter(|position| seen.insert(kind(*position))).collect()
}

/// The smallest location with two devices left at least; none where all that is left is one location.
fn location(facts: &Facts, rest: &[u32]) -> BTreeSet<u32> {
    let mut of_site: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for position in rest {
        of_site.entry(facts.devices[*position as usize].site).or_default().insert(*position);
    }
    if of_site.len() < 2 {
        return BTreeSet::new();
    }
    let smallest = of_site.into_values().filter(|members| members.len() >= 2).min_by_key(BTreeSet::len);
    smallest.unwrap_or_default()
}

fn take(rest: &mut Vec<u32>, members: &BTreeSet<u32>) -> Vec<u32> {
    let taken = rest.iter().copied().filter(|position| members.contains(position)).collect();
    rest.retain(|position| !members.contains(position));
    taken
}
