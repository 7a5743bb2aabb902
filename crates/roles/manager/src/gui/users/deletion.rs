//! Deleting a user: a page of its own, on which their name is typed.

use crate::{
    app::App,
    domain::users,
    gui::{Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, html_with, redirect, rejected::Rejected},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use std::sync::Arc;
use weir_operator_api::{AccessRole, User};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/users/{name}/delete", get(ask).post(delete))
}

#[derive(Template)]
#[template(path = "user_delete.html")]
struct DeletionPage {
    page: Page,
    user: User,
    typed: String,
    rejected: Rejected,
}

async fn draw(app: &App, viewer: &Viewer, name: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    viewer.caller().access.everywhere(AccessRole::Admin)?;
    let user = users::shown(&users::find(app, name)?);
    let page = Page::new(app, viewer, Section::Users, format!("Delete {name}")).await;
    let status = rejected.status();
    Ok(html_with(status, &DeletionPage { page, user, typed, rejected }))
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    draw(&app, &viewer, &name, String::new(), Rejected::default()).await
}

async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<Confirmation>,
) -> Result<Response, Refused> {
    if let Err(problem) = typed.of(&name, "delete them") {
        return draw(&app, &viewer, &name, typed.name, problem.into()).await;
    }
    match users::delete(&app, viewer.caller(), &name).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("User {name} is deleted, and signed out everywhere.")));
            Ok(redirect("/users"))
        }
        Err(problem) => draw(&app, &viewer, &name, typed.name, problem.into()).await,
    }
}
