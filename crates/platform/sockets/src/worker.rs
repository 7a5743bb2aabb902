//! The worker's half of the control socket: adopt the listeners, say READY, then follow what the keeper says.

use crate::control::{ControlError, ControlSocket, Received};
use std::{
    io,
    net::{TcpListener, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};
use weir_keeper_api::{ListenerName, ListenerSpec, Message, PROTOCOL, Parked, Proto, Reason, Switch, Text, Verb, decode};

/// How long a starting worker waits for its listeners: the keeper sends them before anything else.
pub const BIND_PATIENCE: Duration = Duration::from_secs(10);

/// The sockets of one listener, non-blocking.
#[derive(Debug)]
pub enum AdoptedSockets {
    /// Listening stream sockets.
    Tcp(Vec<TcpListener>),
    /// Bound datagram sockets.
    Udp(Vec<UdpSocket>),
}

/// One listener the keeper passed, with every socket of it.
#[derive(Debug)]
pub struct Adopted {
    /// What it is; the address is the one the sockets really have.
    pub listener: ListenerSpec,
    /// Its sockets, `listener.count` of them.
    pub sockets: AdoptedSockets,
}

/// What the keeper says to a running worker.
#[derive(Debug)]
pub enum Event {
    /// Begin to accept.
    Accept,
    /// Stop accepting.
    Stop,
    /// Finish what is in flight, tell [`ControlSender::draining`] as it goes, exit 0.
    Drain {
        /// How long until the keeper ends the process.
        deadline: Duration,
    },
    /// Stop accepting, let go of what only one worker may hold, say [`ControlSender::parked`], and stay as the way back.
    Park,
    /// Take the configuration in force up, accept again, and say [`ControlSender::ready`].
    Unpark,
    /// How the parked worker of this device is.
    Parked(Parked),
    /// The boot record has changed; the first one comes behind the listeners.
    Slots {
        /// Its sequence number.
        seq: u64,
        /// A worker of the slot before is parked.
        parked: bool,
    },
    /// Exit at once.
    Exit,
    /// A listener asked for with [`ControlSender::bind`].
    Bound(Adopted),
    /// A listener given back with [`ControlSender::unbind`] is closed on the keeper's side too.
    Unbound(ListenerName),
    /// The keeper refused what was asked.
    Refused {
        /// The verb refused.
        verb: Text,
        /// Why.
        reason: Reason,
        /// For a person.
        detail: Text,
    },
    /// The keeper is gone: close the listeners at once, finish for at most 10 s, exit.
    Closed,
}

/// The sending half, for any thread.
#[derive(Debug, Clone)]
pub struct ControlSender {
    control: Arc<ControlSocket>,
}

impl ControlSender {
    /// Says that this build has tested itself and could serve. [`Event::Accept`] follows.
    ///
    /// # Errors
    /// As [`ControlSocket::tell`], here and below.
    pub fn ready(&self, version: &str) -> Result<(), ControlError> {
        self.control.tell(&Message::Ready { protocol: PROTOCOL, version: Text::new(version) }, &[])
    }

    /// Says how many requests are in flight during a drain.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn draining(&self, active: u64) -> Result<(), ControlError> {
        self.control.tell(&Message::Draining { active }, &[])
    }

    /// Says how this parked worker is: once when it is parked, then every second and when the contact changes.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn parked(&self, parked: Parked) -> Result<(), ControlError> {
        self.control.tell(&Message::Parked(parked), &[])
    }

    /// Asks the keeper to start another slot on trial. [`Event::Slots`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn switch(&self, switch: Switch) -> Result<(), ControlError> {
        self.control.tell(&Message::Switch(switch), &[])
    }

    /// Asks the keeper to go back to the slot before. [`Event::Slots`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn back(&self, reason: &str, burn: bool) -> Result<(), ControlError> {
        self.control.tell(&Message::Back { reason: Text::new(reason), burn }, &[])
    }

    /// Makes the slot on trial the last good one. [`Event::Slots`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn commit(&self) -> Result<(), ControlError> {
        self.control.tell(&Message::Commit, &[])
    }

    /// Ends the parked worker. [`Event::Slots`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn retire(&self, deadline: Duration) -> Result<(), ControlError> {
        self.control.tell(&Message::Retire { deadline_ms: weir_clock::millis(deadline) }, &[])
    }

    /// Lets a digest that fell back be tried again. [`Event::Slots`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn unburn(&self, manifest: &str) -> Result<(), ControlError> {
        self.control.tell(&Message::Unburn { manifest: Text::new(manifest) }, &[])
    }

    /// Asks for the keeper of the active slot in the place of the one that runs: a cold restart of the device.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn restart(&self) -> Result<(), ControlError> {
        self.control.tell(&Message::Restart, &[])
    }

    /// Says that what the keeper said is not carried out.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn refuse(&self, verb: Verb, reason: Reason, detail: &str) -> Result<(), ControlError> {
        self.control.tell(&Message::refusal(verb, reason, detail), &[])
    }

    /// Asks for one more listener; [`Event::Bound`] or [`Event::Refused`] follows. It is passed first after a restart.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn bind(&self, listener: &ListenerSpec) -> Result<(), ControlError> {
        self.control.tell(&Message::BindRequest(listener.clone()), &[])
    }

    /// Gives back a listener that was asked for; [`Event::Unbound`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// See [`ControlSender::ready`].
    pub fn unbind(&self, name: &ListenerName) -> Result<(), ControlError> {
        self.control.tell(&Message::Unbind { name: name.clone() }, &[])
    }
}

