//! Paths of the device API.

/// POST [`crate::EnrolRequest`]: no client certificate.
pub const ENROL: &str = "/device/v1/enrol";
/// POST [`crate::Report`].
pub const REPORT: &str = "/device/v1/report";
/// GET with `term`, `generation`, `update` (the revision of the last [`crate::UpdateWord`], 0 for none), `wait_ms`: [`crate::Poll`].
pub const CONFIGURATION: &str = "/device/v1/configuration";
/// GET, with ranges: the release archive with this SHA-256, at `/device/v1/software/{sha256}`.
pub const SOFTWARE: &str = "/device/v1/software";
/// GET: the newest signed metadata of the network's releases.
pub const RELEASE_METADATA: &str = "/device/v1/release-metadata";
/// POST [`crate::Answer`] to `/device/v1/answers/{id}`.
pub const ANSWERS: &str = "/device/v1/answers";
