//! Which device is to become what was chosen, how, and what that would do.

use crate::{
    app::App,
    gui::{devices::original_name, links::Asked},
    snapshot::DeviceRecord,
    updates,
};
use serde::Deserialize;
use std::sync::Arc;
use weir_model::Role;
use weir_operator_api::{DeviceUpdateRequest, Direction, Problem, Reason, UpdatePreview};

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::gui) struct TypedUpdate {
    /// Number of the software file.
    pub(in crate::gui) file: String,
    pub(in crate::gui) device: String,
    /// `on`, `off`, or empty: as the software file says.
    pub(in crate::gui) reload: String,
    pub(in crate::gui) hand_over: bool,
    #[serde(rename = "override")]
    pub(in crate::gui) overrides: bool,
}

impl TypedUpdate {
    /// What the address of a page says.
    pub(in crate::gui) fn asked(asked: &Asked) -> Self {
        Self {
            file: asked.get("file").to_owned(),
            device: asked.get("device").to_owned(),
            reload: asked.get("reload").to_owned(),
            hand_over: asked.get("hand_over") == "on",
            overrides: false,
        }
    }

    /// The software file, if it is a number.
    pub(in crate::gui) fn file(&self) -> Option<i64> {
        self.file.trim().parse().ok()
    }

    /// The device, and what it is asked to become.
    pub(in crate::gui) fn request(&self) -> Result<(String, DeviceUpdateRequest), Problem> {
        let missing = |field: &str, detail: &str| Problem::new(Reason::MissingField, detail).at(field);
        let file = self.file().ok_or_else(|| missing("file", "no release is chosen").next_step("choose one of the releases"))?;
        let device = self.device.trim();
        if device.is_empty() {
            return Err(missing("device", "no device is chosen").next_step("choose a router or an engine"));
        }
        let auto_reload = match self.reload.as_str() {
            "" => None,
            "on" => Some(true),
            "off" => Some(false),
            other => return Err(Problem::new(Reason::InvalidField, format!("{other:?} is not on or off")).at("reload")),
        };
        let request =
            DeviceUpdateRequest { version: None, file: Some(file), auto_reload, hand_over: self.hand_over, overrides: self.overrides };
        Ok((device.to_owned(), request))
    }
}

/// A device of the list.
pub(in crate::gui) struct Candidate {
    pub(in crate::gui) name: String,
    role: Role,
    location: String,
    /// Empty: it has not reported.
    running: String,
}

impl Candidate {
    fn new(app: &App, record: &DeviceRecord) -> Self {
        let running = app.reports.with_all(|heard| heard.get(&record.name).map(|h| h.report.hello.version.clone()));
        Self {
            name: record.name.to_string(),
            role: record.role,
            location: record.location.as_ref().map(ToString::to_string).unwrap_or_default(),
            running: running.unwrap_or_default(),
        }
    }

    /// Managers are in the list, and cannot be chosen.
    pub(in crate::gui) fn is_manager(&self) -> bool {
        self.role == Role::Manager
    }

    /// What it is, where, and what it runs.
    pub(in crate::gui) fn text(&self) -> String {
        let place = if self.location.is_empty() { String::new() } else { format!(" in {}", self.location) };
        let runs = if self.running.is_empty() { "has not reported".to_owned() } else { format!("runs {}", self.running) };
        let managers = if self.is_manager() { "; updated with its pair" } else { "" };
        format!("{}: {}{place}, {runs}{managers}", self.name, original_name(&self.role))
    }
}

/// A device that is to become what was chosen.
pub(in crate::gui) struct Scope {
    pub(in crate::gui) typed: TypedUpdate,
    /// The devices there are; empty on a device's own page.
    pub(in crate::gui) candidates: Vec<Candidate>,
    /// What it would do; nothing before a device is chosen.
    pub(in crate::gui) preview: Option<UpdatePreview>,
    /// Why there is no preview.
    pub(in crate::gui) preview_refused: Option<Problem>,
}

