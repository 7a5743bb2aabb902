//! The Alarms tab: those of this device that stand, and those that ended.

use super::{Head, Tab, look, path_of};
use crate::{
    app::App,
    gui::{
        Form, Page, Refused, Section, Viewer,
        alarms::{Shown, ended, standing, take_on},
        html, redirect,
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::de::IgnoredAny;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}/alarms", get(show)).route("/devices/{name}/alarms/{id}/acknowledge", post(acknowledge))
}

#[derive(Template)]
#[template(path = "device/alarms.html", blocks = ["lists"])]
struct AlarmsPage {
    page: Page,
    head: Head,
    standing: Vec<Shown>,
    ended: Vec<Shown>,
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    let (_, head) = look(&app, &name, Tab::Alarms)?;
    let mut standing = standing(&app).await?;
    standing.retain(|s| s.alarm.device == head.device.name);
    let (ended, _) = ended(&app, &name, i64::MAX).await?;
    let page = Page::new(&app, &viewer, Section::Devices, format!("{name}: alarms")).await;
    let shown = AlarmsPage { page, head, standing, ended };
    Ok(if viewer.fragment { html(&shown.as_lists()) } else { html(&shown) })
}

async fn acknowledge(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((name, id)): Path<(String, String)>,
    Form(_): Form<IgnoredAny>,
) -> Result<Response, Refused> {
    take_on(&app, &viewer, &id).await;
    Ok(redirect(&format!("{}/alarms", path_of(&name))))
}
