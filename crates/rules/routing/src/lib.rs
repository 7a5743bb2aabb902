//! Which engine serves a request, and why: coverage zones, liveness, rendezvous hashing; pure.
//!
//! ```text
//! DeviceConfiguration ── Network::compile ──> Network (indexes, immutable)
//! keepalives, lifelines ────────────────────> HealthTable (a value; time is an argument)
//! (client, host, path) ── route / explain ──> an engine, or the reason there is none
//! (this engine, service, key) ── parents ───> where an engine fills from
//! DNS name ── name_of ── addresses/stand_in > engines for a client's network, and how far that answer holds
//! (engine) ── successors ───────────────────> where its clients would go
//! (this device) ── copies ──────────────────> engines to ask for a release archive
//! ```
//!
//! [`placement`] orders engines for a key; the router's choice and the engine's choice of parents are that one function,
//! and it is a wire contract between lines: `docs/protocols/placement.md`.

pub mod addresses;
mod candidates;
pub mod compile;
pub mod decision;
pub mod health;
pub mod names;
pub mod network;
pub mod panic;
pub mod parents;
pub mod placement;
pub mod reason;
pub mod redirect;
pub mod removal;
pub mod software;
pub mod successors;
pub mod url_form;
pub mod zones;

pub use addresses::{AddressQuestion, Family, Placed, addresses, stand_in};
pub use compile::{CompileError, ServiceFault, TREE_DEPTH_MAX};
pub use decision::{Answer, Decision, Route, RouteRequest, explain, route};
pub use health::HealthTable;
pub use names::{Name, ROUTER_LABEL, name_of};
pub use network::{Engine, Location, Network, Router, Service, ServiceIndex};
pub use parents::{FillPath, parents};
pub use placement::Key;
pub use reason::{DropReason, Reason, RefusalReason};
pub use removal::{MassChange, Removal, Sites};
pub use software::{Holder, copies, with_software};
pub use successors::{ServiceSuccessors, Successor, successors};
pub use url_form::{Resolved, Unresolved, UrlForm};

#[cfg(test)]
mod sample;
