//! HTTP caching rules (RFC 9111, 9110, 9211, 9213, 5861) as pure functions.
//!
//! Everything here is a function from values to values: no socket, no clock, no storage. Times are arguments, in seconds
//! since 1970; header fields come through [`Fields`], which borrows from whatever the caller parsed.
//!
//! The life of a request in an engine, in the order of the calls:
//!
//! 1. [`key::write_primary_key`] names the object; [`Vary::matches`] picks the variant.
//! 2. [`decision::decide`] says hit, stale hit, revalidate, miss, bypass or 504.
//! 3. A hit is answered by [`conditional::evaluate`] (304, 412) and [`range::select`] (206, 416), with
//!    [`Freshness::age_at`] as its `Age`.
//! 4. Requests for the same wait for one fill; [`collapse`] says whose answer the fill's may be.
//!    A fill asks upstream, with [`conditional::revalidation_fields`] when something is held;
//!    [`storage::may_store`] says what of the answer is kept, [`update::freshen`] what a 304 changes, and
//!    [`Freshness::serves_on`] whether a failure may be answered with what is held.
//! 5. An unsafe request goes through and [`invalidation`] says what it makes unusable.
//! 6. [`CacheStatus`] writes what happened; [`CacheOutcome`] is the same word for the log and the metrics.

pub mod age;
pub mod cache_control;
mod cache_status;
pub mod collapse;
pub mod conditional;
pub mod content_range;
pub mod date;
pub mod decision;
mod entity_tag;
mod facts;
pub mod fields;
mod freshness;
mod hop_by_hop;
pub mod invalidation;
pub mod key;
mod lifetime;
mod policy;
pub mod range;
pub mod status;
pub mod storage;
pub mod targeted;
pub mod update;
mod vary;

pub use cache_status::{CacheOutcome, CacheStatus, RefusedStatus};
pub use content_range::ContentRange;
pub use entity_tag::EntityTag;
pub use facts::{RequestFacts, ResponseFacts};
pub use fields::{FieldLines, Fields};
pub use freshness::{DISCONNECTED_STALE_SECONDS_MAX, Freshness, Reuse, State, UpstreamFailure};
pub use hop_by_hop::HopByHop;
pub use lifetime::{ERROR_DEFAULT_TTL_SECONDS_MAX, HEURISTIC_SECONDS_MAX, Lifetime, LifetimeSource};
pub use policy::Policy;
pub use storage::{NoStoreReason, Storable};
pub use vary::{SELECTING_FIELDS_MAX, Vary};
