//! The releases there are to choose from, as a page or a tab shows them.

use crate::{app::App, gui::links::link, software};
use std::cmp::{Ordering, Reverse};
use weir_model::{OwnReason, SoftwareState, Version};
use weir_operator_api::{Direction, SoftwareChoice, SoftwareFile, software::SoftwareReasonShown};

/// The releases, and the one that is looked at.
pub(in crate::gui) struct Choices {
    /// Where the form is sent.
    pub(in crate::gui) path: String,
    /// The version of the primary manager.
    pub(in crate::gui) running: Version,
    /// The newest first; those whose version is not known before them.
    pub(in crate::gui) rows: Vec<SoftwareChoice>,
    pub(in crate::gui) chosen: Option<Chosen>,
    /// They are one device's: there is no order of devices.
    pub(in crate::gui) of_device: bool,
}

/// The release that is looked at.
pub(in crate::gui) struct Chosen {
    pub(in crate::gui) choice: SoftwareChoice,
    /// Its software file.
    pub(in crate::gui) file: SoftwareFile,
}

impl Choices {
    /// The choices for a page at `path`, and the one of this number.
    pub(in crate::gui) fn read(app: &App, path: &str, file: Option<i64>) -> Self {
        let choices = software::choices(app);
        let mut rows = choices.choices;
        rows.sort_by_key(|choice| (choice.version.is_some(), Reverse((choice.version, choice.id))));
        let named = file.and_then(|id| rows.iter().find(|choice| choice.id == id).cloned());
        // A file that was deleted in between is none.
        let chosen = named.and_then(|choice| software::show(app, choice.id).ok().map(|file| Chosen { choice, file }));
        Self { path: path.to_owned(), running: choices.running, rows, chosen, of_device: false }
    }

    /// The same for a device that runs `running`; nothing: it has not said what.
    pub(in crate::gui) fn read_for(app: &App, path: &str, file: Option<i64>, running: Option<Version>) -> Self {
        let mut choices = Self::read(app, path, file);
        choices.of_device = true;
        let all = choices.rows.iter_mut().chain(choices.chosen.as_mut().map(|chosen| &mut chosen.choice));
        all.for_each(|choice| seen_from(choice, running));
        choices
    }

    /// Number of the file that is looked at; empty when none is.
    pub(in crate::gui) fn file(&self) -> String {
        self.chosen.as_ref().map(|c| c.choice.id.to_string()).unwrap_or_default()
    }

    /// The address of what is shown.
    pub(in crate::gui) fn here(&self) -> String {
        link(&self.path, &[("file", &self.file())])
    }

    pub(in crate::gui) fn is_chosen(&self, id: &i64) -> bool {
        self.chosen.as_ref().is_some_and(|c| c.choice.id == *id)
    }

    /// Whether it may be chosen, at least for a single device.
    pub(in crate::gui) fn offers(&self, choice: &SoftwareChoice) -> bool {
        choice.selectable || (!self.of_device && is_own_version(choice))
    }

    /// Whether any may be chosen.
    pub(in crate::gui) fn any_offered(&self) -> bool {
        self.rows.iter().any(|choice| self.offers(choice))
    }

    /// Whether what is looked at can be assigned to devices.
    pub(in crate::gui) fn takes_devices(&self) -> bool {
        self.chosen.as_ref().is_some_and(|c| c.file.state == SoftwareState::Ready && self.offers(&c.choice))
    }
}

fn is(choice: &SoftwareChoice, reason: OwnReason) -> bool {
    choice.reason.as_ref().is_some_and(|shown| shown.reason == reason.into())
}

/// What the primary runs: nothing to go to for the network, and the way back for a device that is on another version.
fn is_own_version(choice: &SoftwareChoice) -> bool {
    is(choice, OwnReason::SameVersion)
}

/// The row as a device sees it: up and down are told from what it runs itself; whether it may is judged by the preview.
fn seen_from(choice: &mut SoftwareChoice, running: Option<Version>) {
    let ready = choice.selectable || is_own_version(choice) || is(choice, OwnReason::NoPath);
    // The lines are those from the primary's.
    choice.path.clear();
    choice.direction = None;
    let (Some(running), Some(version)) = (running, choice.version) else { return };
    let way = match version.cmp(&running) {
        Ordering::Greater => Direction::Upgrade,
        Ordering::Less => Direction::Downgrade,
        Ordering::Equal => Direction::Same,
    };
    choice.direction = Some(way);
    if ready {
        choice.selectable = way != Direction::Same;
        choice.reason = (way == Direction::Same).then(|| SoftwareReasonShown {
            reason: OwnReason::SameVersion.into(),
            detail: format!("{running} is what it runs"),
            next: "choose another release".into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(version: &str, reason: Option<OwnReason>) -> SoftwareChoice {
        let shown = |reason: OwnReason| SoftwareReasonShown { reason: reason.into(), detail: "why".into(), next: "what".into() };
        SoftwareChoice {
            id: 1,
            name: "a.weir".into(),
            version: Some(version.parse().expect("version")),
            direction: Some(Direction::Upgrade),
            path: vec!["1.0".parse().expect("line")],
            selectable: reason.is_none(),
            reason: reason.map(shown),
        }
    }

    #[test]
    fn a_device_goes_up_and_down_from_what_it_runs_itself() {
        let version = |text: &str| Some(text.parse::<Version>().expect("version"));
        for (file, reason, runs, direction, selectable) in [
            ("1.1.0-b1", None, version("1.0.0-b1"), Some(Direction::Upgrade), true),
            ("1.1.0-b1", None, version("1.1.0-b1"), Some(Direction::Same), false),
            ("1.0.0-b1", Some(OwnReason::SameVersion), version("1.1.0-b1"), Some(Direction::Downgrade), true),
            ("1.2.0-b1", Some(OwnReason::NoPath), version("1.1.0-b1"), Some(Direction::Upgrade), true),
            ("1.1.0-b1", Some(OwnReason::Validating), version("1.0.0-b1"), Some(Direction::Upgrade), false),
            ("1.1.0-b1", None, None, None, true),
        ] {
            let mut row = choice(file, reason);
            seen_from(&mut row, runs);
            assert_eq!((row.direction, row.selectable), (direction, selectable), "{file} {reason:?} {runs:?}");
            assert_eq!(row.reason.is_none(), row.selectable, "{file} {reason:?} {runs:?}");
        }
    }

    #[test]
    fn the_networks_own_version_is_the_way_back_for_a_device() {
        let rows = vec![choice("1.0.0-b1", Some(OwnReason::SameVersion)), choice("1.1.0-b1", Some(OwnReason::Validating))];
        let running = "1.0.0-b1".parse().expect("version");
        let mut choices = Choices { path: "/x".into(), running, rows, chosen: None, of_device: false };
        assert_eq!(choices.rows.iter().map(|row| choices.offers(row)).collect::<Vec<_>>(), [true, false]);
        choices.of_device = true;
        assert!(!choices.any_offered(), "a device that runs it has nothing to go to");
    }
}
