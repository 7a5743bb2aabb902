//! Makes the checks that are asked for: a few at a time, the longest waiting first, begun again by the next manager if cut off.
//!
//! It reconciles: whatever stands at `validating` and is not under way is begun. Nothing is told to it, so nothing is lost.

use super::{
    archives, newest,
    shelf::Validating,
    validation::{self, examine, interrupted},
};
use crate::app::App;
use std::{io, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use weir_model::SoftwareState;
use weir_telemetry::Tasks;

/// Validations at a time: each may hold an archive in the disk's cache and one core.
const AT_ONCE_MAX: usize = 2;
/// An outcome that could not be kept is tried again this often.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until the manager stops; its validations are tasks of `tasks`.
pub(crate) async fn run(app: Arc<App>, tasks: Tasks) {
    let mut kept = app.software.watch_kept();
    let mut stopping = app.stopping();
    let mut retry = interval(RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopping.borrow() {
        kept.mark_unchanged();
        sweep(&app).await;
        for id in app.software.broken() {
            end_broken(&app, id).await;
        }
        if app.software.holds_unlisted()
            && let Err(problem) = validation::withdraw_all(&app).await
        {
            tracing::error!(%problem, "software files that are not listed any more not withdrawn");
        }
        while let Some((record, place)) = app.software.begin_validation(AT_ONCE_MAX) {
            let app = Arc::clone(&app);
            tasks.spawn("software-validation", async move { validate(app, record, place).await });
        }
        tokio::select! {
            _ = kept.changed() => {}
            _ = retry.tick(), if !app.software.broken().is_empty() || app.software.holds_unlisted() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
    }
}

async fn validate(app: Arc<App>, record: Arc<super::record::Record>, place: Validating) {
    let mut stopping = app.stopping();
    let outcome = tokio::select! {
        outcome = examine(&app, &record) => Some(outcome),
        () = app.software.gone(record.id) => None,
        // The next manager finds it at `validating`.
        _ = stopping.wait_for(|stops| *stops) => return place.end(),
    };
    // However it ended, what it brought counts: for its own outcome, and for the other software files.
    learn(&app).await;
    let Some(outcome) = outcome else { return place.end() };
    match validation::keep(&app, record.id, outcome).await {
        Ok(()) => place.end(),
        Err(problem) => tracing::error!(software_file = record.id, %problem, "outcome of a validation not kept"),
    }
}

async fn learn(app: &Arc<App>) {
    let learning = Arc::clone(app);
    if tokio::task::spawn_blocking(move || newest::learn(&learning.software)).await.is_err() {
        tracing::error!("reading the newest metadata ended by a fault");
    }
}

/// A validation that ended without an outcome never leaves its software file at `validating`.
async fn end_broken(app: &Arc<App>, id: i64) {
    learn(app).await;
    if let Some(record) = app.software.get(id).filter(|record| record.state() == SoftwareState::Validating)
        && let Err(problem) = validation::keep(app, id, interrupted(&record)).await
    {
        return tracing::error!(software_file = id, %problem, "outcome of a validation not kept");
    }
    app.software.mended(id);
}

/// Removes the archives of software files that are no more.
async fn sweep(app: &Arc<App>) {
    let swept = Arc::clone(app);
    let work = move || -> io::Result<()> {
        // The files first: one that comes later belongs to a record that was there before it.
        let numbers = archives::numbers(&swept.software.archives)?;
        let mut orphans = numbers.into_iter().filter(|id| swept.software.get(*id).is_none());
        orphans.try_for_each(|id| archives::remove(&swept.software.archives, id))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "archives of deleted software files not removed"),
        Err(_) => tracing::error!("sweeping archives ended by a fault"),
    }
}
