//! Features that the whole network must have before one device uses them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::{DeviceName, Line};

/// Names and objects that an answer lists at most of one kind.
pub const LISTED_MAX: usize = 100;

/// GET `/features`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Features {
    /// The level of the network: the line whose features all of it may use.
    #[schema(value_type = String)]
    pub level: Line,
    /// The line this manager runs.
    #[schema(value_type = String)]
    pub line: Line,
    /// Why the level does not rise, in an operator's words; null: nobody holds it.
    pub held: Option<String>,
    /// Features of this build that wait for the level, by name; empty: every feature of this build is in use.
    pub waiting: Vec<WaitingFeature>,
    /// Objects that need one of them: kept, and not given to devices. The first 100.
    pub parked: Vec<ParkedObject>,
    /// How many there are.
    pub parked_total: u32,
}

/// A feature that waits for the level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingFeature {
    /// Its name.
    pub gate: String,
    /// The first line that has it.
    #[schema(value_type = String)]
    pub since: Line,
    /// Active devices and managers that do not run that line, as far as they said, by name. The first 100; empty: every member
    /// does, and the level rises when the rollout is finalised.
    #[schema(value_type = Vec<String>)]
    pub devices: Vec<DeviceName>,
    /// How many there are.
    pub devices_total: u32,
}

/// An object that is kept and has no effect on devices at the present level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParkedObject {
    /// What it is, such as `delivery service demo`.
    pub object: String,
    /// The feature it needs.
    pub gate: String,
}
