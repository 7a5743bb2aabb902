//! A copy that takes the place of a database, cut short at any moment.

use super::{
    STAMP, STEPS, dump_of, killed,
    recorded::{Loss, Recorded},
};
use crate::{
    DatabaseError, copy,
    disk::{FileSystem, with_suffix},
    replace,
    schema::bring_up,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A checked copy beside the database, with another row.
fn copied(path: &Path) -> PathBuf {
    let (other, to) = (path.with_extension("other"), path.with_extension("copy"));
    fs::copy(path, &other).expect("copied");
    let mut writer = bring_up(&mut FileSystem, &other, &STEPS[..1], STAMP).expect("opens");
    writer.execute_batch("INSERT INTO note (text) VALUES ('three')").expect("written");
    copy::copy(&writer.transaction().expect("begins"), &to).expect("copied");
    drop(writer);
    crate::remove(&other).expect("removed");
    copy::check(&to).expect("whole");
    to
}

#[test]
fn a_crash_anywhere_leaves_the_old_database_or_the_copy() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    let new_file = copied(&path);
    let new = dump_of(&new_file);
    let root = path.parent().expect("a directory");
    let mut disk = Recorded::below(root);
    copy::replace_on(&mut disk, &path, &new_file).expect("replaced");
    let old = dump_of(&with_suffix(&path, ".previous"));
    assert!(old.contains("'two'") && new.contains("'three'") && old != new, "what was only in the log is kept: {old} {new}");
    assert!(!new_file.exists());
    let mut seen = BTreeSet::new();
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(root, cut, loss);
            let found = dump_of(&path);
            assert!(found == old || found == new, "cut {cut} {loss:?}: {found}");
            if cut + 1 == disk.cuts() {
                assert_eq!(found, new, "what was answered is kept");
            }
            seen.insert(found.clone());
            disk.rebuild(root, cut, loss);
            drop(bring_up(&mut FileSystem, &path, &STEPS[..1], STAMP).expect("opens"));
            assert_eq!(dump_of(&path), found, "cut {cut} {loss:?}");
            for left in [".next", ".before"] {
                assert!(!with_suffix(&path, left).exists(), "cut {cut} {loss:?} {left}");
            }
        }
    }
    assert_eq!(seen.len(), 2, "the cuts reach both sides");
}

#[test]
fn one_that_is_damaged_or_gone_makes_way_and_its_log_is_played_into_nothing() {
    for gone in [false, true] {
        let home = tempfile::tempdir().expect("dir");
        let path = killed(home.path());
        let new_file = copied(&path);
        let new = dump_of(&new_file);
        let log = fs::read(with_suffix(&path, "-wal")).expect("a log");
        if gone {
            fs::remove_file(&path).expect("removed");
        } else {
            // SQLite itself drops a log that is none when it opens the file.
            fs::write(&path, vec![7; 8192]).expect("damaged");
            fs::write(with_suffix(&path, "-wal"), b"a log of nothing").expect("log");
        }
        replace(&path, &new_file).expect("replaced");
        assert_eq!(dump_of(&path), new, "gone: {gone}");
        if gone {
            assert_eq!(fs::read(with_suffix(&path, ".damaged-wal")).expect("kept"), log);
        }
    }
}

#[test]
fn no_log_is_played_into_the_file_that_was_there_before() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    let (previous, first) = (with_suffix(&path, ".previous"), copied(&path));
    let expected = dump_of(&first);
    let log = fs::read(with_suffix(&path, "-wal")).expect("a log");
    fs::remove_file(&path).expect("removed");
    replace(&path, &first).expect("replaced");
    // As an earlier build kept it.
    fs::write(with_suffix(&previous, "-wal"), &log).expect("log");
    let second = copied(&path);
    replace(&path, &second).expect("replaced");
    assert_eq!(dump_of(&previous), expected);
    assert_eq!(fs::read(with_suffix(&path, ".damaged-wal")).expect("kept"), log);
}

#[test]
fn the_only_log_of_a_damaged_database_is_kept_however_often_its_replacement_is_cut_short() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    let new_file = copied(&path);
    let log = fs::read(with_suffix(&path, "-wal")).expect("a log");
    // Cut short when the log had its other name and the copy not yet the database's.
    fs::write(&path, vec![7; 8192]).expect("damaged");
    fs::rename(with_suffix(&path, "-wal"), with_suffix(&path, ".damaged-wal")).expect("set aside");
    replace(&path, &new_file).expect("replaced");
    assert_eq!(fs::read(with_suffix(&path, ".damaged-wal")).expect("kept"), log);
}

#[test]
fn one_that_is_open_is_not_replaced() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    let new_file = copied(&path);
    let writer = bring_up(&mut FileSystem, &path, &STEPS[..1], STAMP).expect("opens");
    writer.execute_batch("INSERT INTO note (text) VALUES ('kept')").expect("written");
    assert!(matches!(replace(&path, &new_file), Err(DatabaseError::InUse { .. })));
    drop(writer);
    assert!(dump_of(&path).contains("'kept'") && new_file.exists());
    assert!(matches!(replace(&path, &home.path().join("nothing")), Err(DatabaseError::Absent { .. })));
    replace(&path, &new_file).expect("replaced");
}
