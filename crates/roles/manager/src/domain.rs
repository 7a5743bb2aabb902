//! The rules of the network, one file per noun: what may be written, by whom, and what it changes.
//!
//! Each function takes a [`Change`](crate::change::Change), checks the request against the network before it, and writes
//! through `tables`. API and pages let each caller only to what its role may do, by a table of their own; each verb judges it
//! again, and alone what a caller may do to one delivery service. Devices reach only `enrolment` and `devices::listen_at`.

pub(crate) mod apply;
pub(crate) mod attempts;
pub(crate) mod changesets;
pub(crate) mod delivery_services;
pub(crate) mod devices;
pub(crate) mod enrolment;
pub(crate) mod fields;
pub(crate) mod level;
pub(crate) mod locations;
pub(crate) mod offload;
pub(crate) mod passwords;
pub(crate) mod refusals;
pub(crate) mod sessions;
pub(crate) mod tokens;
pub(crate) mod updates;
pub(crate) mod users;
pub(crate) mod zones;