impl Scope {
    /// A device of the network.
    pub(in crate::gui) async fn of_network(app: &Arc<App>, typed: TypedUpdate) -> Self {
        let network = app.network();
        let mut candidates: Vec<Candidate> = network.devices.values().map(|record| Candidate::new(app, record)).collect();
        candidates.sort_by_key(Candidate::is_manager);
        Self { candidates, ..Self::of_device(app, typed).await }
    }

    /// The device of a page of its own.
    pub(in crate::gui) async fn of_device(app: &Arc<App>, typed: TypedUpdate) -> Self {
        let (preview, preview_refused) = match typed.request() {
            _ if typed.device.is_empty() => (None, None),
            Ok((device, request)) => match updates::preview(app, &device, &request).await {
                Ok(preview) => (Some(preview), None),
                Err(problem) => (None, Some(problem)),
            },
            Err(problem) => (None, Some(problem)),
        };
        Self { typed, candidates: Vec::new(), preview, preview_refused }
    }

    /// Whether there is a list to choose from.
    pub(in crate::gui) fn asks_device(&self) -> bool {
        !self.candidates.is_empty()
    }

    pub(in crate::gui) fn any_candidate(&self) -> bool {
        self.candidates.iter().any(|candidate| !candidate.is_manager())
    }

    pub(in crate::gui) fn is_device(&self, candidate: &Candidate) -> bool {
        self.typed.device == candidate.name
    }

    /// Whether the guard would refuse its offload: only then the box to override it is there.
    pub(in crate::gui) fn guarded(&self, refusal: &str) -> bool {
        let refused = [Reason::OffloadGuard, Reason::TooEarly].iter().any(|reason| reason.as_str() == refusal);
        refused || self.typed.overrides || self.preview.as_ref().is_some_and(|preview| !preview.breaks.is_empty())
    }

    /// The verb of the button.
    pub(in crate::gui) fn verb(&self) -> &'static str {
        match self.preview.as_ref().and_then(|preview| preview.direction) {
            Some(Direction::Upgrade) => "Upgrade",
            Some(Direction::Downgrade) => "Downgrade",
            Some(Direction::Same) | None => "Update",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(file: &str, device: &str, reload: &str) -> TypedUpdate {
        TypedUpdate { file: file.into(), device: device.into(), reload: reload.into(), hand_over: true, overrides: false }
    }

    #[test]
    fn what_is_typed_becomes_a_request_or_a_message_at_its_field() {
        let (device, request) = typed("3", " east-1 ", "off").request().expect("whole");
        assert_eq!((device.as_str(), request.file, request.auto_reload, request.hand_over), ("east-1", Some(3), Some(false), true));
        assert_eq!(typed("3", "east-1", "").request().expect("whole").1.auto_reload, None);
        for (file, device, reload, field) in
            [("", "e", "", "file"), ("x", "e", "", "file"), ("3", " ", "", "device"), ("3", "e", "yes", "reload")]
        {
            assert_eq!(typed(file, device, reload).request().unwrap_err().field.as_deref(), Some(field), "{file:?} {device:?} {reload:?}");
        }
    }

    impl Candidate {
        pub(in crate::gui::update_software) fn sample(name: &str, role: Role) -> Self {
            Self { name: name.into(), role, location: "east".into(), running: "1.0.0-b1".into() }
        }
    }

    #[test]
    fn a_device_says_what_it_is_and_a_manager_why_not() {
        let candidate =
            |role, location: &str, running: &str| Candidate { name: "x".into(), role, location: location.into(), running: running.into() };
        assert_eq!(candidate(Role::Engine, "east", "1.0.0-b1").text(), "x: Service Engine in east, runs 1.0.0-b1");
        let manager = candidate(Role::Manager, "", "");
        assert!(manager.is_manager() && manager.text().ends_with("has not reported; updated with its pair"), "{}", manager.text());
    }
}
