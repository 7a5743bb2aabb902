//! `/users`: for those locked out of the pages.

use super::{Refused, utoipa};
use crate::{
    app::App,
    change::{Actor, Caller},
    domain::users,
};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use weir_operator_api::{OneTimePassword, Problem, Reason};

/// Gives a user of the pages a one-time password and ends their sessions. Only over the manager's own socket.
#[utoipa::path(post, path = "/api/v1/users/{name}/one-time-password", tag = "users", params(("name" = String, Path)), responses((status = 200, body = OneTimePassword), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn reset(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<Json<OneTimePassword>, Refused> {
    if caller.actor != Actor::Local {
        return Err(Problem::new(Reason::LocalOnly, "one-time passwords are made on the manager's own socket").into());
    }
    let password = users::reset(&app, caller, &name).await?;
    Ok(Json(OneTimePassword { name, one_time_password: password.to_string() }))
}
