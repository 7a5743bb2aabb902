//! Alarms: what an operator must see, with one word each.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad an alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look in working hours.
    Minor,
    /// Service is degraded or soon will be.
    Major,
    /// Viewers are or may be affected now.
    Critical,
}

/// Why an alarm stands. The page, the CLI, the log and the tests use the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmReason {
    /// A device missed its reports.
    DeviceOffline,
    /// A device's wall clock differs from the manager's by more than the profile allows.
    ClockSkew,
    /// A device's worker ended without being told to.
    WorkerCrashed,
    /// A device refused a configuration and keeps its last good one.
    ConfigurationRejected,
    /// An engine cannot fetch from a delivery service's origin.
    OriginUnreachable,
    /// A device cannot write its data directory.
    DiskFull,
    /// An operator's Server Offload has stood for a day.
    OffloadLong,
    /// A drain has passed its hard limit.
    DrainTimeout,
    /// A fault broke a capacity floor; a draining device was returned to service if there was one.
    UpgradeGuard,
    /// Something else is behind the URL of a software file than what was verified.
    ImageQuarantined,
    /// A device did not become what it was assigned; it serves as before.
    UpdateFailed,
    /// A device's update does not move, and will not by itself.
    UpgradeStuck,
    /// A device runs another version than the last one it was assigned or installed with.
    OutOfBandVersion,
    /// A device runs a line that does not work with the primary's: no viewer is placed on it.
    QuarantinedDevice,
    /// The managers of the pair run different versions: the standby applies no configuration update.
    PairMismatch,
    /// The standby does not follow: writes are acknowledged by the primary alone.
    PairLagging,
    /// A former primary had acknowledged changes alone that this network does not have.
    UnreplicatedChanges,
    /// Nobody has confirmed that the network key is kept elsewhere.
    KeyNotEscrowed,
    /// The newest scheduled backup failed, or was not read back from another machine.
    BackupUnproven,
    /// A delivery service does not compile for some devices; they go on with the last one that did.
    ServiceHeld,
    /// A router keeps its configuration because the next one takes more than a quarter of a location's engines away.
    MassChange,
    /// Over half of a router's engines vanished within seconds; it goes on choosing among them.
    RouterPanic,
    /// The log of writes is not as it was written.
    ChangesetsBroken,
}

