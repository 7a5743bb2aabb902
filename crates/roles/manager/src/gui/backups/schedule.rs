//! When backups are made and where their copies go.

use super::{PATH, draw};
use crate::{
    app::App,
    backup,
    gui::{Form, Notice, Refused, Viewer, links::Asked, order::Order, redirect},
};
use axum::{Router, extract::State, response::Response, routing::post};
use serde::Deserialize;
use std::sync::Arc;
use weir_operator_api::{BackupSchedule, Problem, Reason};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/backups/schedule", post(set))
}

/// The form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    /// Empty: none are made by themselves.
    pub(super) every_hours: String,
    pub(super) keep: String,
    /// Engines that are ticked.
    pub(super) engine: Vec<String>,
    pub(super) url: String,
    pub(super) header: String,
    /// Never sent back; empty: as it was.
    pub(super) header_value: String,
}

impl From<&BackupSchedule> for Typed {
    fn from(schedule: &BackupSchedule) -> Self {
        Self {
            every_hours: schedule.every_hours.map(|hours| hours.to_string()).unwrap_or_default(),
            keep: schedule.keep.to_string(),
            engine: schedule.engines.clone(),
            url: schedule.url.clone().unwrap_or_default(),
            header: schedule.header.clone().unwrap_or_default(),
            header_value: String::new(),
        }
    }
}

impl Typed {
    pub(super) fn ticked(&self, engine: &str) -> bool {
        self.engine.iter().any(|e| e == engine)
    }

    pub(super) fn request(&self) -> Result<BackupSchedule, Problem> {
        let text = |typed: &str| Some(typed.trim().to_owned()).filter(|typed| !typed.is_empty());
        let whole = |field: &str, typed: &str| {
            let wrong = |_| Problem::new(Reason::InvalidField, format!("{:?} is not a whole number", typed.trim())).at(field);
            text(typed).map(|typed| typed.parse::<u32>().map_err(wrong)).transpose()
        };
        let missing = || Problem::new(Reason::MissingField, "how many backups are kept is not said").at("keep");
        Ok(BackupSchedule {
            every_hours: whole("every_hours", &self.every_hours)?,
            keep: whole("keep", &self.keep)?.ok_or_else(missing)?,
            engines: self.engine.clone(),
            url: text(&self.url),
            header: text(&self.header),
            header_value: Some(self.header_value.clone()).filter(|value| !value.is_empty()),
        })
    }
}

async fn set(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked, Form(typed): Form<Typed>) -> Result<Response, Refused> {
    let done = match typed.request() {
        Ok(schedule) => backup::set_schedule(&app, viewer.caller(), schedule).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => {
            viewer.tell(&app, Notice::done("When backups are made, and where they go, is saved."));
            Ok(redirect(PATH))
        }
        Err(problem) => draw(&app, &viewer, Order::read(&asked), Some(typed), problem.into()).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_a_schedule_and_a_wrong_number_is_named() {
        let typed = Typed {
            every_hours: " 24 ".into(),
            keep: "7".into(),
            engine: vec!["east-1".into()],
            url: "https://host.test/d/".into(),
            ..Typed::default()
        };
        let schedule = typed.request().expect("a schedule");
        assert_eq!((schedule.every_hours, schedule.keep, schedule.engines.len()), (Some(24), 7, 1));
        assert_eq!((schedule.header, schedule.header_value), (None, None));
        for (typed, field) in [
            (Typed { every_hours: "soon".into(), keep: "7".into(), ..Typed::default() }, "every_hours"),
            (Typed { keep: "-1".into(), ..Typed::default() }, "keep"),
            (Typed::default(), "keep"),
        ] {
            assert_eq!(typed.request().expect_err("refused").field.as_deref(), Some(field));
        }
    }
}
