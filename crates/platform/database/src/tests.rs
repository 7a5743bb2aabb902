//! A flip that is cut short at any moment, and a disk that has no room.

mod recorded;
mod replaced;

use crate::{
    Database, DatabaseError, Migration,
    disk::{Disk, FileSystem, with_suffix},
    dump,
    schema::{Stamp, bring_up, downgrade_on},
};
use recorded::{Loss, Recorded};
use rusqlite::{Connection, ffi};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

const STAMP: Stamp<'static> = Stamp { now_ms: 1, written_by: "1.1.0-b1" };

const STEPS: &[Migration] = &[
    Migration { id: 1, name: "notes", up_sql: "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT", down_sql: None },
    Migration {
        id: 2,
        name: "words",
        up_sql: "ALTER TABLE note ADD COLUMN word TEXT; CREATE INDEX note_word ON note (word); CREATE TABLE extra (x INTEGER) STRICT",
        down_sql: Some("CREATE TABLE attic_2_note (id INTEGER); DROP INDEX note_word; ALTER TABLE note DROP COLUMN word; DROP TABLE extra"),
    },
];

/// What a flip before these left; nothing reads it.
const OLDER: &[u8] = b"what was before the flip before";

fn dump_of(path: &Path) -> String {
    dump(&Connection::open(path).expect("opens")).expect("dumps")
}

/// A database of the first step whose newest row is only in the write-ahead log: its writer was killed.
fn killed(dir: &Path) -> PathBuf {
    let (made, path) = (dir.join("made"), dir.join("d"));
    fs::create_dir(&made).expect("directory");
    fs::create_dir(&path).expect("directory");
    let writer = bring_up(&mut FileSystem, &made.join("a.db"), &STEPS[..1], STAMP).expect("opens");
    writer.execute_batch("INSERT INTO note (text) VALUES ('one'); PRAGMA wal_checkpoint(TRUNCATE)").expect("written");
    // The log holds the first page too, where the schema is: played into another file it would take that one's away.
    writer.execute_batch("INSERT INTO note (text) VALUES ('two'); PRAGMA user_version = 1").expect("written");
    for name in ["a.db", "a.db-wal"] {
        fs::copy(made.join(name), path.join(name)).expect("copied");
    }
    fs::write(path.join("a.db.previous"), OLDER).expect("file");
    path.join("a.db")
}

/// What the database is after each cut and loss, as the build that knows only the first step, and the newest, see it.
fn every_cut(disk: &Recorded, path: &Path, old: &str, new: &str, expected: &str) {
    let root = path.parent().expect("a directory");
    let mut seen = BTreeSet::new();
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(root, cut, loss);
            // As SQLite reads it, before any program of ours tidies up.
            let found = dump_of(path);
            let before_last = || fs::read(with_suffix(path, ".previous")).expect("there is always one");
            assert!(disk.has_renamed(cut) || before_last() == OLDER, "cut {cut} {loss:?}: the one of the flip before is gone too early");
            assert!(found == old || found == new, "cut {cut} {loss:?}: {found}");
            assert!(
                !disk.has_renamed(cut) || loss == Loss::Unsynced || found == new,
                "cut {cut} {loss:?}: an old log was played into the new file"
            );
            if cut + 1 == disk.cuts() {
                assert_eq!(found, new, "an answered flip is kept");
            }
            seen.insert(found.clone());
            disk.rebuild(root, cut, loss);
            drop(Database::open(path, STEPS, 2, "1.1.0-b1").expect("the newest build opens it"));
            assert_eq!(dump_of(path), expected, "cut {cut} {loss:?}");
            for left in [".next", ".before"] {
                assert!(!with_suffix(path, left).exists(), "cut {cut} {loss:?} {left}");
            }
            assert!(before_last() != OLDER || found == expected && found == old, "cut {cut} {loss:?}: a flip was made");
        }
    }
    assert_eq!(seen.len(), 2, "the cuts reach both sides");
}

#[test]
fn a_crash_anywhere_leaves_the_old_database_or_the_new_one() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    let mut disk = Recorded::below(path.parent().expect("a directory"));
    let writer = bring_up(&mut disk, &path, STEPS, STAMP).expect("goes up");
    drop(writer);
    assert_eq!(disk.statements(), 3, "each statement is a place to be cut at");
    let (old, new) = (dump_of(&with_suffix(&path, ".previous")), dump_of(&path));
    assert!(old.contains("'two'") && new.contains("'two'"), "what was only in the log is in both: {old} {new}");
    assert_ne!(old, new);
    every_cut(&disk, &path, &old, &new, &new);
}

