//! Rollouts: the update of the network or a part of it, driven by this manager.
//!
//! ```text
//! request ──> policy ──> weir_rollout::plan::make ──> shown ──start──> journal
//! round: reports, configuration, software files, pair ──> facts ──> tick ──> journal ──> orders in config.db ──> updates
//! operator's word ──> command ──> journal
//! ```
//! Where a rollout stands is in the journal and nowhere else: the standby mirrors it, and whoever is primary goes on from there.
//! `docs/decisions/0009`, `docs/decisions/0010`.

mod comparison;
mod export;
mod facts;
#[cfg(test)]
mod fixture;
mod held;
mod level;
mod managers;
mod orders;
mod policy;
pub(crate) mod record;
pub(crate) mod round;
mod said;
mod view;
pub(crate) mod waiting;

pub(crate) use export::export;
pub(crate) use held::Rollouts;
pub(crate) use said::{say, say_of};

use crate::{
    access::Access,
    alarms::Key,
    app::App,
    change::{Caller, NOTHING},
};
use held::Draft;
use record::{Kept, Record};
use serde_json::json;
use std::sync::Arc;
use weir_model::{AlarmReason, DeviceName};
use weir_operator_api::{AccessRole, Problem, Reason, Rollout, RolloutPlan, RolloutRequest, RolloutStart};
use weir_rollout::plan::{Command, Facts, PauseReason, Plan, Policy, Refusal, State, command, make};

/// Shortest beginning of a hash that names a plan.
const HASH_MIN: usize = 12;

/// What a plan would run, or every reason against it. Nothing changes.
pub(crate) async fn plan(app: &Arc<App>, access: &Access, request: RolloutRequest) -> Result<RolloutPlan, Problem> {
    access.everywhere(AccessRole::Viewer)?;
    let network = app.network();
    let facts = facts::gather(app, &network, None).await?;
    let policy = policy::policy(&request, &facts, &network.profile.name)?;
    match made(policy.clone(), &facts) {
        Ok(plan) => {
            let hash = plan.design.hash();
            app.rollouts.draft(Draft { hash: hash.clone(), policy });
            Ok(view::planned(&plan, hash))
        }
        Err(refused) => Ok(view::refused(&policy, &refused)),
    }
}

fn made(policy: Policy, facts: &Facts) -> Result<Plan, Vec<Refusal>> {
    make(policy, facts, weir_clock::wall_ms())
}

/// Starts a plan that was shown, while it is still what its hash says.
pub(crate) async fn start(app: &Arc<App>, caller: Caller, start: RolloutStart) -> Result<Rollout, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    let draft = shown(app, &start.plan)?;
    {
        let _one_after_another = app.rollouts.committing.lock().await;
        if let Some(kept) = app.rollouts.kept().filter(|kept| !is_at_rest(&kept.plan)) {
            let detail = format!("a rollout of {} to {} is {}", kept.plan.design.policy.scope, target(&kept.plan), kept.plan.status());
            return Err(Problem::new(Reason::RolloutUnderWay, detail));
        }
        let network = app.network();
        let facts = facts::gather(app, &network, None).await?;
        let plan = made(draft.policy, &facts).map_err(|refusals| view::problem(&refusals))?;
        let plan = command(&plan, &facts, &Command::Start { hash: draft.hash.clone() }).map_err(|refused| said::problem(refused.reason))?;
        let by = caller.actor.to_string();
        let record = Record::Began { plan: Box::new(plan.clone()), by: by.clone() };
        let started_ms = round::write(app, record).await?;
        app.rollouts.replace(Kept { plan: Arc::new(plan), by, started_ms, ended_ms: None });
    }
    app.rollouts.nudge();
    audit(app, caller, "start", json!({ "plan": draft.hash })).await;
    show(app)
}

/// The plan that was shown whose hash begins so.
fn shown(app: &App, hash: &str) -> Result<Draft, Problem> {
    if hash.len() < HASH_MIN {
        let detail = format!("{hash:?} has fewer than {HASH_MIN} digits");
        return Err(Problem::new(Reason::InvalidField, detail).at("plan").next_step("name the hash that the plan was shown with"));
    }
    let other = |detail: String| Problem::new(Reason::OtherPlan, detail);
    match app.rollouts.drafts(hash).as_slice() {
        [] => Err(other(format!("no plan {hash} was shown by this manager since it started"))),
        [one] => Ok(one.clone()),
        _ => Err(other(format!("several plans begin with {hash}"))),
    }
}

/// Whether another rollout may take its place.
fn is_at_rest(plan: &Plan) -> bool {
    plan.is_over() || matches!(plan.state, State::Aborted { .. })
}

/// What a plan leads to.
fn target(plan: &Plan) -> weir_model::Version {
    plan.design.policy.target
}

/// Writes who said what into the audit. The journal has it already: while the configuration takes no writes, that is enough.
async fn audit(app: &Arc<App>, caller: Caller, verb: &'static str, said: serde_json::Value) {
    let write = app.change(caller, move |change| Ok(change.audit(verb, "rollout", NOTHING, Some(&said))?));
    if let Err(problem) = write.await {
        tracing::warn!(verb, %problem, "what was said to the rollout is in the journal, and not in the audit");
    }
}

/// The rollout there is, or was last.
pub(crate) fn show(app: &App) -> Result<Rollout, Problem> {
    let (kept, found) = app.rollouts.shown().ok_or_else(|| none(app))?;
    Ok(view::view(app, &kept, &found))
}

fn none(app: &App) -> Problem {
    match app.rollouts.unread() {
        Some(why) => Problem::new(Reason::NoRollout, format!("the rollout in the journal cannot be read: {why}"))
            .next_step("see what each device runs, and plan another one"),
        None => Problem::new(Reason::NoRollout, "no rollout was ever started in this network"),
    }
}

/// Rises with everything the board shows.
pub(crate) fn version(app: &App) -> u64 {
    // What devices say of their updates is drawn in their lanes.
    app.rollouts.version().wrapping_add(crate::updates::version(app))
}

/// Refuses to tell a device by itself what a rollout tells it.
pub(crate) fn may_be_told(app: &App, device: &DeviceName) -> Result<(), Problem> {
    let Some(kept) = app.rollouts.kept().filter(|kept| !is_at_rest(&kept.plan)) else { return Ok(()) };
    let lane = kept.plan.position(device).map(|position| kept.plan.lanes[position]);
    if lane.is_none_or(|lane| lane.wave.is_none()) {
        return Ok(());
    }
    Err(Problem::new(Reason::RolloutUnderWay, format!("{device} is part of the rollout to {}", target(&kept.plan))))
}

/// UPGRADE_STUCK of a rollout that does not go on by itself.
pub(crate) fn alarm(app: &App) -> Option<(Key, String)> {
    Some((Key { reason: AlarmReason::UpgradeStuck, device: app.name.clone(), object: "rollout".to_owned() }, stuck(app)?))
}

fn stuck(app: &App) -> Option<String> {
    if let Some(error) = app.rollouts.unread() {
        return Some(format!("the rollout in the journal cannot be gone on with: {error}; look at the devices, and plan another"));
    }
    let kept = app.rollouts.kept()?;
    let State::Paused { reason } = &kept.plan.state else { return None };
    if matches!(reason, PauseReason::Operator { .. }) {
        return None;
    }
    Some(format!("the rollout to {} is paused: {}; {}", target(&kept.plan), view::pause_words(&kept.plan, reason), reason.next_step()))
}
