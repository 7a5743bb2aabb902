//! A backup as pages show it.

use crate::gui::figures::{Bytes, Moment};
use weir_operator_api::{Backup, BackupCopy};

/// A backup as a row.
pub(super) struct Listed {
    pub(super) backup: Backup,
    pub(super) at: Moment,
}

/// How far what a backup promises is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// It failed its rehearsal: it could not be restored.
    Broken,
    /// It is nowhere but on a manager.
    HereOnly,
    /// A copy elsewhere was not read back.
    Unproven,
    /// A copy on another machine was read back and is the same.
    Proven,
}

impl Proof {
    pub(super) fn word(self) -> &'static str {
        match self {
            Proof::Broken => "rehearsal failed",
            Proof::HereOnly => "only on this box",
            Proof::Unproven => "not proven",
            Proof::Proven => "proven",
        }
    }

    pub(super) fn badge(self) -> &'static str {
        match self {
            Proof::Broken => "critical",
            Proof::HereOnly => "minor",
            Proof::Unproven => "major",
            Proof::Proven => "ok",
        }
    }
}

impl Listed {
    pub(super) fn new(backup: Backup) -> Self {
        Self { at: Moment::at(backup.at_ms), backup }
    }

    pub(super) fn proof(&self) -> Proof {
        let elsewhere = |copy: &&BackupCopy| copy.elsewhere;
        if self.backup.rehearsed.as_ref().is_some_and(|rehearsed| !rehearsed.passed) {
            Proof::Broken
        } else if self.backup.proven {
            Proof::Proven
        } else if self.backup.copies.iter().any(|copy| elsewhere(&copy)) {
            Proof::Unproven
        } else {
            Proof::HereOnly
        }
    }

    pub(super) fn size(&self) -> Bytes {
        Bytes(self.backup.bytes)
    }

    /// When it was rehearsed; nothing when it was not.
    pub(super) fn rehearsed(&self) -> Option<Moment> {
        self.backup.rehearsed.as_ref().map(|rehearsed| Moment::at(rehearsed.at_ms))
    }

    pub(super) fn path(&self) -> String {
        super::backup::path_of(&self.backup.name)
    }
}
