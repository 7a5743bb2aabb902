//! Software files: releases that can be chosen on the Update Software page.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::{IntoParams, ToSchema};
use weir_model::{DownloadMethod, Line, SoftwareCheck, SoftwareReason, SoftwareState, Verdict, Version};

/// Most software files in one network.
pub const SOFTWARE_FILES_MAX: usize = 256;
/// Longest URL of a source, in bytes.
pub const SOURCE_URL_BYTES_MAX: usize = 2 * 1024;
/// Longest user name, header name, and comment, in bytes.
pub const SOURCE_NAME_BYTES_MAX: usize = 256;
/// Longest password or header value, in bytes.
pub const SOURCE_SECRET_BYTES_MAX: usize = 1024;
/// Longest comment, in bytes.
pub const COMMENT_BYTES_MAX: usize = 1024;

/// A registered release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareFile {
    /// Its number; never used again.
    pub id: i64,
    /// Where it comes from.
    pub source: SoftwareSource,
    /// The version that was stated; absent for an upload without one.
    #[schema(value_type = Option<String>)]
    pub version: Option<Version>,
    /// The size that was stated, in bytes; absent: not compared.
    pub bytes: Option<u64>,
    /// Whether a device that is updated alone switches to it by itself, instead of resting at Staged.
    pub auto_reload: bool,
    /// How devices get it.
    #[schema(value_type = String)]
    pub method: DownloadMethod,
    /// The operator's own words.
    pub comment: String,
    /// Where it stands.
    #[schema(value_type = String)]
    pub state: SoftwareState,
    /// Why it is not ready; absent when it is.
    pub reason: Option<SoftwareReasonShown>,
    /// Its checks, in order.
    pub checks: Vec<SoftwareCheckRow>,
    /// How far a download or an upload is; absent when none runs.
    pub progress: Option<SoftwareProgress>,
    /// What the archive is; absent before it was verified once.
    pub release: Option<SoftwareRelease>,
    /// Wall clock, milliseconds since 1970.
    pub created_ms: u64,
    /// Who registered it.
    pub created_by: String,
    /// When its checks last ended.
    pub validated_ms: Option<u64>,
}

/// Where a software file comes from. Secrets are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SoftwareSource {
    /// Fetched by the manager, and by devices.
    Url {
        /// http or https, without credentials in it, and with `...` for a query, which may hold a signature.
        url: String,
        /// User name for basic authentication.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        /// Name of a header that carries a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
    },
    /// Sent to the manager.
    Upload {
        /// The name of the file that was sent.
        file_name: String,
    },
}

/// Why a software file is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareReasonShown {
    /// The word programs read.
    #[schema(value_type = String)]
    pub reason: SoftwareReason,
    /// What exactly, one sentence.
    pub detail: String,
    /// What the operator does next, one sentence.
    pub next: String,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareCheckRow {
    /// Which.
    #[schema(value_type = String)]
    pub check: SoftwareCheck,
    /// What it came to.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// The word of a failed one.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<SoftwareReason>,
    /// What was found, one sentence; empty when there is nothing to say.
    pub detail: String,
}

/// How far a download or an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareProgress {
    /// Bytes that came.
    pub done: u64,
    /// Bytes there will be, if that is known.
    pub total: Option<u64>,
}

/// What a verified archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareRelease {
    /// Its version.
    #[schema(value_type = String)]
    pub version: Version,
    /// Its line.
    #[schema(value_type = String)]
    pub line: Line,
    /// Its architecture.
    pub arch: String,
    /// SHA-256 of the archive, hex.
    pub archive_sha256: String,
    /// Its size.
    pub archive_bytes: u64,
    /// SHA-256 of the image, hex: the same in every archive of this release.
    pub image_sha256: String,
    /// SHA-256 of the MANIFEST, hex: it names the slot.
    pub manifest_sha256: String,
    /// The lowest and the highest schema step it runs on.
    pub schema: (u32, u32),
    /// Its feature gates, by name.
    pub gates: Vec<String>,
    /// What its publisher says.
    pub notes: String,
}