impl AlarmReason {
    /// Every reason.
    pub const ALL: [AlarmReason; 23] = [
        AlarmReason::DeviceOffline,
        AlarmReason::ClockSkew,
        AlarmReason::WorkerCrashed,
        AlarmReason::ConfigurationRejected,
        AlarmReason::OriginUnreachable,
        AlarmReason::DiskFull,
        AlarmReason::OffloadLong,
        AlarmReason::DrainTimeout,
        AlarmReason::UpgradeGuard,
        AlarmReason::ImageQuarantined,
        AlarmReason::UpdateFailed,
        AlarmReason::UpgradeStuck,
        AlarmReason::OutOfBandVersion,
        AlarmReason::QuarantinedDevice,
        AlarmReason::PairMismatch,
        AlarmReason::PairLagging,
        AlarmReason::UnreplicatedChanges,
        AlarmReason::KeyNotEscrowed,
        AlarmReason::BackupUnproven,
        AlarmReason::ServiceHeld,
        AlarmReason::MassChange,
        AlarmReason::RouterPanic,
        AlarmReason::ChangesetsBroken,
    ];

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            AlarmReason::DeviceOffline | AlarmReason::DiskFull | AlarmReason::MassChange | AlarmReason::RouterPanic => Severity::Critical,
            AlarmReason::WorkerCrashed
            | AlarmReason::ConfigurationRejected
            | AlarmReason::OriginUnreachable
            | AlarmReason::DrainTimeout
            | AlarmReason::UpgradeGuard
            | AlarmReason::ImageQuarantined
            | AlarmReason::UpdateFailed
            | AlarmReason::UpgradeStuck
            | AlarmReason::OutOfBandVersion
            | AlarmReason::QuarantinedDevice
            | AlarmReason::PairMismatch
            | AlarmReason::PairLagging
            | AlarmReason::UnreplicatedChanges
            | AlarmReason::BackupUnproven
            | AlarmReason::ServiceHeld
            | AlarmReason::ChangesetsBroken => Severity::Major,
            AlarmReason::ClockSkew | AlarmReason::OffloadLong | AlarmReason::KeyNotEscrowed => Severity::Minor,
        }
    }

    /// What the operator does next, one sentence.
    pub fn next_step(self) -> &'static str {
        match self {
            AlarmReason::DeviceOffline => {
                "check that the box is up and reaches the manager's device address; `weir logs DEVICE` once it reports again"
            }
            AlarmReason::ClockSkew => "set up time synchronisation (NTP) on the device",
            AlarmReason::WorkerCrashed => "read `weir logs DEVICE`; the keeper has restarted the worker",
            AlarmReason::ConfigurationRejected => {
                "read the reason, correct the object it names; the device serves from its last good configuration"
            }
            AlarmReason::OriginUnreachable => "check the delivery service's origin URL and that the engine's box reaches it",
            AlarmReason::DiskFull => "free space in the device's data directory",
            AlarmReason::OffloadLong => "return the device to service with `weir unoffload DEVICE --why TEXT`, or acknowledge the alarm",
            AlarmReason::DrainTimeout => "see on the device's page what still runs on it; return it to service or wait",
            AlarmReason::UpgradeGuard => "bring the location's other engines back before another one is taken out",
            AlarmReason::ImageQuarantined => "find out who changed the file behind the URL; then validate it again or delete it",
            AlarmReason::UpdateFailed => {
                "read the reason with `weir upgrade status DEVICE`; acknowledge the alarm, or assign another version"
            }
            AlarmReason::UpgradeStuck => "read with `weir upgrade status DEVICE` what it waits for; help it, or cancel",
            AlarmReason::OutOfBandVersion => "assign the version it should run with `weir upgrade device DEVICE --to VERSION`",
            AlarmReason::QuarantinedDevice => {
                "bring it on one line at a time: `weir upgrade device DEVICE --to VERSION`, with a version of the line the alarm names"
            }
            AlarmReason::PairMismatch => "bring both managers to one version; see `weir cms info` on both for the next legal step",
            AlarmReason::PairLagging => {
                "check the standby's box and that it reaches the primary's device address; `weir cms info` on both says how far it is"
            }
            AlarmReason::UnreplicatedChanges => {
                "read them with `weir cms unreplicated` on that box, make again what is still wanted, then dismiss them"
            }
            AlarmReason::KeyNotEscrowed => {
                "run `weir cms key export` on the manager's box, keep the words apart from backups, then `weir cms key confirm FINGERPRINT`"
            }
            AlarmReason::BackupUnproven => "read why with `weir cms database backups`; make one with `weir cms database backup`",
            AlarmReason::ServiceHeld => "read the reason on the delivery service's page and correct it",
            AlarmReason::MassChange => {
                "undo the change; or, if it is meant, confirm it: `weir location confirm-removal LOCATION`, with the location the alarm names"
            }
            AlarmReason::RouterPanic => "check the network between the router and its engines",
            AlarmReason::ChangesetsBroken => {
                "compare with the standby and with backups; restore one if the configuration itself is in doubt"
            }
        }
    }

    /// The word as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmReason::DeviceOffline => "DEVICE_OFFLINE",
            AlarmReason::ClockSkew => "CLOCK_SKEW",
            AlarmReason::WorkerCrashed => "WORKER_CRASHED",
            AlarmReason::ConfigurationRejected => "CONFIGURATION_REJECTED",
            AlarmReason::OriginUnreachable => "ORIGIN_UNREACHABLE",
            AlarmReason::DiskFull => "DISK_FULL",
            AlarmReason::OffloadLong => "OFFLOAD_LONG",
            AlarmReason::DrainTimeout => "DRAIN_TIMEOUT",
            AlarmReason::UpgradeGuard => "UPGRADE_GUARD",
            AlarmReason::ImageQuarantined => "IMAGE_QUARANTINED",
            AlarmReason::UpdateFailed => "UPDATE_FAILED",
            AlarmReason::UpgradeStuck => "UPGRADE_STUCK",
            AlarmReason::OutOfBandVersion => "OUT_OF_BAND_VERSION",
            AlarmReason::QuarantinedDevice => "QUARANTINED_DEVICE",
            AlarmReason::PairMismatch => "PAIR_MISMATCH",
            AlarmReason::PairLagging => "PAIR_LAGGING",
            AlarmReason::UnreplicatedChanges => "UNREPLICATED_CHANGES",
            AlarmReason::KeyNotEscrowed => "KEY_NOT_ESCROWED",
            AlarmReason::BackupUnproven => "BACKUP_UNPROVEN",
            AlarmReason::ServiceHeld => "SERVICE_HELD",
            AlarmReason::MassChange => "MASS_CHANGE",
            AlarmReason::RouterPanic => "ROUTER_PANIC",
            AlarmReason::ChangesetsBroken => "CHANGESETS_BROKEN",
        }
    }
}
impl fmt::Display for AlarmReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl Severity {
    /// The word as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }
}
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_text_are_the_same_word() {
        for reason in AlarmReason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("json"), reason.as_str());
            assert!(!reason.next_step().is_empty());
        }
        for severity in [Severity::Minor, Severity::Major, Severity::Critical] {
            assert_eq!(serde_json::to_value(severity).expect("json"), severity.as_str());
        }
    }
}
