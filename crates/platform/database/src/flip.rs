//! Copy and flip: a schema changes on a copy, which takes the name of the database once it is proven.
//!
//! `<file>.next` is the copy while it is worked on; `<file>.previous` is what the database was before the last flip, and is named
//! `<file>.before` until the copy has the name: a flip that fails leaves the `.previous` of the flip before it. The
//! write-ahead log of the database is folded in and gone, durably, before the copy takes its name: SQLite goes by names, and
//! would play an old log into the new file. A crash anywhere leaves either the database as it was or the proven one.

use crate::{
    DatabaseError,
    disk::{Disk, FileSystem, parent, with_suffix},
    open,
    program::Programs,
};
use rusqlite::{
    Connection, ErrorCode,
    backup::{Backup, StepResult},
};
use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// Room that must be left beside the copy, for what the steps add and for the write-ahead log afterwards: 16 MiB.
const ROOM_BYTES: u64 = 16 << 20;

pub(crate) const NEXT: &str = ".next";
/// How the database is also named while the copy takes its name.
pub(crate) const BEFORE: &str = ".before";
/// How the database before the last flip is named.
pub(crate) const PREVIOUS: &str = ".previous";
/// Files SQLite keeps beside a database.
pub(crate) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A change made on the copy, inside its one transaction, with the database beside it.
pub(crate) struct Change<'a> {
    pub(crate) before: &'a Connection,
    pub(crate) copy: &'a Connection,
    programs: &'a Programs,
    disk: &'a mut dyn Disk,
}

impl Change<'_> {
    /// Runs a program on the copy.
    pub(crate) fn run(&mut self, program: &str) -> rusqlite::Result<()> {
        self.programs.run(self.copy, program, || self.disk.statement())
    }
}

/// Copies the database, changes the copy, proves it whole and puts it in the place of the database.
pub(crate) fn flip(
    disk: &mut impl Disk,
    path: &Path,
    change: impl FnOnce(&mut Change<'_>) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    clear(disk, path)?;
    // Held to the end, so that nobody writes to what is being replaced.
    let before = hold(path)?;
    let outcome = make_next(disk, path, &before, change).and_then(|()| take_the_name(disk, path));
    if let Err(error) = &outcome {
        tracing::debug!(error = %weir_telemetry::Chain(error), "the copy is thrown away");
        // What cannot be removed now is removed by the next start.
        let _ = clear(disk, path);
    }
    outcome
}

/// Removes what a flip that was cut short left behind.
pub(crate) fn clear(disk: &mut impl Disk, path: &Path) -> Result<(), DatabaseError> {
    let next = with_suffix(path, NEXT);
    for file in COMPANIONS.iter().map(|suffix| with_suffix(&next, suffix)).chain([next.clone()]) {
        if file.exists() {
            disk.remove(&file).map_err(DatabaseError::file("remove", &file))?;
        }
    }
    let (before, previous) = (with_suffix(path, BEFORE), with_suffix(path, PREVIOUS));
    if !before.exists() {
        return Ok(());
    }
    // Cut short before the copy took the name, or with the last rename only half kept: renaming one name of a file over another
    // does nothing.
    if is_same_file(path, &before) || is_same_file(&previous, &before) {
        return disk.remove(&before).map_err(DatabaseError::file("remove", &before));
    }
    // Cut short after the copy took the name.
    disk.rename(&before, &previous).map_err(DatabaseError::file("rename to", &previous))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let number = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((number(one), number(other)), (Ok(one), Ok(other)) if one == other)
}

/// Removes a database and what SQLite keeps beside it, so that one can be begun anew; the one before the last flip stays. It must
/// not be open.
///
/// # Errors
/// [`DatabaseError::File`] with the file that cannot be removed.
pub fn remove(path: &Path) -> Result<(), DatabaseError> {
    clear(&mut FileSystem, path)?;
    for file in [""].iter().chain(&COMPANIONS).map(|suffix| with_suffix(path, suffix)) {
        FileSystem.remove(&file).map_err(DatabaseError::file("remove", &file))?;
    }
    Ok(())
}

/// Removes a scratch copy with everything that flips left beside it.
pub(crate) fn throw_away(scratch: &Path) -> Result<(), DatabaseError> {
    remove(scratch)?;
    let previous = with_suffix(scratch, PREVIOUS);
    FileSystem.remove(&previous).map_err(DatabaseError::file("remove", &previous))
}

/// Folds the write-ahead log in, does without one, and keeps others from writing.
pub(crate) fn hold(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = open::writer(path)?;
    // SQLite flushes the file before it removes the log, and refuses while another connection is open.
    let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0)).map_err(not_held(path))?;
    if mode != "delete" {
        return Err(DatabaseError::InUse { path: path.to_owned() });
    }
    // A read that does not end: others may read along, and none can commit.
    connection.execute_batch("BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Only a lock of somebody else means that the database is in use.
fn not_held(path: &Path) -> impl FnOnce(rusqlite::Error) -> DatabaseError {
    let path = path.to_owned();
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::InUse { path },
        _ => error.into(),
    }
}

