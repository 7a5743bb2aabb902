//! `/devices`.

use super::{JsonBody, QueryOf, Refused, pages, utoipa};
use crate::{app::App, change::Caller, device_view::view, domain::devices, snapshot::DeviceRecord, verbs};
use ::utoipa::IntoParams;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use std::sync::Arc;
use weir_operator_api::{
    Activation, Device, DeviceLogs, Listing, PageQuery, Problem,
    device::{LOG_LINES, Removal},
};

/// Devices, by name.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", params(PageQuery), responses((status = 200, body = Listing<Device>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<Device>>, Refused> {
    let network = app.network();
    Ok(Json(pages::by_name(&query, network.devices.values(), |d| d.name.as_str(), |d| view(&app, &network, d))?))
}

/// One device.
#[utoipa::path(get, path = "/api/v1/devices/{name}", tag = "devices", params(("name" = String, Path)), responses((status = 200, body = Device), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Device>, Refused> {
    let network = app.network();
    let record = devices::find(&network, &name)?;
    Ok(Json(view(&app, &network, record)))
}

/// The device as it is after a change.
fn changed(app: &App, record: &DeviceRecord) -> Json<Device> {
    Json(view(app, &app.network(), record))
}

/// Puts a device into a location, or moves it.
#[utoipa::path(post, path = "/api/v1/devices/{name}/activate", tag = "devices", params(("name" = String, Path)), request_body = Activation, responses((status = 200, body = Device), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn activate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<Activation>,
) -> Result<Json<Device>, Refused> {
    let record = verbs::activate(&app, caller, name, request).await?;
    Ok(changed(&app, &record))
}

/// Takes a device out of service; it stays enrolled.
#[utoipa::path(post, path = "/api/v1/devices/{name}/deactivate", tag = "devices", params(("name" = String, Path), Removal), responses((status = 200, body = Device), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn deactivate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    QueryOf(query): QueryOf<Removal>,
) -> Result<Json<Device>, Refused> {
    let record = verbs::deactivate(&app, caller, name, query).await?;
    Ok(changed(&app, &record))
}

/// Deletes a device and revokes its certificate.
#[utoipa::path(delete, path = "/api/v1/devices/{name}", tag = "devices", params(("name" = String, Path), Removal), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    QueryOf(query): QueryOf<Removal>,
) -> Result<StatusCode, Refused> {
    verbs::delete_device(&app, caller, name, query).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How much of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Last lines wanted, 1 to 10,000; 100 when absent.
    #[param(required = false)]
    lines: Option<u32>,
}

/// The last lines of a device's log, as the device itself reads them.
#[utoipa::path(get, path = "/api/v1/devices/{name}/logs", tag = "devices", params(("name" = String, Path), LogQuery), responses((status = 200, body = DeviceLogs), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    QueryOf(query): QueryOf<LogQuery>,
) -> Result<Json<DeviceLogs>, Refused> {
    Ok(Json(verbs::logs(&app, &name, query.lines.unwrap_or(LOG_LINES)).await?))
}
