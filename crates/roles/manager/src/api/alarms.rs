//! `/alarms`.

use super::{QueryOf, Refused, pages};
use crate::{
    app::App,
    change::{Caller, Refusal},
    domain::fields::absent,
    tables,
};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use weir_model::AlarmReason;
use weir_operator_api::{Alarm, Listing, Problem, alarm::AlarmQuery};

/// Alarms, oldest first.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms", params(AlarmQuery), responses((status = 200, body = Listing<Alarm>), (status = "4XX", body = Problem)))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<AlarmQuery>) -> Result<Json<Listing<Alarm>>, Refused> {
    let limit = pages::limit(query.limit)?;
    let after = pages::after_id(query.after.as_deref())?;
    let read = app.state.read(move |tx| Ok::<_, Refusal>(tables::alarms::page(tx, query.state, after, limit + 1)?));
    let alarms = read.await.map_err(Refusal::into_problem)?;
    Ok(Json(pages::by_id(alarms, limit, |a| a.id)))
}

/// Notes that somebody has taken an alarm on.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/acknowledge", tag = "alarms", params(("id" = i64, Path)), responses((status = 200, body = Alarm), (status = "4XX", body = Problem)))]
pub(super) async fn acknowledge(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Alarm>, Refused> {
    let missing = || absent("alarm", &id);
    let number: i64 = id.parse().map_err(|_| missing())?;
    let page = app.state.read(move |tx| Ok::<_, Refusal>(tables::alarms::standing(tx)?)).await.map_err(Refusal::into_problem)?;
    let before = page.into_iter().find(|a| a.id == number).ok_or_else(missing)?;
    if before.acknowledged_ms.is_some() {
        return Ok(Json(before));
    }
    let now_ms = weir_clock::wall_ms();
    let who = caller.actor.to_string();
    let after = Alarm { acknowledged_ms: Some(now_ms), acknowledged_by: Some(who.clone()), ..before.clone() };
    // The audit first: an acknowledgement that is lost can be given again, one that nobody gave must not stand.
    let audited = after.clone();
    app.change(caller, move |change| Ok(change.audit("acknowledge", format_args!("alarm {number}"), Some(&before), Some(&audited))?))
        .await?;
    let write = app.state.write(move |tx| Ok::<_, Refusal>(tables::alarms::acknowledge(tx, number, &who, now_ms)?));
    write.await.map_err(Refusal::into_problem)?;
    if after.reason == AlarmReason::WorkerCrashed {
        app.reports.crash_noted(&after.device);
    }
    Ok(Json(after))
}
