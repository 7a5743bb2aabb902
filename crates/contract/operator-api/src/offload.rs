//! Server Offload: leases, the drain with its evidence, and where clients would go.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::{DeviceName, DeviceStatus, LeaseOwner, LocationName, OffloadEpoch, ServiceName};

/// Longest life of a lease given with `for_seconds`: 30 days.
pub const OFFLOAD_SECONDS_MAX: u64 = 30 * 24 * 3600;
/// Longest `why`, in bytes.
pub const WHY_BYTES_MAX: usize = 500;

/// POST `/devices/{name}/offload`: takes a lease of Server Offload as `operator`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OffloadRequest {
    /// Why, for whoever finds the device out of service; 1 to 500 bytes.
    pub why: String,
    /// Seconds the lease lives, 1 to 2,592,000; absent: until it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    /// Offload although it breaks a capacity floor. Such a lease is not ended by the guard.
    #[serde(default, rename = "override")]
    pub overrides: bool,
}

/// POST `/devices/{name}/unoffload`: ends the operator's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnoffloadRequest {
    /// Why; 1 to 500 bytes.
    pub why: String,
}

/// GET `/devices/{name}/offload`: what holds the device out of service, and what still runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offload {
    /// Whose.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// The device's status.
    #[schema(value_type = String)]
    pub status: DeviceStatus,
    /// Live leases; empty: in service.
    pub leases: Vec<OffloadLease>,
    /// How the drain stands; null while no lease lives.
    pub drain: Option<DrainProgress>,
    /// Share of its weight it takes now, in thousandths: 0 while it is out and until it knows that it is not, then what an
    /// engine says itself; 1000 when it says nothing.
    pub share_permille: u16,
}

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffloadLease {
    /// `operator`, `rollout` or `fault`.
    #[schema(value_type = String)]
    pub owner: LeaseOwner,
    /// Why.
    pub why: String,
    /// Who took it, as the audit names them.
    pub by: String,
    /// When, milliseconds since 1970.
    pub since_ms: u64,
    /// When it ends by itself, milliseconds since 1970; null: never.
    pub expires_ms: Option<u64>,
    /// It was taken although it breaks a floor.
    pub overrides: bool,
}

/// How a drain stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainProgress {
    /// `clients`: no viewer is placed here; `peers`: no engine fills from it either.
    #[schema(value_type = String)]
    pub epoch: OffloadEpoch,
    /// When the offload began, milliseconds since 1970.
    pub since_ms: u64,
    /// Nothing runs on it: `offloaded`.
    pub drained: bool,
    /// DRAIN_TIMEOUT: its hard limit has passed and it is not drained.
    pub overdue: bool,
    /// Viewer sessions left, strays not counted.
    pub sessions: u32,
    /// Viewers' requests being answered, strays' not counted after the soft limit.
    pub active_requests: u32,
    /// Other engines' requests being answered.
    pub fills_for_others: u32,
    /// Sessions that began after nobody should have been sent here.
    pub strays: Vec<Stray>,
    /// Why it is not drained yet, most important first; empty when it is.
    pub waiting_for: Vec<DrainWait>,
    /// Milliseconds since 1970 when viewers are steered elsewhere.
    pub soft_limit_ms: u64,
    /// Milliseconds since 1970 when DRAIN_TIMEOUT is raised.
    pub hard_limit_ms: u64,
}

/// A session that began although routers had stopped sending viewers: a fixed URL, a probe, a stale resolver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stray {
    /// The viewer's address.
    pub client: String,
    /// Domain it watches.
    pub domain: String,
    /// Milliseconds since it began.
    pub age_ms: u64,
    /// Milliseconds since it was last served.
    pub idle_ms: u64,
}

/// One thing a drain waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainWait {
    /// Which kind: `not_reporting`, `acknowledgement`, `dns_ttl`, `sessions`, `requests`, `fills_for_others`, `stable`, `manager_start`.
    pub kind: String,
    /// One sentence with the particulars.
    pub text: String,
    /// Devices it is about, by name.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub devices: Vec<DeviceName>,
}

/// GET `/devices/{name}/offload/preview`: what an offload would do now. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffloadPreview {
    /// Whose.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// Floors it would break; empty: it would be admitted.
    pub breaks: Vec<BrokenFloor>,
    /// Viewer sessions on it now.
    pub sessions: u32,
    /// Where its clients will go, per delivery service; engines only.
    pub clients_go: Vec<ClientsGo>,
    /// What could not be judged, one sentence each, such as a capacity nobody stated.
    pub unknown: Vec<String>,
}

/// A floor of the capacity guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokenFloor {
    /// Which: `engines_out`, `egress`, `service_engine`, `routers_out`, `last_router`.
    pub floor: String,
    /// One sentence with the figures.
    pub text: String,
}

/// Where the clients of one delivery service on one device will go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientsGo {
    /// The delivery service.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// Engines that take over, largest share first; empty: nobody can.
    pub to: Vec<ClientsTo>,
}

/// One engine that takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientsTo {
    /// Which.
    #[schema(value_type = String)]
    pub engine: DeviceName,
    /// Where it is.
    #[schema(value_type = String)]
    pub location: LocationName,
    /// Share of the device's clients, in thousandths.
    pub share_permille: u16,
}
