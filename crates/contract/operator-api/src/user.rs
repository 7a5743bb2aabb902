//! Users of the pages.

use crate::AccessRole;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most users.
pub const USERS_MAX: usize = 1_000;
/// Longest name of a user, in characters.
pub const USER_NAME_CHARS: usize = 64;

/// A user of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: AccessRole,
    /// They have a one-time password, which has to be changed at the next sign-in.
    pub must_change: bool,
    /// When they were made, milliseconds since 1970.
    pub created_ms: u64,
    /// When their password was last changed, milliseconds since 1970.
    pub changed_ms: u64,
}

/// POST of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    /// Their name: 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first.
    pub name: String,
    /// `admin`, `operator` or `viewer`.
    pub role: String,
}

/// POST `/users/{name}/role`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRoleRequest {
    /// `admin`, `operator` or `viewer`.
    pub role: String,
}

/// Answer to the POST of a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewUser {
    /// Shown here and never again; has to be changed at the first sign-in.
    pub one_time_password: String,
    /// Who was made.
    pub record: User,
}

/// The answer to POST `/users/{name}/one-time-password`: shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneTimePassword {
    /// The user.
    pub name: String,
    /// Has to be changed at the next sign-in.
    pub one_time_password: String,
}
