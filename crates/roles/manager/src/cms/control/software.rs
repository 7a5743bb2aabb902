//! `/cms/v1/software/switch`: an operator's own step of a downgrade that is driven from the command line.

use crate::{
    api::{JsonBody, Refused},
    cms::{Cms, Life, fence},
    rollout::record,
    software::record::Record,
    tables,
};
use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use std::sync::Arc;
use weir_database::DatabaseError;
use weir_device_api::SwitchOrder;
use weir_model::{SoftwareState, Version};
use weir_operator_api::{CmsInfo, Problem, Reason};
use weir_rollout::{
    pair_order::{Driver, PairAt, Seat, may_switch},
    plan::{ConsoleStep, Phase, Plan},
};

/// Its routes.
pub(super) fn routes() -> Router<Arc<Cms>> {
    Router::new().route("/software/switch", post(switch))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchRequest {
    version: String,
}

fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(Reason::SwitchRefused, detail)
}

async fn switch(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<SwitchRequest>) -> Result<Json<CmsInfo>, Refused> {
    let unread = |_| Problem::new(Reason::InvalidField, format!("{:?} is no version", request.version)).at("version");
    let version: Version = request.version.parse().map_err(unread)?;
    let plan = plan_of(&cms).await?;
    let own: Version = weir_model::version().parse().map_err(|_| refused("this build has no version"))?;
    let other = other(&cms).await?;
    let seat = may(&plan, &cms, own, other, version)?;
    let manifest = plan.design.images.get(&version).cloned().ok_or_else(|| refused(format!("the rollout has no image of {version}")))?;
    let file = file_of(&cms, &manifest).await?;
    tracing::info!(%version, %seat, "an operator switches this box");
    let order = SwitchOrder { stamp: plan.stamp, version, manifest, file, again: true };
    cms.become_version(order, false).await?;
    Ok(Json(cms.info().await))
}

/// The rollout, as this box's journal has it.
async fn plan_of(cms: &Arc<Cms>) -> Result<Arc<Plan>, Problem> {
    let journal = Arc::clone(cms.journal());
    let read = tokio::task::spawn_blocking(move || record::read(&journal)).await;
    let unread = |why: String| refused(format!("the rollout in this box's journal cannot be read: {why}"));
    let kept = read.map_err(|error| unread(error.to_string()))?.map_err(|error| unread(error.to_string()))?;
    let next = "plan and start one: `weir downgrade plan --to VERSION`, then `weir downgrade start --plan HASH`";
    match kept {
        Some(kept) if !kept.plan.is_over() => Ok(kept.plan),
        _ => Err(refused("no rollout is under way that would have this box switched").next_step(next)),
    }
}

/// What the other active manager runs; `None` without one.
async fn other(cms: &Arc<Cms>) -> Result<Option<Version>, Problem> {
    let known = cms.now().known.clone();
    let Some(other) = known.as_ref().and_then(|known| known.others(cms.name()).next()) else { return Ok(None) };
    let said = fence::say(cms).await.into_iter().find(|hello| hello.name == other.name);
    let silent = || refused(format!("{} does not say what it runs", other.name)).next_step(format!("bring {} back", other.name));
    let hello = said.ok_or_else(silent)?;
    Ok(Some(hello.version.parse().map_err(|_| refused(format!("{} runs {:?}", other.name, hello.version)))?))
}

/// The seat of this box when it is the primary and its rollout waits for just this.
fn asked(cms: &Cms, version: Version) -> Option<Seat> {
    let Life::Primary(app) = cms.life() else { return None };
    (app.rollouts.awaited() == Some(ConsoleStep::Switch(Seat::Primary, version))).then_some(Seat::Primary)
}

/// The seat of this box when it is a standby that becomes what its primary runs: that leads the pair together, whatever the phase.
fn follows(cms: &Cms, other: Option<Version>, version: Version) -> Option<Seat> {
    (matches!(cms.life(), Life::Standby(_)) && other == Some(version)).then_some(Seat::Standby)
}

/// Whether this box may be switched to `version` now, and as what.
fn may(plan: &Plan, cms: &Cms, own: Version, other: Option<Version>, version: Version) -> Result<Seat, Problem> {
    let course = plan.course;
    if !plan.moves_managers() || course.driver != Driver::Cli {
        let detail = "the rollout that is under way switches the managers itself, or not at all";
        return Err(
            refused(detail).next_step("`weir upgrade status` says what it waits for; `weir cms take-over --why TEXT` takes its place")
        );
    }
    let (from, to) = plan.hop();
    if let Some(seat) = asked(cms, version).or_else(|| follows(cms, other, version)) {
        return Ok(seat);
    }
    if plan.phase != Phase::Managers {
        return Err(refused(format!("the rollout is in phase {}, and managers are switched in phase {}", plan.phase, Phase::Managers)));
    }
    if version != to {
        return Err(refused(format!("the rollout goes from {from} to {to}, not to {version}")).at("version"));
    }
    let is_primary = match cms.life() {
        Life::Primary(_) => true,
        Life::Standby(_) => false,
        Life::Disabled => cms.now().known.as_ref().is_some_and(|known| known.primary == *cms.name()),
    };
    let seat = if is_primary { Seat::Primary } else { Seat::Standby };
    let (standby, primary) = if is_primary { (other, own) } else { (Some(own), other.unwrap_or(own)) };
    let pair = PairAt::of(from.min(to), from.max(to), standby, primary).map_err(|refusal| refused(refusal.text).next_step(refusal.step))?;
    may_switch(course.direction, course.driver, pair, seat).map_err(|refusal| refused(refusal.text).next_step(refusal.step))?;
    Ok(seat)
}

/// The software file of this box that has an image; none needs one whose slot is there.
async fn file_of(cms: &Arc<Cms>, manifest: &str) -> Result<i64, Problem> {
    let records: Vec<Record> = match cms.life() {
        Life::Primary(app) => app.software.records().iter().map(|record| (**record).clone()).collect(),
        Life::Standby(follower) => match follower.database() {
            Some(database) => {
                let read = database.read(|tx| Ok::<_, DatabaseError>(tables::software_files::all(tx)?)).await;
                read.map_err(|error| Problem::new(Reason::Internal, error.to_string()))?
            }
            None => Vec::new(),
        },
        Life::Disabled => Vec::new(),
    };
    let has = |record: &&Record| {
        let is_it = record.release.as_ref().is_some_and(|release| release.manifest_sha256 == manifest);
        is_it && record.state() == SoftwareState::Ready
    };
    Ok(records.iter().rfind(has).map_or(0, |record| record.id))
}
