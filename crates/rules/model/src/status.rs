//! Roles and statuses of devices.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// CDSM: configuration, pages, API.
    Manager,
    /// Service Router: picks the engine for each request.
    Router,
    /// Service Engine: caches and streams.
    Engine,
}

impl Role {
    /// The word used in paths, logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Manager => "manager",
            Role::Router => "router",
            Role::Engine => "engine",
        }
    }
}
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl FromStr for Role {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Role::Manager, Role::Router, Role::Engine]
            .into_iter()
            .find(|r| r.as_str() == text)
            .ok_or("is not a role; use manager, router or engine")
    }
}

/// What the manager shows of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStatus {
    /// Enrolled, not activated into a location: gets no configuration of services.
    Inactive,
    /// Activated; has not yet reported that it runs a configuration issued since.
    Pending,
    /// Reports in time.
    Online,
    /// Missed its reports while the manager itself was up.
    Offline,
    /// Server Offload holds it and something still runs on it.
    Offloading,
    /// Server Offload holds it and nothing runs on it any longer.
    Offloaded,
}

impl DeviceStatus {
    /// Every status.
    pub const ALL: [DeviceStatus; 6] = [
        DeviceStatus::Inactive,
        DeviceStatus::Pending,
        DeviceStatus::Online,
        DeviceStatus::Offline,
        DeviceStatus::Offloading,
        DeviceStatus::Offloaded,
    ];

    /// The word used in JSON, pages and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            DeviceStatus::Inactive => "inactive",
            DeviceStatus::Pending => "pending",
            DeviceStatus::Online => "online",
            DeviceStatus::Offline => "offline",
            DeviceStatus::Offloading => "offloading",
            DeviceStatus::Offloaded => "offloaded",
        }
    }
}
impl fmt::Display for DeviceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
