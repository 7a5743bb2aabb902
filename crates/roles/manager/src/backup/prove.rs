//! The backups that a rollout asks for before managers change their version: rehearsed by the build that comes, kept on a machine that is
//! no manager, read back.

use super::{
    make, places,
    records::{self, refused},
    schedule::{self, Schedule},
    shelf::Work,
};
use crate::{app::App, tables::backups};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;
use weir_database::DatabaseError;
use weir_model::Role;
use weir_operator_api::{Backup, Problem, Reason, Rehearsal};

/// Engines that keep a copy where the schedule names no place.
const VAULTS: usize = 2;
/// Longest rehearsal by another build.
const REHEARSAL: Duration = Duration::from_secs(300);

/// Makes a backup and proves it; `program`: the build that is to read it.
///
/// # Errors
/// What of it is not proven, in words.
pub(crate) async fn prove(app: &App, actor: String, program: Option<PathBuf>) -> Result<(), Problem> {
    let backup = app.backups.order(actor, Work::Prove(program)).await?;
    unproven(&backup).map_or(Ok(()), |why| Err(Problem::new(Reason::Unavailable, format!("backup {}: {why}", backup.name))))
}

/// What a backup lacks to be proven. Pure.
fn unproven(backup: &Backup) -> Option<String> {
    match &backup.rehearsed {
        None => return Some("it was not rehearsed".to_owned()),
        Some(tried) if !tried.passed => {
            let check = tried.checks.iter().find(|check| !check.passed);
            return Some(check.map_or_else(|| "it failed its rehearsal".to_owned(), |check| format!("{}: {}", check.check, check.detail)));
        }
        Some(_) if backup.proven => return None,
        Some(_) => {}
    }
    let failed: Vec<String> = backup.copies.iter().filter_map(|copy| Some(format!("{}: {}", copy.place, copy.detail.as_ref()?))).collect();
    if failed.is_empty() {
        Some("no machine but this one takes a copy: name a URL or engines with `weir cms database schedule`".to_owned())
    } else {
        Some(format!("no copy elsewhere was read back: {}", failed.join("; ")))
    }
}

/// Whether a backup that this actor asked for is proven.
///
/// # Errors
/// What the database says.
pub(crate) async fn is_proven(app: &App, actor: &str) -> Result<bool, Problem> {
    let actor = actor.to_owned();
    let read = app.config.read(move |tx| Ok::<_, DatabaseError>(backups::all(tx)?)).await.map_err(refused)?;
    Ok(read.iter().any(|backup| backup.actor == actor && unproven(backup).is_none()))
}

/// Whether a machine that is no manager takes a copy.
pub(crate) async fn has_safe_place(app: &App) -> bool {
    app.network().active(Role::Engine).next().is_some() || schedule::read(app).await.is_ok_and(|schedule| schedule.url.is_some())
}

/// The work itself.
pub(super) async fn proven(app: &App, actor: &str, program: Option<&Path>) -> Result<Backup, Problem> {
    let stages = app.backups.begin(actor);
    let made = make::begun(app, actor).await?;
    let rehearsed = make::rehearsed(app, &made.name, &stages).await?;
    if rehearsed.rehearsed.as_ref().is_some_and(|tried| tried.passed)
        && let Some(program) = program
    {
        stages.stage("rehearse with the other version");
        let (path, _) = records::file_of(app, &made.name).await?;
        let tried = by_program(program, &path, &app.cms.settings().data).await?;
        records::change(app, &made.name, move |backup| backup.rehearsed = Some(tried)).await?;
    }
    let schedule = elsewhere(app, schedule::with_secret(app).await?);
    places::fill(app, &schedule, &made.name, &stages).await
}

/// The schedule's places; where it names none, the vaults of some engines that are heard.
fn elsewhere(app: &App, schedule: Schedule) -> Schedule {
    if schedule.has_places() {
        return schedule;
    }
    let network = app.network();
    let heard = |name: &weir_model::DeviceName| app.reports.get(name).is_some_and(|heard| heard.at_ms > 0);
    let engines = network.active(Role::Engine).filter(|record| heard(&record.name)).take(VAULTS);
    Schedule { engines: engines.map(|record| record.name.to_string()).collect(), ..schedule }
}

/// The rehearsal that another build's program makes of it.
async fn by_program(program: &Path, backup: &Path, data: &Path) -> Result<Rehearsal, Problem> {
    let failed = |why: String| Problem::new(Reason::Unavailable, format!("{} did not rehearse the backup: {why}", program.display()));
    let mut command = Command::new(program);
    command.args(["cms", "database", "rehearse"]).arg(backup).arg("--data").arg(data).args(["--output", "json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = tokio::time::timeout(REHEARSAL, command.output()).await;
    let ended = ended.map_err(|_| failed(format!("not within {} s", REHEARSAL.as_secs())))?.map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&ended.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&ended.stderr);
        failed(format!("{}: {}", ended.status, said.lines().next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::records::tests::made;
    use weir_operator_api::BackupCopy;

    #[test]
    fn a_backup_is_proven_when_it_was_rehearsed_and_read_back_elsewhere() {
        let with = |change: fn(&mut Backup)| {
            let mut backup = made("b", 10, "rollout gate");
            change(&mut backup);
            unproven(&backup)
        };
        let copied = |backup: &mut Backup, detail: Option<&str>| {
            let detail = detail.map(str::to_owned);
            records::note_copy(backup, BackupCopy { place: "engine e".into(), elsewhere: true, proven: detail.is_none(), detail });
        };
        assert_eq!(
            with(|backup| records::note_copy(backup, BackupCopy { place: "engine e".into(), elsewhere: true, proven: true, detail: None })),
            None
        );
        assert!(with(|backup| backup.rehearsed = None).is_some_and(|why| why.contains("not rehearsed")));
        assert!(with(|_| {}).is_some_and(|why| why.contains("no machine but this one")));
        let mut late = made("b", 10, "rollout gate");
        copied(&mut late, Some("too late"));
        assert!(unproven(&late).is_some_and(|why| why.contains("engine e: too late")));
    }
}
