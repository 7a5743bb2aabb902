//! `weir audit`.

use crate::{
    api_client::ApiClient,
    cli::Format,
    output::{self, time},
};
use weir_operator_api::{AuditEntry, paths};

pub(super) async fn list(api: &ApiClient, format: Format, limit: u32) -> anyhow::Result<()> {
    let mut entries: Vec<AuditEntry> = api.list(paths::AUDIT).await?;
    let wanted = usize::try_from(limit)?;
    entries.drain(..entries.len().saturating_sub(wanted));
    output::print(format, &entries, |entries| {
        output::table(
            ["ID", "AT", "WHO", "FROM", "DID", "WHAT", "GENERATION"],
            entries.iter().map(|e| {
                [
                    e.id.to_string(),
                    time(e.at_ms),
                    e.actor.clone(),
                    e.source.clone(),
                    e.verb.clone(),
                    e.object.clone(),
                    e.generation.to_string(),
                ]
            }),
        )
    })
}
