//! Registers this very program as a software file of the network it runs.

use super::release::{Keys, OwnRelease};
use crate::api_client::ApiClient;
use anyhow::{Context, bail};
use ipnet::{IpNet, Ipv4Net};
use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};
use weir_model::{DownloadMethod, SoftwareState};
use weir_operator_api::{SoftwareFile, SoftwareFileRequest, SoftwareSource, SoftwareSources, paths};
use weir_release::Listed;

/// Patience for the manager to have checked the archive.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Prefix of the network's own addresses: software of this machine's servers may come from there.
const OWN_PREFIX: u8 = 24;
/// How its own software files are told from an operator's.
const COMMENT: &str = "the build that weir up started";

/// Makes this program a software file that is ready; what earlier builds left goes. The network's own addresses become a
/// source of software when there is neither a source nor a software file yet.
pub(crate) async fn offer(api: &ApiClient, keys: Arc<Keys>, own: Arc<OwnRelease>, network: Ipv4Addr, scratch: &Path) -> anyhow::Result<()> {
    let listed = {
        let (keys, own) = (keys.clone(), own.clone());
        tokio::task::spawn_blocking(move || keys.list(&own)).await.context("sign this program's release")??
    };
    let files: Vec<SoftwareFile> = api.list(paths::SOFTWARE_FILES).await?;
    if files.is_empty() {
        allow(api, network).await?;
    }
    let same = |file: &&SoftwareFile| file.release.as_ref().is_some_and(|release| release.image_sha256 == listed.sha256.to_string());
    let id = match files.iter().filter(same).find(|file| is_usable(file)) {
        Some(file) => file.id,
        None => register(api, keys, own, &listed, scratch).await?,
    };
    ready(api, id).await?;
    clear(api, id).await
}

async fn allow(api: &ApiClient, network: Ipv4Addr) -> anyhow::Result<()> {
    let sources: SoftwareSources = api.get(paths::SOFTWARE_SOURCES).await?;
    if sources.allow.is_empty() {
        let own = Ipv4Net::new(network, OWN_PREFIX).context("the network's own /24")?;
        let _: SoftwareSources = api.put(paths::SOFTWARE_SOURCES, &SoftwareSources { allow: vec![IpNet::V4(own)] }).await?;
    }
    Ok(())
}

async fn register(api: &ApiClient, keys: Arc<Keys>, own: Arc<OwnRelease>, listed: &Listed, scratch: &Path) -> anyhow::Result<i64> {
    let folder = tempfile::Builder::new().prefix("archive-").tempdir_in(scratch).context("make a place for the archive")?;
    let (to, what, version) = (folder.path().to_owned(), listed.clone(), own.version());
    let archive = tokio::task::spawn_blocking(move || keys.pack(&own, &what, &to)).await.context("pack this program's release")??;
    let file_name = archive.file_name().map(|name| name.to_string_lossy().into_owned());
    let request =
        SoftwareFileRequest { file_name, version: Some(version), comment: Some(COMMENT.to_owned()), ..SoftwareFileRequest::default() };
    let made: SoftwareFile = api.post(paths::SOFTWARE_FILES, &request).await.context("register this program's release")?;
    let path = format!("{}/{}/archive", paths::SOFTWARE_FILES, made.id);
    let _: SoftwareFile = api.upload(&path, &archive, |_| {}).await.context("send this program's release to the manager")?;
    Ok(made.id)
}

/// Whether a software file of this program's image can be had ready. One that an operator pre-positions rests before that.
fn is_usable(file: &SoftwareFile) -> bool {
    match file.state {
        SoftwareState::Ready => true,
        SoftwareState::Validating => file.method != DownloadMethod::PrepositionedOnly,
        _ => false,
    }
}

/// Waits until a software file is ready.
async fn ready(api: &ApiClient, id: i64) -> anyhow::Result<()> {
    let wait = async {
        loop {
            let file: SoftwareFile = api.get(&format!("{}/{id}", paths::SOFTWARE_FILES)).await?;
            match file.state {
                SoftwareState::Ready => return Ok(()),
                SoftwareState::Validating => tokio::time::sleep(LOOK).await,
                state => {
                    let why = file.reason.map(|shown| format!(": {}; {}", shown.detail, shown.next)).unwrap_or_default();
                    bail!("the manager finds this program's own release {state}{why}");
                }
            }
        }
    };
    let late = || format!("checking this program's release took longer than {} s", READY_PATIENCE.as_secs());
    tokio::time::timeout(READY_PATIENCE, wait).await.with_context(late)?
}

/// Removes what earlier builds and starts that were cut short have left.
async fn clear(api: &ApiClient, keep: i64) -> anyhow::Result<()> {
    let files: Vec<SoftwareFile> = api.list(paths::SOFTWARE_FILES).await?;
    for file in files.iter().filter(|file| file.id != keep && is_left(file)) {
        api.delete(&format!("{}/{}", paths::SOFTWARE_FILES, file.id)).await.context("remove the software file of an earlier build")?;
    }
    Ok(())
}

fn is_left(file: &SoftwareFile) -> bool {
    let own = file.comment == COMMENT && matches!(file.source, SoftwareSource::Upload { .. });
    own && matches!(file.state, SoftwareState::Draft | SoftwareState::Invalid | SoftwareState::Withdrawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(state: SoftwareState, method: DownloadMethod) -> SoftwareFile {
        let file = json!({
            "id": 1, "source": {"kind": "upload", "file_name": "a.weir"}, "version": null, "bytes": null, "auto_reload": true,
            "method": method, "comment": "", "state": state, "reason": null, "checks": [], "progress": null, "release": null,
            "created_ms": 0, "created_by": "cli", "validated_ms": null,
        });
        serde_json::from_value(file).expect("a software file")
    }

    #[test]
    fn only_what_is_or_becomes_ready_is_waited_for() {
        use {DownloadMethod::*, SoftwareState::*};
        for (state, method, expected) in [
            (Ready, Default, true),
            (Ready, PrepositionedOnly, true),
            (Validating, Default, true),
            (Validating, DirectDownloadOnly, true),
            (Validating, PrepositionedOnly, false),
            (Verified, PrepositionedOnly, false),
            (Verified, Default, false),
            (Draft, Default, false),
            (Invalid, Default, false),
            (Quarantined, Default, false),
            (Withdrawn, Default, false),
        ] {
            assert_eq!(is_usable(&file(state, method)), expected, "{state} {method:?}");
        }
    }
}
