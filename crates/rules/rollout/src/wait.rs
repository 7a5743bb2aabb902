//! What a drain waits for, each as one word and one sentence with its particulars.

use std::{collections::BTreeSet, fmt};
use weir_model::{DeviceName, OffloadEpoch};

/// One thing a drain waits for; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The device's own word of what runs on it is missing or too old.
    NotReporting {
        /// How old the last report is; absent: none yet.
        age_ms: Option<u64>,
    },
    /// The manager has only just begun to listen, so absence means nothing yet.
    ManagerStart {
        /// How long.
        left_ms: u64,
    },
    /// Devices that may still send something here have not said that they run the epoch.
    Acknowledgement {
        /// The epoch.
        epoch: OffloadEpoch,
        /// Whose; empty: the epoch is yet to be written.
        devices: BTreeSet<DeviceName>,
    },
    /// Resolvers may still hold an answer from before.
    DnsTtl {
        /// How long.
        left_ms: u64,
    },
    /// Viewers are still served.
    Sessions {
        /// How many.
        sessions: u32,
        /// Sessions begun since, which count until the soft limit.
        strays: u32,
    },
    /// Viewers' requests are being answered.
    Requests {
        /// How many.
        requests: u32,
    },
    /// Other engines still fill from it.
    FillsForOthers {
        /// How many requests.
        fills: u32,
    },
    /// Nothing runs, but not for long enough.
    Stable {
        /// How long.
        left_ms: u64,
    },
}

impl Wait {
    /// The word of the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Wait::NotReporting { .. } => "not_reporting",
            Wait::ManagerStart { .. } => "manager_start",
            Wait::Acknowledgement { .. } => "acknowledgement",
            Wait::DnsTtl { .. } => "dns_ttl",
            Wait::Sessions { .. } => "sessions",
            Wait::Requests { .. } => "requests",
            Wait::FillsForOthers { .. } => "fills_for_others",
            Wait::Stable { .. } => "stable",
        }
    }

    /// Whether it is work on the device itself.
    pub fn is_work(&self) -> bool {
        matches!(self, Wait::Sessions { .. } | Wait::Requests { .. } | Wait::FillsForOthers { .. })
    }

    /// Devices it is about, besides the one that drains.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceName> {
        let devices = if let Wait::Acknowledgement { devices, .. } = self { Some(devices) } else { None };
        devices.into_iter().flatten()
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::NotReporting { age_ms: None } => f.write_str("it has not reported what runs on it"),
            Wait::NotReporting { age_ms: Some(age) } => {
                write!(f, "it last reported what runs on it {} ago, too long to go by", Seconds(*age))
            }
            Wait::ManagerStart { left_ms } => {
                write!(f, "the manager has just started and listens for {} before it judges", Seconds(*left_ms))
            }
            Wait::Acknowledgement { epoch, devices } if devices.is_empty() => {
                write!(f, "no session is left, so the step {epoch} is about to be written")
            }
            Wait::Acknowledgement { epoch: OffloadEpoch::Clients, devices } => {
                write!(f, "not known yet to send it no viewer: {}", Names(devices))
            }
            Wait::Acknowledgement { epoch: OffloadEpoch::Peers, devices } => {
                write!(f, "not known yet to fill from elsewhere: {}", Names(devices))
            }
            Wait::DnsTtl { left_ms } => write!(f, "resolvers may hold its address for another {}", Seconds(*left_ms)),
            Wait::Sessions { sessions, strays: 0 } => write!(f, "{sessions} viewer {} left", plural(*sessions, "session")),
            Wait::Sessions { sessions, strays } => {
                write!(f, "{sessions} viewer {} left and {strays} begun since", plural(*sessions, "session"))
            }
            Wait::Requests { requests } => write!(f, "{requests} {} being answered", plural(*requests, "request")),
            Wait::FillsForOthers { fills } => write!(f, "{fills} {} of other engines being answered", plural(*fills, "request")),
            Wait::Stable { left_ms } => write!(f, "nothing runs on it; that must hold for another {}", Seconds(*left_ms)),
        }
    }
}

fn plural(count: u32, one: &'static str) -> impl fmt::Display {
    fmt::from_fn(move |f| f.write_str(one).and_then(|()| if count == 1 { Ok(()) } else { f.write_str("s") }))
}

/// Whole seconds, rounded up, so that no wait reads as over before it is.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.div_ceil(1000))
    }
}

struct Names<'a>(&'a BTreeSet<DeviceName>);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(DeviceName::as_str).collect();
        f.write_str(&names.join(", "))
    }
}
