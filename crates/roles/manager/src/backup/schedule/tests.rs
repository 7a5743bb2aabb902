//! Which schedules are taken, and when one is due.

use super::*;
use crate::backup::records::tests::made;

fn wanted() -> BackupSchedule {
    BackupSchedule { every_hours: Some(24), keep: 7, engines: vec!["core-1".into()], url: None, header: None, header_value: None }
}

fn judged(wanted: BackupSchedule, before: &Schedule) -> Result<Schedule, (Reason, Option<String>)> {
    let allow = SourceAllow(vec!["127.0.0.0/8".parse().expect("network")]);
    let engines = BTreeSet::from(["core-1", "core-2"]);
    checked(wanted, before, &engines, &allow, &Seal::of_a_test()).map_err(|problem| (problem.reason, problem.field))
}

#[test]
fn each_field_has_its_bounds() {
    let at = |url: &str| BackupSchedule { url: Some(url.into()), ..wanted() };
    let table = [
        (BackupSchedule { every_hours: Some(0), ..wanted() }, Reason::InvalidField, "every_hours"),
        (BackupSchedule { every_hours: Some(169), ..wanted() }, Reason::InvalidField, "every_hours"),
        (BackupSchedule { keep: 0, ..wanted() }, Reason::InvalidField, "keep"),
        (BackupSchedule { keep: 101, ..wanted() }, Reason::InvalidField, "keep"),
        (BackupSchedule { engines: vec!["core-9".into()], ..wanted() }, Reason::UnknownEngine, "engines[0]"),
        (BackupSchedule { engines: vec!["core-1".into(), "core-1".into()], ..wanted() }, Reason::InvalidField, "engines[1]"),
        (BackupSchedule { engines: vec!["core-1".into(); 9], ..wanted() }, Reason::LimitExceeded, "engines"),
        (at("http://backups.example.com/a"), Reason::SourceRefused, "url"),
        (at("http://192.0.2.1/a"), Reason::SourceRefused, "url"),
        (at("https://10.0.0.1/a"), Reason::SourceRefused, "url"),
        (at("file:///a"), Reason::SourceRefused, "url"),
        (at("https://user:pass@backups.example.com/"), Reason::SourceRefused, "url"),
        (at("https://backups.example.com/?a=b"), Reason::SourceRefused, "url"),
        (
            BackupSchedule { header: Some("Authorization".into()), header_value: Some("x".into()), ..wanted() },
            Reason::InvalidField,
            "header",
        ),
        (BackupSchedule { header_value: Some("x".into()), ..wanted() }, Reason::MissingField, "header"),
        (
            BackupSchedule { header: Some("Host".into()), header_value: Some("x".into()), ..at("https://b.example.com/") },
            Reason::InvalidField,
            "header",
        ),
        (
            BackupSchedule { header: Some("X-Key".into()), header_value: Some(" ".into()), ..at("https://b.example.com/") },
            Reason::InvalidField,
            "header_value",
        ),
    ];
    for (wanted, reason, field) in table {
        assert_eq!(judged(wanted.clone(), &Schedule::default()), Err((reason, Some(field.to_owned()))), "{wanted:?}");
    }
    for url in ["https://backups.example.com/a/", "http://127.0.0.1:8080/a", "https://127.0.0.1/a"] {
        assert!(judged(at(url), &Schedule::default()).is_ok(), "{url}");
    }
}

#[test]
fn a_secret_is_sealed_and_goes_to_nobody_it_was_not_given_for() {
    let given = BackupSchedule {
        url: Some("https://b.example.com/".into()),
        header: Some("X-Key".into()),
        header_value: Some("t0p".into()),
        ..wanted()
    };
    let kept = judged(given.clone(), &Schedule::default()).expect("taken");
    let sealed = kept.header_value.clone().expect("kept");
    assert!(!sealed.contains("t0p"));
    assert_eq!(Seal::of_a_test().open_text(place::BACKUP_HEADER, &sealed).expect("opens").as_str(), "t0p");
    assert_eq!(kept.shown().header_value, None);
    let again = BackupSchedule { header_value: None, ..given };
    assert_eq!(judged(again.clone(), &kept).expect("as it was").header_value, Some(sealed));
    for changed in [
        BackupSchedule { url: Some("https://other.example.com/".into()), ..again.clone() },
        BackupSchedule { header: Some("Y-Key".into()), ..again },
    ] {
        assert_eq!(judged(changed, &kept), Err((Reason::MissingField, Some("header_value".into()))));
    }
}

#[test]
fn one_is_due_after_its_hours_and_not_at_once_after_a_failure() {
    let every = |hours| Schedule { every_hours: hours, ..Schedule::default() };
    let (day, now) = (24 * HOUR_MS, 100 * HOUR_MS);
    let table = [
        (every(None), None, None, Due::Nothing),
        (every(Some(24)), None, None, Due::Make),
        (every(Some(24)), Some(now - day + 1), None, Due::Nothing),
        (every(Some(24)), Some(now - day), None, Due::Make),
        (every(Some(24)), None, Some(now - 1), Due::Nothing),
        (every(Some(24)), None, Some(now - RETRY_MS), Due::Make),
        (every(Some(24)), None, Some(now + 1), Due::Make),
    ];
    for (schedule, last, failed, expected) in table {
        let made: Vec<Backup> = last.map(|at_ms| made("a", at_ms, ACTOR)).into_iter().collect();
        assert_eq!(due(&schedule, &made, failed, now), expected, "{schedule:?} {last:?} {failed:?}");
    }
}

#[test]
fn only_one_that_would_restore_and_is_proven_counts() {
    let now = 100 * HOUR_MS;
    let schedule = Schedule { every_hours: Some(24), engines: vec!["core-1".into()], ..Schedule::default() };
    let last = |change: fn(&mut Backup)| {
        let mut backup = made("a", now - 1, ACTOR);
        change(&mut backup);
        due(&schedule, &[backup, made("b", now - 1, "local")], None, now)
    };
    let again = Due::Again("a.weirbackup".into());
    assert_eq!(last(|backup| backup.proven = true), Due::Nothing);
    assert_eq!(last(|_| {}), again, "the file is there: only its copy is lacking");
    assert_eq!(last(|backup| (backup.proven, backup.rehearsed) = (true, None)), again, "it was never rehearsed");
    assert_eq!(last(|backup| backup.rehearsed.as_mut().expect("tried").passed = false), Due::Make, "it would not restore");
    assert_eq!(last(|backup| backup.copies.clear()), Due::Make, "its file is gone and no copy is proven");
}

#[test]
fn engines_are_not_named_for_what_no_vault_takes() {
    assert_eq!(fits_a_vault(VAULT_BYTES_MAX), Ok(()));
    let refused = fits_a_vault(VAULT_BYTES_MAX + 1).expect_err("too large");
    assert_eq!((refused.reason, refused.field.as_deref()), (Reason::LimitExceeded, Some("engines")));
}
