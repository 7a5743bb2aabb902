//! `/users`: who may sign in to the pages, and what they may do there.

use super::{JsonBody, QueryOf, Refused, pages, utoipa};
use crate::{
    app::App,
    change::{Actor, Caller},
    domain::users,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use weir_operator_api::{Listing, NewUser, OneTimePassword, PageQuery, Problem, Reason, User, UserRequest, UserRoleRequest};

/// Users, by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(PageQuery), responses((status = 200, body = Listing<User>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<User>>, Refused> {
    let users = app.users();
    Ok(Json(pages::by_name(&query, users.iter(), |u| u.name.as_str(), users::shown)?))
}

/// Makes a user. The answer shows their one-time password, once.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = UserRequest, responses((status = 201, body = NewUser), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<UserRequest>,
) -> Result<(StatusCode, Json<NewUser>), Refused> {
    Ok((StatusCode::CREATED, Json(users::create(&app, caller, &request).await?)))
}

/// Deletes a user and ends their sessions; the last administrator stays.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    users::delete(&app, caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a user another role; their sessions end when it is a lower one.
#[utoipa::path(post, path = "/api/v1/users/{name}/role", tag = "users", params(("name" = String, Path)), request_body = UserRoleRequest, responses((status = 200, body = User), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_role(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<UserRoleRequest>,
) -> Result<Json<User>, Refused> {
    Ok(Json(users::set_role(&app, caller, &name, &request.role).await?))
}

/// Gives a user of the pages a one-time password and ends their sessions. Only over the manager's own socket.
#[utoipa::path(post, path = "/api/v1/users/{name}/one-time-password", tag = "users", params(("name" = String, Path)), responses((status = 200, body = OneTimePassword), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn reset(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<Json<OneTimePassword>, Refused> {
    if caller.actor != Actor::Local {
        return Err(Problem::new(Reason::LocalOnly, "one-time passwords are made on the manager's own socket").into());
    }
    let password = users::reset(&app, caller, &name).await?;
    Ok(Json(OneTimePassword { name, one_time_password: password.to_string() }))
}
