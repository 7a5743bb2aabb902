//! What tokens and users may do.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// What a token or a user may do; a higher role may do all that a lower one may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessRole {
    /// Reads everything but secrets.
    Viewer,
    /// Changes what is delivered, from where, and by which devices in which versions.
    Operator,
    /// Also decides who may do what: users, tokens, enrolment, sources of software, backups, the pair.
    #[default]
    Admin,
}

impl AccessRole {
    /// Every role, lowest first.
    pub const ALL: [AccessRole; 3] = [AccessRole::Viewer, AccessRole::Operator, AccessRole::Admin];

    /// The word used in JSON, SQL, pages and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            AccessRole::Viewer => "viewer",
            AccessRole::Operator => "operator",
            AccessRole::Admin => "admin",
        }
    }
}

impl fmt::Display for AccessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the word of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAccessRole;

impl fmt::Display for NotAnAccessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not admin, operator or viewer")
    }
}
impl std::error::Error for NotAnAccessRole {}

impl FromStr for AccessRole {
    type Err = NotAnAccessRole;

    fn from_str(text: &str) -> Result<Self, NotAnAccessRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NotAnAccessRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_word_everywhere_and_admin_is_the_highest() {
        for role in AccessRole::ALL {
            assert_eq!(serde_json::to_value(role).expect("json"), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!(AccessRole::ALL.is_sorted());
        assert_eq!("Admin".parse::<AccessRole>(), Err(NotAnAccessRole));
    }
}
