//! The operator API: thin handlers, one file per noun, and the OpenAPI document generated from them.

mod alarms;
mod apply;
mod audit;
mod authentication;
mod backups;
mod body;
mod bounds;
mod changesets;
mod conditions;
mod coverage_zones;
mod delivery_services;
mod devices;
mod features;
mod history;
mod locations;
mod offload;
mod pages;
mod pair;
mod permissions;
mod problems;
mod rollout;
mod route;
mod software_files;
mod software_sources;
mod status;
mod tokens;
mod updates;
mod users;
mod utoipa;

pub(crate) use backups::file as backup_file;
pub(crate) use body::{JsonBody, QueryOf};
pub(crate) use problems::{Active, Refused, not_allowed, not_found};

use crate::{app::App, pair::replicated};
use ::utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use axum::{Router, extract::DefaultBodyLimit, http::header::CONTENT_TYPE, middleware, routing::get};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};
use weir_operator_api::paths;

/// Largest body of a request, in bytes; coverage zones have a limit of their own.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(title = "Weir operator API", version = "v1", description = "REST API of the Weir manager. Every refusal is a problem (RFC 9457) with a reason word and the next legal step."),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

fn routes() -> OpenApiRouter<Arc<App>> {
    let large = OpenApiRouter::new()
        .routes(routes!(coverage_zones::show, coverage_zones::replace))
        .routes(routes!(apply::export))
        .routes(routes!(apply::apply))
        .layer(DefaultBodyLimit::max(weir_operator_api::zone::ZONES_BODY_BYTES));
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status::status))
        .routes(routes!(locations::list, locations::create))
        .routes(routes!(locations::show, locations::replace, locations::delete))
        .routes(routes!(locations::confirm_removal))
        .routes(routes!(devices::list))
        .routes(routes!(devices::show, devices::delete))
        .routes(routes!(devices::activate))
        .routes(routes!(devices::deactivate))
        .routes(routes!(devices::logs))
        .routes(routes!(offload::show, offload::offload))
        .routes(routes!(offload::unoffload))
        .routes(routes!(offload::preview))
        .routes(routes!(updates::list))
        .routes(routes!(updates::show, updates::assign))
        .routes(routes!(updates::preview))
        .routes(routes!(updates::reload))
        .routes(routes!(updates::cancel))
        .routes(routes!(updates::clear_burned))
        .routes(routes!(rollout::show, rollout::start))
        .routes(routes!(rollout::plan))
        .routes(routes!(rollout::journal))
        .routes(routes!(rollout::say))
        .routes(routes!(rollout::say_of))
        .routes(routes!(features::show))
        .routes(routes!(delivery_services::list, delivery_services::create))
        .routes(routes!(delivery_services::show, delivery_services::replace, delivery_services::delete))
        .routes(routes!(tokens::list_enrolment, tokens::create_enrolment))
        .routes(routes!(tokens::delete_enrolment))
        .routes(routes!(tokens::list_api, tokens::create_api))
        .routes(routes!(tokens::delete_api))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::delete))
        .routes(routes!(users::set_role))
        .routes(routes!(users::reset))
        .routes(routes!(alarms::list))
        .routes(routes!(alarms::acknowledge))
        .routes(routes!(audit::list))
        .routes(routes!(changesets::list))
        .routes(routes!(changesets::show))
        .routes(routes!(changesets::undo))
        .routes(routes!(history::delivery_service))
        .routes(routes!(history::location))
        .routes(routes!(history::device))
        .routes(routes!(history::coverage_zones))
        .routes(routes!(backups::list, backups::create))
        .routes(routes!(backups::download, backups::delete))
        .routes(routes!(backups::confirm))
        .routes(routes!(backups::rehearse))
        .routes(routes!(backups::recover))
        .routes(routes!(backups::schedule, backups::set_schedule))
        .routes(routes!(pair::show))
        .routes(routes!(pair::change_role))
        .routes(routes!(route::explain))
        .routes(routes!(software_files::list, software_files::register))
        .routes(routes!(software_files::show, software_files::delete))
        .routes(routes!(software_files::upload))
        .routes(routes!(software_files::validate))
        .routes(routes!(software_files::choices))
        .routes(routes!(software_sources::show, software_sources::replace))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(large)
}

/// The OpenAPI 3.1 document of the operator API, as JSON with a line feed at its end.
pub fn document() -> String {
    let mut document = serde_json::to_value(routes().into_openapi()).expect("the document is JSON");
    bounds::state(&mut document);
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value is text");
    text.push('\n');
    text
}

/// The operator API's routes, behind authentication.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, _) = routes().split_for_parts();
    let shown = document();
    let openapi = get(move || {
        let shown = shown.clone();
        async move { ([(CONTENT_TYPE, "application/json")], shown) }
    });
    router
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn(replicated::tell))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), authentication::authenticate))
        .route(paths::OPENAPI, openapi)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), problems::measure))
        .with_state(app)
}
