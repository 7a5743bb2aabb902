//! Making and deleting an API token.

use super::{Sent, draw, typed::TypedApi};
use crate::{
    app::App,
    domain::{fields, tokens},
    gui::{Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, html_with, redirect, rejected::Rejected},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use std::sync::Arc;
use weir_operator_api::{AccessRole, ApiToken};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/tokens/api", post(create)).route("/tokens/api/{id}/delete", get(ask).post(delete))
}

async fn create(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<TypedApi>) -> Result<Response, Refused> {
    let made = match typed.request() {
        Ok(request) => app.change(viewer.caller(), move |change| tokens::create_api(change, &request)).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => {
            viewer.tell(&app, Notice::done(format!("API token {} is made:", made.record.name)).once(made.token));
            Ok(redirect("/tokens"))
        }
        Err(problem) => draw(&app, &viewer, Sent { api: typed, api_rejected: problem.into(), ..Sent::default() }).await,
    }
}

#[derive(Template)]
#[template(path = "token_delete.html")]
struct DeletionPage {
    page: Page,
    token: ApiToken,
    typed: String,
    rejected: Rejected,
}

async fn draw_deletion(app: &App, viewer: &Viewer, id: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    viewer.caller().access.everywhere(AccessRole::Admin)?;
    let token = app.api_tokens().iter().find(|kept| kept.record.id == id).map(|kept| kept.record.clone());
    let token = token.ok_or_else(|| fields::absent("API token", id))?;
    let page = Page::new(app, viewer, Section::Tokens, format!("Delete API token {}", token.name)).await;
    let status = rejected.status();
    Ok(html_with(status, &DeletionPage { page, token, typed, rejected }))
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer, Path(id): Path<String>) -> Result<Response, Refused> {
    draw_deletion(&app, &viewer, &id, String::new(), Rejected::default()).await
}

async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(typed): Form<Confirmation>,
) -> Result<Response, Refused> {
    let known = app.api_tokens().iter().find(|kept| kept.record.id == id).map(|kept| kept.record.name.clone());
    let name = known.ok_or_else(|| fields::absent("API token", &id))?;
    if let Err(problem) = typed.of(&name, "delete it") {
        return draw_deletion(&app, &viewer, &id, typed.name, problem.into()).await;
    }
    let token = id.clone();
    match app.change(viewer.caller(), move |change| tokens::delete_api(change, &token)).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("API token {name} is deleted: it is refused from now on.")));
            Ok(redirect("/tokens"))
        }
        Err(problem) => draw_deletion(&app, &viewer, &id, typed.name, problem.into()).await,
    }
}
