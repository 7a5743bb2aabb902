//! The update of the whole network: what is planned, and what happens next.
//!
//! ```text
//! make(policy, facts, now)  -> Plan, or every reason against it
//! tick(plan, facts, now)    -> the next plan, what to do, and why each device that does not move stays
//! command(plan, facts, ..)  -> the next plan: start, pause, resume, abort, revert, ...
//! ```
//! A [`Plan`] is a value. Its [`Design`] (what was asked for, the way through the lines, the waves and who is in which) is
//! frozen when it is made, and its hash is what an operator starts. All else in it is how far the rollout has come. Whoever
//! keeps plans commits one only on top of its parent (`stamp.generation`, `parent`), and acts after that; every action says
//! what is wanted, not what to do once, and is said again until the facts show it, so a manager that ends anywhere loses
//! nothing but time.
//!
//! Up: images, backup, engines, routers, freeze, second backup, managers, resync, unfreeze, soak, level. Down: images, level,
//! backup, freeze, second backup, managers, databases, resync, unfreeze, routers, engines. A target several lines away is
//! reached line by line, each with all of that. Way back: the same with the direction turned.
//!
//! Time is wall-clock milliseconds since 1970, because windows are; durations count observed time only, at most
//! [`RolloutProfile::tick_ms`] a tick, so neither a clock that jumps nor a manager that was away ends a bake.

mod action;
mod admit;
mod bake;
mod command;
mod commit;
mod facts;
mod gate;
mod lane;
mod make;
mod managers;
mod phase;
mod place;
mod policy;
pub mod record;
mod refusal;
mod repair;
mod rules;
mod state;
mod stay;
mod tick;
mod verdict;
mod waves;
mod words;

pub use action::{Action, BackupKind};
pub use command::{Command, CommandReason, CommandRefused, command};
pub use commit::{Commit, CommitError};
pub use facts::{
    Arm, BackupFacts, Cms, Comparison, Contact, DeviceFacts, Facts, LevelFacts, ManagerFacts, PairFacts, Proof, SiteFacts, SiteKind,
};
pub use lane::{Excuse, Lane, Word};
pub use make::make;
pub use phase::Phase;
pub use policy::{
    AT_ONCE, ATTEMPTS_MAX, Alone, BackupGate, OnFailed, Parking, Pin, Policy, RolloutProfile, STAGING_AT_ONCE, Scope, StandbyWord, Window,
};
pub use refusal::{Refusal, Risk};
pub use state::{PauseReason, State};
pub use stay::{ConsoleStep, Floor, Hold, Stay};
pub use tick::{Ticked, tick};
pub use verdict::{WaveFailure, WaveVerdict, Worse, failures_allowed};
pub use waves::{Wave, WaveKind, WaveState};

use crate::{
    pair_order::{Direction, Driver},
    update::Stage,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};
use weir_model::{DeviceName, LocationName, Role, Stamp, Version};

/// A version and the image it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The version.
    pub version: Version,
    /// SHA-256 of the MANIFEST, hex.
    pub manifest: String,
}

/// An engine or router of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: DeviceName,
    /// Engine or router.
    pub role: Role,
    /// Its location.
    pub location: LocationName,
    /// Position of its wave in [`Design::waves`]; absent: out of scope.
    pub wave: Option<u16>,
}

/// What does not change in a plan while it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Design {
    /// What was asked for.
    pub policy: Policy,
    /// The versions one after the other: what the primary ran at planning first, the target last.
    pub rungs: Vec<Version>,
    /// Every version the plan may lead a device to, and its image.
    pub images: BTreeMap<Version, String>,
    /// Devices, by position.
    pub members: Vec<Member>,
    /// Waves: of each role in order; the last of each role takes late joiners.
    pub waves: Vec<Wave>,
    /// What an operator should know before the start.
    pub risks: Vec<Risk>,
    /// How long it takes if nothing is in the way, milliseconds; drains are an estimate.
    pub eta_ms: u64,
}

impl Design {
    /// SHA-256 over the design, hex: equal hashes run equal plans.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).expect("a design is JSON: its maps have text for keys");
        Sha256::digest(json).iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text takes what is written");
            text
        })
    }

    /// The image of a version the plan may lead to.
    pub fn image(&self, version: Version) -> Option<Image> {
        self.images.get(&version).map(|manifest| Image { version, manifest: manifest.clone() })
    }
}

