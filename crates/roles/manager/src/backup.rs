//! Backups of `config.db`: made, rehearsed, kept here and elsewhere, proven by reading them back, restored.
//!
//! ```text
//! order ── runner ─> make: room ─> copy ─> file ─> record ─> rehearsal ─> record ─> places (url, engines' vaults) ─> record
//!                 ─> rehearse      ─> recover: an engine's vault ─> file ─> record
//! restore ─> file ─> refusals ─> replace config.db ─> a term above every known one
//! ```
//!
//! One thing is done at a time, by one task, whoever asked for it: a caller that goes away ends nothing. Which backups there
//! are is in table `backup`, which is this box's own. Page: `docs/protocols/backup.md`.

pub(crate) mod file;
mod make;
mod places;
pub(crate) mod prove;
mod records;
mod recover;
pub(crate) mod rehearsal;
pub(crate) mod restore;
pub(crate) mod room;
mod schedule;
mod shelf;
mod standing;

pub(crate) use records::{confirm, delete, file_of, list};
pub(crate) use schedule::{read as schedule, run, set as set_schedule};
pub(crate) use shelf::{Returned, Shelf, Wanted};
pub(crate) use standing::{alarms, judge};
pub(crate) use weir_device_api::is_backup_name as is_name;

use crate::{app::App, change::Caller, domain::fields};
use shelf::{Order, Work};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_device_api::BACKUP_EXTENSION as EXTENSION;
use weir_operator_api::{AccessRole, Backup, BackupRecovery, BackupRequest, Problem, Reason};

/// Where backups lie on this box.
pub(crate) fn directory(state: &Path) -> PathBuf {
    state.join("backups")
}

/// Makes a backup and waits until it is here, and elsewhere where the schedule says so. Its copies say what came of each.
///
/// # Errors
/// Several wait already; the disk; the caller may not.
pub(crate) async fn make(app: &App, caller: Caller, request: BackupRequest) -> Result<Backup, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    app.backups.order(caller.actor.to_string(), Work::Make(request.rehearse)).await
}

/// Rehearses a backup again, after what is ordered already.
///
/// # Errors
/// Several wait already; it is not on this box; the disk; the caller may not.
pub(crate) async fn rehearse(app: &App, caller: Caller, name: &str) -> Result<Backup, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    file_of(app, name).await?;
    app.backups.order(caller.actor.to_string(), Work::Rehearse(name.to_owned())).await
}

/// Gets a backup back from an engine's vault onto this box; this box need not know it.
///
/// # Errors
/// Several wait already; the engine; what it gives is another one; the disk; the caller may not.
pub(crate) async fn recover(app: &App, caller: Caller, name: &str, request: &BackupRecovery) -> Result<Backup, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    if !is_name(name) {
        return Err(Problem::new(Reason::InvalidField, format!("{name:?} is not the name of a backup")).at("name"));
    }
    if !app.network().devices.contains_key(&request.engine) {
        return Err(fields::absent("engine", request.engine.as_str()));
    }
    app.backups.order(caller.actor.to_string(), Work::Recover(name.to_owned(), request.engine.clone())).await
}

/// Does what was ordered.
async fn ordered(app: &Arc<App>, order: Order) {
    let done = match &order.work {
        Work::Make(rehearse) => make::make(app, &order.actor, *rehearse).await,
        Work::Prove(program) => prove::proven(app, &order.actor, program.as_deref()).await,
        Work::Rehearse(name) => make::rehearsed(app, name, &app.backups.begin(&order.actor)).await,
        Work::Recover(name, engine) => recover::recovered(app, name, engine, &app.backups.begin(&order.actor)).await,
    };
    if let Err(problem) = standing::judge(app).await {
        tracing::error!(%problem, "backups not judged");
    }
    // Nobody waits any more when the request was dropped.
    let _ = order.done.send(done);
}
