//! What cannot be taken back: what it is about is named by typing it.

use serde::Deserialize;
use weir_operator_api::{Problem, Reason};

/// The form of a page that does such a thing.
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
    /// Refuses, at its field, anything but `name`; `purpose` is what it is typed for, such as `delete it`.
    pub(super) fn of(&self, name: &str, purpose: &str) -> Result<(), Problem> {
        if self.name.trim() == name {
            return Ok(());
        }
        let detail = format!("{:?} is not what is to be typed", self.name.trim());
        Err(Problem::new(Reason::InvalidField, detail).at("name").next_step(format!("type {name} to {purpose}")))
    }
}
