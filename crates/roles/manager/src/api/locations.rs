//! `/locations`.

use super::{
    JsonBody, QueryOf, Refused,
    conditions::{IfMatch, Tagged},
    pages, utoipa,
};
use crate::{
    app::App,
    change::Caller,
    domain::{fields::absent, locations},
    verbs,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use weir_operator_api::{ConfirmedRemoval, Listing, Location, LocationRequest, PageQuery, Problem};

/// Locations, by name.
#[utoipa::path(get, path = "/api/v1/locations", tag = "locations", params(PageQuery), responses((status = 200, body = Listing<Location>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<Location>>, Refused> {
    let network = app.network();
    Ok(Json(pages::by_name(&query, network.locations.values(), |l| l.name.as_str(), Clone::clone)?))
}

/// Makes a location.
#[utoipa::path(post, path = "/api/v1/locations", tag = "locations", request_body = LocationRequest, responses((status = 201, body = Location), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<LocationRequest>,
) -> Result<(StatusCode, Json<Location>), Refused> {
    let location = app.change(caller, move |change| locations::create(change, &request)).await?;
    Ok((StatusCode::CREATED, Json(location)))
}

/// One location.
#[utoipa::path(get, path = "/api/v1/locations/{name}", tag = "locations", params(("name" = String, Path)), responses((status = 200, body = Location), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Tagged<Location>, Refused> {
    let network = app.network();
    let location = network.locations.get(name.as_str()).ok_or_else(|| absent("location", &name))?;
    Ok(Tagged(location.revision, location.clone()))
}

/// Renames a location or moves it in the tree.
#[utoipa::path(put, path = "/api/v1/locations/{name}", tag = "locations", params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "`ETag` of what is meant; another one is refused")), request_body = LocationRequest, responses((status = 200, body = Location), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    condition: IfMatch,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<LocationRequest>,
) -> Result<Tagged<Location>, Refused> {
    let replaced = app.change(caller, move |change| {
        condition.check(change.before.locations.get(name.as_str()).map(|l| l.revision))?;
        locations::replace(change, &name, &request)
    });
    let location = replaced.await?;
    Ok(Tagged(location.revision, location))
}

/// Confirms that engines which are out of service in a location are meant to be: routers that hold a configuration back for them (the
/// alarm MASS_CHANGE) take it.
#[utoipa::path(post, path = "/api/v1/locations/{name}/confirm-removal", tag = "locations", params(("name" = String, Path)), responses((status = 200, body = ConfirmedRemoval), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn confirm_removal(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ConfirmedRemoval>, Refused> {
    Ok(Json(verbs::confirm_removal(&app, caller, name).await?))
}

/// Deletes a location that nothing uses.
#[utoipa::path(delete, path = "/api/v1/locations/{name}", tag = "locations", params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "`ETag` of what is meant; another one is refused")), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    condition: IfMatch,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    let deleted = app.change(caller, move |change| {
        condition.check(change.before.locations.get(name.as_str()).map(|l| l.revision))?;
        locations::delete(change, &name)
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
