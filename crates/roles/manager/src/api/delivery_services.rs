//! `/delivery-services`.

use super::{JsonBody, QueryOf, Refused, pages, utoipa};
use crate::{app::App, change::Caller, domain::delivery_services};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use weir_operator_api::{DeliveryService, DeliveryServiceRequest, Listing, PageQuery, Problem};

/// Delivery services, by name.
#[utoipa::path(get, path = "/api/v1/delivery-services", tag = "delivery services", params(PageQuery), responses((status = 200, body = Listing<DeliveryService>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listing<DeliveryService>>, Refused> {
    let network = app.network();
    Ok(Json(pages::by_name(&query, network.services.iter(), |s| s.name.as_str(), Clone::clone)?))
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
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<DeliveryService>, Refused> {
    let network = app.network();
    Ok(Json(delivery_services::find(&network, &name)?.clone()))
}

/// Replaces what a delivery service is.
#[utoipa::path(put, path = "/api/v1/delivery-services/{name}", tag = "delivery services", params(("name" = String, Path)), request_body = DeliveryServiceRequest, responses((status = 200, body = DeliveryService), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<DeliveryServiceRequest>,
) -> Result<Json<DeliveryService>, Refused> {
    Ok(Json(app.change(caller, move |change| delivery_services::replace(change, &name, &request)).await?))
}

/// Deletes a delivery service.
#[utoipa::path(delete, path = "/api/v1/delivery-services/{name}", tag = "delivery services", params(("name" = String, Path)), responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    app.change(caller, move |change| delivery_services::delete(change, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
