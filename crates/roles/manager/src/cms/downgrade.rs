//! `weir cms database downgrade`: takes `config.db` back over the steps a newer build wrote, by the ways back in its own ledger.
//!
//! This build need not know those steps. It goes to its own newest one and no further down: it would go up again at its next start.
//! The box is disabled then, until an operator has looked and runs `weir cms enable`. Page: `docs/protocols/schema-steps.md`.

use super::BoxFile;
use crate::{
    journal::Journal,
    tables::{migrations, settings},
};
use serde_json::json;
use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};
use weir_database::{DatabaseError, Downgraded};
use weir_model::DeviceName;
use weir_operator_api::{DowngradePlan, DowngradeRequest, DowngradeStep, Problem, Reason};
use weir_telemetry::Chain;

/// The database's name in the state directory.
const CONFIG: &str = "config.db";
/// The file whoever runs from the state directory has locked.
const LOCK: &str = "lock";
/// How the journal names it.
const KIND: &str = "schema_downgraded";
/// Why the box is disabled while it is done, and after a crash in between.
pub(crate) const WHY_BEFORE: &str = "its database is being taken back to an older schema; when nothing does that any more, \
    `weir cms database downgrade --plan` says whether it was";
/// Why the box is disabled then.
pub(crate) const WHY: &str = "its database was taken back to an older schema; look at what is there, then enable it";

/// What it would do, found on a copy. The database may be in use meanwhile. Blocks.
///
/// # Errors
/// [`Reason::NoWayBack`] with the step; what the disk says.
pub(crate) fn plan(state: &Path, request: &DowngradeRequest) -> Result<DowngradePlan, Problem> {
    let to = request.to.unwrap_or_else(migrations::newest);
    let planned = weir_database::downgrade_plan(&state.join(CONFIG), to).map_err(|error| refused(&error))?;
    Ok(shown(planned, false))
}

/// Whether the request is one that may change the database.
///
/// # Errors
/// A step below the newest of this build.
pub(crate) fn may_change(request: &DowngradeRequest) -> Result<(), Problem> {
    let newest = migrations::newest();
    match request.to.filter(|to| *to < newest) {
        None => Ok(()),
        Some(to) => {
            let detail = format!("this build, {}, would take the database up again from step {to} to step {newest}", weir_model::version());
            let next = format!("run this with a build whose newest step is {to}; `--plan` says whether there is a way back");
            Err(Problem::new(Reason::NoWayBack, detail).next_step(next).at("to"))
        }
    }
}

/// Takes the database back. Nobody else may have it open. `name`: this box, which notes it in the journal when it is the primary of
/// what it holds; the journal of a standby is the primary's. Blocks.
///
/// # Errors
/// As [`plan`]; the database is as it was.
pub(crate) fn downgrade(state: &Path, journal: &Journal, name: &DeviceName, request: &DowngradeRequest) -> Result<DowngradePlan, Problem> {
    may_change(request)?;
    let path = state.join(CONFIG);
    let to = request.to.unwrap_or_else(migrations::newest);
    let done = shown(weir_database::downgrade(&path, to).map_err(|error| refused(&error))?, true);
    if let Some(why) = &request.alone {
        tracing::warn!(why, "the database was taken back although the other manager does not run this version");
    }
    if done.steps.is_empty() {
        return Ok(done);
    }
    // The database is there, whatever becomes of the note.
    if let Err(error) = note(&path, journal, name, request, &done) {
        tracing::error!(error = %error.detail, "the journal does not say that the schema was taken back");
    }
    Ok(done)
}

/// The same without a worker: takes the lock of the state directory, and leaves the box disabled.
///
/// # Errors
/// As [`plan`]; [`Reason::CmsState`] when a manager runs.
pub fn downgrade_offline(data: &Path, name: &DeviceName, request: &DowngradeRequest) -> Result<DowngradePlan, Problem> {
    let state = data.join("state/manager");
    if !state.join(CONFIG).is_file() {
        return Err(refused(&DatabaseError::Absent { path: state.join(CONFIG) }));
    }
    let _alone = alone(&state)?;
    let planned = plan(&state, request)?;
    if request.plan || planned.steps.is_empty() {
        return Ok(DowngradePlan { done: !request.plan, ..planned });
    }
    may_change(request)?;
    let journal = Journal::open(&state).map_err(|error| internal("the journal cannot be opened", &error))?;
    let unwritten = |error: io::Error| internal("box.json cannot be read or written", &error);
    let file = BoxFile::open(&state).map_err(unwritten)?;
    disabled(&file, || downgrade(&state, &journal, name, request))
}

