//! `/backups` and `/backup-schedule`.

use super::{JsonBody, Refused, utoipa};
use crate::{app::App, backup, change::Caller, device_api};
use axum::{
    Json,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_DISPOSITION, ETAG},
    },
    response::Response,
};
use std::sync::Arc;
use weir_operator_api::{AccessRole, Backup, BackupConfirmation, BackupRecovery, BackupRequest, BackupSchedule, Backups, Problem};

/// The peer number of those who download: no device has it.
const OPERATORS: i64 = 0;

/// Backups, newest first, and the one that is being made.
#[utoipa::path(get, path = "/api/v1/backups", tag = "backups", responses((status = 200, body = Backups), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Backups>, Refused> {
    Ok(Json(backup::list(&app).await?))
}

/// Makes a backup and puts it where the schedule says; answers when all of that is done.
#[utoipa::path(post, path = "/api/v1/backups", tag = "backups", request_body = BackupRequest, responses((status = 201, body = Backup), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<BackupRequest>,
) -> Result<(StatusCode, Json<Backup>), Refused> {
    Ok((StatusCode::CREATED, Json(backup::make(&app, caller, request).await?)))
}

/// The file of a backup, whole or in part. Its secrets are sealed.
#[utoipa::path(get, path = "/api/v1/backups/{name}", tag = "backups", params(("name" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 206, body = Vec<u8>, content_type = "application/octet-stream"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn download(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    file(&app, caller, &name, &headers).await
}

/// The same for the pages.
pub(crate) async fn file(app: &Arc<App>, caller: Caller, name: &str, headers: &HeaderMap) -> Result<Response, Refused> {
    caller.access.everywhere(AccessRole::Admin)?;
    let (path, backup) = backup::file_of(app, name).await?;
    let mut response = device_api::give(app, OPERATORS, (path, backup.bytes), &backup.sha256, headers).await?;
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", backup.name)).expect("the name is plain");
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    debug_assert!(response.headers().contains_key(ETAG), "the hash goes along");
    Ok(response)
}

/// Deletes a backup of this box; copies elsewhere stay.
#[utoipa::path(delete, path = "/api/v1/backups/{name}", tag = "backups", params(("name" = String, Path)), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    backup::delete(&app, caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says that a downloaded copy is the same: it has this SHA-256.
#[utoipa::path(post, path = "/api/v1/backups/{name}/confirm", tag = "backups", params(("name" = String, Path)), request_body = BackupConfirmation, responses((status = 200, body = Backup), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(confirmation): JsonBody<BackupConfirmation>,
) -> Result<Json<Backup>, Refused> {
    Ok(Json(backup::confirm(&app, caller, &name, &confirmation.sha256).await?))
}

/// Tries a restore of a backup on a scratch copy.
#[utoipa::path(post, path = "/api/v1/backups/{name}/rehearse", tag = "backups", params(("name" = String, Path)), responses((status = 200, body = Backup), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rehearse(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<Json<Backup>, Refused> {
    Ok(Json(backup::rehearse(&app, caller, &name).await?))
}

/// Gets a backup back from an engine's vault onto this box, which need not know it.
#[utoipa::path(post, path = "/api/v1/backups/{name}/recover", tag = "backups", params(("name" = String, Path)), request_body = BackupRecovery, responses((status = 200, body = Backup), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn recover(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<BackupRecovery>,
) -> Result<Json<Backup>, Refused> {
    Ok(Json(backup::recover(&app, caller, &name, &request).await?))
}

/// When backups are made and where they go.
#[utoipa::path(get, path = "/api/v1/backup-schedule", tag = "backups", responses((status = 200, body = BackupSchedule), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn schedule(State(app): State<Arc<App>>) -> Result<Json<BackupSchedule>, Refused> {
    Ok(Json(backup::schedule(&app).await?))
}

/// Replaces that.
#[utoipa::path(put, path = "/api/v1/backup-schedule", tag = "backups", request_body = BackupSchedule, responses((status = 200, body = BackupSchedule), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_schedule(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(schedule): JsonBody<BackupSchedule>,
) -> Result<Json<BackupSchedule>, Refused> {
    Ok(Json(backup::set_schedule(&app, caller, schedule).await?))
}
