//! The pair: which of the two is the primary, and the network key's phrase kept beside the network.

use super::{directory::Directory, plan::Planned};
use crate::{api_client::ApiClient, commands::cms};
use anyhow::{Context, bail};
use weir_operator_api::{CmsInfo, CmsState, KeyExport, KeyRequest};

/// Beside the phrase: the fingerprint of the key whose phrase is kept and confirmed.
const CONFIRMED: &str = "recovery-phrase.confirmed";

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

/// Keeps the phrase in the network's directory and says so to the manager: whoever has the directory has the network. It is asked for
/// once, since each export is audited.
pub(super) async fn keep_phrase(directory: &Directory, local: &ApiClient) -> anyhow::Result<()> {
    let info: CmsInfo = local.get(&cms::path("/info")).await?;
    if has_confirmed(directory, info.key_fingerprint.as_deref()) {
        return Ok(());
    }
    let key: KeyExport = local.get(&cms::path("/key")).await.context("read the network key's phrase")?;
    if !directory.has_phrase(&key.phrase) {
        directory.keep_phrase(&key.phrase)?;
    }
    if !key.confirmed {
        let request = KeyRequest { phrase: None, fingerprint: Some(key.fingerprint.clone()) };
        let _: serde_json::Value = local.post(&cms::path("/key/confirm"), &request).await.context("confirm that the phrase is kept")?;
    }
    Ok(weir_slots::durable_write_private(&directory.root().join(CONFIRMED), key.fingerprint.as_bytes())?)
}

/// Whether the phrase of this key is kept here, and was confirmed.
fn has_confirmed(directory: &Directory, fingerprint: Option<&str>) -> bool {
    let confirmed = std::fs::read_to_string(directory.root().join(CONFIRMED)).ok();
    confirmed.is_some() && confirmed.as_deref() == fingerprint && directory.root().join("recovery-phrase").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_that_is_kept_and_confirmed_is_asked_for_no_more() {
        let dir = tempfile::tempdir().expect("dir");
        let directory = Directory::open(dir.path()).expect("open");
        assert!(!has_confirmed(&directory, None) && !has_confirmed(&directory, Some("0011")), "nothing is kept");
        std::fs::write(dir.path().join(CONFIRMED), "0011").expect("written");
        assert!(!has_confirmed(&directory, Some("0011")), "the phrase is gone");
        directory.keep_phrase("abandon ability").expect("kept");
        assert!(has_confirmed(&directory, Some("0011")));
        assert!(!has_confirmed(&directory, Some("2233")) && !has_confirmed(&directory, None), "another key, or none");
    }
}
