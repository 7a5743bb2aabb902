//! `/export` and `/apply`: the network as one document.

use super::{JsonBody, QueryOf, Refused, utoipa};
use crate::{
    app::App,
    change::Caller,
    confirm,
    domain::apply::{self, Mode},
    guard::Departure,
};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{ApplyOutcome, ApplyQuery, NetworkDocument, Problem};

/// The network as a document, in a stable order.
#[utoipa::path(get, path = "/api/v1/export", tag = "network document", responses((status = 200, body = NetworkDocument), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn export(State(app): State<Arc<App>>) -> Json<NetworkDocument> {
    Json(apply::export(&app.network()))
}

/// Makes the network what the document says, in one write. Lists that are absent are left as they are; those that are there are made
/// true whole, but for devices, which are neither made nor deleted. The body may be as large as 64 MiB.
#[utoipa::path(post, path = "/api/v1/apply", tag = "network document", params(ApplyQuery), request_body = NetworkDocument, responses((status = 200, body = ApplyOutcome), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = "5XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryOf(query): QueryOf<ApplyQuery>,
    JsonBody(document): JsonBody<NetworkDocument>,
) -> Result<Json<ApplyOutcome>, Refused> {
    let named: Vec<&str> = document.devices.iter().flatten().map(|device| device.name.as_str()).collect();
    let departure = Departure::gather_all(&app, &named).await?;
    let ApplyQuery { dry_run, confirm } = query;
    if !dry_run {
        let applied = app.change(caller, move |change| {
            change.confirm(confirm);
            apply::apply(change, &document, &departure, Mode::Apply)
        });
        return Ok(Json(applied.await?));
    }
    let rehearsed = app.rehearse(caller, move |change| {
        change.confirm(confirm);
        apply::apply(change, &document, &departure, Mode::DryRun)
    });
    let (mut outcome, kept) = rehearsed.await?;
    if let Err(problem) = kept {
        outcome.confirm = Some(confirm::asked(&problem).ok_or_else(|| problem.clone())?.to_owned());
    }
    Ok(Json(outcome))
}
