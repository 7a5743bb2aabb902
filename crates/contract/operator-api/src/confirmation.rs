//! The word of whoever asks that what a write takes away may go.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Confirms a write that takes much away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Confirmation {
    /// The hash that the refusal of the same write named (`confirmation_needed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}
