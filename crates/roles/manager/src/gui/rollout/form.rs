//! The form that leads to a plan.

use super::typed::{LOCATION, ROLE, TypedRollout};
use crate::{
    app::App,
    gui::{figures::Span, rejected::Rejected},
    pair,
};
use weir_model::{LocationName, Role, Version};
use weir_operator_api::Direction;
use weir_rollout::plan::RolloutProfile;

/// A choice of a field: what it sends, and its words.
pub(in crate::gui) type Choice = (String, String);

/// The form that leads to a plan.
pub(in crate::gui) struct PlanForm {
    pub(in crate::gui) typed: TypedRollout,
    locations: Vec<LocationName>,
    /// What the version is for the primary manager; nothing where it is no version.
    direction: Option<Direction>,
    /// Whether there is a standby manager on record.
    has_standby: bool,
}

impl PlanForm {
    pub(in crate::gui) fn new(app: &App, typed: TypedRollout) -> Self {
        let network = app.network();
        Self {
            direction: direction(&typed.version, weir_model::version()),
            has_standby: pair::on_record(&network, &app.name).is_some(),
            locations: network.locations.keys().cloned().collect(),
            typed,
        }
    }

    #[cfg(test)]
    pub(in crate::gui) fn sample(typed: TypedRollout, running: &str, has_standby: bool) -> Self {
        Self { direction: direction(&typed.version, running), locations: vec!["lisbon".parse().expect("name")], typed, has_standby }
    }

    /// Where it is sent.
    pub(in crate::gui) fn path(&self) -> &'static str {
        super::plan::PATH
    }

    /// Which way the network would go, and in which order.
    pub(in crate::gui) fn way(&self) -> String {
        let order = self.direction.as_ref().map_or("", crate::gui::update_software::sequence);
        match &self.direction {
            Some(Direction::Same) | None => "The primary manager runs this version: devices that do not are brought to it.".to_owned(),
            Some(way) => format!("{} to {}. {order}", super::noun(*way), self.typed.version),
        }
    }

    /// Whether objects may have to be parked.
    pub(in crate::gui) fn goes_down(&self) -> bool {
        self.direction == Some(Direction::Downgrade)
    }

    /// Whether the operator must say that there is no standby; also one who has said it.
    pub(in crate::gui) fn lacks_standby(&self) -> bool {
        !self.has_standby
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

    /// Whether what most leave as it is is shown.
    pub(in crate::gui) fn shows_more(&self, rejected: &Rejected) -> bool {
        let refused = ["events", "during_event", "no_backup", "no_standby", "parking"].iter().any(|field| !rejected.at(field).is_empty());
        refused || self.typed.is_particular()
    }
}

/// What a version is for a manager that runs another.
fn direction(version: &str, running: &str) -> Option<Direction> {
    let (version, running): (Version, Version) = (version.parse().ok()?, running.parse().ok()?);
    Some(match version.cmp(&running) {
        std::cmp::Ordering::Greater => Direction::Upgrade,
        std::cmp::Ordering::Less => Direction::Downgrade,
        std::cmp::Ordering::Equal => Direction::Same,
    })
}
