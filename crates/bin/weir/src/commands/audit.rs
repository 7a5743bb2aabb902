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
    output::print(format, &entries, |entries| show(entries))
}

fn show(entries: &[AuditEntry]) -> String {
    output::table(
        ["ID", "AT", "WHO", "FROM", "DID", "WHAT", "GENERATION", "REV"],
        entries.iter().map(|e| {
            [
                e.id.to_string(),
                time(e.at_ms),
                e.actor.clone(),
                e.source.clone(),
                e.verb.clone(),
                e.object.clone(),
                e.generation.to_string(),
                e.rev.map(|rev| rev.to_string()).unwrap_or_default(),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_its_changeset_if_it_has_one() {
        let entry = |rev| AuditEntry {
            id: 9,
            at_ms: 0,
            actor: "local".into(),
            source: "local".into(),
            verb: "change".into(),
            object: "location east".into(),
            before: None,
            after: None,
            generation: 4,
            rev,
        };
        let text = show(&[entry(Some(12)), entry(None)]);
        let last = |row: &str| row.split_whitespace().last().map(str::to_owned);
        assert_eq!(text.lines().map(last).collect::<Vec<_>>(), [Some("REV".into()), Some("12".into()), Some("4".into())]);
    }
}
