//! The web pages: drawn on the server, working without JavaScript, no script or style inside a page.
//!
//! A page is a handler that takes a [`Viewer`], asks `domain` and answers with [`html`] of a template that extends
//! `base.html` and has a field `page: Page`. A form is a [`Form`], answered with a redirect (303) and a notice
//! ([`Viewer::tell`]), or with the page again and the message at the field; one that carries a file is a `FileForm`. A
//! refusal is `Err` of [`Refused`].

mod alarms;
mod assets;
mod audit;
mod backups;
mod chart;
mod confirmation;
mod confirming;
mod delivery_services;
mod device;
mod devices;
mod errors;
pub(crate) mod events;
mod explain;
mod features;
mod figures;
mod file_form;
mod form;
mod home;
mod links;
mod locations;
mod login;
mod managers;
mod order;
mod page;
mod password;
mod permissions;
mod prose;
mod rejected;
mod rollout;
mod session;
mod software_files;
pub(crate) mod standby;
mod tokens;
mod update_software;
mod users;

pub(crate) use errors::{Refused, html, html_with, redirect};
pub(crate) use events::Events;
pub(crate) use form::Form;
pub(crate) use page::{Notice, Page, Section};
pub(crate) use session::Viewer;

use crate::app::App;
use axum::{Router, extract::Request, middleware};
use std::sync::Arc;
use tower::ServiceExt;

/// The pages' routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(home::routes())
        .merge(login::routes())
        .merge(password::routes())
        .merge(events::routes())
        .merge(alarms::routes())
        .merge(audit::routes())
        .merge(backups::routes())
        .merge(delivery_services::routes())
        .merge(device::routes())
        .merge(devices::routes())
        .merge(explain::routes())
        .merge(locations::routes())
        .merge(managers::routes())
        .merge(rollout::routes())
        .merge(software_files::routes())
        .merge(tokens::routes())
        .merge(update_software::routes())
        .merge(users::routes())
        .fallback(errors::not_found)
        .method_not_allowed_fallback(errors::not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), errors::dress))
        .merge(assets::routes())
        .with_state(app)
}

/// The pages and, below `/api/`, the operator API, which judges its requests for itself.
pub(crate) fn beside(api: Router, pages: Router) -> Router {
    let choose = move |request: Request| {
        let chosen = if request.uri().path().starts_with("/api/") { &api } else { &pages };
        chosen.clone().oneshot(request)
    };
    Router::new().fallback(choose)
}

#[cfg(test)]
impl Page {
    /// A frame around what a test draws.
    pub(in crate::gui) fn sample(section: Section, title: &str) -> Self {
        Self {
            title: title.into(),
            section,
            network: "test".into(),
            manager: "manager-1".into(),
            user: "admin".into(),
            role: weir_operator_api::AccessRole::Admin,
            csrf: "token".into(),
            lights: weir_operator_api::AlarmCounts::default(),
            version: "1.0.0-b1",
            generation: 1,
            locked: false,
            notice: None,
        }
    }
}
