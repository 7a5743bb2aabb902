//! Service Router: picks the engine for each request.
//!
//! - [`router`]: the value the worker holds: the configuration in force, and what it can be asked.
//! - [`dns`]: the answer to a resolver: addresses of engines, and the zones they are in.
//! - [`http`]: the answer to a viewer's request: a redirect, or the reason there is none.
//! - [`keepalive`]: what engines say of themselves, over UDP and on their lifelines.
//! - `vitals`: the health table those feed, published to the data path and kept on disk.
//!
//! Decisions are `weir_routing`'s; nothing here chooses an engine. The data path reads two atomically swapped snapshots
//! (network, health) and takes no lock.

pub mod dns;
pub mod http;
pub mod keepalive;
pub mod router;

mod lifeline;
mod metrics;
mod obedience;
mod places;
mod url;
mod vitals;

pub use router::{ExplainError, Rejection, Router, RouterSettings};

#[cfg(test)]
mod sample;
