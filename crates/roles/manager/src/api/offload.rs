//! `/devices/{name}/offload`.

use super::{JsonBody, Refused, utoipa};
use crate::{app::App, change::Caller, domain::devices, offload};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use weir_operator_api::{Offload, OffloadPreview, OffloadRequest, Problem, UnoffloadRequest};

/// What holds a device out of service, and what still runs on it.
#[utoipa::path(get, path = "/api/v1/devices/{name}/offload", tag = "offload", params(("name" = String, Path)), responses((status = 200, body = Offload), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Offload>, Refused> {
    let network = app.network();
    let record = devices::find(&network, &name)?;
    Ok(Json(offload::view(&app, &network, record)))
}

/// Takes a router or engine out of service: no new viewer is sent to it, what it serves runs to its end.
#[utoipa::path(post, path = "/api/v1/devices/{name}/offload", tag = "offload", params(("name" = String, Path)), request_body = OffloadRequest, responses((status = 200, body = Offload), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn offload(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<OffloadRequest>,
) -> Result<Json<Offload>, Refused> {
    Ok(Json(offload::offload(&app, caller, name, request).await?))
}

/// Ends the operator's lease: with the last lease the device is in service again.
#[utoipa::path(post, path = "/api/v1/devices/{name}/unoffload", tag = "offload", params(("name" = String, Path)), request_body = UnoffloadRequest, responses((status = 200, body = Offload), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unoffload(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<UnoffloadRequest>,
) -> Result<Json<Offload>, Refused> {
    Ok(Json(offload::unoffload(&app, caller, name, request).await?))
}

/// What an offload would do now: the floors it breaks, and where clients go. Nothing changes.
#[utoipa::path(get, path = "/api/v1/devices/{name}/offload/preview", tag = "offload", params(("name" = String, Path)), responses((status = 200, body = OffloadPreview), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn preview(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<OffloadPreview>, Refused> {
    let network = app.network();
    let record = devices::find(&network, &name)?;
    Ok(Json(offload::preview(&app, &network, record).await?))
}
