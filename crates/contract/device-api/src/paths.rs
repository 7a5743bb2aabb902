//! Paths of the device API.

/// POST [`crate::EnrolRequest`]: no client certificate.
pub const ENROL: &str = "/device/v1/enrol";
/// POST [`crate::Report`].
pub const REPORT: &str = "/device/v1/report";
/// GET with `term`, `generation`, `wait_ms`: [`crate::Poll`].
pub const CONFIGURATION: &str = "/device/v1/configuration";
/// POST [`crate::Answer`] to `/device/v1/answers/{id}`.
pub const ANSWERS: &str = "/device/v1/answers";
