//! A primary manager and its devices over real TLS, and a standby.

mod alarms;
mod bad_input;
mod devices;
mod enrolment;
mod harness;
mod lasting;
mod local;
mod openapi;
mod polling;
mod standby;
