//! Locations: the tree of sites with what is in each, and a page to change one.

use super::{Form, Notice, Page, Refused, Section, Viewer, html, html_with, redirect, rejected::Rejected};
use crate::{
    app::App,
    device_view::view,
    domain::{fields, locations},
    snapshot::Snapshot,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use weir_model::{DeviceStatus, LocationName};
use weir_operator_api::{Device, Location, LocationRequest};

/// Devices of one location that the tree names; the page of the devices has all of them.
const TREE_DEVICES: usize = 24;
/// Devices the location's own page names.
const PAGE_DEVICES: usize = 200;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/locations", get(list).post(create))
        .route("/locations/{name}", get(show).post(replace))
        .route("/locations/{name}/delete", post(delete))
}

/// A location in the tree.
struct Node {
    location: Location,
    /// Steps below a root.
    depth: usize,
    devices: Vec<Device>,
    counts: Vec<(DeviceStatus, usize)>,
    /// Lists that end before it: it is this many steps above the one before it.
    closes: usize,
    /// A list begins before it: it is below the one before it.
    opens: bool,
    /// Devices that are here and not named.
    left_out: usize,
}

/// The tree, parents before children, siblings by name.
fn tree(app: &App, network: &Snapshot) -> Vec<Node> {
    let mut devices: BTreeMap<&LocationName, Vec<Device>> = BTreeMap::new();
    for record in network.devices.values() {
        if let Some(location) = &record.location {
            devices.entry(location).or_default().push(view(app, network, record));
        }
    }
    let mut children: BTreeMap<Option<&LocationName>, Vec<&Location>> = BTreeMap::new();
    for location in network.locations.values() {
        children.entry(location.parent.as_ref()).or_default().push(location);
    }
    let mut nodes = Vec::with_capacity(network.locations.len());
    let below = |parent: Option<&LocationName>, depth: usize| {
        let locations = children.get(&parent).into_iter().flatten();
        locations.rev().map(move |l| (*l, depth)).collect::<Vec<_>>()
    };
    let mut next = below(None, 0);
    while let Some((location, depth)) = next.pop() {
        let mut devices = devices.remove(&location.name).unwrap_or_default();
        let counted = |status: &DeviceStatus| (*status, devices.iter().filter(|d| d.status == *status).count());
        let counts = DeviceStatus::ALL.iter().map(counted).filter(|(_, count)| *count > 0).collect();
        let left_out = devices.len().saturating_sub(TREE_DEVICES);
        devices.truncate(TREE_DEVICES);
        let before = nodes.last().map_or(depth, |n: &Node| n.depth);
        let (closes, opens) = (before.saturating_sub(depth), depth > before);
        nodes.push(Node { location: location.clone(), depth, devices, counts, closes, opens, left_out });
        next.extend(below(Some(&location.name), depth + 1));
    }
    nodes
}

/// The form, as it was typed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    name: String,
    /// Empty for a root.
    parent: Option<String>,
}

impl Typed {
    fn parent(&self) -> &str {
        self.parent.as_deref().unwrap_or_default()
    }

    fn request(&self) -> LocationRequest {
        LocationRequest { name: self.name.trim().to_owned(), parent: self.parent.clone() }
    }
}

#[derive(Template)]
#[template(path = "locations.html", blocks = ["tree"])]
struct LocationsPage {
    page: Page,
    nodes: Vec<Node>,
    /// Devices that are in no location.
    nowhere: usize,
    typed: Typed,
    rejected: Rejected,
}

impl LocationsPage {
    /// Lists that are open after the last location.
    fn open(&self) -> usize {
        self.nodes.last().map_or(0, |n| n.depth)
    }
}

async fn draw_list(app: &App, viewer: &Viewer, typed: Typed, rejected: Rejected) -> Response {
    let network = app.network();
    let shown = LocationsPage {
        page: Page::new(app, viewer, Section::Locations, "Locations").await,
        nodes: tree(app, &network),
        nowhere: network.devices.values().filter(|d| d.location.is_none() && d.name != network.primary).count(),
        typed,
        rejected,
    };
    if viewer.fragment { html(&shown.as_tree()) } else { html_with(shown.rejected.status(), &shown) }
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer) -> Response {
    draw_list(&app, &viewer, Typed::default(), Rejected::default()).await
}

async fn create(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<Typed>) -> Response {
    let request = typed.request();
    match app.change(viewer.caller(), move |change| locations::create(change, &request)).await {
        Ok(location) => {
            viewer.tell(&app, Notice::done(format!("Location {} is made.", location.name)));
            redirect("/locations")
        }
        Err(problem) => draw_list(&app, &viewer, typed, problem.into()).await,
    }
}

#[derive(Template)]
#[template(path = "location.html")]
struct LocationPage {
    page: Page,
    location: Location,
    /// What its parent may be: every location that is not below it.
    parents: Vec<LocationName>,
    children: Vec<LocationName>,
    devices: Vec<Device>,
    /// Coverage zones that name it.
    zones: usize,
    typed: Typed,
    rejected: Rejected,
}

async fn draw_one(app: &App, viewer: &Viewer, name: &str, typed: Option<Typed>, rejected: Rejected) -> Result<Response, Refused> {
    let network = app.network();
    let location = network.locations.get(name).ok_or_else(|| fields::absent("location", name))?.clone();
    let known = || Typed { name: location.name.to_string(), parent: location.parent.as_ref().map(ToString::to_string) };
    let shown = LocationPage {
        page: Page::new(app, viewer, Section::Locations, format!("Location {name}")).await,
        parents: network.locations.keys().filter(|l| !network.is_under(l, &location.name)).cloned().collect(),
        children: network.locations.values().filter(|l| l.parent.as_ref() == Some(&location.name)).map(|l| l.name.clone()).collect(),
        devices: network
            .devices
            .values()
            .filter(|d| d.location.as_ref() == Some(&location.name))
            .take(PAGE_DEVICES)
            .map(|record| view(app, &network, record))
            .collect(),
        zones: network.zones.iter().filter(|z| z.locations.contains_key(&location.name)).count(),
        typed: typed.unwrap_or_else(known),
        location,
        rejected,
    };
    Ok(html_with(shown.rejected.status(), &shown))
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    draw_one(&app, &viewer, &name, None, Rejected::default()).await
}

async fn replace(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, Refused> {
    let (request, old) = (typed.request(), name.clone());
    match app.change(viewer.caller(), move |change| locations::replace(change, &old, &request)).await {
        Ok(location) => {
            viewer.tell(&app, Notice::done(format!("Location {} is saved in generation {}.", location.name, location.revision)));
            Ok(redirect(&format!("/locations/{}", location.name)))
        }
        Err(problem) => draw_one(&app, &viewer, &name, Some(typed), problem.into()).await,
    }
}

async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(_): Form<serde::de::IgnoredAny>,
) -> Result<Response, Refused> {
    let old = name.clone();
    match app.change(viewer.caller(), move |change| locations::delete(change, &old)).await {
        Ok(()) => {
            viewer.tell(&app, Notice::done(format!("Location {name} is deleted.")));
            Ok(redirect("/locations"))
        }
        Err(problem) => draw_one(&app, &viewer, &name, None, problem.into()).await,
    }
}
