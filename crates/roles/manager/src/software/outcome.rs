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

const CHANGED: SoftwareReason = SoftwareReason::Own(OwnReason::ContentChanged);
const DELISTED: SoftwareReason = SoftwareReason::Archive(InvalidReason::Delisted);

/// Where a software file stands while it waits for its checks and while they are made. A quarantine and a withdrawal are carried
/// through: being checked again ends neither.
pub(super) fn validating(before: Option<&Standing>) -> Standing {
    let carried = before.filter(|before| matches!(before.state, SoftwareState::Quarantined | SoftwareState::Withdrawn));
    let plain = || (OwnReason::Validating.into(), "its checks are being made".to_owned());
    let reason = carried.and_then(|before| before.reason.clone()).unwrap_or_else(plain);
    Standing { state: SoftwareState::Validating, reason: Some(reason) }
}

/// Whether another content was found behind its URL, and not the verified one since.
pub(super) fn is_quarantined(standing: &Standing) -> bool {
    standing.state == SoftwareState::Quarantined || carries(standing, CHANGED).is_some()
}

/// Its detail, when a software file that is being validated came with this reason.
fn carries(standing: &Standing, wanted: SoftwareReason) -> Option<&str> {
    let (reason, detail) = standing.reason.as_ref().filter(|_| standing.state == SoftwareState::Validating)?;
    (*reason == wanted).then_some(detail)
}

/// Where a software file stands after a validation, and what is verified about it from then on. `listed` is what the newest metadata
/// lists now, which may be newer than what the validation judged by.
pub(super) fn standing_after(record: &Record, ended: Ended, listed: Option<&ListedImages>) -> (Standing, Option<SoftwareRelease>) {
    let (standing, release) = match ended {
        Ended::Proven(release) => (proven(record.registration.method), Some(*release)),
        Ended::Changed { detail } => {
            (Standing { state: SoftwareState::Quarantined, reason: Some((CHANGED, detail)) }, record.release.clone())
        }
        Ended::Failed { reason, detail } => (failed(record, reason, detail, listed), record.release.clone()),
    };
    let withdrawn = listed.and_then(|listed| withdrawn(standing.state, release.as_ref(), listed));
    (withdrawn.unwrap_or(standing), release)
}

fn failed(record: &Record, reason: SoftwareReason, detail: String, listed: Option<&ListedImages>) -> Standing {
    let standing = |state, reason, detail| Standing { state, reason: Some((reason, detail)) };
    if reason == DELISTED && record.release.is_some() {
        // Only the image that was verified comes as far as this.
        return standing(SoftwareState::Withdrawn, reason, detail);
    }
    if let Some(why) = carries(&record.standing, CHANGED) {
        return standing(SoftwareState::Quarantined, CHANGED, why.to_owned());
    }
    let is_back = listed.zip(record.release.as_ref()).is_some_and(|(listed, release)| unlisted(release, listed).is_none());
    match carries(&record.standing, DELISTED) {
        Some(why) if !is_back => standing(SoftwareState::Withdrawn, DELISTED, why.to_owned()),
        _ => standing(SoftwareState::Invalid, reason, detail),
    }
}

fn proven(method: DownloadMethod) -> Standing {
    match method {
        DownloadMethod::Default | DownloadMethod::DirectDownloadOnly => Standing { state: SoftwareState::Ready, reason: None },
        DownloadMethod::PrepositionedOnly => {
            let detail = "devices may get it only from copies in the network, and no engine is online to hold one".to_owned();
            Standing { state: SoftwareState::Verified, reason: Some((OwnReason::NotPrepositioned.into(), detail)) }
        }
    }
}

/// Where a software file stands while its copies are being made.
pub(super) fn prepositioning() -> Standing {
    let detail = "engines fetch their copies".to_owned();
    Standing { state: SoftwareState::Prepositioning, reason: Some((OwnReason::NotPrepositioned.into(), detail)) }
}

/// Why an image may no longer be installed; `None` when `listed` has it, by name and digest.
pub(super) fn unlisted(release: &SoftwareRelease, listed: &ListedImages) -> Option<String> {
    let name = weir_release::image_name(release.version, &release.arch);
    match listed.get(&name) {
        Some(digest) if *digest == release.image_sha256 => None,
        Some(_) => Some(format!("the newest signed metadata lists another {name}")),
        None => Some(format!("the newest signed metadata no longer lists {name}")),
    }
}

/// Where a software file in `state` stands once `listed` is what may be installed; `None` when nothing changes for it.
pub(super) fn withdrawn(state: SoftwareState, release: Option<&SoftwareRelease>, listed: &ListedImages) -> Option<Standing> {
    use SoftwareState::{Invalid, Prepositioning, Ready, Verified};
    if !matches!(state, Ready | Verified | Prepositioning | Invalid) {
        return None;
    }
    let detail = unlisted(release?, listed)?;
    Some(Standing { state: SoftwareState::Withdrawn, reason: Some((DELISTED, detail)) })
}

#[cfg(test)]
mod tests;
