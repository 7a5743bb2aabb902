//! What an operator asks of a rollout, as a form and an address say it.

use crate::gui::links::{Asked, link};
use jiff::{civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use weir_operator_api::{Problem, Reason, RolloutRequest, RolloutWindow};

/// What stands before a location in the field of the scope, and before a role.
pub(super) const LOCATION: &str = "location:";
pub(super) const ROLE: &str = "role:";
/// What a field sends that is ticked.
const TICKED: &str = "on";
/// What the field of the backup sends when there is to be none.
const SKIPPED: &str = "skipped";
/// How many of what is said is looked at by everybody; the rest is for few.
const COMMON: usize = 5;

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::gui) struct TypedRollout {
    pub(in crate::gui) version: String,
    /// `location:NAME`, `role:engine`, `role:router`, or empty: the whole network.
    pub(in crate::gui) scope: String,
    /// Empty: as the network has it.
    pub(in crate::gui) profile: String,
    /// Empty: `rollback_wave`.
    pub(in crate::gui) on_failed: String,
    /// `cli`, or empty: who switches the managers on the way down, the rollout itself.
    pub(in crate::gui) driver: String,
    /// An event window, in UTC; empty: none.
    pub(in crate::gui) event_from: String,
    pub(in crate::gui) event_until: String,
    /// Why event windows do not hold; empty: they do.
    pub(in crate::gui) during_event: String,
    /// `skipped`, or empty: required.
    pub(in crate::gui) backup: String,
    /// Why it is skipped.
    pub(in crate::gui) no_backup: String,
    /// `on`, or empty.
    pub(in crate::gui) no_standby: String,
    pub(in crate::gui) parking: String,
    /// The hash of the plan that was looked at.
    pub(in crate::gui) plan: String,
}

impl TypedRollout {
    /// What the address of a page says.
    pub(in crate::gui) fn asked(asked: &Asked) -> Self {
        let text = |name: &str| asked.get(name).to_owned();
        Self {
            version: text("version"),
            scope: text("scope"),
            profile: text("profile"),
            on_failed: text("on_failed"),
            driver: text("driver"),
            event_from: text("event_from"),
            event_until: text("event_until"),
            during_event: text("during_event"),
            backup: text("backup"),
            no_backup: text("no_backup"),
            no_standby: text("no_standby"),
            parking: text("parking"),
            plan: String::new(),
        }
    }

    /// What it says, as an address and a form repeat it.
    pub(super) fn said(&self) -> [(&'static str, &str); 12] {
        [
            ("version", &self.version),
            ("scope", &self.scope),
            ("profile", &self.profile),
            ("on_failed", &self.on_failed),
            ("driver", &self.driver),
            ("event_from", &self.event_from),
            ("event_until", &self.event_until),
            ("during_event", &self.during_event),
            ("backup", &self.backup),
            ("no_backup", &self.no_backup),
            ("no_standby", &self.no_standby),
            ("parking", &self.parking),
        ]
    }

    /// The address of its plan.
    pub(super) fn link(&self) -> String {
        link(super::plan::PATH, &self.said())
    }

    /// Whether anything is said that most leave as it is.
    pub(in crate::gui) fn is_particular(&self) -> bool {
        self.said().iter().skip(COMMON).any(|(_, value)| !value.is_empty())
    }

    pub(in crate::gui) fn skips_backup(&self) -> bool {
        self.backup == SKIPPED
    }

    pub(super) fn request(&self) -> Result<RolloutRequest, Problem> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let of = |mark: &str| self.scope.strip_prefix(mark).and_then(given);
        let (location, role) = (of(LOCATION), of(ROLE));
        let is_whole = self.scope.is_empty();
        if !is_whole && location.is_none() && role.is_none() {
            let problem = Problem::new(Reason::InvalidField, format!("{:?} is no part of a network", self.scope));
            return Err(problem.at("scope").next_step("choose the whole network, a location or a role"));
        }
        Ok(RolloutRequest {
            version: self.version.trim().to_owned(),
            location,
            role,
            profile: given(&self.profile),
            on_failed: given(&self.on_failed),
            events: event(self.event_from.trim(), self.event_until.trim())?,
            during_event: given(&self.during_event),
            // A part of the network has no managers: these fields are not shown with it.
            driver: given(&self.driver).filter(|_| is_whole),
            no_backup: (is_whole && self.skips_backup()).then(|| self.no_backup.trim().to_owned()),
            no_standby: is_whole && self.no_standby == TICKED,
            parking: is_whole && self.parking == TICKED,
            ..RolloutRequest::default()
        })
    }
}

/// The event window, if there is one.
fn event(from: &str, until: &str) -> Result<Vec<RolloutWindow>, Problem> {
    match (from, until) {
        ("", "") => Ok(Vec::new()),
        _ => Ok(vec![RolloutWindow { from_ms: utc_ms(from)?, until_ms: utc_ms(until)? }]),
    }
}

/// A date and a time of day in UTC.
fn utc_ms(text: &str) -> Result<u64, Problem> {
    let at = text.parse::<DateTime>().ok().and_then(|at| at.to_zoned(TimeZone::UTC).ok());
    at.and_then(|at| u64::try_from(at.timestamp().as_millisecond()).ok()).ok_or_else(|| {
        let problem = Problem::new(Reason::InvalidField, format!("{text:?} is no date with a time of day")).at("events");
        problem.next_step("give both ends, such as 2030-05-01T18:00, or neither")
    })
}

/// Fields of the form, as problems name them.
pub(super) const FIELDS: [&str; 10] =
    ["scope", "location", "role", "profile", "on_failed", "events", "during_event", "no_backup", "no_standby", "parking"];
