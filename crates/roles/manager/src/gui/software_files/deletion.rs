//! Deleting a software file: a page of its own, on which its version is typed.

use super::{number, path_of, shown::Listed};
use crate::{
    app::App,
    gui::{Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, html_with, redirect, rejected::Rejected},
    software,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use std::sync::Arc;
use weir_operator_api::{Reason, SoftwareRemoval};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/software-files/{id}/delete", get(ask).post(delete))
}

#[derive(Template)]
#[template(path = "software_file_delete.html")]
struct DeletionPage {
    page: Page,
    shown: Listed,
    typed: String,
    rejected: Rejected,
}

impl DeletionPage {
    fn path(&self) -> String {
        path_of(self.shown.file.id)
    }

    /// What is asked for, in words.
    fn label(&self) -> String {
        let what = if self.shown.version().is_some() { "version" } else { "number" };
        format!("Type its {what}, {}, to delete it", self.shown.token())
    }

    /// Whether the guard has refused: only then the box to override it is there.
    fn guarded(&self) -> bool {
        self.rejected.reason() == Reason::SoftwareInUse.as_str()
    }
}

async fn draw(app: &App, viewer: &Viewer, id: i64, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    let shown = Listed::new(software::show(app, id)?);
    let page = Page::new(app, viewer, Section::SoftwareFiles, format!("Delete software file {id}")).await;
    let status = rejected.status();
    Ok(html_with(status, &DeletionPage { page, shown, typed, rejected }))
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer, Path(id): Path<String>) -> Result<Response, Refused> {
    draw(&app, &viewer, number(&id)?, String::new(), Rejected::default()).await
}

async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(typed): Form<Confirmation>,
) -> Result<Response, Refused> {
    let id = number(&id)?;
    let token = Listed::new(software::show(&app, id)?).token();
    if let Err(problem) = typed.of(&token, "delete it") {
        return draw(&app, &viewer, id, typed.name, problem.into()).await;
    }
    match software::delete(&app, viewer.caller(), id, SoftwareRemoval { overrides: typed.overrides }).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("Software file {id} ({token}) is deleted.")));
            Ok(redirect("/software-files"))
        }
        Err(problem) => draw(&app, &viewer, id, typed.name, problem.into()).await,
    }
}
