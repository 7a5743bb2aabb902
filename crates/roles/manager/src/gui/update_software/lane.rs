//! A lane: one device on its way to another version, as a row, a card and words.

use crate::gui::figures::{Bytes, Count, Moment, Span};
use weir_model::Version;
use weir_operator_api::{AssignedUpdate, DeviceUpdate};

/// A device's update.
pub(in crate::gui) struct Lane {
    pub(in crate::gui) update: DeviceUpdate,
}

/// A step of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gui) struct Step {
    pub(in crate::gui) name: &'static str,
    pub(in crate::gui) place: Place,
}

/// Where a step is, seen from the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gui) enum Place {
    Past,
    Present,
    Future,
}

impl Place {
    /// The class of the step.
    pub(in crate::gui) fn class(self) -> &'static str {
        match self {
            Place::Past => "past",
            Place::Present => "now",
            Place::Future => "next",
        }
    }

    /// What is said of it where nothing is seen.
    pub(in crate::gui) fn said(self) -> &'static str {
        match self {
            Place::Past => "done: ",
            Place::Present => "now: ",
            Place::Future => "",
        }
    }
}

/// The way to another version: each step's name, and the stages it stands for.
const FORWARD: [(&str, &[&str]); 9] = [
    ("Assigned", &["pending", "assigned"]),
    ("Download", &["fetching", "blocked"]),
    ("Staged", &["staged"]),
    (OFFLOAD, &["offload_requested", "draining", "drained"]),
    ("Switch", &["switching"]),
    ("Trial", &["trial", "readmitting"]),
    ("Proving", &["proving"]),
    ("Ramp", &["committed", "ramping"]),
    ("Done", &["done"]),
];
/// The step that a device without an offload leaves out.
const OFFLOAD: &str = "Offload";
/// Back to the version before.
const BACK: [(&str, &[&str]); 3] = [("Going back", &["rolling_back"]), ("Back", &["rolled_back"]), ("As before", &["failed"])];
/// Neither version runs.
const STUCK: [(&str, &[&str]); 2] = [("Going back", &["rolling_back"]), ("Needs hands", &["needs_hands"])];
/// Let go before anything changed.
const RELEASED: [(&str, &[&str]); 2] = [("Letting go", &["releasing"]), ("As before", &["idle"])];

/// Stages in which nothing has changed yet: the assignment may still be let go.
const BEFORE_SWITCHING: [&str; 9] =
    ["pending", "assigned", "fetching", "blocked", "staged", "offload_requested", "draining", "drained", "lost"];

impl Lane {
    pub(in crate::gui) fn new(update: DeviceUpdate) -> Self {
        Self { update }
    }

    /// Of a device that was assigned something.
    pub(in crate::gui) fn assigned(&self) -> Option<&AssignedUpdate> {
        self.update.assigned.as_ref()
    }

    pub(in crate::gui) fn location(&self) -> &str {
        self.update.location.as_ref().map_or("", |l| l.as_str())
    }

    /// Where its page is.
    pub(in crate::gui) fn path(&self) -> String {
        format!("/devices/{}", self.update.device)
    }

    /// Where its words are sent.
    pub(in crate::gui) fn verbs(&self) -> String {
        format!("{}/update-software", self.path())
    }

