//! What a manager says of itself and of the network.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::DeviceName;

/// GET `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkStatus {
    /// The manager's device name.
    #[schema(value_type = String)]
    pub name: DeviceName,
    /// Name of the network.
    pub network: String,
    /// Which of the pair it is.
    pub role: ManagerRole,
    /// Version of the build.
    pub version: String,
    /// Term of the primary; 0 on a standby.
    pub term: u64,
    /// Configuration generation; 0 on a standby.
    pub generation: u64,
    /// Milliseconds since the worker started.
    pub uptime_ms: u64,
    /// Named set of timers in use; empty on a standby.
    pub profile: String,
    /// Devices by status; zeros on a standby.
    pub devices: DeviceCounts,
    /// Raised alarms by severity; zeros on a standby.
    pub alarms: AlarmCounts,
    /// The primary, when this is the standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<PrimaryAddress>,
}

/// Which of the pair a manager is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagerRole {
    /// Holds the configuration and answers this API.
    Primary,
    /// Answers `/status` only.
    Standby,
}

impl ManagerRole {
    /// The word as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            ManagerRole::Primary => "primary",
            ManagerRole::Standby => "standby",
        }
    }
}

/// Devices by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCounts {
    /// Enrolled, not activated.
    pub inactive: u32,
    /// Activated, not yet running a configuration issued since.
    pub pending: u32,
    /// Reporting in time.
    pub online: u32,
    /// Silent.
    pub offline: u32,
    /// Held by Server Offload, something still runs.
    pub offloading: u32,
    /// Held by Server Offload, nothing runs.
    pub offloaded: u32,
}

/// Raised alarms by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmCounts {
    /// Worth a look.
    pub minor: u32,
    /// Service is degraded or soon will be.
    pub major: u32,
    /// Viewers may be affected.
    pub critical: u32,
}

/// Where the primary is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrimaryAddress {
    /// Its device name.
    #[schema(value_type = String)]
    pub name: DeviceName,
    /// Base URL of its API, as far as the standby knows it.
    pub url: String,
}
