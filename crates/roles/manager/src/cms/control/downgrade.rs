//! `/cms/v1/database/downgrade`: tried on a copy first, so that what cannot be done disables nothing.

use crate::{
    api::{JsonBody, Refused},
    cms::{Cms, downgrade, switch::together},
};
use axum::{Json, Router, extract::State, routing::post};
use std::sync::Arc;
use weir_operator_api::{DowngradePlan, DowngradeRequest, Problem, Reason};

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
    not_alone(&cms, &request).await?;
    let of_box = Arc::clone(&cms);
    Ok(Json(cms.to_its_end("downgrade", async move { alone(&of_box, request).await }).await?))
}

/// Takes the database back without being asked, where there is anything to take back.
///
/// # Errors
/// As of the verb; the database is as it was.
pub(in crate::cms) async fn take_back(cms: &Arc<Cms>, request: DowngradeRequest) -> Result<(), Problem> {
    let (state, asked) = (cms.state_directory().to_owned(), request.clone());
    let planned = blocking(move || downgrade::plan(&state, &asked)).await?;
    if planned.steps.is_empty() {
        return Ok(());
    }
    alone(cms, request).await.map(drop)
}

async fn alone(cms: &Arc<Cms>, request: DowngradeRequest) -> Result<DowngradePlan, Problem> {
    let held = cms.hold(HELD).await?;
    let of_box = Arc::clone(cms);
    let done = blocking(move || {
        let work = || downgrade::downgrade(of_box.state_directory(), of_box.journal(), of_box.name(), &request);
        downgrade::disabled(of_box.box_file(), work)
    });
    let done = done.await;
    held.release().await;
    done
}

/// The other manager's database is what there is to go back to while that one runs the later version.
async fn not_alone(cms: &Cms, request: &DowngradeRequest) -> Result<(), Problem> {
    let version = weir_model::version();
    let is_here = cms.box_file().switch().is_some_and(|note| note.to.to_string() == version);
    if !is_here || request.alone.is_some() || together(cms).await {
        return Ok(());
    }
    let detail = format!("not every other manager runs {version}, and its database is what there is to go back to");
    let next = format!(
        "on the other manager's box: `weir cms software switch {version}`; when that box is lost: `weir cms database downgrade --alone --why TEXT`"
    );
    Err(Problem::new(Reason::SwitchRefused, detail).next_step(next))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let lost = |_| Err(Problem::new(Reason::Internal, "the downgrade ended without an answer"));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(lost)
}
