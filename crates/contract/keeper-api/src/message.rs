//! The messages of the control socket.

use crate::listener::{ListenerName, ListenerSpec};
use std::{fmt, str::FromStr};

/// Longest free text in a message (a version, the detail of a refusal), in bytes before encoding: three times this
/// and every other field still fit one message.
pub const TEXT_MAX_BYTES: usize = 1000;

/// Most characters of an unknown verb that a refusal repeats: enough to recognise it.
pub const VERB_MAX_CHARS: usize = 64;

/// Free text, cut at [`TEXT_MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Keeps as much of `text` as a message may carry.
    pub fn new(text: impl fmt::Display) -> Self {
        let mut text = text.to_string();
        let mut end = text.len().min(TEXT_MAX_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word, in the order of the protocol page.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($word => Ok($name::$variant),)* _ => Err(()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The verbs of version 1; the list is closed.
    Verb {
        /// Pass a socket, ask for one, or end a series of them.
        Bind = "BIND",
        /// Close a listener.
        Unbind = "UNBIND",
        /// The worker has tested itself and could serve.
        Ready = "READY",
        /// Begin to accept.
        Accept = "ACCEPT",
        /// Stop accepting.
        Stop = "STOP",
        /// Finish what is in flight; or how much is.
        Drain = "DRAIN",
        /// Stay idle as the way back.
        Park = "PARK",
        /// Serve again after a park.
        Unpark = "UNPARK",
        /// How a parked worker is.
        Parked = "PARKED",
        /// The boot record has changed.
        Slots = "SLOTS",
        /// Start another slot on trial and hand the listeners over to it.
        Switch = "SWITCH",
        /// Go back to the slot before.
        Back = "BACK",
        /// The slot on trial is good.
        Commit = "COMMIT",
        /// End the parked worker.
        Retire = "RETIRE",
        /// Let a digest that fell back be tried again.
        Unburn = "UNBURN",
        /// Start the keeper of the active slot in the place of this one.
        Restart = "RESTART",
        /// Leave at once.
        Exit = "EXIT",
        /// The message before was refused.
        Err = "ERR",
    }
}

words! {
    /// Why a message was refused; the list is closed.
    Reason {
        /// The verb is not one of version 1.
        UnknownVerb = "unknown_verb",
        /// The message is not a canonical spelling of a message.
        Malformed = "malformed",
        /// The verb is part of version 1 and this side does not carry it out.
        NotBuilt = "not_built",
        /// The verb is not legal now, or not from this side.
        OutOfOrder = "out_of_order",
        /// The worker speaks another version of the control socket.
        Protocol = "protocol",
        /// Somebody else holds the address.
        AddressInUse = "address_in_use",
        /// The machine does not have the address.
        AddressNotAvailable = "address_not_available",
        /// The keeper may not bind the address.
        PermissionDenied = "permission_denied",
        /// Another listener has the name.
        NameTaken = "name_taken",
        /// No listener has the name.
        NameUnknown = "name_unknown",
        /// The listener is listed in `device.toml` and only a change there removes it.
        InDeviceFile = "in_device_file",
        /// The device has its most listeners.
        TooManyListeners = "too_many_listeners",
        /// The slot is not there whole, or is not the one its digest names.
        SlotRefused = "slot_refused",
        /// The digest fell back on this device before.
        Burned = "burned",
        /// (term, generation) is lower than that of the last word obeyed.
        Stale = "stale",
        /// Another slot is on trial, or no slot is.
        Trial = "trial",
        /// There is no slot to go back to, or no worker is parked.
        NoWayBack = "no_way_back",
        /// The operating system refused for another reason; the detail names it.
        SystemError = "system_error",
    }
}

/// One message of the control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Worker to keeper: bind this listener and pass it.
    BindRequest(ListenerSpec),
    /// Keeper to worker, with one socket beside it: socket `index` of the listener's `count`.
    BindPassed {
        /// The listener the socket belongs to, with the address it really has.
        listener: ListenerSpec,
        /// Which of its sockets, from 0.
        index: u16,
    },
    /// Keeper to worker: every socket of `listeners` listeners has been passed since the last such message.
    BindDone {
        /// How many listeners were passed.
        listeners: u16,
    },
    /// Worker to keeper: close this listener. Keeper to worker: it is closed.
    Unbind {
        /// The listener.
        name: ListenerName,
    },
    /// Worker to keeper: tested and able to serve.
    Ready {
        /// The version of the control socket the worker speaks.
        protocol: u32,
        /// The version of the worker's build.
        version: Text,
    },
    /// Keeper to worker: begin to accept.
    Accept,
    /// Keeper to worker: stop accepting.
    Stop,
    /// Keeper to worker: finish what is in flight, then exit 0.
    Drain {
        /// Milliseconds until the keeper ends the process.
        deadline_ms: u64,
    },
    /// Worker to keeper: how much is in flight.
    Draining {
        /// Requests in flight.
        active: u64,
    },
    /// Keeper to worker: stay idle as the way back.
    Park,
    /// Keeper to worker: serve again.
    Unpark,
    /// A parked worker to the keeper, which passes it on to the worker that serves: once when it has stopped accepting and has
    /// let go of what only one may hold, then every second and when `contact` changes.
    Parked(Parked),
    /// Keeper to worker, behind `BIND done=1` and at every change: read the boot record.
    Slots {
        /// Its sequence number.
        seq: u64,
        /// A worker of the slot before is parked.
        parked: bool,
    },
    /// Worker to keeper: start this slot on trial. `SLOTS` follows: the record names the trial, or why it fell back.
    Switch(Switch),
    /// Worker to keeper: go back to the slot before. `SLOTS` follows, or `STOP` where that ends the sender.
    Back {
        /// Why, as the update machine says it; kept in the boot record.
        reason: Text,
        /// Whether the digest is not to be tried again.
        burn: bool,
    },
    /// Worker to keeper: the slot on trial is the last good one from now on. `SLOTS` follows.
    Commit,
    /// Worker to keeper: end the parked worker, which may finish what is in flight. `SLOTS` follows.
    Retire {
        /// Milliseconds it may take.
        deadline_ms: u64,
    },
    /// Worker to keeper: let this digest be tried again. `SLOTS` follows.
    Unburn {
        /// SHA-256 of the MANIFEST, hex.
        manifest: Text,
    },
    /// Worker to keeper: stop as on a signal, then run the keeper of the active slot in this process.
    Restart,
    /// Keeper to worker: leave at once.
    Exit,
    /// Either way: a message was refused. Never answered.
    Err {
        /// The verb of the refused message as it was read, empty when none could be.
        verb: Text,
        /// Why.
        reason: Reason,
        /// For a person: what happened and what to do.
        detail: Text,
    },
}

/// How a parked worker is. The counts are what it has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parked {
    /// It reaches the manager.
    pub contact: bool,
    /// Requests it still answers.
    pub active: u64,
    /// Viewer sessions among them.
    pub sessions: u64,
    /// Requests it answered.
    pub requests: u64,
    /// Body bytes it gave to viewers.
    pub client_bytes: u64,
}

