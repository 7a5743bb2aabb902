//! `/cms/v1/resync`: an operator of the standby says that what the primary has counts, also where this box has more or other.

use crate::{
    api::Refused,
    cms::{Cms, Life},
};
use axum::{Json, Router, extract::State, routing::post};
use std::sync::Arc;
use weir_operator_api::{CmsInfo, Problem, Reason};

/// Its route.
pub(super) fn routes() -> Router<Arc<Cms>> {
    Router::new().route("/resync", post(resync))
}

async fn resync(State(cms): State<Arc<Cms>>) -> Result<Json<CmsInfo>, Refused> {
    let Life::Standby(follower) = cms.life() else {
        let detail = format!("this box is {} and takes nothing from another one", cms.state().as_str());
        return Err(Problem::new(Reason::CmsState, detail).next_step("run it on the standby").into());
    };
    follower.overwrite()?;
    tracing::warn!("an operator has this box take what the primary has");
    Ok(Json(cms.info().await))
}
