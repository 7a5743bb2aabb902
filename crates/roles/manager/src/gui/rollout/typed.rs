//! What an operator asks of a rollout, as a form and an address say it.

use crate::{
    app::App,
    gui::{
        figures::Span,
        links::{Asked, link},
        rejected::Rejected,
    },
};
use serde::Deserialize;
use weir_model::{LocationName, Role};
use weir_operator_api::{Problem, Reason, RolloutRequest};
use weir_rollout::plan::RolloutProfile;

/// What stands before a location in the field of the scope, and before a role.
const LOCATION: &str = "location:";
const ROLE: &str = "role:";

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
    /// The hash of the plan that was looked at.
    pub(in crate::gui) plan: String,
}

impl TypedRollout {
    /// What the address of a page says.
    pub(in crate::gui) fn asked(asked: &Asked) -> Self {
        let text = |name: &str| asked.get(name).to_owned();
        Self { version: text("version"), scope: text("scope"), profile: text("profile"), on_failed: text("on_failed"), plan: String::new() }
    }

    /// The address of its plan.
    pub(super) fn link(&self) -> String {
        let query = [("version", &self.version), ("scope", &self.scope), ("profile", &self.profile), ("on_failed", &self.on_failed)];
        link(super::plan::PATH, &query.map(|(name, value)| (name, value.as_str())))
    }

    pub(super) fn request(&self) -> Result<RolloutRequest, Problem> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let of = |mark: &str| self.scope.strip_prefix(mark).and_then(given);
        let (location, role) = (of(LOCATION), of(ROLE));
        if !self.scope.is_empty() && location.is_none() && role.is_none() {
            let problem = Problem::new(Reason::InvalidField, format!("{:?} is no part of a network", self.scope));
            return Err(problem.at("scope").next_step("choose the whole network, a location or a role"));
        }
        Ok(RolloutRequest {
            version: self.version.trim().to_owned(),
            location,
            role,
            profile: given(&self.profile),
            on_failed: given(&self.on_failed),
            ..RolloutRequest::default()
        })
    }
}

/// A choice of a field: what it sends, and its words.
pub(in crate::gui) type Choice = (String, String);

/// The form that leads to a plan.
pub(in crate::gui) struct PlanForm {
    pub(in crate::gui) typed: TypedRollout,
    locations: Vec<LocationName>,
}

impl PlanForm {
    pub(in crate::gui) fn new(app: &App, typed: TypedRollout) -> Self {
        Self { typed, locations: app.network().locations.keys().cloned().collect() }
    }

    #[cfg(test)]
    pub(in crate::gui) fn sample(typed: TypedRollout) -> Self {
        Self { typed, locations: vec!["lisbon".parse().expect("name")] }
    }

    /// Where it is sent.
    pub(in crate::gui) fn path(&self) -> &'static str {
        super::plan::PATH
    }

    /// Parts of the network; one that was asked for and is not there is none of them.
    pub(in crate::gui) fn scopes(&self) -> Vec<Choice> {
        let roles = [Role::Engine, Role::Router].map(|role| {
            let original = crate::gui::devices::original_name(&role);
            (format!("{ROLE}{role}"), format!("Every {role} ({original})"))
        });
        let locations = self.locations.iter().map(|name| (format!("{LOCATION}{name}"), format!("Location {name}")));
        roles.into_iter().chain(locations).collect()
    }

    /// The timers to choose from, with what they are.
    pub(in crate::gui) fn profiles(&self) -> Vec<Choice> {
        let words = |profile: RolloutProfile| {
            let [canary, wave, soak] = [profile.canary_bake_ms, profile.wave_bake_ms, profile.soak_ms].map(Span);
            let windows = if profile.any_time { ", outside maintenance windows too" } else { "" };
            let text = format!("{}: canaries are watched {canary}, each wave {wave}, the network {soak}{windows}", profile.name);
            (profile.name, text)
        };
        RolloutProfile::NAMES.into_iter().filter_map(RolloutProfile::named).map(words).collect()
    }

    /// What may follow a failed wave.
    pub(in crate::gui) fn consequences(&self) -> [(&'static str, &'static str); 3] {
        [
            ("rollback_wave", "The wave's devices go back, and the rollout pauses"),
            ("pause", "The rollout pauses"),
            ("rollback_all", "Everything goes back"),
        ]
    }

    /// The message at the field of the scope, which the API has two fields for.
    pub(in crate::gui) fn scope_error(&self, rejected: &Rejected) -> String {
        ["scope", "location", "role"].map(|field| rejected.at(field)).concat()
    }
}

/// Fields of the form, as problems name them.
pub(super) const FIELDS: [&str; 5] = ["scope", "location", "role", "profile", "on_failed"];
