//! Coverage zones: which client networks are near which locations.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use weir_model::LocationName;

/// Largest body that replaces the set, in bytes: a million entries of one location each fit.
pub const ZONES_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The whole set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoverageZones {
    /// Configuration generation of its last change.
    pub revision: u64,
    /// Zones, by network.
    pub zones: Vec<CoverageZone>,
}

/// One client network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoverageZone {
    /// Client network as `address/prefix`; the longest prefix that holds a client decides.
    #[schema(value_type = String)]
    pub network: IpNet,
    /// Locations by metric: lower is nearer; a higher one serves when none of the lower ones can.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub locations: BTreeMap<LocationName, u32>,
}

/// PUT of the whole set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageZonesRequest {
    /// Every zone there shall be.
    pub zones: Vec<ZoneRequest>,
}

/// One zone of a PUT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneRequest {
    /// Client network as `address/prefix`, without bits below the prefix.
    pub network: String,
    /// Locations by metric: lower is nearer.
    pub locations: BTreeMap<String, u32>,
}
