//! The records of backups, and the verbs on one: rehearse, confirm, delete. What stands as an alarm follows from them.

use super::{
    EXTENSION, directory, file,
    rehearsal::{self, Scratch},
    schedule,
};
use crate::{
    alarms::Key,
    app::App,
    change::{Caller, NOTHING},
    domain::fields,
    network_key::NetworkKey,
    tables::{backups, settings},
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_database::DatabaseError;
use weir_model::AlarmReason;
use weir_operator_api::{AccessRole, Backup, BackupCopy, Backups, Problem, Reason};
use weir_telemetry::Chain;

/// The copy on this box, as records name it.
pub(super) const ON_THE_BOX: &str = "box";
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
    all(app).await?.into_iter().find(|backup| backup.name == name).ok_or_else(|| fields::absent("backup", name))
}

pub(super) async fn keep(app: &App, backup: Backup) -> Result<Backup, Problem> {
    let record = backup.clone();
    app.config.write(move |tx| Ok::<_, DatabaseError>(backups::put(tx, &record)?)).await.map_err(refused)?;
    app.backups.raise();
    Ok(backup)
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
    let places: Vec<_> = backup.copies.iter().map(|copy| copy.place.as_str()).collect();
    let next = format!("take it from one of: {}", places.join(", "));
    Err(Problem::new(Reason::NotFound, format!("backup {name} is not on this box")).next_step(next))
}

/// Rehearses a backup again.
pub(crate) async fn rehearse(app: &App, caller: Caller, name: &str) -> Result<Backup, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    let (path, mut backup) = file_of(app, name).await?;
    backup.rehearsed = Some(rehearsed(app, path).await?);
    keep(app, backup).await
}

/// Tries a restore of the file on a scratch copy, with this box's key.
pub(super) async fn rehearsed(app: &App, path: PathBuf) -> Result<weir_operator_api::Rehearsal, Problem> {
    let state = app.directory.clone();
    let tried = tokio::task::spawn_blocking(move || {
        let scratch = Scratch::new(&state)?;
        let key = NetworkKey::load(&state).ok().flatten();
        Ok(rehearsal::rehearse(&path, key.as_ref(), &scratch, weir_clock::wall_ms()).1)
    });
    tried.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(unkept)
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
    let mut backup = find(app, name).await?;
    if !backup.sha256.eq_ignore_ascii_case(sha256.trim()) {
        let detail = format!("backup {name} has SHA-256 {}, not the one that was sent", backup.sha256);
        return Err(Problem::new(Reason::InvalidField, detail).at("sha256").next_step("download it again and compare with `sha256sum`"));
    }
    let copy = BackupCopy { place: DOWNLOADED.to_owned(), elsewhere: true, proven: true, detail: None };
    note_copy(&mut backup, copy);
    audit(app, caller, "confirm", name).await?;
    let backup = keep(app, backup).await?;
    judge(app).await?;
    Ok(backup)
}

/// Deletes the backup on this box and what is known of it; copies elsewhere stay.
pub(crate) async fn delete(app: &Arc<App>, caller: Caller, name: &str) -> Result<(), Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let backup = find(app, name).await?;
    audit(app, caller, "delete", name).await?;
    forget(app, &backup).await?;
    judge(app).await
}

async fn audit(app: &Arc<App>, caller: Caller, verb: &'static str, name: &str) -> Result<(), Problem> {
    let object = format!("backup {name}");
    app.change(caller, move |change| Ok(change.audit(verb, object, NOTHING, NOTHING)?)).await
}

pub(super) async fn forget(app: &App, backup: &Backup) -> Result<(), Problem> {
    let path = directory(&app.directory).join(&backup.name);
    match tokio::fs::remove_file(&path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unkept(error)),
        _ => {}
    }
    let name = backup.name.clone();
    app.config.write(move |tx| Ok::<_, DatabaseError>(backups::delete(tx, &name)?)).await.map_err(refused)?;
    app.backups.raise();
    Ok(())
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
    for mut backup in known.iter().filter(|backup| !names.contains(backup.name.as_str())).cloned() {
        backup.copies.retain(|copy| copy.place != ON_THE_BOX);
        match backup.copies.is_empty() {
            true => forget(app, &backup).await?,
            false => drop(keep(app, backup).await?),
        }
    }
    for (name, path) in &found {
        if known.iter().any(|backup| backup.name == *name) {
            continue;
        }
        let (name, path) = (name.clone(), path.clone());
        let read = tokio::task::spawn_blocking(move || adopted(name, &path)).await;
        match read {
            Ok(Ok(backup)) => drop(keep(app, backup).await?),
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

fn adopted(name: String, path: &Path) -> Result<Backup, file::BackupFileError> {
    let manifest = file::inspect(path)?;
    let (bytes, sha256) = file::measure(path)?;
    let made = fs::metadata(path).and_then(|about| about.modified()).ok();
    let at_ms =
        made.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(0));
    let copies = vec![BackupCopy { place: ON_THE_BOX.to_owned(), elsewhere: false, proven: true, detail: None }];
    Ok(Backup { name, at_ms, actor: "manager".to_owned(), manifest, bytes, sha256, copies, rehearsed: None, proven: false })
}

/// Judges anew what is to be alarmed.
pub(super) async fn judge(app: &App) -> Result<(), Problem> {
    let fingerprint = app.network().seal.fingerprint().to_owned();
    let read = app.config.read(move |tx| {
        let schedule = schedule::stored(tx)?;
        let confirmed = settings::get(tx, settings::KEY_CONFIRMED)?.is_some_and(|confirmed| confirmed == fingerprint);
        Ok::<_, DatabaseError>((schedule, backups::all(tx)?, confirmed))
    });
    let (schedule, made, confirmed) = read.await.map_err(refused)?;
    let newest = made.iter().find(|backup| backup.actor == schedule::ACTOR);
    let unproven = match newest {
        _ if schedule.every_hours.is_none() => None,
        Some(backup) if !backup.proven => Some(format!("backup {} was not read back from another machine: {}", backup.name, why(backup))),
        Some(backup) if backup.rehearsed.as_ref().is_some_and(|tried| !tried.passed) => {
            Some(format!("backup {} failed its rehearsal", backup.name))
        }
        _ => None,
    };
    app.backups.stand(|standing| {
        standing.unproven = unproven;
        standing.unconfirmed = !confirmed;
    });
    Ok(())
}

fn why(backup: &Backup) -> String {
    let failed: Vec<_> = backup.copies.iter().filter_map(|copy| Some(format!("{}: {}", copy.place, copy.detail.as_ref()?))).collect();
    if failed.is_empty() { "the schedule names neither a URL nor an engine".to_owned() } else { failed.join("; ") }
}

/// BACKUP_UNPROVEN and KEY_NOT_ESCROWED.
pub(crate) fn alarms(app: &App) -> Vec<(Key, String)> {
    let standing = app.backups.standing();
    let key = |reason, object: &str| Key { reason, device: app.name.clone(), object: object.to_owned() };
    let unproven = standing.unproven.map(|text| (key(AlarmReason::BackupUnproven, "backups"), text));
    let fingerprint = app.network().seal.fingerprint().to_owned();
    let unconfirmed = standing.unconfirmed.then(|| {
        let text = format!("nobody has confirmed that the network key {fingerprint} is kept elsewhere");
        (key(AlarmReason::KeyNotEscrowed, "network key"), text)
    });
    unproven.into_iter().chain(unconfirmed).collect()
}
