//! `/updates` and `/devices/{name}/update`.

use super::{JsonBody, QueryOf, Refused, pages, utoipa};
use crate::{app::App, change::Caller, updates};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use weir_operator_api::{DeviceUpdate, DeviceUpdateRequest, Listing, PageQuery, Problem, UpdatePreview};

/// How every device stands that was ever assigned a version, by name.
#[utoipa::path(get, path = "/api/v1/updates", tag = "updates", params(PageQuery), responses((status = 200, body = Listing<DeviceUpdate>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<DeviceUpdate>>, Refused> {
    Ok(Json(pages::by_name(&query, updates::list(&app).into_iter(), |update| update.device.as_str(), |update| update)?))
}

/// How a device stands on its way to a version.
#[utoipa::path(get, path = "/api/v1/devices/{name}/update", tag = "updates", params(("name" = String, Path)), responses((status = 200, body = DeviceUpdate), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<DeviceUpdate>, Refused> {
    Ok(Json(updates::show(&app, &name)?))
}

/// Assigns a version to an engine or a router: it fetches, proves and switches by itself, and goes back by itself.
#[utoipa::path(post, path = "/api/v1/devices/{name}/update", tag = "updates", params(("name" = String, Path)), request_body = DeviceUpdateRequest, responses((status = 200, body = DeviceUpdate), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn assign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<DeviceUpdateRequest>,
) -> Result<Json<DeviceUpdate>, Refused> {
    Ok(Json(updates::assign(&app, caller, name, request).await?))
}

/// What an assignment would do now, why it would be refused, what it would wait for. Nothing changes.
#[utoipa::path(get, path = "/api/v1/devices/{name}/update/preview", tag = "updates", params(("name" = String, Path), DeviceUpdateRequest), responses((status = 200, body = UpdatePreview), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    QueryOf(request): QueryOf<DeviceUpdateRequest>,
) -> Result<Json<UpdatePreview>, Refused> {
    Ok(Json(updates::preview(&app, &name, &request).await?))
}

/// Has a device switch to the image it has staged, or will.
#[utoipa::path(post, path = "/api/v1/devices/{name}/update/reload", tag = "updates", params(("name" = String, Path)), responses((status = 200, body = DeviceUpdate), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn reload(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<Json<DeviceUpdate>, Refused> {
    Ok(Json(updates::reload(&app, caller, name).await?))
}

/// Has a device let its assignment go, before the switch.
#[utoipa::path(post, path = "/api/v1/devices/{name}/update/cancel", tag = "updates", params(("name" = String, Path)), responses((status = 200, body = DeviceUpdate), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn cancel(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<Json<DeviceUpdate>, Refused> {
    Ok(Json(updates::cancel(&app, caller, name).await?))
}

/// Lets a device try again what fell back on it.
#[utoipa::path(post, path = "/api/v1/devices/{name}/update/clear-burned", tag = "updates", params(("name" = String, Path)), responses((status = 200, body = DeviceUpdate), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn clear_burned(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<DeviceUpdate>, Refused> {
    Ok(Json(updates::clear_burned(&app, caller, name).await?))
}
