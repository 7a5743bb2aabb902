//! `weir software`.

use crate::{
    api_client::ApiClient,
    cli::{Format, SoftwareVerb},
    output,
};
use weir_operator_api::{SoftwareFile, listing::Listing, paths};

pub(super) async fn run(api: &ApiClient, format: Format, verb: SoftwareVerb) -> anyhow::Result<()> {
    match verb {
        SoftwareVerb::List => {
            let files: Listing<SoftwareFile> = api.get(paths::SOFTWARE_FILES).await?;
            output::print(format, &files, |files| format!("{} software files", files.items.len()))
        }
    }
}