    /// The steps of the way it is on; none where that is not known.
    pub(in crate::gui) fn steps(&self) -> Vec<Step> {
        let stage = self.update.stage.as_str();
        let ways: [&[(&'static str, &[&str])]; 4] = [&FORWARD, &BACK, &STUCK, &RELEASED];
        let Some(way) = ways.into_iter().find(|way| way.iter().any(|(_, stages)| stages.contains(&stage))) else { return Vec::new() };
        if self.assigned().is_none() {
            return Vec::new();
        }
        let present = way.iter().position(|(_, stages)| stages.contains(&stage)).unwrap_or_default();
        let place = |at: usize| match at.cmp(&present) {
            std::cmp::Ordering::Less => Place::Past,
            std::cmp::Ordering::Equal => Place::Present,
            std::cmp::Ordering::Greater => Place::Future,
        };
        let steps = way.iter().enumerate().map(|(at, (name, _))| Step { name, place: place(at) });
        steps.filter(|step| step.name != OFFLOAD || self.is_drained()).collect()
    }

    /// Whether it leaves service by Server Offload.
    fn is_drained(&self) -> bool {
        self.assigned().is_none_or(|assigned| assigned.leave == "drained")
    }

    /// How it leaves service, in words.
    pub(in crate::gui) fn leave(&self) -> &'static str {
        if self.is_drained() { "behind Server Offload" } else { "by hand-over, while it serves" }
    }

    /// The class of its badge.
    pub(in crate::gui) fn badge(&self) -> &'static str {
        let update = &self.update;
        match (update.stage.as_str(), update.successful) {
            ("lost" | "needs_hands", _) => "critical",
            (_, Some(true)) => "ok",
            (_, Some(false)) if self.was_let_go() => "off",
            (_, Some(false)) => "critical",
            ("rolling_back" | "rolled_back", _) => "major",
            ("idle", _) => "off",
            _ if self.may_switch() => "info",
            _ if update.waiting.is_some() => "minor",
            _ => "busy",
        }
    }

    /// Somebody wanted it so.
    fn was_let_go(&self) -> bool {
        self.update.reason.as_ref().is_some_and(|shown| matches!(shown.reason.as_str(), "cancelled" | "superseded"))
    }

    /// Whether its reason is bad news.
    pub(in crate::gui) fn alarming(&self) -> bool {
        self.update.reason.is_some() && !self.was_let_go()
    }

    /// Bytes of a download that are there, and all of them; nothing while nobody knows.
    pub(in crate::gui) fn fetched(&self) -> Option<(u64, u64)> {
        let fetch = self.update.fetch.as_ref().filter(|_| matches!(self.update.stage.as_str(), "fetching" | "blocked"))?;
        (fetch.total > 0).then_some((fetch.done.min(fetch.total), fetch.total))
    }

    pub(in crate::gui) fn fetch_text(&self) -> String {
        let Some((done, total)) = self.fetched() else { return String::new() };
        let from = match self.update.fetch.as_ref().and_then(|fetch| fetch.from.as_deref()) {
            None => String::new(),
            Some("direct") => ", from its own source".to_owned(),
            Some("manager") => ", from the manager".to_owned(),
            Some(engine) => format!(", from engine {engine}"),
        };
        format!("{} of {}{from}", Bytes(done), Bytes(total))
    }

    /// What the new worker has shown; empty before it has shown anything.
    pub(in crate::gui) fn proof(&self) -> String {
        let proof = &self.update.proof;
        if (proof.requests, proof.own_errors, proof.crashes) == (0, 0, 0) {
            return String::new();
        }
        let noun = |count: u64, one: &str, many: &str| format!("{} {}", Count(count), if count == 1 { one } else { many });
        let requests = noun(proof.requests, "request", "requests");
        let errors = noun(proof.own_errors, "error of its own", "errors of its own");
        format!("{requests} answered, {errors}, {}", noun(proof.crashes.into(), "crash", "crashes"))
    }

    /// How long its stage has lasted.
    pub(in crate::gui) fn lasted(&self) -> Span {
        Span(self.update.for_ms)
    }

    pub(in crate::gui) fn moment(&self, at_ms: &u64) -> Moment {
        Moment::at(*at_ms)
    }

    /// Whether the switch waits for an operator.
    pub(in crate::gui) fn may_switch(&self) -> bool {
        let waits = |assigned: &AssignedUpdate| !assigned.auto_reload && !assigned.reload && !assigned.cancelled;
        self.update.stage == "staged" && self.assigned().is_some_and(waits) && !self.is_in_rollout()
    }

    /// Whether the assignment may still be let go.
    pub(in crate::gui) fn may_cancel(&self) -> bool {
        let goes = self.assigned().is_some_and(|assigned| !assigned.cancelled);
        BEFORE_SWITCHING.contains(&self.update.stage.as_str()) && goes && !self.is_in_rollout()
    }

    /// Whether it rests until its rollout lets it go.
    fn is_in_rollout(&self) -> bool {
        self.update.waiting.as_ref().is_some_and(|waits| waits.reason == "rollout")
    }

    /// The version it runs, where it is one.
    pub(super) fn running(&self) -> Option<Version> {
        self.update.running.as_ref().and_then(|text| text.parse().ok())
    }

    /// Where its stage is among all of them.
    pub(super) fn rank(&self) -> usize {
        let all = FORWARD.iter().chain(&BACK).chain(&STUCK).chain(&RELEASED).flat_map(|(_, stages)| stages.iter());
        let stage = &self.update.stage;
        all.enumerate().find(|(_, known)| *known == stage).map_or(usize::MAX, |(at, _)| at)
    }
}

#[cfg(test)]
pub(super) mod tests;
