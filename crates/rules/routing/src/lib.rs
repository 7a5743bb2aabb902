//! Which engine serves a request, and why: coverage zones, liveness, rendezvous hashing; pure.
//!
//! ```text
//! DeviceConfiguration ── Network::compile ──> Network (indexes, immutable)
//! keepalives, lifelines ────────────────────> HealthTable (a value; time is an argument)
//! (client, host, path) ── route / explain ──> an engine, or the reason there is none
//! (this engine, service, key) ── parents ───> where an engine fills from
//! ```
//!
//! [`placement`] orders engines for a key; the router's choice and the engine's choice of parents are that one function,
//! and it is a wire contract between lines: `docs/protocols/placement.md`.

pub mod compile;
pub mod decision;
pub mod health;
pub mod network;
pub mod parents;
pub mod placement;
pub mod reason;
pub mod redirect;
pub mod url_form;
pub mod zones;

pub use compile::{CompileError, TREE_DEPTH_MAX};
pub use decision::{Answer, Decision, Route, RouteRequest, explain, route};
pub use health::HealthTable;
pub use network::{Engine, Location, Network, Service, ServiceIndex};
pub use parents::{FillPath, parents};
pub use placement::Key;
pub use reason::{DropReason, Reason, RefusalReason};
pub use url_form::{Resolved, Unresolved, UrlForm};

#[cfg(test)]
mod sample;
