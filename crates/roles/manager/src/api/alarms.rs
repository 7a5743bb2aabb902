//! `/alarms`.

use super::{QueryOf, Refused, pages, utoipa};
use crate::{
    app::App,
    change::{Caller, Refusal},
    tables, verbs, watch,
};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use weir_operator_api::{
    Alarm, Listing, Problem,
    alarm::{AlarmQuery, AlarmState},
};

/// Alarms, oldest first.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms", params(AlarmQuery), responses((status = 200, body = Listing<Alarm>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<AlarmQuery>) -> Result<Json<Listing<Alarm>>, Refused> {
    let limit = pages::limit(query.limit)?;
    let after = pages::after_id(query.after.as_deref())?;
    let read = app.state.read(move |tx| Ok::<_, Refusal>(tables::alarms::page(tx, query.state, after, limit + 1)?));
    let mut alarms = read.await.map_err(Refusal::into_problem)?;
    if after == 0 && query.state != AlarmState::Cleared {
        let standing = watch::standing(&app).await.map_err(|error| Refusal::from(error).into_problem())?;
        // One that a full disk keeps from being kept has no place of its own.
        alarms.splice(0..0, standing.into_iter().filter(|alarm| alarm.id == 0));
    }
    Ok(Json(pages::by_id(alarms, limit, |a| a.id)))
}

/// Notes that somebody has taken an alarm on.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/acknowledge", tag = "alarms", params(("id" = i64, Path)), responses((status = 200, body = Alarm), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn acknowledge(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Alarm>, Refused> {
    Ok(Json(verbs::acknowledge(&app, caller, &id).await?))
}
