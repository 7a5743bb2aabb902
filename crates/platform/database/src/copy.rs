//! A database as a file: an online copy of one that is open, the check of a copy, and a checked copy in the place of a database
//! that is closed.

use crate::{
    DatabaseError,
    disk::{Disk, FileSystem, PRIVATE, keep_private, parent, with_suffix},
    flip::{self, BEFORE, COMPANIONS, NEXT},
    ledger, open,
};
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// What the log of a damaged database, or of one that is gone, is kept as, before the name of its kind: SQLite looks for it nowhere.
const DAMAGED: &str = ".damaged";

/// Copies what a connection sees in the transaction that is open on it: one snapshot, while others read and write.
pub(crate) fn copy(from: &Connection, to: &Path) -> Result<(), DatabaseError> {
    let disk = &mut FileSystem;
    disk.create(to).map_err(DatabaseError::file("create", to))?;
    let made = pages(from, to).and_then(|()| disk.sync_file(to).map_err(DatabaseError::file("sync", to)));
    if made.is_err() {
        for file in [""].iter().chain(&COMPANIONS).map(|suffix| with_suffix(to, suffix)) {
            // Half a copy is of no use; whoever asks again takes another name or finds this one and says so.
            let _ = disk.remove(&file);
        }
    }
    made
}

fn pages(from: &Connection, to: &Path) -> Result<(), DatabaseError> {
    let mut copy = open::copy(to)?;
    let backup = Backup::new(from, &mut copy)?;
    let step = backup.step(-1)?;
    drop(backup);
    if step != StepResult::Done {
        return Err(DatabaseError::InUse { path: to.to_owned() });
    }
    // The pages say that there is a write-ahead log; a copy is one file.
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error.into())
}

/// Whether every page, index and reference of the database in a file holds; reads it all. Nothing is changed, and nothing is kept
/// beside it.
///
/// # Errors
/// [`DatabaseError::Damaged`] with the first finding; [`DatabaseError::Open`] when it cannot be read.
pub fn check(path: &Path) -> Result<(), DatabaseError> {
    let connection = look(path)?;
    match flip::finding(&connection) {
        Ok(None) => Ok(()),
        Ok(Some(detail)) => Err(DatabaseError::Damaged { path: path.to_owned(), detail }),
        Err(DatabaseError::Sqlite(error)) => Err(open::refused(path, error)),
        Err(error) => Err(error),
    }
}

/// Opens a copy to read from it: no log, no lock, nothing beside it. Nobody may write to the file meanwhile.
///
/// # Errors
/// [`DatabaseError::Absent`]; [`DatabaseError::Open`] and [`DatabaseError::Damaged`] when it cannot be read.
pub fn look(path: &Path) -> Result<Connection, DatabaseError> {
    if !path.is_file() {
        return Err(DatabaseError::Absent { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| open::refused(path, error))?;
    connection.pragma_update(None, "trusted_schema", "OFF").map_err(|error| open::refused(path, error))?;
    Ok(connection)
}

/// The newest schema step that a database says it has gone through; 0 when it says nothing.
///
/// # Errors
/// Its ledger cannot be read.
pub fn step(connection: &Connection) -> Result<u32, DatabaseError> {
    Ok(ledger::read(connection)?.last().map_or(0, |step| step.id))
}

/// Puts a checked copy in the place of a database that nobody has open, durably: after a crash anywhere there is either the
/// database as it was or the copy. What was there is `<path>.previous` then. The copy's own name is gone afterwards; it has to lie
/// on the same file system. A database that is not there is made. The write-ahead log of a damaged one, or of one that is gone,
/// is kept as `<path>.damaged-wal`, where nothing plays it. Blocks.
///
/// # Errors
/// [`DatabaseError::InUse`] when somebody has one of the two open; [`DatabaseError::DiskFull`], [`DatabaseError::File`].
pub fn replace(path: &Path, new_file: &Path) -> Result<(), DatabaseError> {
    replace_on(&mut FileSystem, path, new_file)
}

pub(crate) fn replace_on(disk: &mut impl Disk, path: &Path, new_file: &Path) -> Result<(), DatabaseError> {
    if !new_file.is_file() {
        return Err(DatabaseError::Absent { path: new_file.to_owned() });
    }
    if COMPANIONS.iter().any(|suffix| with_suffix(new_file, suffix).exists()) {
        return Err(DatabaseError::InUse { path: new_file.to_owned() });
    }
    flip::clear(disk, path)?;
    fs::set_permissions(new_file, Permissions::from_mode(PRIVATE)).map_err(DatabaseError::file("set the mode of", new_file))?;
    disk.sync_file(new_file).map_err(DatabaseError::file("sync", new_file))?;
    // Held to the end, so that nobody writes to what is being replaced.
    let _before = held(disk, path)?;
    let next = with_suffix(path, NEXT);
    disk.rename(new_file, &next).map_err(DatabaseError::file("rename to", &next))?;
    if path.exists() {
        return flip::take_the_name(disk, path);
    }
    let dir = parent(path);
    disk.rename(&next, path).map_err(DatabaseError::file("rename to", path))?;
    disk.sync_dir(dir).map_err(DatabaseError::file("sync", dir))
}

/// Makes sure that no log of the old database could be played into the new one.
fn held(disk: &mut impl Disk, path: &Path) -> Result<Option<Connection>, DatabaseError> {
    if path.exists() {
        keep_private(path)?;
        match flip::hold(path) {
            Ok(connection) => return Ok(Some(connection)),
            Err(DatabaseError::Damaged { .. }) => {}
            Err(DatabaseError::Sqlite(error)) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {}
            Err(error) => return Err(error),
        }
    }
    // What is left of a damaged database, or of one that is gone. Beside `.previous` it would be played into whatever file has that
    // name when somebody opens it.
    let damaged = with_suffix(path, DAMAGED);
    for suffix in COMPANIONS {
        let (log, kept) = (with_suffix(path, suffix), with_suffix(&damaged, suffix));
        // One that an earlier call set aside stays until there is another.
        if log.exists() {
            disk.rename(&log, &kept).map_err(DatabaseError::file("rename to", &kept))?;
        }
    }
    debug_assert!(!with_suffix(path, BEFORE).exists(), "`clear` has seen to it");
    Ok(None)
}
