//! The Update Software tab: what the device runs and could go back to, its lane, and the releases it could go to.

use super::{Head, Tab, look, path_of};
use crate::{
    app::App,
    gui::{
        Form, Page, Refused, Section, Viewer, html_with,
        links::Asked,
        redirect,
        rejected::Rejected,
        update_software::{Back, Choices, Lane, Scope, TypedUpdate, begin},
    },
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
use weir_device_api::update::SlotsReport;
use weir_model::Role;
use weir_operator_api::Problem;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}/update-software", get(show).post(assign))
}

#[derive(Template)]
#[template(path = "device/software.html")]
struct SoftwarePage {
    page: Page,
    head: Head,
    /// How it stands; nothing for a manager.
    lane: Option<Lane>,
    /// Why that cannot be said.
    unknown: Option<Problem>,
    /// Its slots, as it last said.
    slots: Option<SlotsReport>,
    choices: Choices,
    scope: Option<Scope>,
    rejected: Rejected,
}

impl SoftwarePage {
    /// What it said it runs; empty when it has not reported.
    fn version(&self) -> &str {
        self.head.device.last_report.as_ref().map_or("", |r| &r.version)
    }

    /// Whether it is updated with its pair.
    fn is_manager(&self) -> bool {
        self.head.device.role == Role::Manager
    }

    /// Where buttons of the lane lead back to.
    fn back(&self) -> Back {
        Back::Device
    }
}

async fn draw(app: &Arc<App>, viewer: &Viewer, typed: TypedUpdate, rejected: Rejected) -> Result<Response, Refused> {
    let name = typed.device.clone();
    let (_, head) = look(app, &name, Tab::UpdateSoftware)?;
    let path = format!("{}{}", path_of(&name), Tab::UpdateSoftware.path());
    let runs = head.device.last_report.as_ref().and_then(|report| report.version.parse().ok());
    let is_manager = head.device.role == Role::Manager;
    let choices = if is_manager { Choices::read(app, &path, typed.file()) } else { Choices::read_for(app, &path, typed.file(), runs) };
    // The parts that are fetched again each second show no preview.
    let scope = match choices.takes_devices() && !is_manager && !viewer.fragment {
        true => Some(Scope::of_device(app, typed).await),
        false => None,
    };
    let (lane, unknown) = match updates::show(app, &name) {
        Ok(update) if !is_manager => (Some(Lane::new(update)), None),
        Err(problem) if !is_manager => (None, Some(problem)),
        _ => (None, None),
    };
    let slots = app.reports.get(&head.device.name).and_then(|heard| heard.report.update).map(|update| update.slots);
    let page = Page::new(app, viewer, Section::Devices, format!("Update Software of {name}")).await;
    let status = rejected.status();
    Ok(html_with(status, &SoftwarePage { page, head, lane, unknown, slots, choices, scope, rejected }))
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, asked: Asked) -> Result<Response, Refused> {
    draw(&app, &viewer, TypedUpdate { device: name, ..TypedUpdate::asked(&asked) }, Rejected::default()).await
}

async fn assign(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<TypedUpdate>,
) -> Result<Response, Refused> {
    let typed = TypedUpdate { device: name, ..typed };
    match begin(&app, &viewer, &typed).await {
        Ok(()) => Ok(redirect(&format!("{}{}", path_of(&typed.device), Tab::UpdateSoftware.path()))),
        Err(problem) => draw(&app, &viewer, typed, problem.into()).await,
    }
}
