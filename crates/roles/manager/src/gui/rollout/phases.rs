//! The phases of a rollout as an ordered strip, and those who go in them as columns.

use super::managers;
use crate::gui::update_software::Place;
use std::cmp::Ordering;
use weir_model::Role;
use weir_operator_api::{Rollout, RolloutLane, RolloutManager};

/// What each phase is called, and what happens in it.
const KNOWN: [(&str, &str, &str); 13] = [
    ("preposition", "Pre-position", "Devices of the first wave fetch the release; the others follow behind it"),
    ("lower_level", "Lower level", "Features that the lower line cannot have are parked before anything is switched"),
    ("backup_gate", "Backup", "The configuration is saved, copied to another machine and read back; nothing moves before"),
    (ENGINES, "Engines", "Engines (Service Engines) go in waves, each behind Server Offload, without cutting a viewer off"),
    (ROUTERS, "Routers", "Routers (Service Routers) go in waves, each handed over while it answers"),
    ("freeze", "Freeze", "No configuration is written until the managers are done: writes are answered 423; viewers notice nothing"),
    ("frozen_backup", "Second backup", "The frozen configuration is saved and read back"),
    (
        "managers",
        "Managers",
        "The managers go one after the other; these pages are away for a moment when the primary starts anew, and reconnect by themselves",
    ),
    ("databases", "Databases", "Each manager's database goes back to the lower line, and the manager is enabled"),
    ("resync", "Resync", "The standby catches up with the primary"),
    ("unfreeze", "Unfreeze", "Configuration is written again"),
    ("soak", "Soak", "The whole network is watched"),
    ("finalise", "Finalise", "The level rises, unless somebody holds it: features of the new line may be used"),
];
const ENGINES: &str = "engines";
const ROUTERS: &str = "routers";
/// Phases in which the managers go, or are held for it.
const OF_MANAGERS: [&str; 6] = ["freeze", "frozen_backup", "managers", "databases", "resync", "unfreeze"];

/// A phase on the strip.
pub(super) struct Phase {
    pub(super) name: String,
    /// What happens in it, without a full stop; empty where that is not known.
    pub(super) told: &'static str,
    pub(super) place: Place,
}

/// How far a rollout has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reached<'a> {
    Nothing,
    Phase(&'a str),
    End,
}

impl<'a> Reached<'a> {
    /// How far this one has.
    pub(super) fn of(rollout: &'a Rollout) -> Self {
        if matches!(rollout.status.as_str(), "done" | "reverted") { Self::End } else { Self::Phase(&rollout.phase) }
    }

    /// Where the phases from `first` to `last` are, seen from it; a phase that is not in the list is before all of them.
    fn place(self, phases: &[String], first: usize, last: usize) -> Place {
        let at = match self {
            Self::Nothing => None,
            Self::Phase(word) => phases.iter().position(|phase| phase == word),
            Self::End => Some(phases.len()),
        };
        match at.map(|at| (first.cmp(&at), last.cmp(&at))) {
            None | Some((Ordering::Greater, _)) => Place::Future,
            Some((_, Ordering::Less)) => Place::Past,
            Some(_) => Place::Present,
        }
    }
}

/// The phases in order.
pub(super) fn strip(phases: &[String], reached: Reached<'_>) -> Vec<Phase> {
    let phase = |(at, word): (usize, &String)| {
        let known = KNOWN.iter().find(|(known, ..)| known == word);
        let (name, told) = known.map_or_else(|| (word.replace('_', " "), ""), |(_, name, told)| ((*name).to_owned(), *told));
        Phase { name, told, place: reached.place(phases, at, at) }
    };
    phases.iter().enumerate().map(phase).collect()
}

/// Those who go together.
pub(super) struct RoleColumn {
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// Those of them that are there, and all in scope; nothing where they are not known.
    pub(super) count: Option<(usize, usize)>,
    /// Each of them, where they are the managers.
    pub(super) managers: Vec<RolloutManager>,
}

impl RoleColumn {
    /// When their turn is.
    pub(super) fn turn(&self) -> &'static str {
        match self.place {
            Place::Past => "had their turn",
            Place::Present => "their turn",
            Place::Future => "later",
        }
    }
}

/// Who goes, in the order in which they go.
pub(super) fn columns(rollout: &Rollout) -> Vec<RoleColumn> {
    let (phases, reached) = (&rollout.phases, Reached::of(rollout));
    let span = |words: &[&str]| {
        let first = phases.iter().position(|phase| words.contains(&phase.as_str()))?;
        Some((first, phases.iter().rposition(|phase| words.contains(&phase.as_str()))?))
    };
    let count = |role: Role| {
        let own: Vec<&RolloutLane> = rollout.lanes.iter().filter(|lane| lane.role == role).collect();
        (own.iter().filter(|lane| super::lane::is_there(lane)).count(), own.len())
    };
    let of_managers = || {
        let all = &rollout.managers;
        (!all.is_empty()).then(|| (all.iter().filter(|manager| managers::is_there(manager)).count(), all.len()))
    };
    let all: [(&'static str, &[&str], Option<Role>); 3] =
        [("Engines", &[ENGINES], Some(Role::Engine)), ("Routers", &[ROUTERS], Some(Role::Router)), ("Managers", &OF_MANAGERS, None)];
    let mut columns: Vec<(usize, RoleColumn)> = Vec::new();
    for (name, words, role) in all {
        let Some((first, last)) = span(words) else { continue };
        let count = role.map_or_else(of_managers, |role| Some(count(role)));
        if count.is_none_or(|(_, of)| of > 0) {
            let managers = if role.is_none() { rollout.managers.clone() } else { Vec::new() };
            columns.push((first, RoleColumn { name, place: reached.place(phases, first, last), count, managers }));
        }
    }
    columns.sort_by_key(|(first, _)| *first);
    columns.into_iter().map(|(_, column)| column).collect()
}
