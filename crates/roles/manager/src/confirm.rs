//! Writes that take much away: they name what goes, and are made only by whoever confirms exactly that.
//!
//! Much is more than a quarter, and more than one, of the engines in service, of the delivery services or of the coverage zones'
//! prefixes; and what a router would not take without somebody's word, by the very function it asks
//! ([`weir_routing::removal`]).

use crate::{
    change::{Actor, Refusal},
    compile,
    snapshot::Snapshot,
    tables::settings,
};
use rusqlite::Transaction;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use weir_model::{
    DeviceName, Role, Stamp,
    configuration::{Confirmed, EngineEntry},
};
use weir_operator_api::{Problem, Reason};
use weir_routing::removal;

/// Words kept for engines and routers that are deleted, and for locations: routers that run what came before as many are told of none.
const WORDS_OF_GONE_MAX: usize = 1_000;
/// Names of what goes that a refusal lists, of each kind.
const NAMED_MAX: usize = 5;
/// Hexadecimal digits of the hash that confirms.
const HASH_DIGITS: usize = 16;
/// What stands before the hash in a refusal.
const HASH_MARK: &str = "confirm=";
/// What stands before what goes.
const GOES_MARK: &str = "this takes away ";
/// What stands behind each part of what goes.
const GOES_END: &str = "; ";

/// What goes of one kind of object.
struct Loss {
    /// What they are, for a sentence: `delivery services`.
    kind: String,
    /// By name.
    gone: Vec<String>,
    /// What there was of the kind, by name.
    all: Vec<String>,
}

impl Loss {
    fn is_large(&self) -> bool {
        self.gone.len() > removal::most_unasked(self.all.len())
    }

    fn sentence(&self) -> String {
        let named = self.gone.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if self.gone.len() > NAMED_MAX { ", .." } else { "" };
        format!("{} of {} {} ({named}{more})", self.gone.len(), self.all.len(), self.kind)
    }
}

/// Refuses a change that takes much away, unless `given` is the hash of exactly that.
pub(crate) fn check(before: &Snapshot, after: &Snapshot, given: Option<&str>) -> Result<(), Problem> {
    let losses = losses(before, after);
    if losses.is_empty() {
        return Ok(());
    }
    let hash = hash(&losses);
    if given == Some(hash.as_str()) {
        return Ok(());
    }
    let what: String = losses.iter().map(|loss| loss.sentence() + GOES_END).collect();
    let detail = format!("{GOES_MARK}{what}{HASH_MARK}{hash}");
    Err(match given {
        None => Problem::new(Reason::ConfirmationNeeded, detail).at("confirm"),
        Some(other) => Problem::new(Reason::ConfirmationStale, format!("{other:?} confirms something else: {detail}")).at("confirm"),
    })
}

/// The hash a refused change can be confirmed with, for a form that asks.
pub(crate) fn asked(problem: &Problem) -> Option<&str> {
    if !matches!(problem.reason, Reason::ConfirmationNeeded | Reason::ConfirmationStale) {
        return None;
    }
    problem.detail.rsplit_once(HASH_MARK).map(|(_, hash)| hash)
}

/// What goes, in the words of the refusal, one sentence each. Nothing of any other problem.
pub(crate) fn goes(problem: &Problem) -> Vec<&str> {
    if asked(problem).is_none() {
        return Vec::new();
    }
    // From the end: what was given in the place of the hash may hold anything, and comes first.
    let told = problem.detail.rsplit_once(HASH_MARK).and_then(|(told, _)| told.rsplit_once(GOES_MARK));
    told.map_or("", |(_, what)| what).split(GOES_END).filter(|part| !part.is_empty()).collect()
}

/// Notes, once a change is let through, which engines and routers an operator took out of service with it: a word for routers, which
/// see only what is left, and for a router that is told of nothing any longer. What the manager or a device does is nobody's
/// word, and a word ends when its device is in service again.
pub(crate) fn note(tx: &Transaction<'_>, before: &Snapshot, after: &mut Snapshot, actor: &Actor) -> Result<(), Refusal> {
    let confirmed = words(before, after, actor);
    if confirmed != after.confirmed {
        settings::set_confirmed(tx, &confirmed)?;
        after.confirmed = confirmed;
    }
    Ok(())
}

fn words(before: &Snapshot, after: &Snapshot, actor: &Actor) -> Confirmed {
    let serving = |network: &Snapshot| -> BTreeSet<DeviceName> {
        let routers = network.active(Role::Router).map(|router| router.name.clone());
        in_service(&compile::engines(network)).into_iter().chain(routers).collect()
    };
    let (was, is) = (serving(before), serving(after));
    let mut confirmed = after.confirmed.clone();
    confirmed.engines.retain(|name, _| !is.contains(name));
    if matches!(actor, Actor::Local | Actor::Token(_) | Actor::User(_)) {
        confirmed.engines.extend(was.difference(&is).map(|name| (name.clone(), after.stamp)));
    }
    forget_oldest(&mut confirmed.engines, |name| after.devices.contains_key(name));
    forget_oldest(&mut confirmed.locations, |_| false);
    confirmed
}

