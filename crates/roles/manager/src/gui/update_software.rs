//! Update Software: the releases the network could go to, and what choosing one would mean.

use super::{
    Page, Refused, Section, Viewer, html,
    links::{Asked, link},
};
use crate::{app::App, software};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use std::{cmp::Reverse, sync::Arc};
use weir_model::Version;
use weir_operator_api::{Direction, SoftwareChoice, SoftwareFile};

const PATH: &str = "/update-software";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show))
}

/// The releases there are to choose from, as a page or a tab shows them.
pub(super) struct Choices {
    /// Where the form is sent.
    pub(super) path: String,
    /// The version of the primary manager.
    pub(super) running: Version,
    /// The newest first; those whose version is not known before them.
    pub(super) rows: Vec<SoftwareChoice>,
    pub(super) chosen: Option<Chosen>,
}

/// The release that is looked at.
pub(super) struct Chosen {
    pub(super) choice: SoftwareChoice,
    /// Its software file.
    pub(super) file: SoftwareFile,
}

impl Choices {
    /// The choices for a page at `path`, and the one its address names.
    pub(super) fn read(app: &App, path: &str, asked: &Asked) -> Self {
        let choices = software::choices(app);
        let mut rows = choices.choices;
        rows.sort_by_key(|choice| (choice.version.is_some(), Reverse((choice.version, choice.id))));
        let named = asked.read::<i64>("file").and_then(|id| rows.iter().find(|choice| choice.id == id).cloned());
        // A file that was deleted in between is none.
        let chosen = named.and_then(|choice| software::show(app, choice.id).ok().map(|file| Chosen { choice, file }));
        Self { path: path.to_owned(), running: choices.running, rows, chosen }
    }

    /// The address of what is shown.
    pub(super) fn here(&self) -> String {
        let id = self.chosen.as_ref().map(|c| c.choice.id.to_string()).unwrap_or_default();
        link(&self.path, &[("file", &id)])
    }

    pub(super) fn is_chosen(&self, id: &i64) -> bool {
        self.chosen.as_ref().is_some_and(|c| c.choice.id == *id)
    }

    /// Whether any may be chosen.
    pub(super) fn any_selectable(&self) -> bool {
        self.rows.iter().any(|choice| choice.selectable)
    }
}

/// In which order devices would go, in words; empty when none would.
pub(super) fn sequence(way: &Direction) -> &'static str {
    match way {
        Direction::Upgrade => "Engines and routers first, each behind Server Offload; then the standby manager; the primary last.",
        Direction::Downgrade => "From these pages the standby manager first, then the primary; then routers; engines last.",
        Direction::Same => "",
    }
}

#[derive(Template)]
#[template(path = "update_software.html")]
struct UpdatePage {
    page: Page,
    choices: Choices,
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let page = Page::new(&app, &viewer, Section::UpdateSoftware, "Update Software").await;
    Ok(html(&UpdatePage { page, choices: Choices::read(&app, PATH, &asked) }))
}