#[test]
fn a_crash_on_the_way_back_leaves_the_old_database_or_the_new_one() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    // The newest step's own attic has nothing to give back here.
    let newest = dump_of({
        drop(bring_up(&mut FileSystem, &path, STEPS, STAMP).expect("goes up"));
        fs::write(with_suffix(&path, ".previous"), OLDER).expect("file");
        &path
    });
    let mut disk = Recorded::below(path.parent().expect("a directory"));
    downgrade_on(&mut disk, &path, 1).expect("goes back");
    assert_eq!(disk.statements(), 4, "each statement is a place to be cut at");
    let below = dump_of(&path);
    assert_ne!(below, newest);
    every_cut(&disk, &path, &newest, &below, &newest);
}

/// A disk on which something always fails.
struct Failing {
    free_bytes: u64,
    /// The operation that fails, by name.
    at: &'static str,
    kind: io::ErrorKind,
    /// Statements that go well before one does not, and how that one fails.
    statement: Option<(usize, i32)>,
}

impl Failing {
    /// A disk on which all is well.
    const NOTHING: Failing = Failing { free_bytes: u64::MAX, at: "", kind: io::ErrorKind::Other, statement: None };
}

impl Failing {
    fn does(&self, name: &str) -> io::Result<()> {
        if self.at == name { Err(self.kind.into()) } else { Ok(()) }
    }
}

impl Disk for Failing {
    fn free_bytes(&mut self, _: &Path) -> io::Result<u64> {
        Ok(self.free_bytes)
    }
    fn create(&mut self, path: &Path) -> io::Result<()> {
        self.does("create").and_then(|()| FileSystem.create(path))
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.does("link").and_then(|()| FileSystem.link(from, to))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.does("rename").and_then(|()| FileSystem.rename(from, to))
    }
    fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        self.does("sync_file").and_then(|()| FileSystem.sync_file(path))
    }
    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.does("sync_dir").and_then(|()| FileSystem.sync_dir(path))
    }
    fn statement(&mut self) -> rusqlite::Result<()> {
        match &mut self.statement {
            Some((0, code)) => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(*code), None)),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[test]
fn a_disk_that_fails_leaves_the_old_database() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    let old = dump_of(&path);
    let refused = |mut disk: Failing| {
        let error = bring_up(&mut disk, &path, STEPS, STAMP).map(|_| ()).expect_err("refused");
        assert_eq!(dump_of(&path), old, "{} {error}", disk.at);
        assert!(!with_suffix(&path, ".next").exists(), "the room is given back: {} {error}", disk.at);
        assert!(!with_suffix(&path, ".before").exists(), "{} {error}", disk.at);
        assert_eq!(fs::read(with_suffix(&path, ".previous")).expect("still there"), OLDER, "{} {error}", disk.at);
        error
    };
    let full = refused(Failing { free_bytes: 1 << 20, ..Failing::NOTHING });
    assert!(matches!(full, DatabaseError::DiskFull), "{full}");
    for at in ["create", "sync_file", "link", "sync_dir", "rename"] {
        let full = refused(Failing { at, kind: io::ErrorKind::StorageFull, ..Failing::NOTHING });
        assert!(matches!(full, DatabaseError::DiskFull), "{at}: {full}");
        let other = refused(Failing { at, kind: io::ErrorKind::PermissionDenied, ..Failing::NOTHING });
        assert!(matches!(other, DatabaseError::File { .. }), "{at}: {other}");
    }
    for well in 0..3 {
        let full = refused(Failing { statement: Some((well, ffi::SQLITE_FULL)), ..Failing::NOTHING });
        assert!(matches!(full, DatabaseError::DiskFull), "{well}: {full}");
        let other = refused(Failing { statement: Some((well, ffi::SQLITE_IOERR_WRITE)), ..Failing::NOTHING });
        assert!(matches!(other, DatabaseError::Sqlite(_)), "{well}: {other}");
    }
    drop(Database::open(&path, STEPS, 1, "1.1.0-b1").expect("opens once the disk is well"));
    assert_ne!(dump_of(&path), old);
}

#[test]
fn a_way_back_that_fails_at_any_statement_leaves_the_old_database() {
    let home = tempfile::tempdir().expect("dir");
    let path = killed(home.path());
    drop(bring_up(&mut FileSystem, &path, STEPS, STAMP).expect("goes up"));
    let old = dump_of(&path);
    for well in 0..4 {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_NOMEM] {
            let mut disk = Failing { statement: Some((well, code)), ..Failing::NOTHING };
            downgrade_on(&mut disk, &path, 1).expect_err("refused");
            assert_eq!(dump_of(&path), old, "{well} {code}");
            assert!(!with_suffix(&path, ".next").exists() && !with_suffix(&path, ".before").exists(), "{well} {code}");
        }
    }
    downgrade_on(&mut FileSystem, &path, 1).expect("goes back once the disk is well");
}
