//! The rollout board: how the rollout there is, or was last, stands; what may be said to it; its waves and a lane for each device.
//! The plan of one, before it is started.

mod asking;
mod board;
mod form;
mod freeze;
mod lane;
mod lanes;
mod managers;
mod phases;
mod plan;
mod saying;
mod typed;
mod verbs;

pub(super) use form::PlanForm;
pub(super) use typed::TypedRollout;

use super::{Page, Section, Viewer, html_with, links::Asked, rejected::Rejected};
use crate::{app::App, rollout};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use board::{Board, kind, wave_badge};
use lanes::{Column, Lanes, View};
use std::sync::Arc;
use weir_model::Version;
use weir_operator_api::{Direction, Reason, Rollout};

const PATH: &str = "/rollout";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show)).merge(plan::routes()).merge(saying::routes())
}

/// A rollout in one phrase: `Upgrade of location lisbon to 1.1.0-b1`.
fn title(direction: Direction, scope: &str, versions: &[Version]) -> String {
    let to = versions.last().map(|target| format!(" to {target}")).unwrap_or_default();
    format!("{} of {scope}{to}", noun(direction))
}

/// What it is called by its direction, with a large letter.
fn noun(direction: Direction) -> &'static str {
    match direction {
        Direction::Upgrade => "Upgrade",
        Direction::Downgrade => "Downgrade",
        Direction::Same => "Update",
    }
}

/// Versions as a way.
fn way(versions: &[Version]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
}

/// What other pages say of a rollout that is not over.
pub(super) struct UnderWay {
    pub(super) title: String,
    /// How it stands, without a full stop.
    pub(super) text: String,
    /// The class of its notice.
    pub(super) class: &'static str,
}

impl UnderWay {
    pub(super) fn read(app: &App) -> Option<Self> {
        rollout::show(app).ok().filter(|rollout| !rollout.over).map(|rollout| Self::of(&rollout))
    }

    fn of(rollout: &Rollout) -> Self {
        let Rollout { status, done, devices, .. } = rollout;
        let why = rollout.paused.as_ref().map(|paused| format!(": {}", paused.text)).unwrap_or_default();
        Self {
            title: title(rollout.direction, &rollout.scope, &rollout.versions),
            text: format!(
                "{status}{why}; {done} of {devices} devices done{}",
                if rollout.frozen { "; the configuration is frozen" } else { "" }
            ),
            class: if why.is_empty() { "info" } else { "warn" },
        }
    }
}

#[derive(Template)]
#[template(path = "rollout.html")]
struct BoardPage {
    page: Page,
    /// Nothing: there never was a rollout.
    board: Option<Board>,
    lanes: Lanes,
    /// Why, as it was typed for what was refused.
    why: String,
    rejected: Rejected,
}

impl BoardPage {
    fn columns(&self) -> &'static [Column] {
        Column::all()
    }

    /// The address of this view.
    fn here(&self) -> String {
        self.lanes.view.at(PATH)
    }
}

/// The board; after a form that was refused, with what it said.
async fn draw(app: &Arc<App>, viewer: &Viewer, view: View, why: String, rejected: Rejected) -> Response {
    let shown = rollout::show(app);
    let (shown, rejected) = match shown {
        Ok(rollout) => (Some(rollout), rejected),
        Err(problem) if problem.reason == Reason::NoRollout => (None, rejected),
        Err(problem) => (None, problem.into()),
    };
    let lanes = Lanes::of(shown.as_ref(), view);
    let board = shown.map(|rollout| Board::new(rollout, weir_clock::wall_ms()));
    let page = Page::new(app, viewer, Section::Rollout, "Rollout").await;
    let status = rejected.status();
    html_with(status, &BoardPage { page, board, lanes, why, rejected })
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Response {
    draw(&app, &viewer, View::read(&asked), String::new(), Rejected::default()).await
}

#[cfg(test)]
mod tests;
