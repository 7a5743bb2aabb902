//! The control socket: `/cms/v1` in every CMS state, beside it the operator API of the life that runs. Who may open it may do all.

mod database;
pub(super) mod downgrade;
mod key;
mod resync;
mod software;

use super::{Cms, Life, role};
use crate::{
    access::Access,
    api::{JsonBody, Refused, not_allowed},
    change::{Actor, Caller},
    follower::unreplicated,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use std::{io, sync::Arc, time::Duration};
use tower::ServiceExt;
use weir_operator_api::{CmsInfo, CmsState, Problem, Reason, RoleChange, RoleRequest, paths};

/// Patience for a new primary on the other box to answer, once this one has made way.
const NEW_PRIMARY: Duration = Duration::from_secs(20);
/// Longest reason of an operator, in bytes.
const WHY_BYTES_MAX: usize = 1024;
/// Largest body of these verbs, in bytes; those that take a file have their own.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Everything the control socket serves.
pub(super) fn router(cms: Arc<Cms>) -> Router {
    let own = Router::new()
        .route("/info", get(info))
        .route("/enable", post(enable))
        .route("/disable", post(disable))
        .route("/role", post(change_role))
        .route("/unreplicated/{name}", delete(dismiss))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(key::routes())
        .merge(database::routes())
        .merge(downgrade::routes())
        .merge(resync::routes())
        .merge(software::routes())
        .method_not_allowed_fallback(not_allowed);
    Router::new().nest(paths::CMS, own).fallback(of_life).with_state(cms)
}

/// What is served while no life runs.
pub(super) fn between() -> Router {
    let wait = || async { Refused::from(Problem::new(Reason::Unavailable, "this box changes its state")) };
    Router::new().fallback(wait)
}

async fn of_life(State(cms): State<Arc<Cms>>, request: Request) -> Response {
    let router = cms.now().local.clone();
    router.oneshot(request).await.into_response()
}

/// Whoever may open the control socket.
pub(super) fn caller() -> Caller {
    Caller { actor: Actor::Local, source: "local".to_owned(), access: Access::admin() }
}

async fn info(State(cms): State<Arc<Cms>>) -> Json<CmsInfo> {
    Json(cms.info().await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disable {
    #[serde(default)]
    why: Option<String>,
}

async fn disable(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<Disable>) -> Result<Json<CmsInfo>, Refused> {
    let of_box = Arc::clone(&cms);
    Ok(Json(cms.to_its_end("disable", async move { disabled(&of_box, request).await }).await?))
}

async fn disabled(cms: &Arc<Cms>, request: Disable) -> Result<CmsInfo, Problem> {
    let why = request.why.filter(|why| !why.trim().is_empty());
    if why.as_ref().is_some_and(|why| why.len() > WHY_BYTES_MAX) {
        return Err(Problem::new(Reason::LimitExceeded, format!("the reason is longer than {WHY_BYTES_MAX} bytes")).at("why"));
    }
    let _turn = cms.turn().await?;
    if let Life::Primary(app) = cms.life() {
        cms.record(app.network().stamp.term, "disabled", serde_json::json!({ "manager": cms.name(), "why": why })).await;
    }
    set_enabled(cms, false, why).await?;
    cms.settled().await;
    Ok(cms.info().await)
}

async fn enable(State(cms): State<Arc<Cms>>) -> Result<Json<CmsInfo>, Refused> {
    let of_box = Arc::clone(&cms);
    Ok(Json(cms.to_its_end("enable", async move { enabled(&of_box).await }).await?))
}

/// Enables the box and waits for the life that follows.
///
/// # Errors
/// It is disabled still, and why; another verb is under way.
pub(super) async fn enabled(cms: &Arc<Cms>) -> Result<CmsInfo, Problem> {
    // While a verb holds the box it is disabled, and only that verb's end changes that.
    let _turn = cms.turn().await?;
    if !cms.is_disabled() {
        return Ok(cms.info().await);
    }
    set_enabled(cms, true, None).await?;
    cms.settled().await;
    let info = cms.info().await;
    if let Life::Primary(app) = cms.life() {
        cms.record(app.network().stamp.term, "enabled", serde_json::json!({ "manager": cms.name() })).await;
    }
    match info.state {
        CmsState::Primary | CmsState::Standby => Ok(info),
        state => {
            let why = info.why.unwrap_or_default();
            let next = if info.next.is_empty() { "run `weir cms info`".to_owned() } else { info.next.join(", then ") };
            Err(Problem::new(Reason::CmsState, format!("this box is {}: {why}", state.as_str())).next_step(next))
        }
    }
}

async fn set_enabled(cms: &Arc<Cms>, enabled: bool, why: Option<String>) -> Result<(), Problem> {
    let file = Arc::clone(cms.box_file());
    let written = tokio::task::spawn_blocking(move || file.set_enabled(enabled, why)).await;
    let written = written.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
    written.map_err(|error| Problem::new(Reason::Internal, format!("box.json cannot be written: {error}")))
}

async fn change_role(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<RoleRequest>) -> Result<Json<RoleChange>, Refused> {
    let began_ms = weir_clock::monotonic_ms();
    let is_handing_over = matches!(cms.life(), Life::Primary(_)) && request.role == "standby";
    let of_box = Arc::clone(&cms);
    let changed = cms.to_its_end("role", async move { role::change(&of_box, caller(), request).await }).await?;
    if !is_handing_over {
        return Ok(Json(changed));
    }
    if !role::serves(&cms, &changed.primary, changed.term, NEW_PRIMARY).await {
        let detail = format!("this box has made way for {}, which does not answer as primary yet", changed.primary);
        let next = "read `weir cms info` on the other box; it goes on by itself";
        return Err(Problem::new(Reason::HandingOver, detail).next_step(next).into());
    }
    Ok(Json(RoleChange { took_ms: weir_clock::monotonic_ms().saturating_sub(began_ms), ..changed }))
}

async fn dismiss(State(cms): State<Arc<Cms>>, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    let state = cms.state_directory().to_owned();
    let dismissed = tokio::task::spawn_blocking(move || unreplicated::dismiss(&state, &name)).await;
    match dismissed.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            let next = "`weir cms unreplicated` lists the names";
            Err(Problem::new(Reason::NotFound, "there is no such file of unreplicated changes").next_step(next).into())
        }
        Err(error) => Err(Problem::new(Reason::Internal, format!("the file cannot be deleted: {error}")).into()),
    }
}
