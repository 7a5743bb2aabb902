//! Backups of `config.db`: made, proven, kept elsewhere, restored.

use crate::CmsState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::DeviceName;

/// One backup this manager knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// File name: `<network>-<UTC>-r<rev>.weirbackup`; names it in verbs.
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub at_ms: u64,
    /// Who asked: a caller as in the audit, or `schedule`.
    pub actor: String,
    /// What it holds.
    pub manifest: BackupManifest,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Where copies are, and whether each was read back.
    pub copies: Vec<BackupCopy>,
    /// It opened, passed its check and went up and down through the schema steps on a scratch copy; absent: not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<Rehearsal>,
    /// A copy on a machine that is not a manager was read back and is the same.
    pub proven: bool,
}

/// What a backup says of itself: first entry of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupManifest {
    /// Format; 1.
    pub format: u32,
    /// Name of the network.
    pub network: String,
    /// SHA-256 of the network's CA certificate, hex: which network it is.
    pub network_id: String,
    /// The manager it was made on.
    #[schema(value_type = String)]
    pub manager: DeviceName,
    /// Version of the build.
    pub version: String,
    /// Newest schema step.
    pub step: u32,
    /// Term.
    pub term: u64,
    /// Generation.
    pub generation: u64,
    /// Newest changeset.
    pub rev: u64,
    /// Digest of the configuration, hex.
    pub digest: String,
    /// SHA-256 of the database file in it, hex.
    pub database_sha256: String,
    /// Length of the database file, in bytes.
    pub database_bytes: u64,
    /// Fingerprint of the network key that opens its secrets.
    pub key_fingerprint: String,
}

/// One copy of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupCopy {
    /// `box`, `url <host>`, `engine <name>`, `download`.
    pub place: String,
    /// Whether the place is another machine than a manager.
    pub elsewhere: bool,
    /// It was read back, or confirmed by hash, and is the same.
    pub proven: bool,
    /// Why not, one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A rehearsal of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rehearsal {
    /// Version of the build that tried.
    pub version: String,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Checks in order, each with what it found.
    pub checks: Vec<RehearsalCheck>,
    /// Whether all passed.
    pub passed: bool,
}

/// One check of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RehearsalCheck {
    /// `sha256`, `open`, `integrity`, `digest`, `key`, `up`, and `down` where there is a way back to try.
    pub check: String,
    /// Whether it passed.
    pub passed: bool,
    /// What it found, one sentence.
    pub detail: String,
}

/// When backups are made and where they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupSchedule {
    /// Hours between two, 1 to 168; absent: none are made by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_hours: Option<u32>,
    /// How many are kept on the box, 1 to 100.
    pub keep: u32,
    /// Engines whose vault takes a copy; at most 8.
    pub engines: Vec<String>,
    /// https URL of a directory a copy is PUT below, and read back from by GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Name of a header sent with both, such as `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Its value; in answers always absent. Absent in a request that names the same `url` and `header`: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_value: Option<String>,
}

/// POST of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Also rehearse it.
    #[serde(default)]
    pub rehearse: bool,
}

/// POST that gets a backup back from an engine's vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRecovery {
    /// The engine.
    #[schema(value_type = String)]
    pub engine: DeviceName,
}

/// A backup that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupUnderWay {
    /// Who asked: a caller as in the audit, or `schedule`.
    pub actor: String,
    /// When it began, milliseconds since 1970.
    pub since_ms: u64,
    /// What is done now, such as `copy`, `rehearse`, `url backups.example.com`, `engine core-1`.
    pub stage: String,
}

/// GET of the backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backups {
    /// Those that were made, newest first.
    pub items: Vec<Backup>,
    /// One that is being made; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<BackupUnderWay>,
}

/// POST that confirms a copy an operator downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupConfirmation {
    /// SHA-256 of the copy, hex.
    pub sha256: String,
}

/// What `database validate` found: the database of this box, or a backup file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Checks in order, each with what it found.
    pub checks: Vec<RehearsalCheck>,
    /// Whether all passed.
    pub passed: bool,
}

/// POST `/cms/database/maintenance`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceRequest {
    /// Also write the whole file anew, without what was deleted.
    #[serde(default)]
    pub full: bool,
}

/// What maintenance did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Maintained {
    /// Length of the database before, in bytes.
    pub bytes_before: u64,
    /// Length of it now, in bytes.
    pub bytes_after: u64,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// What was restored.
    pub manifest: BackupManifest,
    /// The term the network goes on with: above every one this box knows of.
    pub term: u64,
    /// What this box is now; `primary` unless something keeps it from that.
    pub state: CmsState,
    /// Why it is not the primary; absent: it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where the database it replaced lies now; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}
