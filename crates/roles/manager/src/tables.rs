//! Every statement of SQL, one file per noun.
//!
//! `config.db` holds what operators and enrolments decide; `state.db` holds what devices say, and may be deleted any time.
//! Column names are the field names of the API.

pub(crate) mod alarms;
pub(crate) mod audit;
pub(crate) mod backups;
pub(crate) mod changesets;
pub(crate) mod columns;
pub(crate) mod delivery_services;
pub(crate) mod device_updates;
pub(crate) mod devices;
pub(crate) mod digests;
pub(crate) mod history;
pub(crate) mod locations;
pub(crate) mod migrations;
pub(crate) mod offload;
pub(crate) mod parts;
pub(crate) mod places;
pub(crate) mod published;
pub(crate) mod reports;
pub(crate) mod series;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod shipped;
pub(crate) mod software_files;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod zones;
