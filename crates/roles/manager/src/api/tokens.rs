//! `/enrolment-tokens` and `/tokens`.

use super::{JsonBody, QueryOf, Refused, pages, utoipa};
use crate::{
    app::App,
    change::{Caller, Refusal},
    domain::tokens,
    tables,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use weir_operator_api::{
    ApiToken, ApiTokenRequest, EnrolmentToken, EnrolmentTokenRequest, Listing, NewApiToken, NewEnrolmentToken, PageQuery, Problem,
};

/// Enrolment tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/enrolment-tokens", tag = "tokens", params(PageQuery), responses((status = 200, body = Listing<EnrolmentToken>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list_enrolment(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listing<EnrolmentToken>>, Refused> {
    let tokens = app.config.read(|tx| Ok::<_, Refusal>(tables::tokens::enrolment_all(tx)?)).await.map_err(Refusal::into_problem)?;
    let mut tokens: Vec<_> = tokens.into_iter().map(|t| t.record).collect();
    tokens.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(pages::by_name(&query, tokens.iter(), |t| t.id.as_str(), Clone::clone)?))
}

/// Makes an enrolment token. The answer shows its secret, once.
#[utoipa::path(post, path = "/api/v1/enrolment-tokens", tag = "tokens", request_body = EnrolmentTokenRequest, responses((status = 201, body = NewEnrolmentToken), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create_enrolment(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<EnrolmentTokenRequest>,
) -> Result<(StatusCode, Json<NewEnrolmentToken>), Refused> {
    let ca = app.authority.fingerprint();
    let token = app.change(caller, move |change| tokens::create_enrolment(change, &request, ca)).await?;
    Ok((StatusCode::CREATED, Json(token)))
}

/// Deletes an enrolment token. Devices it has enrolled stay.
#[utoipa::path(delete, path = "/api/v1/enrolment-tokens/{id}", tag = "tokens", params(("id" = String, Path)), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_enrolment(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    app.change(caller, move |change| tokens::delete_enrolment(change, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// API tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(PageQuery), responses((status = 200, body = Listing<ApiToken>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list_api(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<ApiToken>>, Refused> {
    let known = app.api_tokens();
    let mut tokens: Vec<_> = known.iter().map(|t| &t.record).collect();
    tokens.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(pages::by_name(&query, tokens.into_iter(), |t| t.id.as_str(), Clone::clone)?))
}

/// Makes an API token. The answer shows its secret, once.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = ApiTokenRequest, responses((status = 201, body = NewApiToken), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create_api(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<ApiTokenRequest>,
) -> Result<(StatusCode, Json<NewApiToken>), Refused> {
    let token = app.change(caller, move |change| tokens::create_api(change, &request)).await?;
    Ok((StatusCode::CREATED, Json(token)))
}

/// Deletes an API token: it is refused from then on.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_api(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    app.change(caller, move |change| tokens::delete_api(change, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
