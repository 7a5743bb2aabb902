//! A primary manager and its devices over real TLS, and a standby.

mod access;
mod alarms;
mod backups;
mod bad_input;
mod browser;
mod changesets;
mod devices;
mod enrolment;
mod fleet;
mod guard;
mod gui;
mod harness;
mod lasting;
mod local;
mod login;
mod network_document;
mod offload;
mod openapi;
mod pages;
mod pair;
mod pair_pages;
mod polling;
mod publishing;
#[cfg(feature = "synthetic-next")]
mod service_detail;
mod software;
mod software_pages;
mod standby;
mod updates;
