//! When `state.db` is begun anew, and when it is not.

use super::*;
use std::io;

fn sqlite(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

#[test]
fn only_a_file_or_a_step_at_fault_begins_it_anew() {
    let (path, id, name) = (PathBuf::from("state.db"), 2, "words".to_owned());
    let at_fault = [
        DatabaseError::Damaged { path: path.clone(), detail: String::new() },
        DatabaseError::Migration { id, name: name.clone(), source: sqlite(rusqlite::ffi::SQLITE_CONSTRAINT) },
        DatabaseError::SchemaAhead { id, name: name.clone(), written_by: None },
        DatabaseError::SchemaChanged { id, name },
        DatabaseError::Unsound { path: path.clone(), detail: String::new() },
    ];
    for error in at_fault {
        assert!(is_unusable(&error), "{error:?}");
    }
    let passing = [
        DatabaseError::DiskFull,
        DatabaseError::Sqlite(sqlite(rusqlite::ffi::SQLITE_IOERR_READ)),
        DatabaseError::Open { path: path.clone(), source: sqlite(rusqlite::ffi::SQLITE_CANTOPEN) },
        DatabaseError::InUse { path: path.clone() },
        DatabaseError::File { what: "create", path, source: io::ErrorKind::PermissionDenied.into() },
        DatabaseError::Closed,
    ];
    for error in passing {
        assert!(!is_unusable(&error), "{error:?}");
    }
}

#[tokio::test]
async fn beginning_anew_leaves_what_was_before_the_last_step() {
    let dir = tempfile::tempdir().expect("dir");
    let (config, kept) = databases(dir.path().to_owned(), None).await.expect("opens");
    drop((config, kept));
    let path = dir.path().join("state.db");
    let sql = "INSERT INTO schema_ledger (id, name, sha256, applied_ms) VALUES (9999, 'of a later build', '', 1)";
    rusqlite::Connection::open(&path).expect("opens").execute(sql, []).expect("written");
    let previous = dir.path().join("state.db.previous");
    fs::write(&previous, "what was before").expect("written");
    let (_config, kept) = databases(dir.path().to_owned(), None).await.expect("opens all the same");
    let count =
        kept.read(|tx| Ok::<i64, DatabaseError>(tx.query_row("SELECT count(*) FROM schema_ledger WHERE id = 9999", [], |r| r.get(0))?));
    assert_eq!(count.await.expect("reads"), 0, "begun anew");
    assert_eq!(fs::read_to_string(previous).expect("still there"), "what was before");
}
