//! Registering a software file by URL.

use super::{path_of, shown::METHODS, typed::Typed};
use crate::{
    app::App,
    gui::{Form, Notice, Page, Refused, Section, Viewer, html_with, redirect, rejected::Rejected},
    software,
};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    // Outside `/software-files/`, where everything is a number.
    Router::new().route("/new/software-file", get(blank).post(create))
}

#[derive(Template)]
#[template(path = "software_file_url.html")]
struct UrlPage {
    page: Page,
    typed: Typed,
    rejected: Rejected,
}

impl UrlPage {
    /// Whether credentials were typed, or something is wrong with them: then their fields are open.
    fn has_credentials(&self) -> bool {
        let wrong = ["username", "password", "header", "header_value"].iter().any(|field| !self.rejected.at(field).is_empty());
        wrong || !self.typed.username.is_empty() || !self.typed.header.is_empty()
    }
}

async fn draw(app: &App, viewer: &Viewer, typed: Typed, rejected: Rejected) -> Response {
    let page = Page::new(app, viewer, Section::SoftwareFiles, "Register a software file").await;
    html_with(rejected.status(), &UrlPage { page, typed, rejected })
}

async fn blank(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Refused> {
    Ok(draw(&app, &viewer, Typed::blank(), Rejected::default()).await)
}

async fn create(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<Typed>) -> Result<Response, Refused> {
    let done = match typed.of_url() {
        Ok(request) => software::register(&app, viewer.caller(), request).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(file) => {
            viewer.tell(&app, Notice::done(format!("Software file {} is registered; its checks have begun.", file.id)));
            Ok(redirect(&path_of(file.id)))
        }
        Err(problem) => Ok(draw(&app, &viewer, typed, problem.into()).await),
    }
}
