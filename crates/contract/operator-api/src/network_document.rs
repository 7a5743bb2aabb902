//! The network as one document: what `weir export` prints and `weir apply` makes true.

use crate::{Caching, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The format this build writes and reads.
pub const FORMAT: u32 = 1;

/// The declared part of a network. A list that is absent is left as it is; one that is there is made true whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkDocument {
    /// Format; 1.
    pub format: u32,
    /// Locations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<DeclaredLocation>>,
    /// Devices that are enrolled: where they are and what they take. Devices that are not named are left as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<DeclaredDevice>>,
    /// Delivery services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_services: Option<Vec<DeclaredService>>,
    /// Coverage zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_zones: Option<Vec<DeclaredZone>>,
}

/// A location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclaredLocation {
    /// Its name.
    pub name: String,
    /// The one above it; absent for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclaredDevice {
    /// Its name.
    pub name: String,
    /// Where it is; absent: it is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Share of new viewers, 0 to 100; absent: as it is, 100 for one that becomes active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// What it can send, Mbit/s; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_mbps: Option<u32>,
}

/// A delivery service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclaredService {
    /// Its name.
    pub name: String,
    /// The domain viewers ask for.
    pub domain: String,
    /// Its origin.
    pub origin: String,
    /// Engines; absent: every active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engines: Option<Vec<String>>,
    /// How it is cached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub caching: Caching,
    /// The word its engines put as `detail` of `Cache-Status`; absent: none.
    #[cfg(feature = "synthetic-next")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

fn is_default(caching: &Caching) -> bool {
    *caching == Caching::default()
}

/// A coverage zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclaredZone {
    /// The clients' network.
    pub network: String,
    /// Metric by location; lower is nearer.
    pub locations: BTreeMap<String, u32>,
}

/// Query of POST `/apply`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApplyQuery {
    /// Only say what would be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[param(required = false)]
    pub dry_run: bool,
    /// `confirm` of the dry run, for a document that takes much away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(required = false)]
    pub confirm: Option<String>,
}

/// What an apply does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplyOutcome {
    /// Each object that differs, in the order it is done.
    pub changes: Vec<ApplyChange>,
    /// Whether it was done; false for a dry run.
    pub applied: bool,
    /// What confirms it, when it takes much away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Generation after it.
    pub generation: u64,
}

/// One object an apply changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplyChange {
    /// `create`, `change`, `delete`, `activate`, `deactivate`.
    pub verb: String,
    /// Such as `delivery_service demo`.
    pub object: String,
    /// Before, as the document would say it; absent: it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// After; absent: it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// Why it is refused. A refused delivery service stops no other; anything else refused means that nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Problem>,
}
