//! What every device does, whatever its role: enrol, fetch configuration, report, keep routers informed, answer questions.
//!
//! - [`enrol`]: a token for a certificate; once in a device's life.
//! - [`device_state`]: what is kept on disk: identity, last good configuration, boot counter.
//! - [`follow`]: the configuration poll; applies, keeps the last good one, answers questions.
//! - [`report`]: what the manager hears every few seconds.
//! - `life`: when all of this starts, falls silent and starts again.
//! - `update`: how this device becomes another version, and goes back.
//! - [`keepalive`]: what routers hear from an engine, and what they answer on its lifelines.
//! - [`control`]: the worker's end of the keeper's socket.
//! - `vault`: backups of the managers that an engine keeps.
//! - [`admin`]: metrics and health.
//!
//! The agent knows no role: a role gives it [`Hooks`], and `bin/weir` wires the two.

pub mod admin;
pub mod agent;
pub mod answer;
pub mod client;
mod contacts;
pub mod control;
pub mod device_state;
pub mod enrol;
pub mod follow;
pub mod keepalive;
mod life;
mod ramp;
pub mod report;
mod update;
mod vault;

pub use agent::{Agent, AgentSettings, Explain, Hold, Hooks, TellRouters};
pub use device_state::{DeviceState, Identity, StateError};
pub use life::{KEEPER_NEWS_MAX, KeeperLink, KeeperNews};
