//! `/delivery-services`.

use super::{
    JsonBody, QueryOf, Refused,
    conditions::{IfMatch, Tagged},
    pages, utoipa,
};
use crate::{app::App, change::Caller, domain::delivery_services};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use weir_operator_api::{AccessRole, Confirmation, DeliveryService, DeliveryServiceRequest, Listing, PageQuery, Problem};

/// Delivery services, by name.
#[utoipa::path(get, path = "/api/v1/delivery-services", tag = "delivery services", params(PageQuery), responses((status = 200, body = Listing<DeliveryService>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listing<DeliveryService>>, Refused> {
    let network = app.network();
    let within_reach = network.services.iter().filter(|s| caller.access.reaches(s.name.as_str()));
    Ok(Json(pages::by_name(&query, within_reach, |s| s.name.as_str(), Clone::clone)?))
}

/// Makes a delivery service.
#[utoipa::path(post, path = "/api/v1/delivery-services", tag = "delivery services", request_body = DeliveryServiceRequest, responses((status = 201, body = DeliveryService), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<DeliveryServiceRequest>,
) -> Result<(StatusCode, Json<DeliveryService>), Refused> {
    let service = app.change(caller, move |change| delivery_services::create(change, &request)).await?;
    Ok((StatusCode::CREATED, Json(service)))
}

/// One delivery service.
#[utoipa::path(get, path = "/api/v1/delivery-services/{name}", tag = "delivery services", params(("name" = String, Path)), responses((status = 200, body = DeliveryService), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Tagged<DeliveryService>, Refused> {
    caller.access.service(AccessRole::Viewer, &name)?;
    let network = app.network();
    let service = delivery_services::find(&network, &name)?.clone();
    Ok(Tagged(service.revision, service))
}

/// Replaces what a delivery service is.
#[utoipa::path(put, path = "/api/v1/delivery-services/{name}", tag = "delivery services", params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "`ETag` of what is meant; another one is refused"), Confirmation), request_body = DeliveryServiceRequest, responses((status = 200, body = DeliveryService), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    condition: IfMatch,
    Path(name): Path<String>,
    QueryOf(Confirmation { confirm }): QueryOf<Confirmation>,
    JsonBody(request): JsonBody<DeliveryServiceRequest>,
) -> Result<Tagged<DeliveryService>, Refused> {
    let replaced = app.change(caller, move |change| {
        // First, so that nobody learns of another's service by its revision.
        change.access().service(AccessRole::Operator, &name)?;
        condition.check(change.before.service(&name).map(|s| s.revision))?;
        change.confirm(confirm);
        delivery_services::replace(change, &name, &request)
    });
    let service = replaced.await?;
    Ok(Tagged(service.revision, service))
}

/// Deletes a delivery service.
#[utoipa::path(delete, path = "/api/v1/delivery-services/{name}", tag = "delivery services", params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "`ETag` of what is meant; another one is refused")), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    condition: IfMatch,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    let deleted = app.change(caller, move |change| {
        change.access().service(AccessRole::Operator, &name)?;
        condition.check(change.before.service(&name).map(|s| s.revision))?;
        delivery_services::delete(change, &name)
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
