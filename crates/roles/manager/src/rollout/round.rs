//! The executor: what is known goes to the planner, the next plan into the journal, and only then is anything done.
//!
//! It leaves no choice and may repeat itself: what is wanted follows from the plan and from what devices say, so a round that is cut
//! off anywhere, by a crash or by a promotion, costs nothing but time.

use super::{
    facts,
    held::Found,
    managers, orders,
    record::{self, Kept, Record, Said},
};
use crate::{app::App, change::Caller, domain::updates as rules};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use weir_operator_api::{Problem, Reason};
use weir_rollout::plan::{Facts, Plan, tick};
use weir_telemetry::Chain;

/// Time between rounds that nobody asked for.
const PERIOD: Duration = Duration::from_secs(1);
/// Shortest time between rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes rounds until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let mut pauses = interval(PAUSE);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopping.borrow() {
        pauses.tick().await;
        // What is refused, say by a full disk, is due again in the next round.
        if let Err(problem) = round(&app).await {
            tracing::error!(%problem, "a step of the rollout was not made");
        }
        tokio::select! {
            _ = ticks.tick() => {}
            () = app.rollouts.nudged() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
    }
}

async fn round(app: &Arc<App>) -> Result<(), Problem> {
    let _one_after_another = app.rollouts.committing.lock().await;
    let kept = app.rollouts.kept().filter(|kept| !kept.plan.is_over());
    managers::thaw_orphan(app, kept.as_ref().map(|kept| &*kept.plan)).await?;
    let Some(kept) = kept else { return Ok(()) };
    let network = app.network();
    let facts = facts::gather(app, &network, Some(&kept.plan)).await?;
    let ticked = tick(&kept.plan, &facts, weir_clock::wall_ms());
    if ticked.changed {
        commit(app, &kept, ticked.plan, None).await?;
    } else {
        app.rollouts.replace(Kept { plan: Arc::new(ticked.plan), ..(*kept).clone() });
    }
    // Until it is tried again, what was in the way of the same still is.
    let before = app.rollouts.shown().filter(|(before, found)| before.started_ms == kept.started_ms && found.hold == ticked.hold);
    let trouble = before.and_then(|(_, found)| found.trouble.clone());
    let found = Found { stays: ticked.stays, hold: ticked.hold, trouble };
    app.rollouts.find(found.clone());
    carry_out(app).await?;
    let Some(kept) = app.rollouts.kept() else { return Ok(()) };
    let done = managers::carry_out(app, &kept.plan, &ticked.actions).await;
    app.rollouts.find(Found { trouble: done.as_ref().err().map(Problem::to_string), ..found });
    done
}

/// Keeps the next plan, durably, in the place of its parent.
///
/// # Errors
/// The journal takes nothing; the plan is then the one before.
pub(super) async fn commit(app: &Arc<App>, kept: &Kept, next: Plan, said: Option<Said>) -> Result<(), Problem> {
    let record = Record::Step { commit: Box::new(next.since(&kept.plan)), said };
    let at_ms = write(app, record).await?;
    let ended_ms = next.is_over().then_some(at_ms);
    app.rollouts.replace(Kept { plan: Arc::new(next), ended_ms, ..kept.clone() });
    Ok(())
}

/// Writes a record; when that was, milliseconds since 1970.
pub(super) async fn write(app: &Arc<App>, record: Record) -> Result<u64, Problem> {
    // A manager that another one has taken over from says nothing any more.
    app.pair.writable()?;
    let (journal, term, at_ms) = (Arc::clone(&app.journal), app.network().stamp.term, weir_clock::wall_ms());
    let written = tokio::task::spawn_blocking(move || record::append(&journal, at_ms, term, &record)).await;
    match written {
        Ok(Ok(())) => Ok(at_ms),
        Ok(Err(error)) => {
            tracing::error!(error = %Chain(&error), "a step of the rollout was not written into the journal");
            Err(Problem::new(Reason::DiskFull, format!("the journal did not take it: {}", Chain(&error))))
        }
        Err(error) => Err(Problem::new(Reason::Internal, format!("writing into the journal did not end: {error}"))),
    }
}

/// Lays the orders that the plan's words ask for. Leases follow from what devices say then (`updates/round`).
async fn carry_out(app: &Arc<App>) -> Result<(), Problem> {
    let Some(kept) = app.rollouts.kept() else { return Ok(()) };
    let due = orders::due(&kept.plan, &app.updates.kept(), &app.software.records(), weir_clock::wall_ms());
    if due.is_empty() {
        return Ok(());
    }
    app.change(Caller::manager(), move |change| rules::lay(change, &due)).await
}

/// What the planner knows now, for an operator's word.
pub(super) async fn known(app: &App, plan: &Plan) -> Result<Facts, Problem> {
    facts::gather(app, &app.network(), Some(plan)).await
}
