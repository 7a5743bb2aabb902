//! The devices: a table to filter and sort, and the same as CSV.

mod csv;
mod filter;
mod row;

pub(super) use row::{Row, Running, badge, original_name};

use super::{Page, Refused, Section, Viewer, html, links::Asked};
use crate::{app::App, device_view::view};
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use filter::{Column, Filter};
use std::sync::Arc;
use weir_model::{DeviceStatus, LocationName, Role};

/// Rows of one page of the table. A table that fits on one page is filtered and sorted in the browser as well.
const PAGE_ROWS: usize = 500;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices", get(list)).route("/devices.csv", get(export))
}

#[derive(Template)]
#[template(path = "devices.html", blocks = ["rows"])]
struct DevicesPage {
    page: Page,
    filter: Filter,
    rows: Vec<Row>,
    /// Rows the filter lets through, on all pages.
    matching: usize,
    /// Devices there are.
    total: usize,
    counts: Vec<(DeviceStatus, usize)>,
    locations: Vec<LocationName>,
    /// Number of this page, from 1, and of the last one.
    number: usize,
    pages: usize,
    /// Enrolment has not begun: there is nothing but managers.
    managers_only: bool,
    /// Where a device enrols.
    device_api: String,
}

impl DevicesPage {
    fn columns(&self) -> &'static [Column] {
        &Column::ALL
    }

    fn roles(&self) -> [Role; 3] {
        [Role::Manager, Role::Router, Role::Engine]
    }

    fn statuses(&self) -> &'static [DeviceStatus] {
        &DeviceStatus::ALL
    }

    /// This view's own address.
    fn here(&self) -> String {
        self.filter.page(self.number)
    }

    /// Another page of it.
    fn at(&self, number: usize) -> String {
        self.filter.page(number)
    }

    /// Whether the browser holds every matching row.
    fn complete(&self) -> bool {
        self.pages == 1
    }
}

/// Every device as a row.
fn all_rows(app: &App) -> Vec<Row> {
    let network = app.network();
    network.devices.values().map(|record| Row::new(view(app, &network, record), network.stamp)).collect()
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let filter = Filter::read(&asked);
    let all = all_rows(&app);
    let total = all.len();
    let counted = |status: &DeviceStatus| (*status, all.iter().filter(|r| r.device.status == *status).count());
    let counts = DeviceStatus::ALL.iter().map(counted).filter(|(_, count)| *count > 0).collect();
    let managers_only = all.iter().all(|r| r.device.role == Role::Manager);
    let mut rows = filter.apply(all);
    let matching = rows.len();
    let pages = matching.div_ceil(PAGE_ROWS).max(1);
    let number = asked.read::<usize>("page").unwrap_or(1).clamp(1, pages);
    rows = rows.into_iter().skip((number - 1) * PAGE_ROWS).take(PAGE_ROWS).collect();
    let network = app.network();
    let device_api = network.devices.get(&app.name).and_then(|d| d.addresses.device).map(|a| a.to_string()).unwrap_or_default();
    let shown = DevicesPage {
        page: Page::new(&app, &viewer, Section::Devices, "Devices").await,
        filter,
        rows,
        matching,
        total,
        counts,
        locations: network.locations.keys().cloned().collect(),
        number,
        pages,
        managers_only,
        device_api,
    };
    Ok(if viewer.fragment { html(&shown.as_rows()) } else { html(&shown) })
}

async fn export(State(app): State<Arc<App>>, _viewer: Viewer, asked: Asked) -> Response {
    let rows = Filter::read(&asked).apply(all_rows(&app));
    let headers =
        [(CONTENT_TYPE, "text/csv; charset=utf-8; header=present"), (CONTENT_DISPOSITION, "attachment; filename=\"devices.csv\"")];
    (headers, csv::text(&rows)).into_response()
}
