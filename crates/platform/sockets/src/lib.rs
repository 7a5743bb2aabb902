//! Bind, pass and adopt listening sockets; no async.
//!
//! The keeper side binds ([`bind`]) and passes over a [`ControlSocket`]; the worker side adopts through
//! [`WorkerControl`]. Sockets are bound non-blocking and close-on-exec, and stay bound as long as the keeper lives,
//! also when it turns into the keeper of another version.

mod bind;
mod control;
mod holder;
mod inherit;
mod worker;

pub use bind::{BACKLOG, BindError, bind};
pub use control::{ControlError, ControlSocket, Received, SEND_PATIENCE};
pub use holder::{Holder, holder};
pub use inherit::{close_over_exec, keep_over_exec, take_inherited};
pub use weir_keeper_api::{ListenerName, ListenerSpec, Proto};
pub use worker::{Adopted, AdoptedSockets, BIND_PATIENCE, ControlSender, Event, WorkerControl};
