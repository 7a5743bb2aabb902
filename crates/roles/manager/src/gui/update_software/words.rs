//! Words to a device on its way: switch now, let go.

use super::PATH;
use crate::{
    app::App,
    gui::{Form, Notice, Viewer, redirect},
    updates,
};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::post,
};
use serde::Deserialize;
use std::sync::Arc;
use weir_operator_api::{DeviceUpdate, Problem};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/devices/{name}/update-software/reload", post(reload))
        .route("/devices/{name}/update-software/cancel", post(cancel))
}

/// The page a button is on, where its form leads back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::gui) enum Back {
    /// Update Software, with all lanes.
    #[default]
    Network,
    /// The device's own tab.
    Device,
}

impl Back {
    /// The word of the form.
    pub(in crate::gui) fn word(self) -> &'static str {
        match self {
            Back::Network => "network",
            Back::Device => "device",
        }
    }

    /// Where it leads.
    pub(super) fn path(self, device: &str) -> String {
        match self {
            Back::Network => format!("{PATH}#lanes"),
            Back::Device => format!("/devices/{device}/update-software"),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Button {
    back: Back,
}

/// Says what came of it, on the page the button is on.
fn answer(app: &App, viewer: &Viewer, device: &str, back: Back, done: Result<DeviceUpdate, Problem>, text: &str) -> Response {
    viewer.tell(
        app,
        match done {
            Ok(_) => Notice::done(format!("{device} {text}")),
            Err(problem) => Notice::refused(format!("{}; {}.", problem.detail, problem.next)),
        },
    );
    redirect(&back.path(device))
}

async fn reload(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, Form(button): Form<Button>) -> Response {
    let done = updates::reload(&app, viewer.caller(), name.clone()).await;
    answer(&app, &viewer, &name, button.back, done, "is told to switch.")
}

async fn cancel(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, Form(button): Form<Button>) -> Response {
    let done = updates::cancel(&app, viewer.caller(), name.clone()).await;
    answer(&app, &viewer, &name, button.back, done, "lets its assignment go, unless it has switched by then.")
}
