//! Delivery services: the list, and a page for each to see, change and delete it.

mod edit;
mod history;
mod typed;

pub(super) use history::path_of_history;

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
    Router::new().route("/delivery-services", get(list)).merge(edit::routes()).merge(history::routes())
}

/// A delivery service as a row.
struct Listed {
    service: DeliveryService,
    /// Active engines that carry it.
    engines: usize,
    /// How many routers and engines run its last change.
    spread: Spread,
}

/// How far a change has come.
pub(super) struct Spread {
    /// Routers and engines that run it.
    running: usize,
    /// All that should.
    total: usize,
}

impl Spread {
    fn complete(&self) -> bool {
        self.running == self.total
    }
}

/// What routers and engines run, lowest first; one that has not reported runs nothing.
struct Stamps(Vec<Stamp>);

impl Stamps {
    fn of(rows: &[Row]) -> Self {
        let mut stamps: Vec<Stamp> = rows.iter().map(runs).collect();
        stamps.sort_unstable();
        Self(stamps)
    }

    /// How far what `written` is the first configuration of has come.
    fn spread(&self, written: Stamp) -> Spread {
        let total = self.0.len();
        Spread { running: total - self.0.partition_point(|s| *s < written), total }
    }
}

fn runs(row: &Row) -> Stamp {
    row.device.last_report.as_ref().map(|r| r.stamp).unwrap_or_default()
}

/// The first configuration with the last change of a delivery service.
fn written(network: &Snapshot, service: &DeliveryService) -> Stamp {
    Stamp { term: network.stamp.term, generation: service.revision }
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
    let stamps = Stamps::of(&serving(&app, &network));
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
        spread: stamps.spread(written(&network, s)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_come_to_those_that_run_it_or_a_newer_one() {
        let stamp = |term, generation| Stamp { term, generation };
        let mut ran = vec![stamp(1, 7), Stamp::default(), stamp(1, 9), stamp(2, 1), stamp(1, 6)];
        ran.sort_unstable();
        let stamps = Stamps(ran);
        for (written, running) in [(stamp(1, 6), 4), (stamp(1, 7), 3), (stamp(1, 8), 2), (stamp(2, 1), 1), (stamp(2, 2), 0)] {
            let spread = stamps.spread(written);
            assert_eq!((spread.running, spread.total, spread.complete()), (running, 5, false), "{written}");
        }
        assert!(Stamps(vec![stamp(1, 7)]).spread(stamp(1, 7)).complete());
    }
}
