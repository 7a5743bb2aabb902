//! GET `/features`.

use super::utoipa;
use crate::{app::App, rollout::waiting};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{Features, Problem};

/// Features that wait for the upgrade of the network, for whom, and what is parked meanwhile.
#[utoipa::path(get, path = "/api/v1/features", tag = "network", responses((status = 200, body = Features), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Json<Features> {
    Json(waiting::features(&app))
}
