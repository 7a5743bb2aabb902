//! Service Engine: caches and streams content, fills from other engines up the location tree, then from the origin.
//!
//! The life of a request is [`serve`](self)'s: the server loop parses it, `place` finds its delivery service in what `here`
//! holds of the configuration, `serve` looks into the store, in memory and then on `disk`, and asks the caching rules, `answer`
//! writes what is held. What is not held goes `through` a `flight` (one fetch per key and variant however many wait) to a `fill`, which fetches from
//! `upstream` and pours into the store while everyone reads; what may not be stored is passed on by `relay`, an error that is
//! nobody's own is `shared`. `exchange` accounts for every request: record, metrics, session.
//!
//! While Server Offload holds the engine (`offload`) it goes on serving, tells what still runs (`drain`, `watched`) and, after the
//! soft limit, `steer`s its viewers to a router.
//!
//! Release archives go the same way as content, for the network's devices only, and come from the managers in the end (`software`).

mod access;
mod answer;
mod disk;
mod drain;
mod engine;
mod exchange;
mod fields;
mod fill;
mod first_bytes;
mod flight;
mod head;
mod here;
mod marker;
mod metrics;
mod offload;
mod origins;
mod outcome;
mod pace;
mod place;
mod readable;
mod refusal;
mod relay;
mod returned;
mod serve;
mod session;
mod shared;
mod software;
mod steady;
mod steer;
mod through;
mod upstream;
mod watched;

pub use engine::{Engine, EngineError, EngineSettings, Rejection, STORE_BYTES_MIN};
pub use weir_store::SEGMENT_BYTES;
