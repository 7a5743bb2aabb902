//! A software file as it is kept, with its secrets, and as it is shown, without.

use super::advice;
use crate::seal::{Seal, SealError, place};
use std::fmt;
use weir_model::{DownloadMethod, SoftwareReason, SoftwareState, Version};
use weir_operator_api::{SoftwareCheckRow, SoftwareFile, SoftwareProgress, SoftwareReasonShown, SoftwareRelease, SoftwareSource};
use zeroize::Zeroizing;

/// A text that is never shown: plain in a request, sealed once it is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    fn sealed(self, seal: &Seal, place: &str) -> Self {
        seal.seal(place, self.0.as_bytes()).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// What a server asks for before it gives the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceSecret {
    /// RFC 7617.
    Basic { username: String, password: Secret },
    /// A header of the server's own.
    Header { name: String, value: Secret },
}

impl SourceSecret {
    /// As it is kept.
    fn sealed(self, seal: &Seal) -> Self {
        match self {
            SourceSecret::Basic { username, password } => {
                SourceSecret::Basic { username, password: password.sealed(seal, place::SOURCE_PASSWORD) }
            }
            SourceSecret::Header { name, value } => SourceSecret::Header { name, value: value.sealed(seal, place::SOURCE_HEADER) },
        }
    }

    /// As a server is told it.
    pub(crate) fn opened(&self, seal: &Seal) -> Result<Self, SealError> {
        let open = |place, secret: &Secret| seal.open_text(place, &secret.0).map(Secret);
        Ok(match self {
            SourceSecret::Basic { username, password } => {
                SourceSecret::Basic { username: username.clone(), password: open(place::SOURCE_PASSWORD, password)? }
            }
            SourceSecret::Header { name, value } => SourceSecret::Header { name: name.clone(), value: open(place::SOURCE_HEADER, value)? },
        })
    }
}

/// Where the archive comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Url { url: String, secret: Option<SourceSecret> },
    Upload { file_name: String },
}

/// What an operator registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) origin: Origin,
    pub(crate) version: Option<Version>,
    pub(crate) bytes: Option<u64>,
    pub(crate) auto_reload: bool,
    pub(crate) method: DownloadMethod,
    pub(crate) comment: String,
}

impl Registration {
    /// With its secrets as they are kept.
    pub(crate) fn sealed(self, seal: &Seal) -> Self {
        let origin = match self.origin {
            Origin::Url { url, secret } => Origin::Url { url, secret: secret.map(|secret| secret.sealed(seal)) },
            upload @ Origin::Upload { .. } => upload,
        };
        Self { origin, ..self }
    }
}

/// Where a software file stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: SoftwareState,
    /// The word, and what exactly, one sentence.
    pub(crate) reason: Option<(SoftwareReason, String)>,
}

/// A software file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: i64,
    pub(crate) registration: Registration,
    pub(crate) standing: Standing,
    /// Of the last validation that ended.
    pub(crate) checks: Vec<SoftwareCheckRow>,
    /// What was verified last; it outlives a validation that fails later.
    pub(crate) release: Option<SoftwareRelease>,
    pub(crate) created_ms: u64,
    pub(crate) created_by: String,
    /// When its checks were last asked for: those that wait are made in this order.
    pub(crate) queued_ms: Option<u64>,
    pub(crate) validated_ms: Option<u64>,
}

/// What moves while a file is fetched, uploaded or checked; kept in memory alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// The rows so far; empty while none of them was begun.
    pub(crate) checks: Vec<SoftwareCheckRow>,
    pub(crate) progress: Option<SoftwareProgress>,
    /// How its copies in the network stand, one sentence.
    pub(crate) copies: Option<String>,
}

impl Record {
    pub(crate) fn state(&self) -> SoftwareState {
        self.standing.state
    }

    pub(crate) fn is_upload(&self) -> bool {
        matches!(self.registration.origin, Origin::Upload { .. })
    }

    /// The verified version, or the stated one.
    pub(crate) fn version(&self) -> Option<Version> {
        self.release.as_ref().map(|release| release.version).or(self.registration.version)
    }

    /// The URL, with its query, or the name of the uploaded file: to be compared, not to be shown.
    pub(crate) fn name(&self) -> &str {
        match &self.registration.origin {
            Origin::Url { url, .. } => url,
            Origin::Upload { file_name } => file_name,
        }
    }

    /// The URL without what may be a signature in it, or the name of the uploaded file.
    pub(crate) fn shown_name(&self) -> String {
        match &self.registration.origin {
            Origin::Url { url, .. } => weir_fetch::shown(url),
            Origin::Upload { file_name } => file_name.clone(),
        }
    }

    /// As operators see it.
    pub(crate) fn view(&self, live: Option<&Live>) -> SoftwareFile {
        let Registration { version, bytes, auto_reload, method, .. } = self.registration;
        let copies = live.and_then(|live| live.copies.as_ref()).filter(|_| self.state() == SoftwareState::Prepositioning);
        let moving = live.filter(|live| !live.checks.is_empty());
        SoftwareFile {
            id: self.id,
            source: self.registration.origin.view(),
            version,
            bytes,
            auto_reload,
            method,
            comment: self.registration.comment.clone(),
            state: self.state(),
            reason: self.standing.reason.as_ref().map(|(reason, detail)| shown(*reason, copies.unwrap_or(detail).clone())),
            checks: moving.map_or_else(|| self.checks.clone(), |live| live.checks.clone()),
            progress: live.and_then(|live| live.progress),
            release: self.release.clone(),
            created_ms: self.created_ms,
            created_by: self.created_by.clone(),
            validated_ms: self.validated_ms,
        }
    }
}

impl Origin {
    fn view(&self) -> SoftwareSource {
        match self {
            Origin::Upload { file_name } => SoftwareSource::Upload { file_name: file_name.clone() },
            Origin::Url { url, secret } => {
                let (username, header) = match secret {
                    None => (None, None),
                    Some(SourceSecret::Basic { username, .. }) => (Some(username.clone()), None),
                    Some(SourceSecret::Header { name, .. }) => (None, Some(name.clone())),
                };
                SoftwareSource::Url { url: weir_fetch::shown(url), username, header }
            }
        }
    }
}

/// A reason with its next step.
pub(crate) fn shown(reason: SoftwareReason, detail: String) -> SoftwareReasonShown {
    SoftwareReasonShown { reason, detail, next: advice::next_step(reason).to_owned() }
}
