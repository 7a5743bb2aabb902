//! The records of backups, and the verbs on one: confirm, delete. The oldest go.

use super::{EXTENSION, directory, file, standing::judge};
use crate::{
    app::App,
    change::{Caller, NOTHING},
    domain::fields,
    tables::backups,
};
use jiff::{civil::DateTime, tz::TimeZone};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_database::DatabaseError;
use weir_operator_api::{AccessRole, Backup, BackupCopy, Backups, Problem, Reason};
use weir_telemetry::Chain;

/// Records of backups that are on other machines alone.
const ELSEWHERE_MAX: usize = 200;
/// The copy on this box, as records name it.
pub(super) const ON_THE_BOX: &str = "box";
/// How the time is written in the name of a backup.
pub(super) const UTC_IN_NAME: &str = "%Y%m%dT%H%M%SZ";
/// A copy an operator downloaded and confirmed.
const DOWNLOADED: &str = "download";

/// Everything that is known of backups.
pub(crate) async fn list(app: &App) -> Result<Backups, Problem> {
    Ok(Backups { items: all(app).await?, under_way: app.backups.under_way() })
}

async fn all(app: &App) -> Result<Vec<Backup>, Problem> {
    app.config.read(|tx| Ok::<_, DatabaseError>(backups::all(tx)?)).await.map_err(refused)
}

pub(super) fn refused(error: DatabaseError) -> Problem {
    crate::change::Refusal::Database(error).into_problem()
}

pub(super) async fn find(app: &App, name: &str) -> Result<Backup, Problem> {
    known(app, name).await?.ok_or_else(|| fields::absent("backup", name))
}

/// What is known of the one of this name.
pub(super) async fn known(app: &App, name: &str) -> Result<Option<Backup>, Problem> {
    let of = name.to_owned();
    app.config.read(move |tx| Ok::<_, DatabaseError>(backups::get(tx, &of)?)).await.map_err(refused)
}

/// Writes the record of a backup that is new.
pub(super) async fn insert(app: &App, backup: Backup) -> Result<Backup, Problem> {
    let record = backup.clone();
    app.config.write(move |tx| Ok::<_, DatabaseError>(backups::put(tx, &record)?)).await.map_err(refused)?;
    app.backups.raise();
    Ok(backup)
}

/// Changes what is said of a backup, from what is said by now: much may have happened while something was done with it.
///
/// # Errors
/// It was deleted meanwhile; the database.
pub(super) async fn change(app: &App, name: &str, change: impl FnOnce(&mut Backup) + Send + 'static) -> Result<Backup, Problem> {
    let of = name.to_owned();
    let written = app.config.write(move |tx| {
        let Some(mut backup) = backups::get(tx, &of)? else { return Ok(None) };
        change(&mut backup);
        backups::put(tx, &backup)?;
        Ok::<_, DatabaseError>(Some(backup))
    });
    let written = written.await.map_err(refused)?;
    app.backups.raise();
    written.ok_or_else(|| fields::absent("backup", name))
}

/// Puts a copy in the place of an earlier one at the same place.
pub(super) fn note_copy(backup: &mut Backup, copy: BackupCopy) {
    backup.copies.retain(|known| known.place != copy.place);
    backup.copies.push(copy);
    backup.proven = backup.copies.iter().any(|copy| copy.elsewhere && copy.proven);
}

/// Where the file of a backup lies on this box, with its record.
pub(crate) async fn file_of(app: &App, name: &str) -> Result<(PathBuf, Backup), Problem> {
    let backup = find(app, name).await?;
    let path = directory(&app.directory).join(&backup.name);
    if backup.copies.iter().any(|copy| copy.place == ON_THE_BOX) && path.is_file() {
        return Ok((path, backup));
    }
    let places: Vec<_> = backup.copies.iter().map(|copy| copy.place.as_str()).filter(|place| *place != ON_THE_BOX).collect();
    let vault = places.iter().find_map(|place| place.strip_prefix("engine "));
    let next = match vault {
        Some(engine) => format!("get it back from a vault: `weir cms database fetch {name} --from {engine} --to FILE`"),
        None if places.is_empty() => "use another one: `weir cms database backups`".to_owned(),
        None => format!("take it from one of: {}", places.join(", ")),
    };
    Err(Problem::new(Reason::NotFound, format!("backup {name} is not on this box")).next_step(next))
}

pub(super) fn unkept(error: io::Error) -> Problem {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Problem::new(Reason::DiskFull, "the backup does not fit");
    }
    tracing::error!(%error, "backups cannot be read or written");
    Problem::new(Reason::Internal, "the backup could not be read or written; the log has the particulars")
}

/// Takes an operator's word that a downloaded copy is the same: it has the hash.
pub(crate) async fn confirm(app: &Arc<App>, caller: Caller, name: &str, sha256: &str) -> Result<Backup, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let backup = find(app, name).await?;
    if !backup.sha256.eq_ignore_ascii_case(sha256.trim()) {
        let detail = format!("backup {name} has SHA-256 {}, not the one that was sent", backup.sha256);
        return Err(Problem::new(Reason::InvalidField, detail).at("sha256").next_step("download it again and compare with `sha256sum`"));
    }
    let of = backup.name;
    let confirmed = app.change(caller, move |change| {
        let mut backup = backups::get(change.tx, &of)?.ok_or_else(|| fields::absent("backup", &of))?;
        note_copy(&mut backup, BackupCopy { place: DOWNLOADED.to_owned(), elsewhere: true, proven: true, detail: None });
        backups::put(change.tx, &backup)?;
        change.audit("confirm", format_args!("backup {of}"), NOTHING, NOTHING)?;
        Ok(backup)
    });
    let backup = confirmed.await?;
    judge(app).await?;
    app.backups.raise();
    Ok(backup)
}