/// Keeps of the words whose object is gone the newest.
fn forget_oldest<N: Ord + Clone>(words: &mut BTreeMap<N, Stamp>, is_there: impl Fn(&N) -> bool) {
    let mut gone: Vec<(Stamp, N)> = words.iter().filter(|(name, _)| !is_there(name)).map(|(name, at)| (*at, name.clone())).collect();
    gone.sort_unstable();
    for (_, name) in gone.iter().rev().skip(WORDS_OF_GONE_MAX) {
        words.remove(name);
    }
}

fn losses(before: &Snapshot, after: &Snapshot) -> Vec<Loss> {
    let (engines_before, engines_after) = (compile::engines(before), compile::engines(after));
    let mut losses = vec![engines(before, after, &engines_before, &engines_after), services(before, after), prefixes(before, after)];
    losses.retain(Loss::is_large);
    let (sites_before, sites_after) = (removal::in_service(&engines_before), removal::in_service(&engines_after));
    let texts = |names: Vec<DeviceName>| names.into_iter().map(String::from).collect();
    let local = removal::removals(&sites_before, &sites_after);
    losses.extend(local.into_iter().map(|r| Loss { kind: format!("engines of {}", r.location), gone: texts(r.engines), all: texts(r.of) }));
    losses
}

fn in_service(engines: &[EngineEntry]) -> BTreeSet<DeviceName> {
    removal::in_service(engines).into_values().flatten().collect()
}

/// Engines that take viewers no longer, or carry none of the delivery services that stay.
fn engines(before: &Snapshot, after: &Snapshot, engines_before: &[EngineEntry], engines_after: &[EngineEntry]) -> Loss {
    let (all, mut left) = (in_service(engines_before), in_service(engines_after));
    if before.services != after.services
        && let (Some(was), Some(is)) = (carriers(before, after, &all), carriers(after, before, &left))
    {
        left.retain(|name| is.contains(name) || !was.contains(name));
    }
    let gone = all.difference(&left).map(DeviceName::to_string).collect();
    Loss { kind: "engines in service".to_owned(), gone, all: all.iter().map(DeviceName::to_string).collect() }
}

/// Which of these engines carry a delivery service of `network` that `other` has too; nothing when there is no such service.
fn carriers(network: &Snapshot, other: &Snapshot, engines: &BTreeSet<DeviceName>) -> Option<BTreeSet<DeviceName>> {
    let there: HashSet<i64> = other.services.iter().map(|service| service.id).collect();
    let mut staying = network.services.iter().filter(|service| there.contains(&service.id)).peekable();
    staying.peek()?;
    let mut carriers = BTreeSet::new();
    for service in staying {
        match &service.engines {
            None => return Some(engines.clone()),
            Some(named) => carriers.extend(named.iter().filter(|name| engines.contains(*name)).cloned()),
        }
    }
    Some(carriers)
}

fn services(before: &Snapshot, after: &Snapshot) -> Loss {
    let left: HashSet<i64> = after.services.iter().map(|service| service.id).collect();
    let all: BTreeMap<i64, String> = before.services.iter().map(|service| (service.id, service.name.to_string())).collect();
    let gone = all.iter().filter(|(id, _)| !left.contains(id)).map(|(_, name)| name.clone()).collect();
    Loss { kind: "delivery services".to_owned(), gone: sorted(gone), all: sorted(all.into_values().collect()) }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

fn prefixes(before: &Snapshot, after: &Snapshot) -> Loss {
    let kind = "coverage prefixes".to_owned();
    // A set that did not change is shared between snapshots, and may have a million.
    if std::sync::Arc::ptr_eq(&before.zones, &after.zones) {
        return Loss { kind, gone: Vec::new(), all: Vec::new() };
    }
    let left: HashSet<_> = after.zones.iter().map(|zone| zone.network).collect();
    let all: Vec<String> = before.zones.iter().map(|zone| zone.network.to_string()).collect();
    let gone = before.zones.iter().filter(|zone| !left.contains(&zone.network)).map(|zone| zone.network.to_string()).collect();
    Loss { kind, gone, all }
}

/// Over what goes and what it goes from, and nothing else: what others change meanwhile does not matter.
fn hash(losses: &[Loss]) -> String {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    for loss in losses {
        part(&loss.kind);
        part(&loss.gone.len().to_string());
        loss.gone.iter().chain(&loss.all).for_each(|name| part(name));
    }
    let mut hash = hex::encode(digest.finalize());
    hash.truncate(HASH_DIGITS);
    hash
}

#[cfg(test)]
mod tests;
