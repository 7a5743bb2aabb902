//! Keeper to worker control socket, version 1: verbs, listeners and their codec; no I/O.
//!
//! One message is one datagram of ASCII text, `VERB key=value key=value`, on a `SOCK_SEQPACKET` pair. A listening
//! socket rides beside its `BIND` as `SCM_RIGHTS`. `docs/protocols/keeper.md` tells the order; this crate only knows
//! what a message looks like. The encoding is canonical: a message has exactly one spelling, and any other is refused.

mod codec;
mod listener;
mod message;

pub use codec::{DecodeError, decode, encode};
pub use listener::{COUNT_MAX, LISTENERS_MAX, ListenerName, ListenerSpec, NAME_MAX_BYTES, NameError, Proto, ProtoError};
pub use message::{EXIT_SELF_TEST, Message, Parked, Reason, Switch, TEXT_MAX_BYTES, Text, VERB_MAX_CHARS, Verb};

/// The version of the control socket this crate speaks. Frozen when line 1.0 is cut.
pub const PROTOCOL: u32 = 1;

/// Longest message, in bytes. A datagram at this limit is refused rather than cut.
pub const MESSAGE_MAX_BYTES: usize = 4096;

/// Sockets beside one message: a `BIND` that passes a socket carries one, every other message none.
pub const SOCKETS_PER_MESSAGE_MAX: usize = 1;
