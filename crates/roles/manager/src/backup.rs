//! Backups of `config.db`: made, rehearsed, kept here and elsewhere, proven by reading them back, restored.
//!
//! ```text
//! order ── runner ─> make: copy ─> file ─> rehearsal ─> record ─> places (url, engines' vaults) ─> record
//! restore ─> file ─> refusals ─> replace config.db ─> a term above every known one
//! ```
//!
//! One backup is made at a time, by one task, whoever asked for it: a caller that goes away ends nothing. Which backups there
//! are is in table `backup`, which is this box's own. Page: `docs/protocols/backup.md`.

pub(crate) mod file;
mod make;
mod places;
mod records;
pub(crate) mod rehearsal;
pub(crate) mod restore;
mod schedule;
mod shelf;

pub(crate) use records::{alarms, begin, confirm, delete, file_of, list, rehearse};
pub(crate) use schedule::{read as schedule, run, set as set_schedule};
pub(crate) use shelf::{Returned, Shelf};

use crate::{app::App, change::Caller};
use std::path::{Path, PathBuf};
use weir_operator_api::{AccessRole, Backup, BackupRequest, Problem, Reason};

/// What the name of a backup ends with.
const EXTENSION: &str = ".weirbackup";

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
    let made = app.backups.order(caller.actor.to_string(), request.rehearse)?;
    made.await.unwrap_or_else(|_| Err(Problem::new(Reason::Unavailable, "the manager is stopping")))
}
