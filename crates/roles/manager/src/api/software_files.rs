//! `/software-files` and `/software-choices`.

use super::{JsonBody, QueryOf, Refused, pages, utoipa};
use crate::{app::App, change::Caller, domain::fields, software};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
};
use std::sync::Arc;
use weir_operator_api::{Listing, PageQuery, Problem, Reason, SoftwareChoices, SoftwareFile, SoftwareFileRequest, SoftwareRemoval};

/// What the bytes of an archive are sent as.
const OCTETS: &str = "application/octet-stream";

fn number(text: &str) -> Result<i64, Problem> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| fields::absent("software file", text))
}

/// Software files, by number.
#[utoipa::path(get, path = "/api/v1/software-files", tag = "software", params(PageQuery), responses((status = 200, body = Listing<SoftwareFile>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<SoftwareFile>>, Refused> {
    let (limit, after) = (pages::limit(query.limit)?, pages::after_id(query.after.as_deref())?);
    let page = software::list(&app).into_iter().filter(|file| file.id > after).take(limit as usize + 1);
    Ok(Json(pages::by_id(page.collect(), limit, |file| file.id)))
}

/// Registers a software file by its URL, whose checks begin at once, or for an upload.
#[utoipa::path(post, path = "/api/v1/software-files", tag = "software", request_body = SoftwareFileRequest, responses((status = 201, body = SoftwareFile), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<SoftwareFileRequest>,
) -> Result<(StatusCode, Json<SoftwareFile>), Refused> {
    Ok((StatusCode::CREATED, Json(software::register(&app, caller, request).await?)))
}

/// One software file.
#[utoipa::path(get, path = "/api/v1/software-files/{id}", tag = "software", params(("id" = String, Path)), responses((status = 200, body = SoftwareFile), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<SoftwareFile>, Refused> {
    Ok(Json(software::show(&app, number(&id)?)?))
}

/// Deletes a software file; the way back to a version that devices run only with `override`.
#[utoipa::path(delete, path = "/api/v1/software-files/{id}", tag = "software", params(("id" = String, Path), SoftwareRemoval), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(removal): QueryOf<SoftwareRemoval>,
) -> Result<StatusCode, Refused> {
    software::delete(&app, caller, number(&id)?, removal).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the bytes of an upload; its checks begin when all have come.
#[utoipa::path(put, path = "/api/v1/software-files/{id}/archive", tag = "software", params(("id" = String, Path)), request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = SoftwareFile), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SoftwareFile>, Refused> {
    let id = number(&id)?;
    if !is_octets(&headers) {
        let problem = Problem::new(Reason::UnsupportedMediaType, "the body is not said to be the bytes of a file");
        return Err(problem.next_step(format!("send `Content-Type: {OCTETS}`")).into());
    }
    Ok(Json(software::upload(&app, caller, id, length(&headers), body).await?))
}

/// What the sender says there will be. Without it the body ends where it ends (RFC 9112 section 7.1).
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_octets(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(OCTETS)
}

/// Makes the checks of a software file again.
#[utoipa::path(post, path = "/api/v1/software-files/{id}/validate", tag = "software", params(("id" = String, Path)), responses((status = 200, body = SoftwareFile), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn validate(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<SoftwareFile>, Refused> {
    Ok(Json(software::validate(&app, caller, number(&id)?).await?))
}

/// What each software file would mean for what the network runs, and whether it may be chosen.
#[utoipa::path(get, path = "/api/v1/software-choices", tag = "software", responses((status = 200, body = SoftwareChoices), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn choices(State(app): State<Arc<App>>) -> Json<SoftwareChoices> {
    Json(software::choices(&app))
}
