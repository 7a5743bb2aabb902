//! The pair: which of the two is the primary, and the network key's phrase kept beside the network.

use super::{directory::Directory, plan::Planned};
use crate::{api_client::ApiClient, commands::cms};
use anyhow::{Context, bail};
use weir_operator_api::{CmsInfo, CmsState, KeyExport, KeyRequest};

/// Whether this manager is the primary.
pub(super) async fn is_primary(local: &ApiClient) -> anyhow::Result<bool> {
    let info: CmsInfo = local.get(&cms::path("/info")).await?;
    Ok(info.state == CmsState::Primary)
}

/// The primary among the managers that were started.
pub(super) async fn primary<'p>(started: &[(&'p Planned, ApiClient)]) -> anyhow::Result<Option<&'p Planned>> {
    let mut others = Vec::new();
    for (device, local) in started {
        match local.get::<CmsInfo>(&cms::path("/info")).await {
            Ok(info) if info.state == CmsState::Primary => return Ok(Some(device)),
            Ok(info) => others.push(format!("{} is {}", device.name, info.state.as_str())),
            Err(error) => others.push(format!("{error:#}")),
        }
    }
    bail!("no manager is the primary: {}", others.join("; "))
}

/// Keeps the phrase in the network's directory and says so to the manager: whoever has the directory has the network.
pub(super) async fn keep_phrase(directory: &Directory, local: &ApiClient) -> anyhow::Result<()> {
    let key: KeyExport = local.get(&cms::path("/key")).await.context("read the network key's phrase")?;
    if key.confirmed && directory.has_phrase(&key.phrase) {
        return Ok(());
    }
    directory.keep_phrase(&key.phrase)?;
    let request = KeyRequest { phrase: None, fingerprint: Some(key.fingerprint) };
    let _: serde_json::Value = local.post(&cms::path("/key/confirm"), &request).await.context("confirm that the phrase is kept")?;
    Ok(())
}
