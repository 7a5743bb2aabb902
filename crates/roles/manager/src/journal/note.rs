//! A record from async code, of what happens whether it can be written or not.

use super::Journal;
use std::sync::Arc;
use weir_telemetry::Chain;

impl Journal {
    /// Appends away from the async threads; a record that cannot be written is logged, and whoever wanted it goes on.
    pub(crate) async fn note(self: &Arc<Self>, term: u64, kind: &'static str, body: serde_json::Value) {
        let journal = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || journal.append(weir_clock::wall_ms(), term, kind, body)).await;
        match written {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(error = %Chain(&error), kind, "not written into the journal"),
            Err(error) => tracing::error!(%error, kind, "not written into the journal"),
        }
    }
}
