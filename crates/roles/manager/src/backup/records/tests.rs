//! Which backups go.

use super::*;
use crate::backup::file::tests::of;
use weir_operator_api::Rehearsal;

/// One on the box that passed its rehearsal.
pub(crate) fn made(name: &str, at_ms: u64, actor: &str) -> Backup {
    let copies = vec![BackupCopy { place: ON_THE_BOX.into(), elsewhere: false, proven: true, detail: None }];
    let rehearsed = Some(Rehearsal { version: "1.0.0-b1".into(), at_ms, checks: vec![], passed: true });
    let (name, actor) = (format!("{name}.weirbackup"), actor.to_owned());
    Backup { name, at_ms, actor, manifest: of(b""), bytes: 10, sha256: "00".repeat(32), copies, rehearsed, proven: false }
}

fn elsewhere(mut backup: Backup) -> Backup {
    note_copy(&mut backup, BackupCopy { place: "engine core-1".into(), elsewhere: true, proven: true, detail: None });
    backup
}

#[test]
fn the_oldest_go_and_those_that_failed_before_all_others() {
    let failed = |mut backup: Backup| {
        backup.rehearsed.as_mut().expect("tried").passed = false;
        backup
    };
    let known =
        [failed(made("e", 5, "local")), made("d", 4, "local"), made("c", 3, "local"), failed(made("b", 2, "local")), made("a", 1, "local")];
    let left_out = |keep| surplus(&known, keep).iter().map(|name| name[..1].to_owned()).collect::<String>();
    assert_eq!(left_out(5), "");
    assert_eq!(left_out(4), "b", "it could not be restored");
    assert_eq!(left_out(3), "eb");
    assert_eq!(left_out(1), "caeb");
}

#[test]
fn what_is_known_of_other_machines_stays_and_the_newest_proven_always() {
    let gone = |name: String, at_ms| {
        let mut backup = elsewhere(made(&name, at_ms, "schedule"));
        backup.copies.retain(|copy| copy.place != ON_THE_BOX);
        backup
    };
    let mut known: Vec<Backup> = (0..ELSEWHERE_MAX as u64 + 2).rev().map(|at_ms| gone(format!("n{at_ms}"), at_ms)).collect();
    assert_eq!(forgotten(&known), ["n1.weirbackup", "n0.weirbackup"]);
    let oldest = known.len() - 1;
    for backup in &mut known[..oldest] {
        backup.proven = false;
    }
    assert_eq!(forgotten(&known), ["n1.weirbackup"], "the only proven one");
}

#[test]
fn a_backup_is_as_old_as_its_name_says() {
    for (name, expected) in [
        ("demo-20261123T071419Z-r12.weirbackup", Some(1_795_418_059_000)),
        ("demo-20261123T071419Z-r12-2.weirbackup", Some(1_795_418_059_000)),
        // The name of a network may look like a time.
        ("a-20200101T000000Z-20261123T071419Z-r12.weirbackup", Some(1_795_418_059_000)),
        ("demo-20261323T071419Z-r12.weirbackup", None),
        ("demo-r12.weirbackup", None),
        ("demo-20261123T071419Z-r12", None),
    ] {
        assert_eq!(made_ms(name), expected, "{name}");
    }
    let dir = tempfile::tempdir().expect("dir");
    let (database, path) = (dir.path().join("config.db"), dir.path().join("demo-20200101T000000Z-r1.weirbackup"));
    fs::write(&database, "words").expect("written");
    let (bytes, sha256) = file::write(&path, &of(b"words"), &database).expect("made");
    let came = adopted("demo-20200101T000000Z-r1.weirbackup".into(), &path).expect("whole");
    assert_eq!((came.at_ms, came.bytes, came.sha256), (1_577_836_800_000, bytes, sha256), "not when it came back");
}
