//! The rules of a slot's trial: what a boot record becomes, or why it stays; pure.
//!
//! A slot on trial is started in the place of the active one until it is committed, which makes it the active one, or
//! falls back, which leaves the active one as it was. After a commit, falling back makes the previous slot active again.

use super::{BootRecord, FellBack, SlotRef, Trial};
use crate::Digest;

/// Starts a trial has beyond its first: a box may lose its power in it once.
const MORE_TRIES: u32 = 1;

/// Most digests a record holds as burned: with every other field they fit the largest half that is read.
pub const BURNED_MAX: usize = 256;

/// Longest reason that is kept, in bytes: the reasons of the update machine are one word each.
const REASON_MAX_BYTES: usize = 64;

/// Why a record stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The digest fell back on this device before.
    #[error("this image fell back on this device before: clear its digest first")]
    Burned,
    /// As many digests are burned as a record holds.
    #[error("{BURNED_MAX} digests are burned on this device, which is the most: clear some first")]
    BurnedFull,
    /// The word is older than the last one obeyed.
    #[error("term {term}, generation {generation} is lower than that of the last word obeyed")]
    Stale {
        /// Its term.
        term: u64,
        /// Its generation.
        generation: u64,
    },
    /// Another slot is on trial.
    #[error("slot {0} is on trial")]
    UnderWay(String),
    /// The slot is on trial, or active, already.
    #[error("slot {0} is the one to start already")]
    Already(String),
    /// No slot is on trial, or another one than the one that asks.
    #[error("this slot is not on trial")]
    NoTrial,
    /// The trial has no start left.
    #[error("the trial has no start left")]
    NoTryLeft,
    /// There is no slot to go back to.
    #[error("there is no slot to go back to")]
    NoWayBack,
    /// The last trial fell back already.
    #[error("slot {0} was left already")]
    AlreadyBack(String),
}

impl BootRecord {
    /// The slot a keeper starts: the one on trial, else the active one.
    pub fn to_start(&self) -> &SlotRef {
        self.trial.as_ref().map_or(&self.active, |trial| &trial.slot)
    }

    /// Whether this slot is on trial.
    pub fn tries(&self, slot: &SlotRef) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.slot == *slot)
    }

    /// Begins the trial of a slot that was verified, its first start counted, on a word of (`term`, `generation`).
    ///
    /// # Errors
    /// [`TrialError`]; [`TrialError::Already`] for a word that is repeated.
    pub fn begin_trial(&self, slot: SlotRef, term: u64, generation: u64, deadline_ms: u64) -> Result<Self, TrialError> {
        if (term, generation) < (self.term, self.generation) {
            return Err(TrialError::Stale { term, generation });
        }
        if *self.to_start() == slot {
            return Err(TrialError::Already(slot.name));
        }
        if let Some(trial) = &self.trial {
            return Err(TrialError::UnderWay(trial.slot.name.clone()));
        }
        if self.burned.contains(&slot.manifest) {
            return Err(TrialError::Burned);
        }
        // Falling back must always have room to say so.
        if self.burned.len() >= BURNED_MAX {
            return Err(TrialError::BurnedFull);
        }
        let trial = Some(Trial { slot, tries: MORE_TRIES, deadline_ms });
        Ok(Self { trial, fell_back: None, term, generation, ..self.clone() })
    }

    /// Counts one more start of the slot on trial.
    ///
    /// # Errors
    /// [`TrialError::NoTryLeft`]: it is to fall back; [`TrialError::NoTrial`].
    pub fn count_start(&self) -> Result<Self, TrialError> {
        let trial = self.trial.clone().ok_or(TrialError::NoTrial)?;
        let tries = trial.tries.checked_sub(1).ok_or(TrialError::NoTryLeft)?;
        Ok(Self { trial: Some(Trial { tries, ..trial }), ..self.clone() })
    }

    /// Makes the slot on trial, which is `running`, the active and last good one.
    ///
    /// # Errors
    /// [`TrialError::NoTrial`]; [`TrialError::Already`] when it is committed.
    pub fn commit(&self, running: &SlotRef) -> Result<Self, TrialError> {
        match &self.trial {
            Some(trial) if trial.slot == *running => Ok(Self {
                active: trial.slot.clone(),
                previous: Some(self.active.clone()),
                last_good: Some(trial.slot.clone()),
                trial: None,
                ..self.clone()
            }),
            None if self.active == *running && self.last_good.as_ref() == Some(running) => Err(TrialError::Already(running.name.clone())),
            _ => Err(TrialError::NoTrial),
        }
    }

    /// Leaves the slot on trial for the active one, or the active one for the previous one, and burns its digest if it is
    /// to blame.
    ///
    /// # Errors
    /// [`TrialError::NoWayBack`]; [`TrialError::AlreadyBack`] when the last trial fell back and no other began.
    pub fn fall_back(&self, reason: &str, burn: bool) -> Result<Self, TrialError> {
        let (left, active, previous) = match (&self.trial, &self.fell_back, &self.previous) {
            (Some(trial), _, _) => (trial.slot.clone(), self.active.clone(), self.previous.clone()),
            (None, Some(fell_back), _) => return Err(TrialError::AlreadyBack(fell_back.slot.name.clone())),
            (None, None, Some(previous)) => (self.active.clone(), previous.clone(), None),
            (None, None, None) => return Err(TrialError::NoWayBack),
        };
        Ok(self.left_for(left, active, previous, reason, burn))
    }

    /// Leaves the active slot, which does not verify, for another one that does. Nothing is burned: not the image is at
    /// fault but what became of its tree.
    pub fn rescue(&self, good: SlotRef, reason: &str) -> Self {
        let previous = self.previous.clone().filter(|previous| *previous != good);
        Self { trial: None, ..self.left_for(self.active.clone(), good, previous, reason, false) }
    }

    /// The record that fell back, with another slot to start: the one it names does not verify and `good` does.
    pub fn instead(&self, good: SlotRef) -> Self {
        let previous = self.previous.clone().filter(|previous| *previous != good);
        Self { previous, last_good: Some(good.clone()), active: good, ..self.clone() }
    }

    /// Lets a digest be tried again; nothing changes when it is not burned.
    pub fn unburn(&self, manifest: Digest) -> Self {
        let burned = self.burned.iter().copied().filter(|digest| *digest != manifest).collect();
        Self { burned, ..self.clone() }
    }

    fn left_for(&self, left: SlotRef, active: SlotRef, previous: Option<SlotRef>, reason: &str, burn: bool) -> Self {
        let mut burned = self.burned.clone();
        if burn && !burned.contains(&left.manifest) {
            burned.push(left.manifest);
        }
        // What was left is no longer good; the slot that is taken up again was.
        let last_good = match &self.last_good {
            Some(good) if *good != left => Some(good.clone()),
            _ => Some(active.clone()),
        };
        // The previous slot may be the one that was tried again and left.
        let previous = previous.filter(|previous| !burned.contains(&previous.manifest));
        let reason: String = reason.chars().filter(char::is_ascii).take(REASON_MAX_BYTES).collect();
        Self { active, previous, last_good, trial: None, fell_back: Some(FellBack { slot: left, reason }), burned, ..self.clone() }
    }
}

#[cfg(test)]
mod cuts;
#[cfg(test)]
mod tests;
