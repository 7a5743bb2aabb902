//! Fuzz targets for every parser of outside input, as plain functions over bytes.
//!
//! Each function is total: it says whether the parser took the bytes, and it panics when the parser breaks a promise that can be checked without
//! knowing the right answer (the same bytes cut differently, a round trip, what an accepted input can never hold). The seeds in
//! `corpus/` and random bytes run in the unit tests; `cargo xtask soak` runs them under cargo-fuzz.

pub mod backup;
pub mod caching;
pub mod device;
pub mod dns;
pub mod http;
pub mod manager;
pub mod names;
pub mod release;
pub mod routing;
pub mod slots;

/// A fuzz target: true when the parser took the bytes.
pub type Target = fn(&[u8]) -> bool;

/// Every target by the name of its corpus folder and of its file in `fuzz_targets/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("backup", backup::file),
    ("boot_record", slots::boot_record),
    ("cache_control", caching::cache_control),
    ("chunked", http::chunked),
    ("conditional", caching::conditional),
    ("dns", dns::dns),
    ("enrol_token", device::enrol_token),
    ("journal", manager::journal),
    ("keepalive", device::keepalive),
    ("keeper_message", device::keeper_message),
    ("lineage", release::lineage),
    ("manifest", slots::manifest),
    ("names", names::names),
    ("origin_url", names::origin_url),
    ("range", caching::range),
    ("release_archive", release::archive),
    ("release_image", release::image),
    ("release_manifest", release::manifest),
    ("release_metadata", release::metadata),
    ("request_head", http::request_head),
    ("url_form", routing::url_form),
    ("vary", caching::vary),
    ("version", names::version),
];