/// Deletes the backup on this box and what is known of it; copies elsewhere stay.
pub(crate) async fn delete(app: &Arc<App>, caller: Caller, name: &str) -> Result<(), Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let of = find(app, name).await?.name;
    let deleted = app.change(caller, move |change| {
        backups::delete(change.tx, &of)?;
        Ok(change.audit("delete", format_args!("backup {of}"), NOTHING, NOTHING)?)
    });
    deleted.await?;
    remove(app, name).await?;
    app.backups.raise();
    judge(app).await
}

async fn remove(app: &App, name: &str) -> Result<(), Problem> {
    match tokio::fs::remove_file(directory(&app.directory).join(name)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unkept(error)),
        _ => Ok(()),
    }
}

/// The oldest beyond `keep` go from this box; copies elsewhere stay, and with them what is known of them.
pub(super) async fn prune(app: &App, keep: u32) -> Result<(), Problem> {
    for name in surplus(&all(app).await?, keep as usize) {
        remove(app, &name).await?;
        not_here(app, name).await?;
    }
    for name in forgotten(&all(app).await?) {
        app.config.write(move |tx| Ok::<_, DatabaseError>(backups::delete(tx, &name)?)).await.map_err(refused)?;
    }
    app.backups.raise();
    Ok(())
}

/// The file of a backup is not on this box any more.
async fn not_here(app: &App, name: String) -> Result<(), Problem> {
    let written = app.config.write(move |tx| {
        let Some(mut backup) = backups::get(tx, &name)? else { return Ok(()) };
        backup.copies.retain(|copy| copy.place != ON_THE_BOX);
        match backup.copies.is_empty() {
            true => backups::delete(tx, &name)?,
            false => backups::put(tx, &backup)?,
        }
        Ok::<_, DatabaseError>(())
    });
    written.await.map_err(refused)
}

/// Whose files go: the oldest beyond `keep`, those that failed their rehearsal before all others. Newest first in. Pure.
fn surplus(made: &[Backup], keep: usize) -> Vec<String> {
    let here = made.iter().filter(|backup| backup.copies.iter().any(|copy| copy.place == ON_THE_BOX));
    let (failed, whole): (Vec<_>, Vec<_>) = here.partition(|backup| backup.rehearsed.as_ref().is_some_and(|tried| !tried.passed));
    whole.into_iter().chain(failed).skip(keep).map(|backup| backup.name.clone()).collect()
}

/// Which records of backups that are elsewhere alone go: the oldest beyond [`ELSEWHERE_MAX`], never the newest proven. Newest first
/// in. Pure.
fn forgotten(made: &[Backup]) -> Vec<String> {
    let newest = made.iter().find(|backup| backup.proven).map(|backup| &backup.name);
    let elsewhere = made.iter().filter(|backup| backup.copies.iter().all(|copy| copy.place != ON_THE_BOX));
    elsewhere.skip(ELSEWHERE_MAX).map(|backup| &backup.name).filter(|name| Some(*name) != newest).cloned().collect()
}

/// Brings the records to what is on this box: another manager's records came with its database, a restore took newer ones away.
///
/// # Errors
/// The database.
pub(crate) async fn begin(app: &App) -> Result<(), Problem> {
    let directory = directory(&app.directory);
    let found = tokio::task::spawn_blocking(move || on_the_box(&directory)).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(unkept)?;
    let known = all(app).await?;
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    for backup in known.iter().filter(|backup| !names.contains(backup.name.as_str())) {
        not_here(app, backup.name.clone()).await?;
    }
    for (name, path) in &found {
        if known.iter().any(|backup| backup.name == *name) {
            continue;
        }
        let (name, path) = (name.clone(), path.clone());
        let read = tokio::task::spawn_blocking(move || adopted(name, &path)).await;
        match read {
            Ok(Ok(backup)) => drop(insert(app, backup).await?),
            Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "a file among the backups is none"),
            Err(error) => tracing::error!(%error, "reading a backup failed"),
        }
    }
    judge(app).await
}

/// Backups by name; what was being made when the manager ended goes.
fn on_the_box(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    crate::keep::directory(directory)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            fs::remove_file(entry.path())?;
        } else if name.ends_with(EXTENSION) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// The record of a file nobody knows. Blocks.
pub(super) fn adopted(name: String, path: &Path) -> Result<Backup, file::BackupFileError> {
    let (manifest, bytes, sha256) = file::inspect(path)?;
    let at_ms = made_ms(&name).unwrap_or_else(|| modified_ms(path));
    let copies = vec![BackupCopy { place: ON_THE_BOX.to_owned(), elsewhere: false, proven: true, detail: None }];
    Ok(Backup { name, at_ms, actor: "manager".to_owned(), manifest, bytes, sha256, copies, rehearsed: None, proven: false })
}

/// When the backup of this name was made: an old one that comes back to this box is an old one. Pure.
fn made_ms(name: &str) -> Option<u64> {
    let mut parts = name.strip_suffix(EXTENSION)?.rsplit('-');
    let made = parts.find_map(|part| DateTime::strptime(UTC_IN_NAME, part).ok())?.to_zoned(TimeZone::UTC).ok()?;
    u64::try_from(made.timestamp().as_millisecond()).ok()
}

fn modified_ms(path: &Path) -> u64 {
    let modified = fs::metadata(path).and_then(|about| about.modified()).ok();
    let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

#[cfg(test)]
pub(super) mod tests;
