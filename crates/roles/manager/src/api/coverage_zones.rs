//! `/coverage-zones`.

use super::{
    JsonBody, QueryOf, Refused,
    conditions::{IfMatch, Tagged},
    utoipa,
};
use crate::{app::App, change::Caller, domain::zones};
use axum::extract::State;
use std::sync::Arc;
use weir_operator_api::{Confirmation, CoverageZones, CoverageZonesRequest, Problem};

/// Every coverage zone.
#[utoipa::path(get, path = "/api/v1/coverage-zones", tag = "coverage zones", responses((status = 200, body = CoverageZones), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Tagged<CoverageZones> {
    let zones = zones::shown(&app.network());
    Tagged(zones.revision, zones)
}

/// Replaces every coverage zone. The body may be as large as 64 MiB.
#[utoipa::path(put, path = "/api/v1/coverage-zones", tag = "coverage zones", params(("If-Match" = Option<String>, Header, description = "`ETag` of what is meant; another one is refused"), Confirmation), request_body = CoverageZonesRequest, responses((status = 200, body = CoverageZones), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    condition: IfMatch,
    QueryOf(Confirmation { confirm }): QueryOf<Confirmation>,
    JsonBody(request): JsonBody<CoverageZonesRequest>,
) -> Result<Tagged<CoverageZones>, Refused> {
    let replaced = app.change(caller, move |change| {
        condition.check(Some(change.before.zones_revision))?;
        change.confirm(confirm);
        zones::replace(change, &request)
    });
    let zones = replaced.await?;
    Ok(Tagged(zones.revision, zones))
}
