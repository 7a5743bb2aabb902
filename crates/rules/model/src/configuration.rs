//! The document a device runs from: compiled by the manager, kept on the device's disk as its last good one.

use crate::{DeliveryService, DeviceName, Line, LocationName, OffloadEpoch, Profile, Role, Stamp};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
};

/// Everything one device needs to serve, for ever, without the manager. Immutable; ordered by its stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceConfiguration {
    /// (term, generation).
    pub stamp: Stamp,
    /// Whose document this is.
    pub device: DeviceName,
    /// Its role.
    pub role: Role,
    /// Where it is; absent while it is inactive.
    pub location: Option<LocationName>,
    /// Managers' device addresses, in the order to try them.
    pub managers: Vec<ManagerEntry>,
    /// Timers.
    pub profile: Profile,
    /// The line whose features the whole network may use; absent: not said, which is [`crate::FIRST_LEVEL`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Line>,
    /// Names of fields that a device must know to run this document, because leaving one out would open what it closes; one that
    /// does not know a name keeps what it runs. A name is sent only at a level whose lines all know it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_understand: Vec<String>,
    /// What operators said may be out of service: routers obey a large removal only as far as that is newer than what they run.
    /// Routers only.
    #[serde(default, skip_serializing_if = "Confirmed::is_empty")]
    pub confirmed: Confirmed,
    /// Keys that authenticate keepalives, newest first; at most two.
    pub keepalive_keys: Vec<KeepaliveKey>,
    /// The location tree.
    pub locations: Vec<LocationEntry>,
    /// Active engines.
    pub engines: Vec<EngineEntry>,
    /// Active routers.
    pub routers: Vec<RouterEntry>,
    /// Delivery services.
    pub services: Vec<DeliveryService>,
    /// Coverage zones; routers only.
    pub zones: Vec<ZoneEntry>,
    /// Addresses of all active engines, in their order, also of those that `engines` leaves out: an engine that runs an older tree may
    /// ask from one of them. Engines only. Last, so that it is written once for all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engine_addresses: Vec<IpAddr>,
}

/// Names that a document of this line may demand in [`DeviceConfiguration::must_understand`]; 1.0 has none.
const UNDERSTOOD: &[&str] = &[];

impl DeviceConfiguration {
    /// The first field this build must know to run it and does not.
    pub fn not_understood(&self) -> Option<&str> {
        self.must_understand.iter().map(String::as_str).find(|name| !UNDERSTOOD.contains(name))
    }
}

/// Operators' words for engines and routers out of service, each with the stamp of the configuration it was given with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Engines and routers that an operator's own write took out of service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engines: BTreeMap<DeviceName, Stamp>,
    /// Locations of which an operator said that whatever is gone there is meant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locations: BTreeMap<LocationName, Stamp>,
}

impl Confirmed {
    /// Whether nobody said anything.
    pub fn is_empty(&self) -> bool {
        self.engines.is_empty() && self.locations.is_empty()
    }
}

/// One manager a device may talk to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerEntry {
    /// Its device name.
    pub name: DeviceName,
    /// Its mutual-TLS device API.
    pub device: SocketAddr,
}

/// A key of the keepalive HMAC (SHA-256), 32 bytes as 64 hex digits. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepaliveKey {
    /// Which key a keepalive names.
    pub id: u32,
    /// 64 hex digits.
    pub secret: String,
}

impl fmt::Debug for KeepaliveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepaliveKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A site in the tree; the root is nearest the origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationEntry {
    /// Its name.
    pub name: LocationName,
    /// Its parent; absent for a root.
    pub parent: Option<LocationName>,
}

/// An engine as routers and other engines see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineEntry {
    /// Its name.
    pub name: DeviceName,
    /// Where it is.
    pub location: LocationName,
    /// Where viewers and other engines reach it over HTTP.
    pub http: SocketAddr,
    /// Share of new viewers relative to its peers, 0 to 100.
    pub weight: u8,
    /// How far Server Offload has taken it out; absent: in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offload: Option<OffloadEpoch>,
    /// When it was first taken out in this offload, by the manager's wall clock, milliseconds since 1970; absent when it is in
    /// service, or the manager does not say. It lets an engine started anew go on counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offload_since_ms: Option<u64>,
}

/// A router as engines and other routers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterEntry {
    /// Its name.
    pub name: DeviceName,
    /// Where it listens for keepalives: UDP, and TCP for the engines' lifelines.
    pub keepalive: SocketAddr,
    /// Where it redirects viewers; an offloaded engine steers its last ones there.
    #[serde(default)]
    pub http: Option<SocketAddr>,
    /// Where it answers DNS; routers name each other in NS records.
    #[serde(default)]
    pub dns: Option<SocketAddr>,
    /// Handed over: it leaves the other routers' answers and goes on answering.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offloaded: bool,
}

/// One client network and the locations near it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneEntry {
    /// Client network; the longest prefix that holds a client decides.
    pub network: IpNet,
    /// Locations by metric: lower is nearer; a higher one serves when none of the lower ones can.
    pub locations: BTreeMap<LocationName, u32>,
}