fn make_next(
    disk: &mut impl Disk,
    path: &Path,
    before: &Connection,
    change: impl FnOnce(&mut Change<'_>) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let next = with_suffix(path, NEXT);
    let bytes = fs::metadata(path).map_err(DatabaseError::file("read the size of", path))?.len();
    let free = disk.free_bytes(parent(path)).map_err(DatabaseError::file("read the free space of", parent(path)))?;
    if free < bytes.saturating_add(ROOM_BYTES) {
        return Err(DatabaseError::DiskFull);
    }
    disk.create(&next).map_err(DatabaseError::file("create", &next))?;
    let mut copy = copied(before, &next, path)?;
    let programs = Programs::on(&mut copy)?;
    let transaction = copy.transaction()?;
    change(&mut Change { before, copy: &transaction, programs: &programs, disk: &mut *disk })?;
    transaction.commit()?;
    if let Some(detail) = finding(&copy)? {
        let path = path.to_owned();
        // The steps are blamed only for what they did.
        return Err(match finding(before)? {
            Some(detail) => DatabaseError::Damaged { path, detail },
            None => DatabaseError::Unsound { path, detail },
        });
    }
    copy.close().map_err(|(_, error)| error)?;
    disk.sync_file(&next).map_err(DatabaseError::file("sync", &next))
}

fn copied(before: &Connection, next: &Path, path: &Path) -> Result<Connection, DatabaseError> {
    let mut copy = open::copy(next)?;
    let backup = Backup::new(before, &mut copy)?;
    // All pages at once: nobody else is waiting for the database.
    let step = backup.step(-1)?;
    drop(backup);
    match step {
        StepResult::Done => Ok(copy),
        _ => Err(DatabaseError::InUse { path: path.to_owned() }),
    }
}

/// What is wrong with the first page, index or reference that does not hold.
pub(crate) fn finding(connection: &Connection) -> Result<Option<String>, DatabaseError> {
    let finding: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if let Some(error) = open::unread(&finding) {
        return Err(error.into());
    }
    if finding != "ok" {
        return Ok(Some(finding));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(Some(format!("a row of {table} refers to a row of {parent} that is not there")))
}

pub(crate) fn take_the_name(disk: &mut impl Disk, path: &Path) -> Result<(), DatabaseError> {
    let (next, before, previous, dir) = (with_suffix(path, NEXT), with_suffix(path, BEFORE), with_suffix(path, PREVIOUS), parent(path));
    if COMPANIONS.iter().any(|suffix| with_suffix(path, suffix).exists()) {
        return Err(DatabaseError::InUse { path: path.to_owned() });
    }
    // What somebody who opened the file before that one left beside it would be played into the one that takes its name.
    for file in COMPANIONS.iter().map(|suffix| with_suffix(&previous, suffix)).filter(|file| file.exists()) {
        disk.remove(&file).map_err(DatabaseError::file("remove", &file))?;
    }
    disk.link(path, &before).map_err(DatabaseError::file("link", &before))?;
    // From here on it is certain that the log of the database is gone, and the file it was is kept.
    disk.sync_dir(dir).map_err(DatabaseError::file("sync", dir))?;
    disk.rename(&next, path).map_err(DatabaseError::file("rename to", path))?;
    disk.rename(&before, &previous).map_err(DatabaseError::file("rename to", &previous))?;
    disk.sync_dir(dir).map_err(DatabaseError::file("sync", dir))
}

impl DatabaseError {
    /// What could not be done to which file.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DatabaseError {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DatabaseError::DiskFull,
            _ => DatabaseError::File { what, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn only_a_lock_means_in_use() {
        let of = |code| not_held(Path::new("a.db"))(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(of(ffi::SQLITE_FULL), DatabaseError::DiskFull));
        assert!(matches!(of(ffi::SQLITE_IOERR_WRITE), DatabaseError::Sqlite(_)));
        assert!(matches!(of(ffi::SQLITE_NOMEM), DatabaseError::Sqlite(_)));
        assert!(matches!(of(ffi::SQLITE_BUSY_RECOVERY), DatabaseError::InUse { .. }));
        assert!(matches!(of(ffi::SQLITE_LOCKED), DatabaseError::InUse { .. }));
    }
}
