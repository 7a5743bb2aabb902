//! Devices: managers, routers, engines.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::{IntoParams, ToSchema};
use weir_model::{AlarmReason, DeviceName, DeviceStatus, LocationName, Role, Stamp};

/// Weight of an engine whose activation names none.
pub const WEIGHT: u8 = 100;
/// Largest weight.
pub const WEIGHT_MAX: u8 = 100;
/// Largest capacity, in Mbit/s: 10 Tbit/s.
pub const CAPACITY_MBPS_MAX: u32 = 10_000_000;
/// Log lines when the request names no number.
pub const LOG_LINES: u32 = 100;

/// A device as the manager knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Never used again.
    pub id: i64,
    /// Its name.
    #[schema(value_type = String)]
    pub name: DeviceName,
    /// `manager`, `router` or `engine`.
    #[schema(value_type = String)]
    pub role: Role,
    /// `inactive`, `pending`, `online`, `offline`, `offloading` or `offloaded`.
    #[schema(value_type = String)]
    pub status: DeviceStatus,
    /// Where it is; null until it is activated.
    #[schema(value_type = Option<String>)]
    pub location: Option<LocationName>,
    /// Share of new viewers relative to its peers, 0 to 100; engines only.
    pub weight: u8,
    /// What it can send, in Mbit/s, as the operator states it; null: unknown to the capacity guard.
    pub capacity_mbps: Option<u32>,
    /// Where it listens.
    pub addresses: Addresses,
    /// When it enrolled, milliseconds since 1970.
    pub enrolled_ms: u64,
    /// SHA-256 of the certificate it must show, 64 hex digits.
    pub certificate_sha256: String,
    /// Configuration generation of its last change.
    pub revision: u64,
    /// Its last report; null when there is none since the manager's reports were last deleted.
    pub last_report: Option<LastReport>,
}

/// Listeners of a device, as `address:port`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Addresses {
    /// DNS (routers).
    #[schema(value_type = Option<String>)]
    pub dns: Option<SocketAddr>,
    /// HTTP (routers, engines).
    #[schema(value_type = Option<String>)]
    pub http: Option<SocketAddr>,
    /// HTTPS: viewers', or the manager's API.
    #[schema(value_type = Option<String>)]
    pub https: Option<SocketAddr>,
    /// Device API (managers).
    #[schema(value_type = Option<String>)]
    pub device: Option<SocketAddr>,
    /// Metrics and health.
    #[schema(value_type = Option<String>)]
    pub admin: Option<SocketAddr>,
    /// Keepalives (routers).
    #[schema(value_type = Option<String>)]
    pub keepalive: Option<SocketAddr>,
}

/// The last report of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastReport {
    /// When the manager received it, milliseconds since 1970.
    pub received_ms: u64,
    /// Version of the device's build.
    pub version: String,
    /// The configuration it runs from.
    #[schema(value_type = StampSchema)]
    pub stamp: Stamp,
    /// Rises by one with each start of its worker.
    pub boot: u64,
    /// Milliseconds since its worker started.
    pub uptime_ms: u64,
    /// Its wall clock minus the manager's, milliseconds; includes half the report's journey.
    pub clock_skew_ms: i64,
    /// Times its keeper restarted a crashed worker since the keeper started.
    pub worker_crashes: u32,
    /// Work.
    pub load: DeviceLoad,
    /// A configuration it refused.
    pub rejected: Option<RejectedConfiguration>,
    /// What is wrong, as far as it knows.
    pub conditions: Vec<DeviceCondition>,
    /// Engines: responses since the worker's start whose `Cache-Status` carried a delivery service's detail.
    #[cfg(feature = "synthetic-next")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detailed_responses: Option<u64>,
}

/// (term, generation) of a configuration.
#[derive(ToSchema)]
#[schema(as = Stamp)]
#[allow(dead_code, reason = "describes weir_model::Stamp in the OpenAPI document")]
pub struct StampSchema {
    /// Rises by one with each promotion.
    term: u64,
    /// Rises with each configuration write.
    generation: u64,
}

/// Work of a device since its worker started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceLoad {
    /// Requests answered.
    pub requests: u64,
    /// Requests being answered now.
    pub active_requests: u32,
    /// Viewer sessions now.
    pub sessions: u32,
    /// Bytes sent to clients.
    pub client_bytes: u64,
    /// Bytes received from origins.
    pub origin_bytes: u64,
    /// Bytes of content held.
    pub store_bytes: u64,
}

/// A configuration a device refused to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectedConfiguration {
    /// Which.
    #[schema(value_type = StampSchema)]
    pub stamp: Stamp,
    /// Why, one sentence.
    pub reason: String,
}

/// Something wrong on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCondition {
    /// Why.
    #[schema(value_type = String)]
    pub reason: AlarmReason,
    /// What it is about; empty for the device itself.
    pub object: String,
    /// One sentence.
    pub text: String,
}

/// POST `/devices/{name}/activate`: puts a device into a location, or moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Where it is.
    pub location: String,
    /// Share of new viewers relative to its peers, 0 to 100; absent: unchanged, 100 at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// What it can send, in Mbit/s, 1 to 10,000,000; absent: unchanged, unknown at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_mbps: Option<u32>,
    /// Move it, or take its weight, although that breaks a capacity floor of the location it leaves.
    #[serde(default, rename = "override", skip_serializing_if = "std::ops::Not::not")]
    pub overrides: bool,
}

/// Query of POST `/devices/{name}/deactivate` and of DELETE `/devices/{name}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Removal {
    /// Although it breaks a capacity floor.
    #[serde(default, rename = "override", skip_serializing_if = "std::ops::Not::not")]
    #[param(required = false)]
    pub overrides: bool,
}

/// The last lines of a device's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceLogs {
    /// Whose.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// Oldest first; each is one JSON object as text.
    pub lines: Vec<String>,
}
