//! `/coverage-zones`.

use super::{JsonBody, Refused, utoipa};
use crate::{app::App, change::Caller, domain::zones};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{CoverageZones, CoverageZonesRequest, Problem};

/// Every coverage zone.
#[utoipa::path(get, path = "/api/v1/coverage-zones", tag = "coverage zones", responses((status = 200, body = CoverageZones), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Json<CoverageZones> {
    Json(zones::shown(&app.network()))
}

/// Replaces every coverage zone. The body may be as large as 64 MiB.
#[utoipa::path(put, path = "/api/v1/coverage-zones", tag = "coverage zones", request_body = CoverageZonesRequest, responses((status = 200, body = CoverageZones), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<CoverageZonesRequest>,
) -> Result<Json<CoverageZones>, Refused> {
    Ok(Json(app.change(caller, move |change| zones::replace(change, &request)).await?))
}
