//! One delivery service: made, shown, changed, deleted.

use super::{Spread, Stamps, carriers, entries, runs, serving, typed::Typed, written};
use crate::{
    app::App,
    change::Change,
    domain::delivery_services,
    gui::{
        Form, Notice, Page, Refused, Section, Viewer, confirmation::Confirmation, confirming::ConfirmedForm, devices::Row, html, html_with,
        links::link, redirect, rejected::Rejected,
    },
    snapshot::{DeviceRecord, Snapshot},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use std::{net::SocketAddr, sync::Arc};
use weir_model::Role;
use weir_operator_api::DeliveryService;

/// Devices that do not run a change yet, of which the page names so many.
const MISSING_SHOWN: usize = 50;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        // Outside `/delivery-services/`, where a delivery service may have any name.
        .route("/new/delivery-service", get(blank).post(create))
        .route("/delivery-services/{name}", get(show).post(replace))
        .route("/delivery-services/{name}/delete", get(ask).post(delete))
}

/// An engine that can be ticked.
struct Choice {
    name: String,
    location: String,
    active: bool,
}

fn choices(network: &Snapshot) -> Vec<Choice> {
    let choice = |d: &DeviceRecord| Choice {
        name: d.name.to_string(),
        location: d.location.as_ref().map(ToString::to_string).unwrap_or_default(),
        active: d.active,
    };
    network.devices.values().filter(|d| d.role == Role::Engine).map(choice).collect()
}

#[derive(Template)]
#[template(path = "delivery_service.html", blocks = ["spread"])]
struct ServicePage {
    page: Page,
    /// The service as it is; absent while it is new.
    known: Option<Known>,
    typed: Typed,
    choices: Vec<Choice>,
    rejected: Rejected,
}

/// A delivery service that is there.
struct Known {
    service: DeliveryService,
    spread: Spread,
    /// Some of the devices that do not run it yet.
    missing: Vec<Row>,
    /// Active engines that carry it.
    engines: Vec<String>,
    routers: Vec<(String, Option<SocketAddr>, Option<SocketAddr>)>,
}

impl Known {
    /// Devices that do not run it and are not named.
    fn left_out(&self) -> usize {
        (self.spread.total - self.spread.running).saturating_sub(self.missing.len())
    }

    /// The page that tries one of its URLs.
    fn explain(&self) -> String {
        link("/explain", &[("url", &format!("http://{}/", self.service.domain))])
    }
}

impl ServicePage {
    /// Where the form is sent.
    fn action(&self) -> String {
        self.known.as_ref().map_or_else(|| "/new/delivery-service".to_owned(), |k| path_of(k.service.name.as_str()))
    }
}

pub(super) fn path_of(name: &str) -> String {
    format!("/delivery-services/{name}")
}

async fn draw(app: &App, viewer: &Viewer, name: Option<&str>, typed: Option<Typed>, rejected: Rejected) -> Result<Response, Refused> {
    let network = app.network();
    let known = match name {
        None => None,
        Some(name) => {
            let service = delivery_services::find(&network, name)?.clone();
            let (rows, wanted) = (serving(app, &network), written(&network, &service));
            let spread = Stamps::of(&rows).spread(wanted);
            let missing = rows.into_iter().filter(|r| runs(r) < wanted).take(MISSING_SHOWN).collect();
            let engines = carriers(&network, &service).map(|e| e.name.to_string()).collect();
            Some(Known { spread, missing, engines, routers: entries(&network), service })
        }
    };
    let title = name.map_or_else(|| "New delivery service".to_owned(), |name| format!("Delivery service {name}"));
    let shown = ServicePage {
        page: Page::new(app, viewer, Section::DeliveryServices, title).await,
        typed: typed.unwrap_or_else(|| known.as_ref().map(|k| Typed::from(&k.service)).unwrap_or_default()),
        choices: choices(&network),
        known,
        rejected,
    };
    Ok(if viewer.fragment { html(&shown.as_spread()) } else { html_with(shown.rejected.status(), &shown) })
}

async fn blank(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Refused> {
    draw(&app, &viewer, None, None, Rejected::default()).await
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    draw(&app, &viewer, Some(&name), None, Rejected::default()).await
}

fn saved(app: &App, viewer: &Viewer, service: &DeliveryService) -> Response {
    let text = format!("Delivery service {} is saved in generation {}.", service.name, service.revision);
    viewer.tell(app, Notice::done(text));
    redirect(&path_of(service.name.as_str()))
}

async fn create(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<Typed>) -> Result<Response, Refused> {
    let done = match typed.request() {
        Ok(request) => app.change(viewer.caller(), move |change| delivery_services::create(change, &request)).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(service) => Ok(saved(&app, &viewer, &service)),
        Err(problem) => draw(&app, &viewer, None, Some(typed), problem.into()).await,
    }
}

async fn replace(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    form: ConfirmedForm<Typed>,
) -> Result<Response, Refused> {
    let (old, confirm) = (name.clone(), form.confirm());
    let done = match form.typed.request() {
        Ok(request) => {
            let replace = move |change: &Change<'_>| {
                change.confirm(confirm);
                #[cfg(feature = "synthetic-next")]
                let request = delivery_services::with_detail_kept(change.before, &old, request.clone());
                delivery_services::replace(change, &old, &request)
            };
            app.change(viewer.caller(), replace).await
        }
        Err(problem) => Err(problem),
    };
    match done {
        Ok(service) => Ok(saved(&app, &viewer, &service)),
        Err(problem) if form.asks(&problem) => {
            let title = format!("Delivery service {name}");
            Ok(form.ask(&app, &viewer, Section::DeliveryServices, title, &path_of(&name), problem).await)
        }
        Err(problem) => draw(&app, &viewer, Some(&name), Some(form.typed), problem.into()).await,
    }
}

#[derive(Template)]
#[template(path = "delivery_service_delete.html")]
struct DeletionPage {
    page: Page,
    service: DeliveryService,
    typed: String,
    rejected: Rejected,
}

async fn draw_deletion(app: &App, viewer: &Viewer, name: &str, typed: String, rejected: Rejected) -> Result<Response, Refused> {
    let service = delivery_services::find(&app.network(), name)?.clone();
    let page = Page::new(app, viewer, Section::DeliveryServices, format!("Delete {name}")).await;
    let status = rejected.status();
    Ok(html_with(status, &DeletionPage { page, service, typed, rejected }))
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
    let old = name.clone();
    match app.change(viewer.caller(), move |change| delivery_services::delete(change, &old)).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("Delivery service {name} is deleted.")));
            Ok(redirect("/delivery-services"))
        }
        Err(problem) => draw_deletion(&app, &viewer, &name, typed.name, problem.into()).await,
    }
}
