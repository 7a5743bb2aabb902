//! Delivery services: the list, and a page for each to see, change and delete it.

mod edit;
mod typed;

use super::{
    Page, Refused, Section, Viewer,
    devices::Row,
    html,
    links::{Asked, link},
};
use crate::{app::App, device_view::view, snapshot::Snapshot};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use std::{net::SocketAddr, sync::Arc};
use weir_model::{Role, Stamp};
use weir_operator_api::DeliveryService;

/// Delivery services on one page.
const PAGE_SERVICES: usize = 200;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/delivery-services", get(list)).merge(edit::routes())
}

/// A delivery service as a row.
struct Listed {
    service: DeliveryService,
    /// Active engines that carry it.
    engines: usize,
    /// How many routers and engines run its last change.
    spread: Spread,
}

/// How far a change has come: routers and engines that run it.
pub(super) struct Spread {
    running: usize,
    /// Those that do not.
    missing: Vec<Row>,
}

impl Spread {
    /// How far what generation `revision` wrote has come.
    fn of(rows: &[Row], network: &Snapshot, revision: u64) -> Self {
        let written = Stamp { term: network.stamp.term, generation: revision };
        let runs = |row: &&Row| row.device.last_report.as_ref().is_some_and(|r| r.stamp >= written);
        let (running, missing): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(runs);
        Self { running: running.len(), missing: missing.into_iter().cloned().collect() }
    }

    fn total(&self) -> usize {
        self.running + self.missing.len()
    }

    fn complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Active routers and engines.
fn serving(app: &App, network: &Snapshot) -> Vec<Row> {
    let active = network.devices.values().filter(|d| d.active && d.role != Role::Manager);
    active.map(|record| Row::new(view(app, network, record), network.stamp)).collect()
}

#[derive(Template)]
#[template(path = "delivery_services.html", blocks = ["list"])]
struct ServicesPage {
    page: Page,
    text: String,
    services: Vec<Listed>,
    matching: usize,
    total: usize,
    here: String,
    /// The page after this one; empty when this is the last.
    next: String,
    routers: usize,
    engines: usize,
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let network = app.network();
    let rows = serving(&app, &network);
    let text = asked.get("q").to_owned();
    let wanted = text.to_lowercase();
    let holds = |s: &DeliveryService| wanted.is_empty() || format!("{} {} {}", s.name, s.domain, s.origin).to_lowercase().contains(&wanted);
    let matching: Vec<&DeliveryService> = network.services.iter().filter(|s| holds(s)).collect();
    let after = asked.get("after");
    let mut shown: Vec<&DeliveryService> = matching.iter().copied().filter(|s| s.name.as_str() > after).take(PAGE_SERVICES + 1).collect();
    let more = shown.len() > PAGE_SERVICES;
    shown.truncate(PAGE_SERVICES);
    let next = shown.last().filter(|_| more).map(|s| link("/delivery-services", &[("q", &text), ("after", s.name.as_str())]));
    let listed = |s: &DeliveryService| Listed {
        engines: carriers(&network, s).count(),
        spread: Spread::of(&rows, &network, s.revision),
        service: s.clone(),
    };
    let shown = ServicesPage {
        page: Page::new(&app, &viewer, Section::DeliveryServices, "Delivery services").await,
        here: link("/delivery-services", &[("q", &text), ("after", after)]),
        next: next.unwrap_or_default(),
        services: shown.into_iter().map(listed).collect(),
        matching: matching.len(),
        total: network.services.len(),
        routers: network.active(Role::Router).count(),
        engines: network.active(Role::Engine).count(),
        text,
    };
    Ok(if viewer.fragment { html(&shown.as_list()) } else { html(&shown) })
}

/// Active engines that carry a delivery service.
fn carriers<'a>(network: &'a Snapshot, service: &'a DeliveryService) -> impl Iterator<Item = &'a crate::snapshot::DeviceRecord> {
    network.active(Role::Engine).filter(|e| service.engines.as_ref().is_none_or(|named| named.contains(&e.name)))
}

/// Routers viewers may ask: name, where they redirect, where they answer DNS.
fn entries(network: &Snapshot) -> Vec<(String, Option<SocketAddr>, Option<SocketAddr>)> {
    network.active(Role::Router).map(|r| (r.name.to_string(), r.addresses.http, r.addresses.dns)).collect()
}
