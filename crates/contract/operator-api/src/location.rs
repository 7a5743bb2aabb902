//! Locations: the tree of sites.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::LocationName;

/// A location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Never used again.
    pub id: i64,
    /// Its name.
    #[schema(value_type = String)]
    pub name: LocationName,
    /// The location its engines fill from; null for a root.
    #[schema(value_type = Option<String>)]
    pub parent: Option<LocationName>,
    /// Configuration generation of its last change.
    pub revision: u64,
}

/// What was confirmed of a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfirmedRemoval {
    /// Where engines are out of service.
    #[schema(value_type = String)]
    pub location: LocationName,
    /// Configuration generation that tells routers.
    pub generation: u64,
}

/// POST and PUT of a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocationRequest {
    /// Its name: one label of a-z, 0-9 and '-'. A PUT with another name than the path's renames it.
    pub name: String,
    /// The location its engines fill from; absent or null for a root.
    #[serde(default)]
    pub parent: Option<String>,
}
