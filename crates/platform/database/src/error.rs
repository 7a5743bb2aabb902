//! Why the database refuses.

use crate::law::Touch;
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
        "schema is ahead of this build: step {id} ({name}){} is not known here; run {}",
        written(written_by.as_deref()),
        runner(written_by.as_deref())
    )]
    SchemaAhead {
        /// First unknown step.
        id: u32,
        /// Its name.
        name: String,
        /// The version that wrote it; `None` when it did not say.
        written_by: Option<String>,
    },
    /// A step that was run differs from the one of this build.
    #[error("schema step {id} ({name}) is not the one this database was built with")]
    SchemaChanged {
        /// Which step.
        id: u32,
        /// Its name in this build.
        name: String,
    },
    /// A step failed by its own fault or that of what it found, not of the disk or the moment; the schema is as it was.
    #[error("schema step {id} ({name}) failed")]
    Migration {
        /// Which step.
        id: u32,
        /// Its name.
        name: String,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// Steps would lose or change what is there; the database is as it was.
    #[error("schema steps would not leave table {table} as it has to be: {how}")]
    Touched {
        /// Which table.
        table: String,
        /// What they would do.
        how: Touch,
    },
    /// What steps made of a sound database is not sound; the database is as it was.
    #[error("schema steps would leave the database {} unsound ({detail})", path.display())]
    Unsound {
        /// Which file.
        path: PathBuf,
        /// The first finding of the check.
        detail: String,
    },
    /// Ways back do not lead to the schema there was; the database is as it was.
    #[error("the ways back do not lead to the schema of step {step}")]
    OtherSchema {
        /// Where they were to lead.
        step: u32,
    },
    /// A step has no way back.
    #[error("schema step {id} ({name}) has no way back")]
    NoWayBack {
        /// Which step.
        id: u32,
        /// Its name.
        name: String,
    },
    /// The way back in the ledger is not the one that was put there.
    #[error("the way back over schema step {id} ({name}) is damaged")]
    WayBackDamaged {
        /// Which step.
        id: u32,
        /// Its name.
        name: String,
    },
    /// The database never was at this step.
    #[error("there is no schema step {step} in this database, whose newest is {newest}")]
    UnknownStep {
        /// The step asked for.
        step: u32,
        /// The newest of the database; 0 when it has none.
        newest: u32,
    },
    /// There is no such database.
    #[error("there is no database {}", path.display())]
    Absent {
        /// Which file.
        path: PathBuf,
    },
    /// Something else has the database open, so its schema cannot change.
    #[error("the database {} is in use", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// Something cannot be done to a file.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
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

fn written(by: Option<&str>) -> String {
    by.map_or_else(String::new, |version| format!(", written by version {version},"))
}

fn runner(by: Option<&str>) -> String {
    by.map_or_else(|| "the version that wrote it".to_owned(), |version| format!("version {version} or a later one of its line"))
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => DatabaseError::DiskFull,
            _ => DatabaseError::Sqlite(error),
        }
    }
}
