//! `/history` of one object: the changesets that were about it, under its name.

use super::{QueryOf, Refused, changesets, pages, utoipa};
use crate::{app::App, change::Refusal, tables::history};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use weir_operator_api::{Changeset, HistoryQuery, Listing, Problem};

/// What was done to a delivery service, newest first. Under another name it has another history.
#[utoipa::path(get, path = "/api/v1/delivery-services/{name}/history", tag = "delivery services", operation_id = "delivery_service_history", params(("name" = String, Path), HistoryQuery), responses((status = 200, body = Listing<Changeset>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delivery_service(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    QueryOf(query): QueryOf<HistoryQuery>,
) -> Result<Json<Listing<Changeset>>, Refused> {
    of(&app, format!("delivery service {name}"), query).await
}

/// What was done to a location, newest first. Under another name it has another history.
#[utoipa::path(get, path = "/api/v1/locations/{name}/history", tag = "locations", operation_id = "location_history", params(("name" = String, Path), HistoryQuery), responses((status = 200, body = Listing<Changeset>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn location(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    QueryOf(query): QueryOf<HistoryQuery>,
) -> Result<Json<Listing<Changeset>>, Refused> {
    of(&app, format!("location {name}"), query).await
}

/// What was done to a device, newest first.
#[utoipa::path(get, path = "/api/v1/devices/{name}/history", tag = "devices", operation_id = "device_history", params(("name" = String, Path), HistoryQuery), responses((status = 200, body = Listing<Changeset>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn device(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    QueryOf(query): QueryOf<HistoryQuery>,
) -> Result<Json<Listing<Changeset>>, Refused> {
    of(&app, format!("device {name}"), query).await
}

/// What was done to the coverage zones, newest first.
#[utoipa::path(get, path = "/api/v1/coverage-zones/history", tag = "coverage zones", operation_id = "coverage_zones_history", params(HistoryQuery), responses((status = 200, body = Listing<Changeset>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn coverage_zones(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<HistoryQuery>,
) -> Result<Json<Listing<Changeset>>, Refused> {
    of(&app, "coverage zones".to_owned(), query).await
}

/// An object that is gone has its history still; one that never was has none.
async fn of(app: &App, object: String, query: HistoryQuery) -> Result<Json<Listing<Changeset>>, Refused> {
    let limit = pages::limit(query.limit)?;
    let before = query.before.unwrap_or(u64::MAX);
    let read = app.config.read(move |tx| {
        let records = history::of(tx, &object, before, limit + 1)?;
        let shown: Result<Vec<_>, Refusal> = records.into_iter().map(|record| changesets::as_shown(tx, vec![record])).collect();
        Ok::<_, Refusal>(shown?.concat())
    });
    let shown = read.await.map_err(Refusal::into_problem)?;
    Ok(Json(pages::by_id(shown, limit, |changeset| i64::try_from(changeset.rev).unwrap_or(i64::MAX))))
}
