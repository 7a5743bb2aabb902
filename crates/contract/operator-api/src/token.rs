//! Enrolment tokens and API tokens. Secrets are shown once, in the answer to the POST.

use crate::AccessRole;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::{LocationName, Role, ServiceName};

/// Longest life of an enrolment token: 30 days, in seconds.
pub const ENROLMENT_SECONDS_MAX: u64 = 30 * 24 * 3600;
/// Most uses of one enrolment token.
pub const ENROLMENT_USES_MAX: u32 = 10_000;
/// Longest life of an API token that expires: 10 years, in seconds.
pub const API_TOKEN_SECONDS_MAX: u64 = 10 * 366 * 24 * 3600;
/// Most live tokens of one kind.
pub const TOKENS_MAX: usize = 10_000;
/// Longest name of an API token, in bytes.
pub const TOKEN_NAME_BYTES: usize = 64;
/// Most delivery services a token is confined to.
pub const TOKEN_SERVICES_MAX: usize = 1_000;

/// POST of an enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentTokenRequest {
    /// `manager`, `router` or `engine`.
    pub role: String,
    /// Devices it may enrol, 1 to 10,000.
    pub uses: u32,
    /// Seconds it lives, 1 to 2,592,000.
    pub expires_in_seconds: u64,
    /// Devices it enrols are activated into this location at once; absent: they stay inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_into: Option<String>,
}

/// An enrolment token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentToken {
    /// 16 hex digits.
    pub id: String,
    /// Role it is for.
    #[schema(value_type = String)]
    pub role: Role,
    /// Devices it may still enrol.
    pub uses_left: u32,
    /// When it expires, milliseconds since 1970.
    pub expires_ms: u64,
    /// Location its devices are activated into.
    #[schema(value_type = Option<String>)]
    pub activate_into: Option<LocationName>,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// Who made it.
    pub created_by: String,
}

/// Answer to the POST of an enrolment token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewEnrolmentToken {
    /// `weir-enrol.<id>.<secret>.<ca>`: shown here and never again.
    pub token: String,
    /// What was made.
    pub record: EnrolmentToken,
}

/// POST of an API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenRequest {
    /// Who or what uses it; shown in the audit.
    pub name: String,
    /// Seconds it lives; absent: until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
    /// `admin`, `operator` or `viewer`; absent: `admin`, as before there were roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Delivery services it is confined to, by name, whether they exist yet or not: it reaches nothing else, and is `operator` or
    /// `viewer`. Absent: it is not confined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
}

/// An API token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// 16 hex digits.
    pub id: String,
    /// Who or what uses it.
    pub name: String,
    /// When it expires, milliseconds since 1970; null: never.
    pub expires_ms: Option<u64>,
    /// What it may do.
    #[serde(default)]
    pub role: AccessRole,
    /// Delivery services it is confined to; absent: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub services: Option<Vec<ServiceName>>,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// Who made it.
    pub created_by: String,
}

/// Answer to the POST of an API token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewApiToken {
    /// `weir-api.<id>.<secret>`: shown here and never again.
    pub token: String,
    /// What was made.
    pub record: ApiToken,
}
