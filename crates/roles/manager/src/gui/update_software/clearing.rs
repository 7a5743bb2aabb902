//! Clearing what is burned on a device: a page of its own, on which its name is typed.

use super::Lane;
use crate::{
    app::App,
    gui::{Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, html_with, redirect, rejected::Rejected},
    updates,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}/update-software/clear-burned", get(ask).post(clear))
}

#[derive(Template)]
#[template(path = "update_clear_burned.html")]
struct ClearingPage {
    page: Page,
    lane: Lane,
    typed: String,
    rejected: Rejected,
}

async fn draw(app: &App, viewer: &Viewer, name: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    let lane = Lane::new(updates::show(app, name)?);
    let page = Page::new(app, viewer, Section::UpdateSoftware, format!("Clear what is burned on {name}")).await;
    let status = rejected.status();
    Ok(html_with(status, &ClearingPage { page, lane, typed, rejected }))
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    draw(&app, &viewer, &name, String::new(), Rejected::default()).await
}

async fn clear(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<Confirmation>,
) -> Result<Response, Refused> {
    if let Err(problem) = typed.of(&name, "clear it") {
        return draw(&app, &viewer, &name, typed.name, problem.into()).await;
    }
    match updates::clear_burned(&app, viewer.caller(), name.clone()).await {
        Ok(update) => {
            let device = update.device;
            viewer.tell(&app, Notice::done(format!("What fell back on {device} may be tried again, from its next contact on.")));
            Ok(redirect(&format!("/devices/{device}/update-software")))
        }
        Err(problem) => draw(&app, &viewer, &name, typed.name, problem.into()).await,
    }
}
