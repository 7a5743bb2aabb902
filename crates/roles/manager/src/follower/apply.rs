//! Changesets of the primary, applied: one transaction each, with its audit entries, its hash and the digest compared.

use super::Follower;
use crate::tables::{digests, shipped};
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

/// Applies them in order; whether all of them were. After one that does not fit a snapshot is asked for; a full disk asks again.
pub(super) async fn all(follower: &Follower, changesets: Vec<ShippedChangeset>) -> bool {
    let _one_at_a_time = follower.changing.lock().await;
    let Some(config) = follower.database() else { return changesets.is_empty() };
    for changeset in changesets {
        if follower.is_closing() {
            return false;
        }
        let rev = changeset.rev;
        let applied = config.write(move |tx| Ok::<_, ApplyError>(shipped::take(tx, &changeset)?));
        match applied.await {
            Ok(_) => {}
            Err(ApplyError::Take(shipped::TakeError::Sqlite(error))) => return refused(&DatabaseError::from(error)),
            Err(ApplyError::Database(error)) => return refused(&error),
            Err(error) => {
                tracing::warn!(rev, %error, "a changeset of the primary is not applied; a snapshot is asked for");
                follower.lock().resync = Some(error.to_string());
                return true;
            }
        }
    }
    true
}

fn refused(error: &DatabaseError) -> bool {
    tracing::error!(error = %Chain(error), "a changeset of the primary cannot be written");
    false
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
