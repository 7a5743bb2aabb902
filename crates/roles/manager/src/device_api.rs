//! The device API: enrolment, reports, the configuration poll, answers, release archives. Mutual TLS; only enrolment does without a certificate.

mod answers;
mod enrol;
mod giver;
mod giving;
mod pair;
mod peer;
mod poll;
mod polled;
mod range;
mod report;
mod software;
mod vault;

pub(crate) use giving::Giving;
pub(crate) use software::give;

use crate::{
    api::{not_allowed, not_found},
    app::App,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use std::sync::Arc;
use weir_device_api::paths;

/// Largest body of the device API, in bytes: an answer with a megabyte of log lines, each byte escaped.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The device API's routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(paths::ENROL, post(enrol::enrol))
        .route(paths::REPORT, post(report::report))
        .route(paths::CONFIGURATION, get(poll::poll))
        .route(&format!("{}/{{id}}", paths::ANSWERS), post(answers::answer))
        .route(&format!("{}/{{sha256}}", paths::SOFTWARE), get(software::archive))
        .route(paths::RELEASE_METADATA, get(software::metadata))
        .route(&format!("{}/{{sha256}}", paths::VAULT), get(vault::give).put(vault::take))
        .route(paths::PAIR_POLL, post(pair::poll))
        .route(paths::PAIR_SNAPSHOT, get(pair::snapshot))
        .route(paths::PAIR_YIELD, post(pair::make_way))
        .route(paths::PAIR_HELLO, get(pair::hello))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}
