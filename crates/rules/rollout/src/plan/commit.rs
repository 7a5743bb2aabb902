//! One step of a plan as it is kept: what it changed of its parent, so that a journal of a thousand of them stays small.

use super::{Counted, Course, Lane, Member, Phase, Pin, Plan, State, WaveFailure, WaveState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use weir_model::{DeviceName, Stamp};

/// What a plan has that its parent has not. The design stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The stamp it makes.
    pub stamp: Stamp,
    /// The generation it was made from.
    pub parent: u64,
    /// Where the plan stands as a whole.
    #[serde(flatten)]
    pub state: State,
    /// Which way.
    pub course: Course,
    /// The phase.
    pub phase: Phase,
    /// All waves.
    pub waves: Vec<WaveState>,
    /// Why those failed that did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<u16, WaveFailure>,
    /// Lanes that changed or are new, by position.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<u32, Lane>,
    /// Devices that joined, after those the parent knew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Member>,
    /// Why the level does not rise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// An operator ended the soak early.
    #[serde(default)]
    pub soaked: bool,
    /// All pins laid or taken away since the plan was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<DeviceName, Option<Pin>>,
    /// Time counted so far.
    pub counted: Counted,
}

/// A commit that is not the next one of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It was made from another generation.
    #[error("it was made from generation {parent}, and the plan is at {at}")]
    OtherParent {
        /// Its parent.
        parent: u64,
        /// The plan's generation.
        at: u64,
    },
    /// It names a lane or a wave that the plan does not have.
    #[error("it names what the plan does not have")]
    Unknown,
}

impl Plan {
    /// What this plan changed of its `parent`.
    pub fn since(&self, parent: &Plan) -> Commit {
        let changed = |(position, lane): (usize, &Lane)| (parent.lanes.get(position) != Some(lane)).then_some((position, *lane));
        let lanes = self.lanes.iter().enumerate().filter_map(changed);
        Commit {
            stamp: self.stamp,
            parent: self.parent,
            state: self.state.clone(),
            course: self.course,
            phase: self.phase,
            waves: self.waves.clone(),
            failures: self.failures.clone(),
            lanes: lanes.map(|(position, lane)| (super::place::position_of(position), lane)).collect(),
            joined: self.late.get(parent.late.len()..).unwrap_or_default().to_vec(),
            held: self.held.clone(),
            soaked: self.soaked,
            pins: self.pins.clone(),
            counted: self.counted.clone(),
        }
    }

    /// This plan after a commit.
    ///
    /// # Errors
    /// It is not the next one.
    pub fn with(&self, commit: Commit) -> Result<Plan, CommitError> {
        if commit.parent != self.stamp.generation {
            return Err(CommitError::OtherParent { parent: commit.parent, at: self.stamp.generation });
        }
        let mut next = self.clone();
        next.late.extend(commit.joined);
        let known = next.design.members.len() + next.late.len();
        for (position, lane) in commit.lanes {
            match (position as usize, next.lanes.len()) {
                (position, held) if position < held => next.lanes[position] = lane,
                (position, held) if position == held => next.lanes.push(lane),
                _ => return Err(CommitError::Unknown),
            }
        }
        if next.lanes.len() != known || commit.waves.len() != next.design.waves.len() {
            return Err(CommitError::Unknown);
        }
        (next.stamp, next.parent, next.state) = (commit.stamp, commit.parent, commit.state);
        (next.course, next.phase, next.waves, next.failures) = (commit.course, commit.phase, commit.waves, commit.failures);
        (next.held, next.soaked, next.pins, next.counted) = (commit.held, commit.soaked, commit.pins, commit.counted);
        Ok(next)
    }
}