/// Does it with the box disabled: before the database changes, so that a worker that starts after a crash does not go on as if
/// nothing was. One that fails leaves the box as it was. Blocks.
///
/// # Errors
/// Those of `work`; `box.json`, before anything was done.
pub(crate) fn disabled(file: &BoxFile, work: impl FnOnce() -> Result<DowngradePlan, Problem>) -> Result<DowngradePlan, Problem> {
    let unwritten = |error: io::Error| internal("box.json cannot be written", &error);
    let before = (file.enabled(), file.why());
    file.set_enabled(false, Some(WHY_BEFORE.to_owned())).map_err(unwritten)?;
    let done = work();
    // What was done is told in any case: the file says less than it should then, and keeps the box disabled.
    let (enabled, why) = if done.is_ok() { (false, Some(WHY.to_owned())) } else { before };
    if let Err(error) = file.set_enabled(enabled, why) {
        tracing::error!(%error, "box.json does not say that the downgrade has ended");
    }
    done
}

fn alone(state: &Path) -> Result<File, Problem> {
    let owner = fs::metadata(state).map_err(|error| internal("the state directory cannot be read", &error))?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        let detail = format!("{} belongs to user {owner}, whose manager could not open what another user leaves there", state.display());
        return Err(Problem::new(Reason::CmsState, detail).next_step("run this as that user, or while the box's keeper runs"));
    }
    let file = File::options().create(true).append(true).open(state.join(LOCK));
    let file = file.map_err(|error| internal("the lock of the state directory cannot be opened", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let detail = format!("a manager runs from {} and its control socket does not answer", state.display());
            Err(Problem::new(Reason::CmsState, detail).next_step("stop its keeper, then run this again"))
        }
        Err(TryLockError::Error(error)) => Err(internal("the lock of the state directory cannot be taken", &error)),
    }
}

fn note(path: &Path, journal: &Journal, name: &DeviceName, request: &DowngradeRequest, done: &DowngradePlan) -> Result<(), Problem> {
    let mut connection = weir_database::look(path).map_err(|error| refused(&error))?;
    let read = connection.transaction().and_then(|tx| Ok((settings::get(&tx, settings::PRIMARY)?, settings::number(&tx, settings::TERM)?)));
    let (primary, term) = read.map_err(|error| refused(&error.into()))?;
    if primary.as_deref() != Some(name.as_str()) {
        return Ok(());
    }
    let steps: Vec<_> =
        done.steps.iter().map(|step| json!({ "step": step.step, "name": step.name, "written_by": step.written_by })).collect();
    let mut body = json!({ "manager": name, "version": weir_model::version(), "from": done.from, "to": done.to, "steps": steps });
    if let Some(why) = &request.alone {
        body["alone"] = json!(why);
    }
    journal.append(weir_clock::wall_ms(), term, KIND, body).map_err(|error| internal("the journal cannot be written", &error))?;
    Ok(())
}

fn shown(done: Downgraded, is_done: bool) -> DowngradePlan {
    let steps = done.undone.into_iter().map(|step| DowngradeStep {
        step: step.id,
        name: step.name,
        written_by: step.written_by,
        down_sha256: step.down_sha256,
        parked: step.parked,
    });
    DowngradePlan { from: done.from, to: done.to, steps: steps.collect(), done: is_done }
}

/// As the operator is told; what is the disk's or ours is logged with its causes.
fn refused(error: &DatabaseError) -> Problem {
    use DatabaseError::{
        Absent, Damaged, DiskFull, InUse, Migration, NoWayBack, OtherSchema, Touched, UnknownStep, Unsound, WayBackDamaged,
    };
    let detail = Chain(error).to_string();
    match error {
        // The last four no way back that was released does: it is not the one that was, or the database is not.
        NoWayBack { .. }
        | WayBackDamaged { .. }
        | UnknownStep { .. }
        | Migration { .. }
        | Touched { .. }
        | Unsound { .. }
        | OtherSchema { .. } => Problem::new(Reason::NoWayBack, detail),
        Damaged { .. } => Problem::new(Reason::CmsState, detail).next_step("restore a backup: `weir cms database restore FILE`"),
        Absent { .. } => Problem::new(Reason::NotFound, detail).next_step("this box has no configuration to take back"),
        InUse { .. } => Problem::new(Reason::Unavailable, detail),
        DiskFull => Problem::new(Reason::DiskFull, "a copy of the database does not fit beside it"),
        _ => internal("the database cannot be taken back", error),
    }
}

fn internal(what: &str, error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = %Chain(error), "{what}");
    Problem::new(Reason::Internal, format!("{what}: {}", Chain(error)))
}

#[cfg(test)]
mod tests;
