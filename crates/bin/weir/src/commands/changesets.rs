//! `weir changesets`, `weir undo`: the log of writes, and taking one back.

pub(super) mod fields;
mod show;
mod watch;

use crate::{
    api_client::{ApiClient, confirmed},
    cli::{ChangesetRef, ChangesetsVerb, ConfirmArg, Format},
    output,
};
use weir_operator_api::{Changeset, ChangesetDetail, Listing, paths};

fn path(rev: u64) -> String {
    format!("{}/{rev}", paths::CHANGESETS)
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: ChangesetsVerb) -> anyhow::Result<()> {
    match verb {
        ChangesetsVerb::List { limit } => {
            let changesets = last(api, limit).await?;
            output::print(format, &changesets, |changesets| show::list(changesets))
        }
        ChangesetsVerb::Show(ChangesetRef { rev }) => {
            let detail: ChangesetDetail = api.get(&path(rev)).await?;
            output::print(format, &detail, show::one)
        }
        ChangesetsVerb::Watch { after } => watch::run(api, format, after).await,
    }
}

/// Takes a changeset back.
pub(super) async fn undo(api: &ApiClient, format: Format, rev: u64, word: &ConfirmArg) -> anyhow::Result<()> {
    let undone: ChangesetDetail = api.get(&path(rev)).await?;
    let kept: ChangesetDetail = api.post(&confirmed(&format!("{}/undo", path(rev)), word), &serde_json::json!({})).await?;
    output::print(format, &kept, |kept| show::taken_back(&undone.changeset, &kept.changeset))
}

/// What was done to the object at a path of the API.
pub(super) async fn history(api: &ApiClient, format: Format, object: &str, limit: u32) -> anyhow::Result<()> {
    let page: Listing<Changeset> = api.get(&format!("{object}/history?limit={limit}")).await?;
    output::print(format, &page.items, |changesets| show::list(changesets))
}

/// So many of the newest, oldest of them first.
async fn last(api: &ApiClient, limit: u32) -> anyhow::Result<Vec<Changeset>> {
    let page: Listing<Changeset> = api.get(&format!("{}?newest={limit}", paths::CHANGESETS)).await?;
    Ok(page.items)
}
