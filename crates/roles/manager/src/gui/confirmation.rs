//! Deleting for good: what goes is named by typing it.

use serde::Deserialize;
use weir_operator_api::{Problem, Reason};

/// The form of a page that deletes something.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirmation {
    /// The name, typed.
    pub(super) name: String,
    /// Whether a guard that refuses is to be overridden.
    #[serde(rename = "override")]
    pub(super) overrides: bool,
}

impl Confirmation {
    /// Refuses, at its field, anything but `name`.
    pub(super) fn of(&self, name: &str) -> Result<(), Problem> {
        if self.name.trim() == name {
            return Ok(());
        }
        let detail = format!("{:?} is not what is to be typed", self.name.trim());
        Err(Problem::new(Reason::InvalidField, detail).at("name").next_step(format!("type {name} to delete it")))
    }
}
