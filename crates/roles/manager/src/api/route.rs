//! GET `/route/explain`.

use super::{QueryOf, Refused, utoipa};
use crate::{app::App, verbs};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{Problem, RouteExplanation, route::RouteQuery};

/// Where a client would be sent, and why.
#[utoipa::path(get, path = "/api/v1/route/explain", tag = "routing", params(RouteQuery), responses((status = 200, body = RouteExplanation), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn explain(State(app): State<Arc<App>>, QueryOf(query): QueryOf<RouteQuery>) -> Result<Json<RouteExplanation>, Refused> {
    Ok(Json(verbs::explain(&app, query).await?))
}
