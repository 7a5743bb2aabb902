//! Reports: what a device tells the manager every few seconds.

use crate::{Hello, UpdateReport};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use weir_model::{AlarmReason, DeviceName, OffloadEpoch, Stamp};

/// Where a device listens; absent when it has no such listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listeners {
    /// DNS, UDP and TCP (routers).
    #[serde(default)]
    pub dns: Option<SocketAddr>,
    /// HTTP (routers, engines).
    #[serde(default)]
    pub http: Option<SocketAddr>,
    /// HTTPS: viewers', or the manager's API.
    #[serde(default)]
    pub https: Option<SocketAddr>,
    /// Mutual-TLS device API (managers).
    #[serde(default)]
    pub device: Option<SocketAddr>,
    /// Metrics and health.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
    /// Keepalives, UDP and TCP (routers).
    #[serde(default)]
    pub keepalive: Option<SocketAddr>,
}

/// Work in hand and done, since the worker started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Requests answered.
    pub requests: u64,
    /// Requests being answered now.
    pub active_requests: u32,
    /// Viewer sessions now.
    pub sessions: u32,
    /// Body bytes given to viewers, other engines not among them.
    pub client_bytes: u64,
    /// Bytes received from origins.
    pub origin_bytes: u64,
    /// Bytes of content held.
    pub store_bytes: u64,
}

/// Upper bounds of the classes in [`Answers::ttfb`], milliseconds.
pub const TTFB_BOUNDS_MS: [u32; 37] = [
    1, 2, 5, 10, 20, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1_000, 1_250, 1_600, 2_000, 2_500, 3_150, 4_000, 5_000,
    6_300, 8_000, 10_000, 12_500, 16_000, 20_000, 25_000, 31_500, 40_000, 50_000, 63_000,
];

/// How requests were answered since the worker started: what devices of an update's wave are compared by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Answers {
    /// Requests answered to anybody.
    pub requests: u64,
    /// Of these: with a status of 500 or more that neither the client nor an origin caused.
    pub own_errors: u64,
    /// Connections reset because a body broke off or the client read too slowly.
    pub resets: u64,
    /// Answers by the time from the request's head to the answer's: how many took at most the first of [`TTFB_BOUNDS_MS`], more than
    /// that and at most the second, and so on; the last are those above all bounds.
    #[serde(default)]
    pub ttfb: Vec<u64>,
}

/// Something the manager raises an alarm for while the device keeps reporting it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Why.
    pub reason: AlarmReason,
    /// What it is about: a delivery service, a file, or the device itself when empty.
    pub object: String,
    /// One sentence with the particulars.
    pub text: String,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who, and which configuration it runs.
    pub hello: Hello,
    /// Rises with each start of the worker; persisted on the device.
    pub boot: u64,
    /// Wall clock of the device, milliseconds since 1970.
    pub clock_ms: u64,
    /// Milliseconds since the worker started.
    pub uptime_ms: u64,
    /// Times the keeper restarted a crashed worker since the keeper started.
    pub worker_crashes: u32,
    /// How the last crashed one ended, such as `signal 9`.
    #[serde(default)]
    pub last_exit: Option<String>,
    /// Where it listens.
    pub listeners: Listeners,
    /// Work.
    pub load: Load,
    /// A configuration it refused, and why.
    #[serde(default)]
    pub rejected: Option<Rejected>,
    /// What is wrong, as far as it knows.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// What still runs on it, while Server Offload holds it.
    #[serde(default)]
    pub drain: Option<Drain>,
    /// Routers an engine holds a lifeline to, by name.
    #[serde(default)]
    pub routers: Vec<RouterContact>,
    /// Engines: the part of its configured weight it takes now, in thousandths: [`weir_model::offload::SHARE_WHOLE`], or less while
    /// it ramps up after an offload. Absent: not said.
    #[serde(default)]
    pub share_permille: Option<u16>,
    /// Engines and routers: how far an update is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateReport>,
    /// Engines: how this worker answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// Engines: responses since the worker's start whose `Cache-Status` carried a delivery service's detail.
    #[cfg(feature = "synthetic-next")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detailed_responses: Option<u64>,
}

/// Sessions a [`Drain`] lists at most: those begun last.
pub const DRAIN_SESSIONS_MAX: usize = 64;

/// What still runs on a device that Server Offload holds, as the device itself counts it. Probes, metrics and the
/// device's own fetches never count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// How far out its own configuration says it is; routers know [`OffloadEpoch::Clients`] only.
    pub epoch: OffloadEpoch,
    /// Milliseconds since it learnt that it is offloaded. An engine started anew counts from `offload_since_ms` of its entry.
    pub for_ms: u64,
    /// Viewers' requests being answered.
    pub active_requests: u32,
    /// Viewer sessions: media bytes served within the profile's session window.
    pub sessions: u32,
    /// Other engines' requests being answered.
    pub fills_for_others: u32,
    /// The sessions begun last, newest first; at most [`DRAIN_SESSIONS_MAX`].
    #[serde(default)]
    pub newest: Vec<DrainSession>,
    /// Of `sessions`: those that began one DNS TTL after this worker learnt of the offload or later, when no name should lead
    /// here any more. `newest` lists them first, but not more of them than [`DRAIN_SESSIONS_MAX`].
    #[serde(default)]
    pub late_sessions: u32,
    /// Of `active_requests`: those of late sessions, also of such as have been given nothing yet.
    #[serde(default)]
    pub late_requests: u32,
}

/// One viewer session on a draining engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainSession {
    /// The viewer.
    pub client: IpAddr,
    /// Domain of the delivery service it watches.
    pub domain: String,
    /// Milliseconds since its first request here that belongs to this session.
    pub age_ms: u64,
    /// Milliseconds since it was last served.
    pub idle_ms: u64,
    /// Its requests being answered.
    pub active_requests: u32,
}

/// A router as an engine knows it from its lifeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterContact {
    /// The router.
    pub router: DeviceName,
    /// The last [`crate::keepalive::Obeyed`] it sent on the lifeline that is open now.
    #[serde(default)]
    pub obeyed: Option<Stamp>,
}

/// A configuration a device refused to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which.
    pub stamp: Stamp,
    /// Why, one sentence.
    pub reason: String,
}

/// The manager's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// The manager.
    pub hello: Hello,
    /// Its wall clock, milliseconds since 1970.
    pub clock_ms: u64,
}
