//! Maintenance of a database that nobody has open: indexes made anew, statistics, and on demand the whole file.

use crate::{
    DatabaseError,
    disk::{Disk, FileSystem, parent},
    open,
};
use std::{fs, path::Path};

/// Room that is left over while a file is written anew: 16 MiB.
const ROOM_BYTES: u64 = 16 << 20;

/// What [`maintain`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintenance {
    /// Indexes and statistics.
    Indexes,
    /// Also the file, without what was deleted.
    Whole,
}

/// Maintains the database; length of its file before and after, in bytes. Blocks.
///
/// # Errors
/// [`DatabaseError::Absent`]; [`DatabaseError::DiskFull`] when the disk has not twice its length left, which SQLite may need;
/// [`DatabaseError::Damaged`]. What was in it is in it still.
pub fn maintain(path: &Path, what: Maintenance) -> Result<(u64, u64), DatabaseError> {
    if !path.is_file() {
        return Err(DatabaseError::Absent { path: path.to_owned() });
    }
    let bytes = || fs::metadata(path).map(|file| file.len()).map_err(DatabaseError::file("read the size of", path));
    let writer = open::writer(path)?;
    // The log is folded in first, so that the length is the file's.
    let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
    writer.query_row(fold, [], |_| Ok(()))?;
    let before = bytes()?;
    let free = FileSystem.free_bytes(parent(path)).map_err(DatabaseError::file("read the free space of", parent(path)))?;
    if free < before.saturating_mul(2).saturating_add(ROOM_BYTES) {
        return Err(DatabaseError::DiskFull);
    }
    writer.execute_batch("REINDEX; ANALYZE;")?;
    if what == Maintenance::Whole {
        writer.execute_batch("VACUUM")?;
    }
    writer.query_row(fold, [], |_| Ok(()))?;
    writer.close().map_err(|(_, error)| error)?;
    Ok((before, bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Migration};

    const STEPS: &[Migration] =
        &[Migration { id: 1, name: "words", up_sql: "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT) STRICT;", down_sql: None }];

    #[tokio::test]
    async fn what_was_deleted_takes_no_room_and_the_rest_stays() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a.db");
        let database = Database::open(&path, STEPS, 1, "1.0.0-b1").expect("opens");
        let written = database.write(|tx| {
            for id in 0..2_000 {
                tx.execute("INSERT INTO word VALUES (?1, ?2)", rusqlite::params![id, "word ".repeat(40)])?;
            }
            tx.execute("DELETE FROM word WHERE id > 0", [])?;
            Ok::<_, DatabaseError>(())
        });
        written.await.expect("written");
        database.close().await;
        let (before, after) = maintain(&path, Maintenance::Indexes).expect("maintained");
        assert_eq!(before, fs::metadata(&path).expect("there").len().min(before));
        assert!(after >= before, "indexes alone free nothing: {before} {after}");
        let (before, after) = maintain(&path, Maintenance::Whole).expect("maintained");
        assert!(after < before / 4, "{before} {after}");
        let database = Database::open(&path, STEPS, 1, "1.0.0-b1").expect("opens");
        let left = database.read(|tx| Ok::<i64, DatabaseError>(tx.query_row("SELECT count(*) FROM word", [], |row| row.get(0))?));
        assert_eq!(left.await.expect("reads"), 1);
        database.close().await;
        assert!(matches!(maintain(&dir.path().join("none"), Maintenance::Whole), Err(DatabaseError::Absent { .. })));
    }
}
