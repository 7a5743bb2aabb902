//! `/rollout`.

use super::{JsonBody, Refused, utoipa};
use crate::{app::App, change::Caller, rollout};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use weir_operator_api::{Problem, Rollout, RolloutPlan, RolloutRequest, RolloutStart, RolloutWord};

/// What a rollout would run, or every reason against it. Nothing changes.
#[utoipa::path(post, path = "/api/v1/rollout/plan", tag = "rollout", request_body = RolloutRequest, responses((status = 200, body = RolloutPlan), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn plan(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<RolloutRequest>,
) -> Result<Json<RolloutPlan>, Refused> {
    Ok(Json(rollout::plan(&app, &caller.access, request).await?))
}

/// Starts a plan that was shown.
#[utoipa::path(post, path = "/api/v1/rollout", tag = "rollout", request_body = RolloutStart, responses((status = 200, body = Rollout), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(start): JsonBody<RolloutStart>,
) -> Result<Json<Rollout>, Refused> {
    Ok(Json(rollout::start(&app, caller, start).await?))
}

/// The rollout there is, or was last.
#[utoipa::path(get, path = "/api/v1/rollout", tag = "rollout", responses((status = 200, body = Rollout), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Rollout>, Refused> {
    Ok(Json(rollout::show(&app)?))
}

/// The journal's records of the rollout there is, or was last: a line each, from the one with which it began.
#[utoipa::path(get, path = "/api/v1/rollout/journal", tag = "rollout", responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn journal(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let lines = rollout::export(&app).await?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(lines)).into_response())
}

/// Says something to the rollout: `pause`, `resume`, `abort`, `revert`, `restate`, `hold`, `finalise`, `take-over`.
#[utoipa::path(post, path = "/api/v1/rollout/{verb}", tag = "rollout", params(("verb" = String, Path)), request_body = RolloutWord, responses((status = 200, body = Rollout), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn say(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(verb): Path<String>,
    JsonBody(word): JsonBody<RolloutWord>,
) -> Result<Json<Rollout>, Refused> {
    Ok(Json(rollout::say(&app, caller, &verb, word).await?))
}

/// Says something of one device: `excuse`, `pin`, `unpin`, `retry`, `force`.
#[utoipa::path(post, path = "/api/v1/rollout/devices/{name}/{verb}", tag = "rollout", params(("name" = String, Path), ("verb" = String, Path)), request_body = RolloutWord, responses((status = 200, body = Rollout), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn say_of(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((name, verb)): Path<(String, String)>,
    JsonBody(word): JsonBody<RolloutWord>,
) -> Result<Json<Rollout>, Refused> {
    Ok(Json(rollout::say_of(&app, caller, &name, &verb, word).await?))
}
