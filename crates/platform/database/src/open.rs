//! Connections: how the file is opened, and the check that it is whole.

use crate::DatabaseError;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::{path::Path, time::Duration};

/// How long a connection waits for a lock another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements one connection keeps.
const STATEMENTS: usize = 128;

/// The write connection: WAL, flushed at each commit, foreign keys enforced, checked.
pub(crate) fn writer(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    let set = |name: &str, value: &str| connection.pragma_update(None, name, value).map_err(|e| refused(path, e));
    set("journal_mode", "WAL")?;
    set("synchronous", "FULL")?;
    set("foreign_keys", "ON")?;
    set("trusted_schema", "OFF")?;
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| refused(path, e))?;
    if finding != "ok" {
        return Err(match unread(&finding) {
            Some(source) => DatabaseError::Open { path: path.to_owned(), source },
            None => DatabaseError::Damaged { path: path.to_owned(), detail: finding },
        });
    }
    Ok(connection)
}

/// The connection that makes a copy. A copy that is cut short is thrown away, so nothing of it is flushed before it is whole,
/// and no journal is written that could be left over. References are checked at the end: a table that is made anew for a way
/// back would take the rows that refer to it along.
pub(crate) fn copy(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    for (name, value) in [("journal_mode", "MEMORY"), ("synchronous", "OFF"), ("foreign_keys", "OFF"), ("trusted_schema", "OFF")] {
        connection.pragma_update(None, name, value).map_err(|e| refused(path, e))?;
    }
    Ok(connection)
}

/// A read connection.
pub(crate) fn reader(path: &Path) -> Result<Connection, DatabaseError> {
    // Opened for writing because a reader of a WAL database maintains its shared memory; `query_only` refuses the rest.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.pragma_update(None, "query_only", "ON").map_err(|e| refused(path, e))?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DatabaseError> {
    let connection = Connection::open_with_flags(path, flags).map_err(|e| refused(path, e))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|e| refused(path, e))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

pub(crate) fn refused(path: &Path, error: rusqlite::Error) -> DatabaseError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            DatabaseError::Damaged { path: path.to_owned(), detail: error.to_string() }
        }
        Some(ErrorCode::DiskFull) => DatabaseError::DiskFull,
        _ => DatabaseError::Open { path: path.to_owned(), source: error },
    }
}

/// The error behind a finding of a check that is none: SQLite reports a page that cannot be read among the damage.
pub(crate) fn unread(finding: &str) -> Option<rusqlite::Error> {
    let code = match finding.split_once("unable to get the page. error code=") {
        Some((_, rest)) => rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?,
        None if finding.contains("failed to get page") => ffi::SQLITE_IOERR,
        None => return None,
    };
    let error = ffi::Error::new(code);
    let is_damage = matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase);
    (!is_damage).then(|| rusqlite::Error::SqliteFailure(error, Some(finding.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_read_is_no_damage() {
        let code = |finding: &str| unread(finding).map(|error| error.sqlite_error_code());
        assert_eq!(code("Tree 2 page 7: unable to get the page. error code=266"), Some(Some(ErrorCode::SystemIoFailure)));
        assert_eq!(code("Tree 2 page 7: unable to get the page. error code=7"), Some(Some(ErrorCode::OutOfMemory)));
        assert_eq!(code("Freelist: failed to get page 9"), Some(Some(ErrorCode::SystemIoFailure)));
        assert_eq!(code("Tree 2 page 7: unable to get the page. error code=11"), None);
        assert_eq!(code("Tree 2 page 7: btreeInitPage() returns error code 11"), None);
        assert_eq!(code("row 1 missing from index note_text"), None);
    }

    #[test]
    fn a_full_disk_is_said_when_opening() {
        let refused = |code| refused(Path::new("a.db"), rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(refused(ffi::SQLITE_FULL), DatabaseError::DiskFull));
        assert!(matches!(refused(ffi::SQLITE_IOERR_WRITE), DatabaseError::Open { .. }));
        assert!(matches!(refused(ffi::SQLITE_CORRUPT), DatabaseError::Damaged { .. }));
    }
}
