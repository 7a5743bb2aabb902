//! One backup: what it holds, what its rehearsal found, where its copies are, and what can be done with it.

use super::{PATH, asked, shown::Listed};
use crate::{
    api,
    app::App,
    backup,
    gui::{
        Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, figures::Count, html_with, redirect, rejected::Rejected,
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::IgnoredAny};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        // What is below `/backups/` is for administrators.
        .route("/backup/{name}", get(show))
        .route("/backup/{name}/rehearse", post(rehearse))
        .route("/backups/{name}/file", get(file))
        .route("/backups/{name}/confirm", post(confirm))
        .route("/backups/{name}/delete", get(ask).post(delete))
}

/// Where the page of a backup is.
pub(super) fn path_of(name: &str) -> String {
    format!("/backup/{name}")
}

#[derive(Template)]
#[template(path = "backup.html")]
struct BackupPage {
    page: Page,
    shown: Listed,
    /// The hash that was typed.
    typed: String,
    rejected: Rejected,
}

impl BackupPage {
    fn exact(&self, bytes: &u64) -> Count {
        Count(*bytes)
    }
}

async fn draw(app: &Arc<App>, viewer: &Viewer, name: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    let shown = Listed::new(asked::one(app, name).await?);
    let page = Page::new(app, viewer, Section::Backups, name.to_owned()).await;
    let status = rejected.status();
    Ok(html_with(status, &BackupPage { page, shown, typed, rejected }))
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    draw(&app, &viewer, &name, String::new(), Rejected::default()).await
}

/// The same answer as the operator API gives: whole or in part, so that a download may go on after a break.
async fn file(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, headers: HeaderMap) -> Response {
    api::backup_file(&app, viewer.caller(), &name, &headers).await.into_response()
}

/// The form that confirms a download.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Hash {
    sha256: String,
}

async fn confirm(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<Hash>,
) -> Result<Response, Refused> {
    match backup::confirm(&app, viewer.caller(), &name, typed.sha256.trim()).await {
        Ok(_) => {
            viewer.tell(&app, Notice::done("The copy you took is the same: it counts as one that is elsewhere."));
            Ok(redirect(&path_of(&name)))
        }
        Err(problem) => draw(&app, &viewer, &name, typed.sha256, problem.into()).await,
    }
}

async fn rehearse(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(_): Form<IgnoredAny>,
) -> Result<Response, Refused> {
    match backup::rehearse(&app, viewer.caller(), &name).await {
        Ok(backup) if backup.rehearsed.as_ref().is_some_and(|rehearsed| rehearsed.passed) => {
            viewer.tell(&app, Notice::done("Its rehearsal passed."))
        }
        Ok(_) => viewer.tell(&app, Notice::refused("Its rehearsal failed: the checks say where.")),
        Err(problem) => return draw(&app, &viewer, &name, String::new(), problem.into()).await,
    }
    Ok(redirect(&path_of(&name)))
}

#[derive(Template)]
#[template(path = "backup_delete.html")]
struct DeletionPage {
    page: Page,
    shown: Listed,
    typed: String,
    rejected: Rejected,
}

async fn draw_deletion(app: &Arc<App>, viewer: &Viewer, name: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    let shown = Listed::new(asked::one(app, name).await?);
    let page = Page::new(app, viewer, Section::Backups, format!("Delete {name}")).await;
    let status = rejected.status();
    Ok(html_with(status, &DeletionPage { page, shown, typed, rejected }))
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    draw_deletion(&app, &viewer, &name, String::new(), Rejected::default()).await
}

async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<Confirmation>,
) -> Result<Response, Refused> {
    if let Err(problem) = typed.of(&name, "delete it") {
        return draw_deletion(&app, &viewer, &name, typed.name, problem.into()).await;
    }
    match backup::delete(&app, viewer.caller(), &name).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("{name} is deleted from this box; copies elsewhere stay.")));
            Ok(redirect(PATH))
        }
        Err(problem) => draw_deletion(&app, &viewer, &name, typed.name, problem.into()).await,
    }
}
