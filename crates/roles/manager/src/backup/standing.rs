//! What of backups and the network key stands as an alarm.

use super::{
    records::{self, ON_THE_BOX},
    schedule::{self, Schedule},
};
use crate::{
    alarms::Key,
    app::App,
    tables::{backups, settings},
};
use weir_database::DatabaseError;
use weir_model::AlarmReason;
use weir_operator_api::{Backup, BackupUnderWay, Problem};

/// Judges anew what is to be alarmed.
pub(crate) async fn judge(app: &App) -> Result<(), Problem> {
    let fingerprint = app.network().seal.fingerprint().to_owned();
    let read = app.config.read(move |tx| {
        let schedule = schedule::stored(tx)?;
        let confirmed = settings::get(tx, settings::KEY_CONFIRMED)?.is_some_and(|confirmed| confirmed == fingerprint);
        Ok::<_, DatabaseError>((schedule, backups::all(tx)?, confirmed))
    });
    let (schedule, made, confirmed) = read.await.map_err(records::refused)?;
    let unproven = unproven(&schedule, &made, app.backups.under_way().as_ref());
    app.backups.stand(|standing| {
        standing.unproven = unproven;
        standing.unconfirmed = !confirmed;
        if schedule.every_hours.is_none() {
            standing.failed = None;
        }
    });
    Ok(())
}

/// What the newest backup of the schedule lacks; of one that is being made nothing is said yet. Newest first in. Pure.
fn unproven(schedule: &Schedule, made: &[Backup], under_way: Option<&BackupUnderWay>) -> Option<String> {
    schedule.every_hours?;
    let since_ms = under_way.filter(|making| making.actor == schedule::ACTOR).map(|making| making.since_ms);
    let is_made = |backup: &&Backup| backup.actor == schedule::ACTOR && since_ms.is_none_or(|since_ms| backup.at_ms < since_ms);
    let backup = made.iter().find(is_made)?;
    let name = &backup.name;
    match &backup.rehearsed {
        None => return Some(format!("backup {name} was not rehearsed")),
        Some(tried) if !tried.passed => {
            let check = tried.checks.iter().find(|check| !check.passed);
            let why = check.map_or_else(String::new, |check| format!(": {}: {}", check.check, check.detail));
            return Some(format!("backup {name} failed its rehearsal{why}"));
        }
        Some(_) if backup.proven => return None,
        Some(_) => {}
    }
    let failed: Vec<_> = backup.copies.iter().filter_map(|copy| Some(format!("{}: {}", copy.place, copy.detail.as_ref()?))).collect();
    Some(if !schedule.has_places() {
        format!("backup {name} is proven on no other machine: the schedule names neither a URL nor an engine")
    } else if failed.is_empty() {
        let there = backup.copies.iter().any(|copy| copy.place == ON_THE_BOX);
        let so_far = if there { "not copied to another machine yet" } else { "not on this box any more, and was proven nowhere else" };
        format!("backup {name} is {so_far}")
    } else {
        format!("backup {name} was not read back from another machine: {}", failed.join("; "))
    })
}

/// BACKUP_UNPROVEN and KEY_NOT_ESCROWED.
pub(crate) fn alarms(app: &App) -> Vec<(Key, String)> {
    let standing = app.backups.standing();
    let key = |reason, object: &str| Key { reason, device: app.name.clone(), object: object.to_owned() };
    let unproven = standing.failed.or(standing.unproven).map(|text| (key(AlarmReason::BackupUnproven, "backups"), text));
    let fingerprint = app.network().seal.fingerprint().to_owned();
    let unconfirmed = standing.unconfirmed.then(|| {
        let text = format!("nobody has confirmed that the network key {fingerprint} is kept elsewhere");
        (key(AlarmReason::KeyNotEscrowed, "network key"), text)
    });
    unproven.into_iter().chain(unconfirmed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::records::tests::made;
    use weir_operator_api::BackupCopy;

    #[test]
    fn what_the_newest_backup_of_the_schedule_lacks_is_said_once_it_is_made() {
        let every = |engines: &[&str]| Schedule {
            every_hours: Some(24),
            engines: engines.iter().map(ToString::to_string).collect(),
            ..Schedule::default()
        };
        let with = |change: fn(&mut Backup)| {
            let mut backup = made("b", 10, schedule::ACTOR);
            change(&mut backup);
            vec![backup, made("a", 5, "local")]
        };
        let copied = |backup: &mut Backup, detail: Option<&str>| {
            let detail = detail.map(str::to_owned);
            let copy = BackupCopy { place: "engine core-1".into(), elsewhere: true, proven: detail.is_none(), detail };
            records::note_copy(backup, copy);
        };
        let table = [
            (every(&["core-1"]), with(|_| {}), Some("not copied")),
            (every(&[]), with(|_| {}), Some("neither a URL nor an engine")),
            (every(&["core-1"]), with(|backup| backup.rehearsed = None), Some("was not rehearsed")),
            (every(&["core-1"]), with(|backup| backup.rehearsed.as_mut().expect("tried").passed = false), Some("failed its rehearsal")),
            (Schedule::default(), with(|_| {}), None),
            (every(&["core-1"]), vec![made("a", 5, "local")], None),
        ];
        for (schedule, made, expected) in table {
            let said = unproven(&schedule, &made, None);
            assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
            assert!(expected.is_none_or(|word| said.as_ref().is_some_and(|said| said.contains(word))), "{expected:?} in {said:?}");
        }
        let mut late = with(|_| {});
        copied(&mut late[0], Some("it did not answer in time"));
        assert!(unproven(&every(&["core-1"]), &late, None).expect("unproven").contains("it did not answer in time"));
        copied(&mut late[0], None);
        assert_eq!(unproven(&every(&["core-1"]), &late, None), None);
        let making = BackupUnderWay { actor: schedule::ACTOR.into(), since_ms: 9, stage: "copy".into() };
        assert_eq!(unproven(&every(&["core-1"]), &with(|_| {}), Some(&making)), None, "it is being made");
    }
}