/// POST: registers a software file. Exactly one of `url` and `file_name`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SoftwareFileRequest {
    /// http or https.
    pub url: Option<String>,
    /// For an upload, whose bytes are then PUT to `/{id}/archive`: the file's name.
    pub file_name: Option<String>,
    /// For basic authentication, with `password`.
    pub username: Option<String>,
    /// Never shown again.
    pub password: Option<String>,
    /// For a secret in a header of its own, with `header_value`.
    pub header: Option<String>,
    /// Never shown again.
    pub header_value: Option<String>,
    /// `X.Y.Z-bB` or `X.Y.Z.b.B`. Must be stated for a URL; an upload may leave it to the archive.
    pub version: Option<String>,
    /// Size in bytes; absent: not compared.
    pub bytes: Option<u64>,
    /// See [`SoftwareFile::auto_reload`]; true when absent.
    pub auto_reload: Option<bool>,
    /// `default`, `prepositioned_only` or `direct_download_only`.
    pub method: Option<String>,
    /// The operator's own words.
    pub comment: Option<String>,
}

/// Without its secrets, which the query of a URL may hold too.
impl fmt::Debug for SoftwareFileRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every field is named, so that a new one is judged here.
        let Self { url, file_name, username, password, header, header_value, version, bytes, auto_reload, method, comment } = self;
        let url = url.as_deref().map(|url| url.split(['?', '#']).next().unwrap_or_default());
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "hidden");
        f.debug_struct("SoftwareFileRequest")
            .field("url", &url)
            .field("file_name", file_name)
            .field("username", username)
            .field("password", &hidden(password))
            .field("header", header)
            .field("header_value", &hidden(header_value))
            .field("version", version)
            .field("bytes", bytes)
            .field("auto_reload", auto_reload)
            .field("method", method)
            .field("comment", comment)
            .finish()
    }
}

/// Parameters of a DELETE.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SoftwareRemoval {
    /// Delete it although devices run its version and no other file could bring them back to it.
    #[serde(rename = "override", skip_serializing_if = "std::ops::Not::not")]
    #[param(required = false)]
    pub overrides: bool,
}

/// One row of the Update Software page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareChoice {
    /// The software file.
    pub id: i64,
    /// Its URL as it is shown, or the name of the uploaded file.
    pub name: String,
    /// Its version, verified or stated.
    #[schema(value_type = Option<String>)]
    pub version: Option<Version>,
    /// What choosing it would mean.
    pub direction: Option<Direction>,
    /// Lines on the way, both ends included; empty when there is none.
    #[schema(value_type = Vec<String>)]
    pub path: Vec<Line>,
    /// Whether it may be chosen.
    pub selectable: bool,
    /// Why not.
    pub reason: Option<SoftwareReasonShown>,
}

/// What choosing a software file would mean for what the network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A higher version.
    Upgrade,
    /// A lower one.
    Downgrade,
    /// The same.
    Same,
}

/// The rows of the Update Software page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftwareChoices {
    /// The version of the primary manager.
    #[schema(value_type = String)]
    pub running: Version,
    /// Every software file.
    pub choices: Vec<SoftwareChoice>,
}

/// GET and PUT: which networks software may be fetched from beside public ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SoftwareSources {
    /// `address/prefix`.
    #[schema(value_type = Vec<String>)]
    pub allow: Vec<IpNet>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_no_secret() {
        let body = r#"{"url": "https://files.example/a.weir?signature=hush-1", "username": "ann", "password": "hush-2", "header": "x-key",
            "header_value": "hush-3", "version": "1.1.0-b1", "comment": "spring"}"#;
        let request: SoftwareFileRequest = serde_json::from_str(body).expect("a request");
        for text in [format!("{request:?}"), format!("{request:#?}"), format!("{:?}", Some(request))] {
            assert!(!text.contains("hush"), "{text}");
            for word in ["https://files.example/a.weir", "ann", "x-key", "1.1.0-b1", "spring", "password", "header_value"] {
                assert!(text.contains(word), "{word} is not in {text}");
            }
        }
        let none = format!("{:?}", SoftwareFileRequest::default());
        assert!(none.contains("password: None") && none.contains("header_value: None"), "whether there is a secret shows: {none}");
    }
}
