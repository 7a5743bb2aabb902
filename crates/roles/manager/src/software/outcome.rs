//! What a validation means for its software file, and what newer metadata means for the others. Pure.

use super::record::{Record, Standing};
use std::collections::BTreeMap;
use weir_model::{DownloadMethod, InvalidReason, OwnReason, SoftwareReason, SoftwareState};
use weir_operator_api::SoftwareRelease;

/// How a validation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every check passed.
    Proven(Box<SoftwareRelease>),
    /// Another content is behind the URL than the one that was verified.
    Changed { detail: String },
    /// A check failed.
    Failed { reason: SoftwareReason, detail: String },
}

/// The images that the newest signed metadata lists: digest by name.
pub(super) type ListedImages = BTreeMap<String, String>;

/// Where a software file stands after a validation, and what is verified about it from then on.
pub(super) fn standing_after(record: &Record, ended: Ended) -> (Standing, Option<SoftwareRelease>) {
    let standing = |state, reason| Standing { state, reason };
    match ended {
        Ended::Proven(release) => (proven(record.registration.method), Some(*release)),
        Ended::Changed { detail } => {
            (standing(SoftwareState::Quarantined, Some((OwnReason::ContentChanged.into(), detail))), record.release.clone())
        }
        Ended::Failed { reason, detail } => {
            let delisted = record.release.is_some() && reason == SoftwareReason::Archive(InvalidReason::Delisted);
            let state = if delisted { SoftwareState::Withdrawn } else { SoftwareState::Invalid };
            (standing(state, Some((reason, detail))), record.release.clone())
        }
    }
}

fn proven(method: DownloadMethod) -> Standing {
    match method {
        DownloadMethod::Default | DownloadMethod::DirectDownloadOnly => Standing { state: SoftwareState::Ready, reason: None },
        DownloadMethod::PrepositionedOnly => {
            let detail = "it is verified; devices may get it only from copies in the network, and this version makes none".to_owned();
            Standing { state: SoftwareState::Verified, reason: Some((OwnReason::NotPrepositioned.into(), detail)) }
        }
    }
}

/// Where a software file stands once `listed` is what may be installed; `None` when nothing changes for it.
pub(super) fn withdrawn(record: &Record, listed: &ListedImages) -> Option<Standing> {
    let release = record.release.as_ref()?;
    if !matches!(record.state(), SoftwareState::Ready | SoftwareState::Verified | SoftwareState::Prepositioning) {
        return None;
    }
    let name = weir_release::image_name(release.version, &release.arch);
    let detail = match listed.get(&name) {
        Some(digest) if *digest == release.image_sha256 => return None,
        Some(_) => format!("the newest signed metadata lists another {name}"),
        None => format!("the newest signed metadata no longer lists {name}"),
    };
    Some(Standing { state: SoftwareState::Withdrawn, reason: Some((InvalidReason::Delisted.into(), detail)) })
}

#[cfg(test)]
mod tests;
