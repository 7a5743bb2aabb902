//! A primary manager and its devices over real TLS, and a standby.

mod alarms;
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
mod offload;
mod openapi;
mod pages;
mod polling;
#[cfg(feature = "synthetic-next")]
mod service_detail;
mod software;
mod software_pages;
mod standby;
mod updates;
