//! POST `/device/v1/answers/{id}`.

use super::peer::DevicePeer;
use crate::{
    api::{JsonBody, Refused},
    app::App,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use weir_device_api::Answer;
use weir_operator_api::{Problem, Reason};

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    Path(id): Path<u64>,
    JsonBody(answer): JsonBody<Answer>,
) -> Result<StatusCode, Refused> {
    if app.asks.answer(&peer.record.name, id, answer) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let detail = format!("nobody waits for an answer to question {id}");
        Err(Problem::new(Reason::NotFound, detail).next_step("drop the answer").into())
    }
}