/// Which way the rollout goes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Course {
    /// Up or down; a way back is the other one than was planned.
    pub direction: Direction,
    /// Who takes the managers' steps.
    pub driver: Driver,
    /// It goes back to what there was.
    pub back: bool,
    /// Position of the hop: between the rungs `hop` and `hop + 1`.
    pub hop: u16,
}

/// Time counted so far, milliseconds. Losing it costs time and nothing else, so it is no reason for a new generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// When the last tick was.
    pub ticked_ms: Option<u64>,
    /// In the soak.
    pub soak_ms: u64,
    /// Of the configuration frozen.
    pub frozen_ms: u64,
    /// Of the present wave's bake.
    pub bake_ms: u64,
    /// Of each device that drains, by position.
    pub draining_ms: BTreeMap<u32, u64>,
}

/// A rollout: its design and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What does not change.
    pub design: Arc<Design>,
    /// (term, generation): the generation rises with each change of the plan.
    pub stamp: Stamp,
    /// The generation it was made from; 0 of the first.
    pub parent: u64,
    /// Where it stands as a whole.
    #[serde(flatten)]
    pub state: State,
    /// Which way.
    pub course: Course,
    /// The phase.
    pub phase: Phase,
    /// Waves, by position in the design.
    pub waves: Vec<WaveState>,
    /// Why waves failed that did, by position. What comes back keeps them: they are why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<u16, WaveFailure>,
    /// Devices, by position.
    pub lanes: Vec<Lane>,
    /// Devices that joined since; their positions follow those of the design's members.
    pub late: Vec<Member>,
    /// Why the level does not rise; absent: it may.
    pub held: Option<String>,
    /// An operator ended the soak early.
    pub soaked: bool,
    /// Pins laid or taken away since; they go before the design's.
    pub pins: BTreeMap<DeviceName, Option<Pin>>,
    /// Time counted so far.
    pub counted: Counted,
}

impl Plan {
    /// The rungs of the present hop: from which version to which.
    pub fn hop(&self) -> (Version, Version) {
        let hop = usize::from(self.course.hop);
        let (low, high) = (self.design.rungs[hop], self.design.rungs[hop + 1]);
        if self.course.back { (high, low) } else { (low, high) }
    }

    /// The member at a position.
    pub fn member(&self, position: usize) -> &Member {
        let planned = self.design.members.len();
        self.design.members.get(position).unwrap_or_else(|| &self.late[position - planned])
    }

    /// The position of a device.
    pub fn position(&self, name: &DeviceName) -> Option<usize> {
        (0..self.lanes.len()).find(|position| self.member(*position).name == *name)
    }

    /// Devices in the plan's positions: those it knows, as [`Contact::Gone`] when they are missing here, then new ones by name.
    pub fn align(&self, mut devices: BTreeMap<DeviceName, DeviceFacts>) -> Vec<DeviceFacts> {
        let known = |position: usize| {
            let member = self.member(position);
            devices.remove(&member.name).unwrap_or_else(|| DeviceFacts {
                name: member.name.clone(),
                role: member.role,
                site: 0,
                wariness: 0,
                contact: Contact::Gone,
                version: self.lanes[position].was,
                stage: Stage::Idle { reason: None },
                obeyed: None,
                burned: Vec::new(),
                on_probation: false,
                leased: false,
            })
        };
        let mut aligned: Vec<DeviceFacts> = (0..self.lanes.len()).map(known).collect();
        aligned.extend(devices.into_values());
        aligned
    }

    /// Whether the managers are part of it.
    pub fn moves_managers(&self) -> bool {
        self.design.policy.scope == Scope::Network
    }

    /// Whether nothing will happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Reverted)
    }

    /// The word of pages and JSON: soaking, finalising and reverting have their own.
    pub fn status(&self) -> &'static str {
        match (&self.state, self.course.back, self.phase) {
            (State::Running, true, _) => "reverting",
            (State::Running, false, Phase::Soak) => "soaking",
            (State::Running, false, Phase::Finalise) => "finalising",
            (state, ..) => state.as_str(),
        }
    }

    /// The pin that holds a device at `now_ms`.
    pub fn pin(&self, name: &DeviceName, now_ms: u64) -> Option<&Pin> {
        let laid = match self.pins.get(name) {
            Some(changed) => changed.as_ref(),
            None => self.design.policy.pins.get(name),
        };
        laid.filter(|pin| pin.holds(now_ms))
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