/// A slot to start on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Its version; with the digest it names the slot.
    pub version: Text,
    /// SHA-256 of its MANIFEST, 64 hexadecimal digits.
    pub manifest: Text,
    /// Term of the word that is obeyed.
    pub term: u64,
    /// Its generation.
    pub generation: u64,
    /// Milliseconds until its worker must have said READY.
    pub ready_ms: u64,
    /// Milliseconds from its ACCEPT until COMMIT must have come; then the keeper goes back by itself.
    pub trial_ms: u64,
}

/// What a worker ends with, before READY, when its self-test fails (`EX_SOFTWARE` of sysexits.h).
pub const EXIT_SELF_TEST: u8 = 70;

impl Message {
    /// A refusal of `verb`, of which at most [`VERB_MAX_CHARS`] are repeated.
    pub fn refusal(verb: impl fmt::Display, reason: Reason, detail: impl fmt::Display) -> Self {
        let verb: String = verb.to_string().chars().take(VERB_MAX_CHARS).collect();
        Message::Err { verb: Text::new(verb), reason, detail: Text::new(detail) }
    }

    /// The verb this message is spelled with.
    pub fn verb(&self) -> Verb {
        match self {
            Message::BindRequest(_) | Message::BindPassed { .. } | Message::BindDone { .. } => Verb::Bind,
            Message::Unbind { .. } => Verb::Unbind,
            Message::Ready { .. } => Verb::Ready,
            Message::Accept => Verb::Accept,
            Message::Stop => Verb::Stop,
            Message::Drain { .. } | Message::Draining { .. } => Verb::Drain,
            Message::Park => Verb::Park,
            Message::Unpark => Verb::Unpark,
            Message::Parked(_) => Verb::Parked,
            Message::Slots { .. } => Verb::Slots,
            Message::Switch(_) => Verb::Switch,
            Message::Back { .. } => Verb::Back,
            Message::Commit => Verb::Commit,
            Message::Retire { .. } => Verb::Retire,
            Message::Unburn { .. } => Verb::Unburn,
            Message::Restart => Verb::Restart,
            Message::Exit => Verb::Exit,
            Message::Err { .. } => Verb::Err,
        }
    }
}
