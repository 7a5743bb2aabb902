//! CDSM: holds the configuration, registers and watches devices, answers the operator API.
//!
//! ```text
//! operator ── api ──┐                                    ┌── device_api ── devices
//!                   ├─> domain ─> tables (config.db) ─> snapshot ─> compile ─> documents
//! reports ── device_api ─> reports ─> status, alarms, series ─> tables (state.db)
//!                                 └─> drains, guard ─> domain (epochs, returns)
//! ```
//!
//! - `domain`: rules, one file per noun; every write is one [`change`] with its audit row.
//! - `tables`: every statement of SQL.
//! - `offload`: Server Offload for API and pages; `drains` watches those under way, `guard` is what its floors are judged from.
//! - `software`: software files, fetched or uploaded, checked, kept.
//! - `updates`: what devices are to become, how far each is, and what its round does about it.
//! - `rollout`: the update of the network: the planner of `weir_rollout::plan`, driven from the journal.
//! - `api`, `device_api`, `gui`: thin handlers. `ask`: questions for devices. `verbs`: what reaches beyond one transaction.
//! - `compile`: what each device runs from; equal stamps mean equal bytes.
//! - [`standby`]: the other manager of the pair, which refuses all but its status.

mod access;
mod ahead;
mod alarms;
mod api;
mod app;
mod ask;
mod backup;
mod change;
mod cms;
mod compile;
mod compressed;
mod confirm;
mod device_api;
mod device_view;
mod domain;
mod drains;
mod follower;
mod guard;
mod gui;
mod journal;
mod keep;
mod manager;
mod metrics;
mod network_key;
mod offload;
mod pair;
mod published;
mod reports;
mod rollout;
mod seal;
mod series;
mod server;
mod snapshot;
mod socket;
mod software;
mod standby;
mod status;
mod tables;
mod updates;
mod verbs;
mod watch;

pub use api::document as openapi;
pub use backup::{
    file::{BackupFileError, read as read_backup},
    rehearsal::offline as rehearse_backup,
};
pub use cms::{AskKeeper, KeepIdentity, KeeperAsk, KeptIdentity, LifeNow, ManagerBox, OwnIdentity, ReadIdentity, downgrade_offline};
pub use journal::{JournalCheck, check as check_journal};
pub use manager::{ManagerError, ManagerListeners, ManagerSettings, OwnAnswers};
pub use tables::migrations::{Schema, SchemaStep, schema};
