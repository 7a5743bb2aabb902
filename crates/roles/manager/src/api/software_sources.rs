//! `/software-sources`.

use super::{JsonBody, Refused, utoipa};
use crate::{app::App, change::Caller, software};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{Problem, SoftwareSources};

/// Networks that software may be fetched from beside public ones.
#[utoipa::path(get, path = "/api/v1/software-sources", tag = "software", responses((status = 200, body = SoftwareSources), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Json<SoftwareSources> {
    Json(software::sources(&app))
}

/// Replaces them.
#[utoipa::path(put, path = "/api/v1/software-sources", tag = "software", request_body = SoftwareSources, responses((status = 200, body = SoftwareSources), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(sources): JsonBody<SoftwareSources>,
) -> Result<Json<SoftwareSources>, Refused> {
    Ok(Json(software::set_sources(&app, caller, sources).await?))
}
