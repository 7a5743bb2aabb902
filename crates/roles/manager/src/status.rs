//! Device statuses: a pure function of what is configured, what was heard and when.

use weir_model::{DeviceStatus, Stamp};

/// What the status of one device follows from. Times are milliseconds of the manager's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    /// Whether it is activated.
    pub(crate) active: bool,
    /// The stamp its activation was written with.
    pub(crate) activated: Stamp,
    /// Its last report; absent when there is none.
    pub(crate) heard: Option<HeardAt>,
    /// How far Server Offload has taken it out; absent: in service.
    pub(crate) drain: Option<DrainStage>,
    /// When this manager began to listen: silence before that is the manager's own.
    pub(crate) listening_since_ms: u64,
}

/// How far a device that Server Offload holds has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainStage {
    /// Something still runs on it, or nobody knows yet.
    Draining,
    /// Nothing runs on it.
    Drained,
}

/// A report: when it came and what the device ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeardAt {
    /// 0 for one kept from before this manager started.
    pub(crate) at_ms: u64,
    pub(crate) stamp: Stamp,
}

/// The status at `now_ms`, when a device may be silent for `patience_ms`. What a device does matters only while it is heard:
/// one that is silent is offline, also when it is offloaded.
pub(crate) fn status(observed: &Observed, now_ms: u64, patience_ms: u64) -> DeviceStatus {
    if !observed.active {
        return DeviceStatus::Inactive;
    }
    let Some(heard) = observed.heard else { return DeviceStatus::Pending };
    let silent_since = heard.at_ms.max(observed.listening_since_ms);
    if now_ms.saturating_sub(silent_since) > patience_ms {
        DeviceStatus::Offline
    } else if heard.stamp < observed.activated {
        DeviceStatus::Pending
    } else {
        match observed.drain {
            None => DeviceStatus::Online,
            Some(DrainStage::Draining) => DeviceStatus::Offloading,
            Some(DrainStage::Drained) => DeviceStatus::Offloaded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let stamp = |generation| Stamp { term: 1, generation };
        let heard = |at_ms, generation| Some(HeardAt { at_ms, stamp: stamp(generation) });
        // active, heard, listening since, now
        for (active, heard, since, now, expected) in [
            (false, heard(1000, 9), 0, 1000, DeviceStatus::Inactive),
            (true, None, 0, 99_000, DeviceStatus::Pending),
            (true, heard(1000, 4), 0, 1100, DeviceStatus::Pending),
            (true, heard(1000, 5), 0, 1100, DeviceStatus::Online),
            (true, heard(1000, 9), 0, 3500, DeviceStatus::Online),
            (true, heard(1000, 9), 0, 3501, DeviceStatus::Offline),
            (true, heard(1000, 4), 0, 3501, DeviceStatus::Offline),
            // Kept from before this manager started: its silence counts from the start.
            (true, heard(0, 9), 50_000, 52_000, DeviceStatus::Online),
            (true, heard(0, 9), 50_000, 52_501, DeviceStatus::Offline),
        ] {
            let observed = Observed { active, activated: stamp(5), heard, drain: None, listening_since_ms: since };
            assert_eq!(status(&observed, now, 2500), expected, "{observed:?} at {now}");
            for (stage, word) in [(DrainStage::Draining, DeviceStatus::Offloading), (DrainStage::Drained, DeviceStatus::Offloaded)] {
                let observed = Observed { drain: Some(stage), ..observed };
                let expected = if expected == DeviceStatus::Online { word } else { expected };
                assert_eq!(status(&observed, now, 2500), expected, "{observed:?} at {now}");
            }
        }
    }
}
