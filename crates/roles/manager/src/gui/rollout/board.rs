//! How a rollout stands as a whole, as its board shows it.

use super::{
    phases::{self, Phase, Reached, RoleColumn},
    verbs::Verb,
};
use crate::gui::figures::{Moment, Span};
use weir_operator_api::{Rollout, RolloutNote, RolloutWave};

/// The word of a rollout whose level an operator holds.
const HELD: &str = "held";

/// A rollout for somebody who looks now.
pub(super) struct Board {
    pub(super) rollout: Rollout,
    now_ms: u64,
}

impl Board {
    pub(super) fn new(rollout: Rollout, now_ms: u64) -> Self {
        Self { rollout, now_ms }
    }

    pub(super) fn title(&self) -> String {
        super::title(self.rollout.direction, &self.rollout.scope, &self.rollout.versions)
    }

    /// The class of its badge.
    pub(super) fn badge(&self) -> &'static str {
        match self.rollout.status.as_str() {
            "running" | "soaking" | "finalising" => "busy",
            "paused" => "minor",
            "reverting" | "aborting" => "major",
            "done" => "ok",
            _ => "off",
        }
    }

    /// The versions on its way.
    pub(super) fn way(&self) -> String {
        super::way(&self.rollout.versions)
    }

    /// From where to where it goes now, where that is not the whole way; else empty.
    pub(super) fn hop(&self) -> String {
        if self.rollout.hop[..] == self.rollout.versions[..] { String::new() } else { super::way(&self.rollout.hop) }
    }

    /// Where it goes when it goes back; empty when it does not.
    pub(super) fn back_to(&self) -> String {
        let first = self.rollout.versions.first().filter(|_| self.rollout.back);
        first.map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn phases(&self) -> Vec<Phase> {
        phases::strip(&self.rollout.phases, Reached::of(&self.rollout))
    }

    pub(super) fn columns(&self) -> Vec<RoleColumn> {
        phases::columns(&self.rollout)
    }

    /// What it waits for; a level that is held is said with its reason.
    pub(super) fn waits(&self) -> Option<&RolloutNote> {
        self.rollout.waits.as_ref().filter(|waits| waits.word != HELD || self.rollout.held.is_none())
    }

    /// Who takes the managers' steps, where that is a question; else empty.
    pub(super) fn driver(&self) -> &'static str {
        match self.rollout.driver.as_str() {
            _ if self.rollout.managers.is_empty() || self.rollout.hop[0] < self.rollout.hop[1] => "",
            "cli" => "an operator at the command line of each manager",
            _ => "the rollout itself",
        }
    }

    pub(super) fn started(&self) -> Moment {
        Moment::at(self.rollout.started_ms)
    }

    /// How long it has gone on, or took, beside what was planned.
    pub(super) fn lasted(&self) -> String {
        let lasted_ms = self.rollout.ended_ms.unwrap_or(self.now_ms).saturating_sub(self.rollout.started_ms);
        let tense = if self.rollout.ended_ms.is_some() { "" } else { " so far" };
        format!("{}{tense}; planned: {} if nothing is in the way", Span(lasted_ms), Span(self.rollout.eta_ms))
    }

    /// In how long it ends if nothing is in the way; empty while nobody can say.
    pub(super) fn left(&self) -> String {
        let moves = matches!(self.rollout.status.as_str(), "running" | "soaking" | "finalising");
        let left_ms = (self.rollout.started_ms + self.rollout.eta_ms).checked_sub(self.now_ms);
        left_ms.filter(|_| moves).map(|ms| Span(ms).to_string()).unwrap_or_default()
    }

    /// What may be said to it now.
    pub(super) fn verbs(&self) -> Vec<Verb> {
        Verb::ALL.into_iter().filter(|verb| verb.fits(&self.rollout)).collect()
    }

    /// Whether it is aborted, or about to be.
    pub(super) fn aborts(&self) -> bool {
        matches!(self.rollout.status.as_str(), "aborting" | "aborted")
    }
}

/// Which wave of its role, in words.
pub(super) fn kind(wave: &RolloutWave) -> &str {
    match wave.kind.as_str() {
        "canary" => "canary: one for each kind of location",
        "location" => "one whole location",
        "share" => "a share of the rest",
        "late" => "those that join late",
        other => other,
    }
}

/// The class of a wave's badge.
pub(super) fn wave_badge(wave: &RolloutWave) -> &'static str {
    match wave.state.as_str() {
        "open" => "busy",
        "baking" => "info",
        "passed" => "ok",
        "failed" => "critical",
        "inconclusive" => "major",
        _ => "off",
    }
}
