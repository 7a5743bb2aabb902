//! `/pair`: how the two managers stand, and handing over to the standby.

use super::{JsonBody, Refused, utoipa};
use crate::{app::App, change::Caller, cms};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{AccessRole, CmsInfo, Problem, Reason, RoleChange, RoleRequest};

/// This manager and, as it knows it, the other one.
#[utoipa::path(get, path = "/api/v1/pair", tag = "managers", responses((status = 200, body = CmsInfo), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Json<CmsInfo> {
    Json(app.cms.info().await)
}

/// The standby takes over: the role is `standby`, that of the manager asked. Answers once it has made way.
#[utoipa::path(post, path = "/api/v1/pair/role", tag = "managers", request_body = RoleRequest, responses((status = 200, body = RoleChange), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn change_role(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<RoleRequest>,
) -> Result<Json<RoleChange>, Refused> {
    caller.access.everywhere(AccessRole::Admin)?;
    if request.accept_loss.is_some() {
        let detail = "a primary that answers hands over without a loss";
        return Err(Problem::new(Reason::InvalidField, detail).at("accept_loss").into());
    }
    Ok(Json(cms::change_role(&app.cms, caller, request).await?))
}
