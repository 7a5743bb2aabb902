//! SQLite: one writer thread, a few readers, schema steps up and down with a ledger.
//!
//! A [`Database`] owns one write connection on a thread of its own and [`READERS`] read-only connections on theirs; nothing
//! of SQLite runs on the async runtime. A write is one transaction: it is committed, and on disk (WAL,
//! `synchronous=FULL`), before [`Database::write`] answers `Ok`; any `Err` rolls it back. A read sees one snapshot of
//! what was committed when it began. SQL is the caller's; only the ledger's is here.
//!
//! A [`Recorder`] notes what a transaction does to rows as a [`Changeset`], which can be kept, read, inverted and applied.
//! [`Digests`] say what tables hold, and follow changesets. [`Database::copy`] makes a copy, [`replace`] puts one in a database's place.
//!
//! A schema step runs on a copy that takes the place of the database once it is proven (`flip`), is held to leaving what was
//! there as it was (`law`), and stores its way back in the database itself (`ledger`), where [`downgrade`] finds it. Format and
//! order: `docs/protocols/schema-steps.md`.

mod changeset;
mod copy;
mod digest;
mod disk;
mod dump;
mod error;
mod flip;
mod law;
mod ledger;
mod maintain;
mod open;
mod program;
mod schema;
mod shape;
mod threads;

#[cfg(test)]
mod tests;

pub use changeset::{ApplyError, Changeset, ColumnChange, Conflict, ConflictKind, Recorder, RowChange, RowKey, RowKind};
pub use copy::{check, look, replace, step};
pub use digest::{Digests, TableDigest};
pub use dump::{dump, dump_sha256};
pub use error::DatabaseError;
pub use flip::remove;
pub use law::Touch;
pub use ledger::Migration;
pub use maintain::{Maintenance, maintain};
pub use rusqlite;
pub use schema::{Downgraded, Undone, downgrade, downgrade_plan};

use disk::FileSystem;
use rusqlite::Transaction;
use schema::Stamp;
use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
};
use threads::Threads;

/// Read-only connections, each with a thread.
pub const READERS: usize = 2;
/// Writes or reads that may wait for their thread; a caller beyond this waits to be queued.
pub const QUEUE_JOBS: usize = 1024;

/// An open database. Clones share its threads; the last one dropped ends them.
#[derive(Clone)]
pub struct Database {
    threads: Arc<Threads>,
}

impl Database {
    /// Opens or creates the file, checks it, and takes the schema to the newest migration. `now_ms` (milliseconds since
    /// 1970) and `written_by` (the version of the program) are what the ledger notes. Blocks; call it before serving.
    ///
    /// # Errors
    /// Whatever the reason, what was in the file is in it still.
    pub fn open(path: &Path, migrations: &[Migration], now_ms: u64, written_by: &str) -> Result<Self, DatabaseError> {
        let writer = schema::bring_up(&mut FileSystem, path, migrations, Stamp { now_ms, written_by })?;
        let readers = (0..READERS).map(|_| open::reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { threads: Arc::new(Threads::start(writer, readers)?) })
    }

    /// Runs `f` in a write transaction; commits when it returns `Ok`, else rolls back. A write whose future is dropped
    /// may still be committed.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        self.threads.write(f).await
    }

    /// Runs `f` on one snapshot of what is committed. Writing is refused by the connection.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        self.threads.read(f).await
    }

    /// Runs `f` in a write transaction as [`Database::write`] does, and takes back whatever it did.
    pub async fn rehearse<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        /// What comes of it: for the transaction a failure in any case.
        enum TakenBack<T, E> {
            Made(T),
            Failed(E),
        }
        impl<T, E: From<DatabaseError>> From<DatabaseError> for TakenBack<T, E> {
            fn from(error: DatabaseError) -> Self {
                TakenBack::Failed(error.into())
            }
        }
        let rehearsed = self.write(move |tx| {
            let taken_back = f(tx).map_or_else(TakenBack::Failed, TakenBack::Made);
            Err::<Infallible, _>(taken_back)
        });
        match rehearsed.await {
            Err(TakenBack::Made(value)) => Ok(value),
            Err(TakenBack::Failed(error)) => Err(error),
            Ok(never) => match never {},
        }
    }

    /// Copies one snapshot of what is committed to a new file while others read and write, and tells what `f` reads of the same
    /// snapshot. The file is whole and durable then: one file, without a log.
    ///
    /// # Errors
    /// [`DatabaseError::File`] when the file is there already, [`DatabaseError::DiskFull`]; nothing is left of it then.
    pub async fn copy<T, E, F>(&self, to: PathBuf, f: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let copied = move |tx: &Transaction<'_>| {
            let told = f(tx)?;
            copy::copy(tx, &to)?;
            Ok(told)
        };
        self.threads.read(copied).await
    }

    /// Finishes what is queued, folds the write-ahead log into the file and ends the threads. Later calls are refused
    /// with [`DatabaseError::Closed`].
    pub async fn close(&self) {
        let threads = Arc::clone(&self.threads);
        if tokio::task::spawn_blocking(move || threads.close()).await.is_err() {
            tracing::warn!("database threads did not end cleanly");
        }
    }
}
