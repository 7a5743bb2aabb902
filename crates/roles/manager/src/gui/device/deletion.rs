//! Deleting a device: a page of its own, on which its name is typed.

use super::{Head, Tab, look};
use crate::{
    app::App,
    gui::{Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, html_with, redirect, rejected::Rejected},
    verbs,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use std::sync::Arc;
use weir_operator_api::{Reason, device::Removal};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}/delete", get(ask).post(delete))
}

#[derive(Template)]
#[template(path = "device/delete.html")]
struct DeletionPage {
    page: Page,
    head: Head,
    typed: String,
    rejected: Rejected,
}

impl DeletionPage {
    /// Whether the capacity guard has refused: only then the box to override it is there.
    fn guarded(&self) -> bool {
        [Reason::OffloadGuard, Reason::TooEarly].iter().any(|r| r.as_str() == self.rejected.reason())
    }
}

async fn draw(app: &App, viewer: &Viewer, name: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    let (_, head) = look(app, name, Tab::Overview)?;
    let page = Page::new(app, viewer, Section::Devices, format!("Delete {name}")).await;
    let status = rejected.status();
    Ok(html_with(status, &DeletionPage { page, head, typed, rejected }))
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
    if let Err(problem) = typed.of(&name, "delete it") {
        return draw(&app, &viewer, &name, typed.name, problem.into()).await;
    }
    match verbs::delete_device(&app, viewer.caller(), name.clone(), Removal { overrides: typed.overrides }).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("Device {name} is deleted; its certificate is worth nothing from now on.")));
            Ok(redirect("/devices"))
        }
        Err(problem) => draw(&app, &viewer, &name, typed.name, problem.into()).await,
    }
}
