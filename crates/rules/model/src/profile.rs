//! Timers, as named profiles: every period and patience of the network is a field here.

use serde::{Deserialize, Serialize};

/// Timers every device of the network uses. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `standard` or `rehearsal`.
    pub name: String,
    /// How often a device reports to the manager.
    pub report_ms: u64,
    /// Reports missed before a device is offline.
    pub reports_missed: u32,
    /// How often an engine sends a keepalive to each router.
    pub keepalive_ms: u64,
    /// Keepalives missed before a router takes an engine for dead.
    pub keepalives_missed: u32,
    /// Over half of the engines that a router knew as healthy vanishing within this time is its own doing, not theirs.
    #[serde(default = "panic_window_ms")]
    pub panic_window_ms: u64,
    /// How long it then goes on choosing among them; longer than the window.
    #[serde(default = "panic_hold_ms")]
    pub panic_hold_ms: u64,
    /// How long a manager holds a configuration poll that has nothing new.
    pub poll_ms: u64,
    /// How long a viewer counts as a session after its last media bytes.
    pub session_window_ms: u64,
    /// Wall-clock difference to the manager that raises CLOCK_SKEW.
    pub clock_skew_ms: u64,
    /// TTL of the routers' DNS answers.
    pub dns_ttl_seconds: u32,
    /// How long an offloaded engine serves on before it steers its viewers elsewhere.
    pub drain_soft_ms: u64,
    /// How long a drain may take before DRAIN_TIMEOUT.
    pub drain_hard_ms: u64,
    /// How long a device must have had nothing to do before it is drained.
    pub drain_stable_ms: u64,
    /// Silence towards the manager after which a device's acknowledgement is no longer waited for; one DNS TTL is added.
    pub acknowledge_silence_ms: u64,
    /// How long a device that returns to service takes from a tenth of its weight to all of it.
    pub ramp_ms: u64,
    /// The update of a device.
    #[serde(default = "UpdateProfile::standard")]
    pub update: UpdateProfile,
}

/// Timers and limits of a device's update. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateProfile {
    /// How long a device waits for room on its disk.
    pub space_ms: u64,
    /// How long a new worker has until it is ready.
    pub ready_ms: u64,
    /// How long a new worker may be without the manager while the parked one reaches it.
    pub contact_ms: u64,
    /// Shortest time of proving.
    pub prove_min_ms: u64,
    /// Longest time of proving: enough by itself when no crash came.
    pub prove_max_ms: u64,
    /// Requests that make the shortest time enough.
    pub prove_requests: u64,
    /// Life of a rollout's lease of Server Offload that nobody renews.
    pub lease_ms: u64,
    /// How long after it is done a slot is on probation, and the worker before it parked.
    pub bake_ms: u64,
    /// How long a parked worker that is ended may finish what it still serves.
    pub retire_ms: u64,
    /// Silence after which the manager takes a device that is being updated for lost.
    pub lost_ms: u64,
    /// Most bytes a second a device fetches an archive with.
    pub fetch_bytes_per_second: u64,
}

/// Of a network in production.
fn panic_window_ms() -> u64 {
    10_000
}

/// Of a network in production.
fn panic_hold_ms() -> u64 {
    300_000
}

impl UpdateProfile {
    /// For a network in production.
    pub fn standard() -> Self {
        Self {
            space_ms: 600_000,
            ready_ms: 60_000,
            contact_ms: 60_000,
            prove_min_ms: 120_000,
            prove_max_ms: 600_000,
            prove_requests: 1_000,
            lease_ms: 7_200_000,
            bake_ms: 1_800_000,
            retire_ms: 600_000,
            lost_ms: 180_000,
            fetch_bytes_per_second: 12_500_000,
        }
    }

    /// For `weir up` and tests.
    pub fn rehearsal() -> Self {
        Self {
            space_ms: 10_000,
            ready_ms: 20_000,
            contact_ms: 15_000,
            prove_min_ms: 2_000,
            prove_max_ms: 5_000,
            prove_requests: 1_000,
            lease_ms: 120_000,
            bake_ms: 5_000,
            retire_ms: 10_000,
            lost_ms: 10_000,
            fetch_bytes_per_second: 125_000_000,
        }
    }
}

impl Profile {
    /// For a network in production.
    pub fn standard() -> Self {
        Self {
            name: "standard".into(),
            report_ms: 5_000,
            reports_missed: 2,
            keepalive_ms: 1_000,
            keepalives_missed: 3,
            panic_window_ms: panic_window_ms(),
            panic_hold_ms: panic_hold_ms(),
            poll_ms: 30_000,
            session_window_ms: 30_000,
            clock_skew_ms: 5_000,
            dns_ttl_seconds: 20,
            drain_soft_ms: 600_000,
            drain_hard_ms: 3_600_000,
            drain_stable_ms: 10_000,
            acknowledge_silence_ms: 30_000,
            ramp_ms: 300_000,
            update: UpdateProfile::standard(),
        }
    }

    /// For `weir up` and tests: the same machinery, shorter waits.
    pub fn rehearsal() -> Self {
        Self {
            name: "rehearsal".into(),
            report_ms: 1_000,
            reports_missed: 2,
            keepalive_ms: 250,
            keepalives_missed: 3,
            panic_window_ms: 2_000,
            panic_hold_ms: 8_000,
            poll_ms: 10_000,
            session_window_ms: 5_000,
            clock_skew_ms: 5_000,
            dns_ttl_seconds: 2,
            drain_soft_ms: 5_000,
            drain_hard_ms: 60_000,
            drain_stable_ms: 2_000,
            acknowledge_silence_ms: 3_000,
            ramp_ms: 5_000,
            update: UpdateProfile::rehearsal(),
        }
    }

    /// The profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::standard(), Self::rehearsal()].into_iter().find(|p| p.name == name)
    }

    /// Silence after which a router takes an engine for dead: the missed keepalives and half a period of grace.
    pub fn keepalive_patience_ms(&self) -> u64 {
        self.keepalive_ms * u64::from(self.keepalives_missed) + self.keepalive_ms / 2
    }

    /// Silence after which the manager shows a device as offline: the missed reports and half a period of grace.
    pub fn report_patience_ms(&self) -> u64 {
        self.report_ms * u64::from(self.reports_missed) + self.report_ms / 2
    }
}
