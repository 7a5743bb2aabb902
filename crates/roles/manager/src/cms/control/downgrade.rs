//! `/cms/v1/database/downgrade`: tried on a copy first, so that what cannot be done disables nothing.

use crate::{
    api::{JsonBody, Refused},
    cms::{
        Cms,
        downgrade::{self, WHY},
    },
};
use axum::{Json, Router, extract::State, routing::post};
use std::{io, sync::Arc};
use weir_operator_api::{DowngradePlan, DowngradeRequest, Problem, Reason};
use weir_telemetry::Chain;

/// What runs on the box is told to end for this.
const HELD: &str = "its database is taken back to an older schema";

/// Its routes.
pub(super) fn routes() -> Router<Arc<Cms>> {
    Router::new().route("/database/downgrade", post(downgrade))
}

async fn downgrade(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<DowngradeRequest>) -> Result<Json<DowngradePlan>, Refused> {
    let (state, asked) = (cms.state_directory().to_owned(), request.clone());
    let planned = blocking(move || downgrade::plan(&state, &asked)).await?;
    if request.plan || planned.steps.is_empty() {
        return Ok(Json(DowngradePlan { done: !request.plan, ..planned }));
    }
    downgrade::may_change(&request)?;
    let (was_enabled, why) = (cms.box_file().enabled(), cms.box_file().why());
    set_enabled(&cms, false, Some(WHY.to_owned())).await?;
    let done = alone(&cms, request).await;
    if done.is_err() {
        // The database is as it was, and so is the box.
        set_enabled(&cms, was_enabled, why).await?;
    }
    super::settled(&cms).await;
    Ok(Json(done?))
}

async fn alone(cms: &Arc<Cms>, request: DowngradeRequest) -> Result<DowngradePlan, Problem> {
    cms.become_disabled(HELD).await?;
    let of_box = Arc::clone(cms);
    blocking(move || downgrade::downgrade(of_box.state_directory(), of_box.journal(), of_box.name(), &request)).await
}

async fn set_enabled(cms: &Arc<Cms>, enabled: bool, why: Option<String>) -> Result<(), Problem> {
    let of_box = Arc::clone(cms);
    let unwritten = |error: io::Error| Problem::new(Reason::Internal, format!("box.json cannot be written: {}", Chain(&error)));
    blocking(move || of_box.box_file().set_enabled(enabled, why).map_err(unwritten)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let lost = |_| Err(Problem::new(Reason::Internal, "the downgrade ended without an answer"));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(lost)
}
