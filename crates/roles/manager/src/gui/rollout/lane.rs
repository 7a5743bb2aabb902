//! A lane: one device in a rollout.

use super::verbs::DeviceVerb;
use weir_model::Version;
use weir_operator_api::{Rollout, RolloutLane, RolloutNote};

/// The word of a device that runs what it is to run.
const AT_GOAL: &str = "at_goal";

/// How a device stands, for whoever looks for those that do not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Moving,
    Staying,
    There,
}

impl Group {
    pub(super) const ALL: [Group; 3] = [Group::Moving, Group::Staying, Group::There];

    /// The word of the address.
    pub(super) fn word(self) -> &'static str {
        match self {
            Group::Moving => "moving",
            Group::Staying => "staying",
            Group::There => "there",
        }
    }

    /// The same for people, behind a count.
    pub(super) fn name(self) -> &'static str {
        match self {
            Group::Moving => "on their way",
            Group::Staying => "do not move",
            Group::There => "done",
        }
    }

    /// The class of its badge.
    pub(super) fn badge(self) -> &'static str {
        match self {
            Group::Moving => "busy",
            Group::Staying => "minor",
            Group::There => "ok",
        }
    }
}

/// Whether it runs what it is to run.
pub(super) fn is_there(lane: &RolloutLane) -> bool {
    lane.stays.as_ref().is_some_and(|stays| stays.word == AT_GOAL)
}

/// A device's lane, and what may be said to the device now.
pub(super) struct Lane {
    pub(super) lane: RolloutLane,
    pub(super) may: Vec<DeviceVerb>,
}

impl Lane {
    pub(super) fn new(lane: &RolloutLane, rollout: &Rollout) -> Self {
        let may = DeviceVerb::ALL.into_iter().filter(|verb| verb.fits(lane, rollout)).collect();
        Self { lane: lane.clone(), may }
    }

    pub(super) fn group(&self) -> Group {
        match &self.lane.stays {
            _ if is_there(&self.lane) => Group::There,
            Some(_) => Group::Staying,
            None => Group::Moving,
        }
    }

    /// Where its page is.
    pub(super) fn path(&self) -> String {
        format!("/devices/{}/update-software", self.lane.device)
    }

    /// The class of its badge.
    pub(super) fn badge(&self) -> &'static str {
        match (self.lane.stage.as_str(), self.word()) {
            ("lost" | "needs_hands" | "failed", _) | (_, "lost" | "failed" | "needs_hands" | "burned") => "critical",
            ("rolling_back" | "rolled_back", _) | (_, "out_of_band" | "let_go" | "too_far" | "never_heard") => "major",
            (_, "later_wave" | "later_phase" | "settling" | "staging_full" | "in_flight_full" | "outside_window") => "off",
            _ => self.group().badge(),
        }
    }

    /// Why it does not move; nothing where it has nowhere to go.
    pub(super) fn why(&self) -> Option<&RolloutNote> {
        self.lane.stays.as_ref().filter(|_| self.group() == Group::Staying)
    }

    /// Whether that is bad news.
    pub(super) fn is_alarming(&self) -> bool {
        matches!(self.badge(), "critical" | "major")
    }

    /// Whether what fell back on it must be cleared before it is tried again.
    pub(super) fn is_burned(&self) -> bool {
        self.word() == "burned"
    }

    /// The word of why it stays; empty when it does not.
    fn word(&self) -> &str {
        self.lane.stays.as_ref().map_or("", |stays| &stays.word)
    }

    /// The version it runs, where it is one.
    pub(super) fn running(&self) -> Option<Version> {
        self.lane.running.as_ref().and_then(|text| text.parse().ok())
    }
}
