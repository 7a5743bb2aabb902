//! The Update Software tab: what the device runs, and the releases the network could go to.

use super::{Head, Tab, look, path_of};
use crate::{
    app::App,
    gui::{Page, Refused, Section, Viewer, html, links::Asked, update_software::Choices},
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
    Router::new().route("/devices/{name}/update-software", get(show))
}

#[derive(Template)]
#[template(path = "device/software.html")]
struct SoftwarePage {
    page: Page,
    head: Head,
    choices: Choices,
}

impl SoftwarePage {
    /// What it said it runs; empty when it has not reported.
    fn version(&self) -> &str {
        self.head.device.last_report.as_ref().map_or("", |r| &r.version)
    }

    /// Whether it runs another version than the primary.
    fn differs(&self) -> bool {
        !self.version().is_empty() && self.version() != self.choices.running.to_string()
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, asked: Asked) -> Result<Response, Refused> {
    let (_, head) = look(&app, &name, Tab::UpdateSoftware)?;
    let choices = Choices::read(&app, &format!("{}{}", path_of(&name), Tab::UpdateSoftware.path()), &asked);
    let page = Page::new(&app, &viewer, Section::Devices, format!("Update Software of {name}")).await;
    Ok(html(&SoftwarePage { page, head, choices }))
}
