//! The Configuration tab: what the device runs from, and where each value comes from.

mod provenance;

use super::{Head, Tab, look};
use crate::{
    app::App,
    compile,
    domain::devices,
    gui::{Page, Refused, Section, Viewer, html},
    published,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use provenance::{Group, groups};
use serde_json::Value;
use std::sync::Arc;
use weir_model::DeviceConfiguration;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}/configuration", get(show))
}

#[derive(Template)]
#[template(path = "device/configuration.html", blocks = ["running"])]
struct ConfigurationPage {
    page: Page,
    head: Head,
    groups: Vec<Group>,
    /// The compiled document, without secrets.
    document: String,
}

/// The document as JSON; of the keepalive keys only their numbers.
fn shown(mut document: DeviceConfiguration) -> String {
    for key in &mut document.keepalive_keys {
        key.secret = "not shown".to_owned();
    }
    let value: Value = serde_json::to_value(&document).expect("documents are JSON");
    serde_json::to_string_pretty(&value).expect("values are JSON")
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>) -> Result<Response, Refused> {
    let (network, head) = look(&app, &name, Tab::Configuration)?;
    let record = devices::find(&network, &name)?;
    let document = compile::document_for(&network, record, published::line_below(&app, &network, &record.name));
    let title = format!("{name}: configuration");
    let page = Page::new(&app, &viewer, Section::Devices, title).await;
    let groups = groups(&network, record, &document);
    let drawn = ConfigurationPage { page, head, groups, document: shown(document) };
    Ok(if viewer.fragment { html(&drawn.as_running()) } else { html(&drawn) })
}