/// The receiving half; one thread of the worker owns it.
#[derive(Debug)]
pub struct WorkerControl {
    control: Arc<ControlSocket>,
    arriving: Option<Arriving>,
}

impl WorkerControl {
    /// Takes the control socket this process inherited as its standard input, and the listeners the keeper passes.
    ///
    /// # Errors
    /// [`ControlError::Io`] when standard input is not such a socket: this process was not started by a keeper.
    /// [`ControlError::TimedOut`] when the listeners do not arrive within [`BIND_PATIENCE`].
    pub fn from_stdin() -> Result<(Self, Vec<Adopted>), ControlError> {
        let stdin = io::stdin();
        Self::connect(stdin.as_fd().try_clone_to_owned()?)
    }

    /// Takes the worker's end of a control socket, and the listeners the keeper passes.
    ///
    /// # Errors
    /// As [`WorkerControl::from_stdin`].
    pub fn connect(end: OwnedFd) -> Result<(Self, Vec<Adopted>), ControlError> {
        // A terminal or a pipe would only time out; this says at once that no keeper started the process.
        rustix::net::sockopt::socket_type(&end)?;
        let mut control = Self { control: Arc::new(ControlSocket::from_fd(end)), arriving: None };
        let deadline = weir_clock::monotonic() + BIND_PATIENCE;
        let mut adopted = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(weir_clock::monotonic());
            let Received { bytes, sockets } = control.control.recv(Some(left))?;
            match decode(&bytes)? {
                Message::BindPassed { listener, index } => adopted.extend(control.arrive(listener, index, sockets)?),
                Message::BindDone { listeners } if usize::from(listeners) == adopted.len() && control.arriving.is_none() => {
                    return Ok((control, adopted));
                }
                Message::BindDone { .. } => return Err(ControlError::Sockets { verb: Verb::Bind.to_string() }),
                other => return Err(ControlError::OutOfOrder { found: other.verb().to_string(), expected: "the listeners" }),
            }
        }
    }

    /// The sending half.
    pub fn sender(&self) -> ControlSender {
        ControlSender { control: Arc::clone(&self.control) }
    }

    /// What the keeper says next; `None` when it said nothing for `patience`. What version 1 does not know is
    /// answered with `ERR` and not returned.
    ///
    /// # Errors
    /// The system's; a keeper that is gone is [`Event::Closed`].
    pub fn next(&mut self, patience: Option<Duration>) -> Result<Option<Event>, ControlError> {
        loop {
            let Received { bytes, sockets } = match self.control.recv(patience) {
                Ok(received) => received,
                Err(ControlError::Closed) => return Ok(Some(Event::Closed)),
                Err(ControlError::TimedOut(_)) => return Ok(None),
                Err(ControlError::TooMuch) => {
                    self.refuse("", Reason::Malformed, "over the limits of the control socket")?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let message = match decode(&bytes) {
                Ok(message) => message,
                Err(error) => {
                    self.refuse_undecodable(&error)?;
                    continue;
                }
            };
            if let Some(event) = self.follow(message, sockets)? {
                return Ok(Some(event));
            }
        }
    }

    fn follow(&mut self, message: Message, sockets: Vec<OwnedFd>) -> Result<Option<Event>, ControlError> {
        Ok(Some(match message {
            Message::Accept => Event::Accept,
            Message::Stop => Event::Stop,
            Message::Drain { deadline_ms } => Event::Drain { deadline: Duration::from_millis(deadline_ms) },
            Message::Exit => Event::Exit,
            Message::Unbind { name } => Event::Unbound(name),
            Message::Err { verb, reason, detail } => Event::Refused { verb, reason, detail },
            Message::BindPassed { listener, index } => return Ok(self.arrive(listener, index, sockets)?.map(Event::Bound)),
            Message::BindDone { .. } => return Ok(None),
            Message::Park => Event::Park,
            Message::Unpark => Event::Unpark,
            Message::Parked(parked) => Event::Parked(parked),
            Message::Slots { seq, parked } => Event::Slots { seq, parked },
            Message::BindRequest(_)
            | Message::Ready { .. }
            | Message::Draining { .. }
            | Message::Switch(_)
            | Message::Back { .. }
            | Message::Commit
            | Message::Retire { .. }
            | Message::Unburn { .. }
            | Message::Restart => {
                self.refuse(message.verb().as_str(), Reason::OutOfOrder, "only a worker says this")?;
                return Ok(None);
            }
        }))
    }

    fn refuse_undecodable(&self, error: &weir_keeper_api::DecodeError) -> Result<(), ControlError> {
        match error {
            // An ERR is never answered, not even a broken one: two ends would answer each other for ever.
            error if error.verb() == Verb::Err.as_str() => Ok(()),
            weir_keeper_api::DecodeError::UnknownVerb(verb) => self.refuse(verb, Reason::UnknownVerb, error),
            error => self.refuse(error.verb(), Reason::Malformed, error),
        }
    }

    fn refuse(&self, verb: &str, reason: Reason, detail: impl std::fmt::Display) -> Result<(), ControlError> {
        match self.control.tell(&Message::refusal(verb, reason, detail), &[]) {
            // The next receive says so.
            Err(ControlError::Closed) => Ok(()),
            result => result,
        }
    }

    /// Takes one socket; the listener when it was its last.
    fn arrive(&mut self, listener: ListenerSpec, index: u16, mut sockets: Vec<OwnedFd>) -> Result<Option<Adopted>, ControlError> {
        let wrong = || ControlError::Sockets { verb: Verb::Bind.to_string() };
        let socket = sockets.pop().filter(|_| sockets.is_empty()).ok_or_else(wrong)?;
        let mut arriving = self.arriving.take().unwrap_or_else(|| Arriving { listener: listener.clone(), sockets: Vec::new() });
        if arriving.listener != listener || arriving.sockets.len() != usize::from(index) {
            return Err(wrong());
        }
        arriving.sockets.push(socket);
        if arriving.sockets.len() < usize::from(listener.count) {
            self.arriving = Some(arriving);
            return Ok(None);
        }
        Ok(Some(arriving.adopt()))
    }
}

/// A listener of which not every socket has come.
#[derive(Debug)]
struct Arriving {
    listener: ListenerSpec,
    sockets: Vec<OwnedFd>,
}

impl Arriving {
    fn adopt(self) -> Adopted {
        let sockets = self.sockets.into_iter();
        let sockets = match self.listener.proto {
            Proto::Tcp => AdoptedSockets::Tcp(sockets.map(TcpListener::from).collect()),
            Proto::Udp => AdoptedSockets::Udp(sockets.map(UdpSocket::from).collect()),
        };
        Adopted { listener: self.listener, sockets }
    }
}

#[cfg(test)]
mod tests;
