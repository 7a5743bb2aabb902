//! Users of the pages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to POST `/users/{name}/one-time-password`: shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneTimePassword {
    /// The user.
    pub name: String,
    /// Has to be changed at the next sign-in.
    pub one_time_password: String,
}
