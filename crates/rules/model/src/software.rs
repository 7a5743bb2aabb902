//! Software files: the states one goes through, the checks it is put to, and why it may not be chosen.

use crate::{FetchReason, InvalidReason, ReleaseCheck};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a software file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoftwareState {
    /// Registered for an upload that has not come whole.
    Draft,
    /// Its checks are being made.
    Validating,
    /// A check failed.
    Invalid,
    /// Every check passed; its download method waits for copies in the network.
    Verified,
    /// Copies are being made.
    Prepositioning,
    /// May be chosen.
    Ready,
    /// Newer signed metadata no longer lists it.
    Withdrawn,
    /// Something else is behind the URL than what was verified.
    Quarantined,
}

impl SoftwareState {
    /// The word on pages, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Validating => "validating",
            Self::Invalid => "invalid",
            Self::Verified => "verified",
            Self::Prepositioning => "prepositioning",
            Self::Ready => "ready",
            Self::Withdrawn => "withdrawn",
            Self::Quarantined => "quarantined",
        }
    }
}

/// How devices get a software file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownloadMethod {
    /// From a copy in the network, else from its source.
    #[default]
    Default,
    /// From a copy in the network only; not a choice before every copy is there.
    PrepositionedOnly,
    /// From its source only.
    DirectDownloadOnly,
}

impl DownloadMethod {
    /// The word on pages, in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::PrepositionedOnly => "prepositioned_only",
            Self::DirectDownloadOnly => "direct_download_only",
        }
    }
}

/// The checks of a software file, in the order they are made; each is a row on its page. Those of an upload begin with `size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoftwareCheck {
    /// The URL's name has an address that may be fetched from.
    Resolve,
    /// A connection to it, with TLS when the URL says so.
    Connect,
    /// The redirect chain, each hop resolved and checked like the first.
    Redirects,
    /// The content arrives whole, within the limits of size and time.
    Download,
    /// Its length is the stated one.
    Size,
    /// A check of the release archive.
    #[serde(untagged)]
    Release(ReleaseCheck),
}

impl SoftwareCheck {
    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        let fetched = [Self::Resolve, Self::Connect, Self::Redirects, Self::Download, Self::Size];
        fetched.into_iter().chain(ReleaseCheck::ALL.map(Self::Release))
    }

    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Redirects => "redirects",
            Self::Download => "download",
            Self::Size => "size",
            Self::Release(check) => check.as_str(),
        }
    }
}

impl From<ReleaseCheck> for SoftwareCheck {
    fn from(check: ReleaseCheck) -> Self {
        Self::Release(check)
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not made yet.
    Pending,
    /// Being made.
    Running,
    /// As it should be.
    Passed,
    /// Not; the reason says how. No later check was made.
    Failed,
    /// Not made, because an earlier one failed or there is nothing to check.
    Skipped,
}

impl Verdict {
    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a software file may not be chosen: a word of its source, of its archive, or of its own. No two of them share a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SoftwareReason {
    /// It could not be fetched.
    Fetch(FetchReason),
    /// It is no archive that may be installed.
    Archive(InvalidReason),
    /// Something else.
    Own(OwnReason),
}

/// The words that are neither of the source nor of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnReason {
    /// The upload has not come whole.
    AwaitingUpload,
    /// Its checks are being made.
    Validating,
    /// No copy in the network yet, and its method wants nothing else.
    NotPrepositioned,
    /// Another content is behind the URL than the one that was verified.
    ContentChanged,
    /// The manager has no release root to verify with.
    NoReleaseRoot,
    /// The manager's disk has no room for it.
    NoSpace,
    /// The manager stopped or was told to stop in the middle of the checks.
    Interrupted,
    /// What the network runs is this version already.
    SameVersion,
    /// Its line is more than one step from what the network runs, and no released line leads there.
    NoPath,
}

impl OwnReason {
    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::Validating => "validating",
            Self::NotPrepositioned => "not_prepositioned",
            Self::ContentChanged => "content_changed",
            Self::NoReleaseRoot => "no_release_root",
            Self::NoSpace => "no_space",
            Self::Interrupted => "interrupted",
            Self::SameVersion => "same_version",
            Self::NoPath => "no_path",
        }
    }
}

impl SoftwareReason {
    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetch(reason) => reason.as_str(),
            Self::Archive(reason) => reason.as_str(),
            Self::Own(reason) => reason.as_str(),
        }
    }
}

impl From<FetchReason> for SoftwareReason {
    fn from(reason: FetchReason) -> Self {
        Self::Fetch(reason)
    }
}
impl From<InvalidReason> for SoftwareReason {
    fn from(reason: InvalidReason) -> Self {
        Self::Archive(reason)
    }
}
impl From<OwnReason> for SoftwareReason {
    fn from(reason: OwnReason) -> Self {
        Self::Own(reason)
    }
}

impl fmt::Display for SoftwareState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Display for SoftwareCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Display for DownloadMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Display for SoftwareReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_everywhere() {
        for check in SoftwareCheck::all() {
            let json = serde_json::to_value(check).expect("json");
            assert_eq!(json, check.as_str());
            assert_eq!(serde_json::from_value::<SoftwareCheck>(json).expect("own word"), check);
        }
        assert!(SoftwareCheck::all().is_sorted());
    }

    #[test]
    fn a_reason_is_read_as_it_was_written() {
        let own = [OwnReason::ContentChanged, OwnReason::NoSpace, OwnReason::Validating].map(SoftwareReason::from);
        let fetch = FetchReason::ALL.map(SoftwareReason::from);
        let archive = InvalidReason::ALL.map(SoftwareReason::from);
        for reason in own.into_iter().chain(fetch).chain(archive) {
            let json = serde_json::to_value(reason).expect("json");
            assert_eq!(json, reason.as_str());
            assert_eq!(serde_json::from_value::<SoftwareReason>(json).expect("own word"), reason, "{reason}");
        }
    }
}
