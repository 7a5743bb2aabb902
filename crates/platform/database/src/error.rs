//! Why the database refuses.

use rusqlite::ErrorCode;
use std::{io, path::PathBuf};

/// A refusal of the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be opened or created.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The file is damaged.
    #[error("the database {} is damaged ({detail}); restore it from a backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The first finding of the check.
        detail: String,
    },
    /// A newer build has written the schema.
    #[error(
        "schema is ahead of this build: step {id} ({name}) is not known here; run the build that wrote it, or downgrade the database with it"
    )]
    SchemaAhead {
        /// First unknown step.
        id: u32,
        /// Its name.
        name: String,
    },
    /// A step that was run differs from the one of this build.
    #[error("schema step {id} ({name}) is not the one this database was built with")]
    SchemaChanged {
        /// Which step.
        id: u32,
        /// Its name in this build.
        name: String,
    },
    /// A step failed; the schema is as it was.
    #[error("schema step {id} ({name}) failed")]
    Migration {
        /// Which step.
        id: u32,
        /// Its name.
        name: String,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The disk is full; nothing of the write was kept.
    #[error("the disk is full")]
    DiskFull,
    /// A thread of the database cannot be started.
    #[error("cannot start a database thread")]
    Thread(#[source] io::Error),
    /// The database was closed, or the job ended without an answer.
    #[error("the database is closed")]
    Closed,
    /// Anything else SQLite says.
    #[error("the database refused a statement")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => DatabaseError::DiskFull,
            _ => DatabaseError::Sqlite(error),
        }
    }
}
