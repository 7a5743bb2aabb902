//! Changesets of the primary, applied: one transaction each, with its audit entries, its hash and the digest compared.

use super::Follower;
use crate::tables::{digests, shipped};
use rusqlite::ErrorCode;
use std::{sync::Arc, time::Duration};
use weir_database::DatabaseError;
use weir_device_api::ShippedChangeset;
use weir_telemetry::Chain;

/// Between two recounts of all rows.
const RECOUNT: Duration = Duration::from_secs(60 * 60);

/// Why a changeset was not applied.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    /// This box is not what the primary was.
    #[error(transparent)]
    Take(#[from] shipped::TakeError),
    /// The disk, or the moment.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Applies them in order; whether all of them were. After one that does not fit a snapshot is asked for; a disk that is full, or a
/// database that is busy, makes it ask for the same again.
pub(super) async fn all(follower: &Follower, changesets: Vec<ShippedChangeset>) -> bool {
    let _one_at_a_time = follower.changing.lock().await;
    let Some(config) = follower.database() else { return changesets.is_empty() };
    for changeset in changesets {
        if follower.is_closing() {
            return false;
        }
        let rev = changeset.rev;
        let applied = config.write(move |tx| Ok::<_, ApplyError>(shipped::take(tx, &changeset)?));
        let Err(error) = applied.await else { continue };
        let (why, is_passing) = (Chain(&error).to_string(), error.is_passing());
        let mut inner = follower.lock();
        if is_passing {
            if inner.hindrance.is_none() {
                tracing::error!(rev, error = why, "a changeset of the primary cannot be written; it is asked for again");
            }
            inner.hindrance = Some(format!("changeset {rev} cannot be written: {why}"));
        } else {
            tracing::warn!(rev, error = why, "a changeset of the primary is not applied; a snapshot is asked for");
            inner.resync = Some(why);
        }
        // What does not fit is told at once, what passes after a pause.
        return !is_passing;
    }
    follower.lock().hindrance = None;
    true
}

impl ApplyError {
    /// Whether the same may be applied a moment later.
    fn is_passing(&self) -> bool {
        match self {
            ApplyError::Take(shipped::TakeError::Sqlite(error)) => is_passing(error),
            ApplyError::Database(DatabaseError::Sqlite(error)) => is_passing(error),
            ApplyError::Database(DatabaseError::DiskFull | DatabaseError::Closed) => true,
            _ => false,
        }
    }
}

fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Counts all rows now and each hour; asks for a snapshot when they are not what their digests say.
pub(super) async fn recount(follower: Arc<Follower>) {
    let mut closing = follower.closing.subscribe();
    let mut ticks = tokio::time::interval(RECOUNT);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = closing.wait_for(|closes| *closes) => return,
        }
        follower.count().await;
    }
}

impl Follower {
    /// Whether the rows are what their digests say; asks for a snapshot when not.
    pub(crate) async fn count(&self) -> bool {
        let Some(config) = self.database() else { return true };
        let read = config.read(|tx| Ok::<_, DatabaseError>(digests::recount(tx)? == digests::load(tx)?));
        match read.await {
            Ok(true) => true,
            Ok(false) => {
                tracing::error!("rows of the standby were changed by something else than the primary; a snapshot is asked for");
                self.lock().resync = Some("its rows were changed by something else than the primary".to_owned());
                false
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the rows of the standby cannot be counted");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;
    use weir_database::ApplyError as DoesNotApply;

    #[test]
    fn a_full_disk_passes_and_a_misfit_does_not() {
        let sqlite = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for (code, expected) in [
            (ffi::SQLITE_FULL, true),
            (ffi::SQLITE_BUSY, true),
            (ffi::SQLITE_LOCKED, true),
            (ffi::SQLITE_CONSTRAINT, false),
            (ffi::SQLITE_CORRUPT, false),
            (ffi::SQLITE_IOERR, false),
        ] {
            // As the statement says it, as the database does, and as the session extension does while it applies.
            let applied = shipped::TakeError::of(7, DoesNotApply::Sqlite(sqlite(code)));
            let (statement, database) = (shipped::TakeError::Sqlite(sqlite(code)), DatabaseError::from(sqlite(code)));
            for error in [ApplyError::from(statement), ApplyError::from(database), ApplyError::from(applied)] {
                assert_eq!(error.is_passing(), expected, "{error}");
            }
        }
        assert!(!ApplyError::from(shipped::TakeError::OutOfOrder { shipped: 3, next: 2 }).is_passing());
    }
}
