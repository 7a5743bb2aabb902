//! Stub.

use crate::{access::Access, app::App, change::Caller};
use std::sync::Arc;
use weir_operator_api::{Problem, Reason, Rollout, RolloutPlan, RolloutRequest, RolloutStart, RolloutWord};

fn none<T>() -> Result<T, Problem> {
    Err(Problem::new(Reason::NoRollout, "there was no rollout yet"))
}

pub(crate) async fn plan(_: &Arc<App>, _: &Access, _: RolloutRequest) -> Result<RolloutPlan, Problem> {
    none()
}

pub(crate) async fn start(_: &Arc<App>, _: Caller, _: RolloutStart) -> Result<Rollout, Problem> {
    none()
}

pub(crate) fn show(_: &App) -> Result<Rollout, Problem> {
    none()
}

pub(crate) async fn say(_: &Arc<App>, _: Caller, _: &str, _: RolloutWord) -> Result<Rollout, Problem> {
    none()
}

pub(crate) async fn say_of(_: &Arc<App>, _: Caller, _: &str, _: &str, _: RolloutWord) -> Result<Rollout, Problem> {
    none()
}

pub(crate) fn version(_: &App) -> u64 {
    0
}
