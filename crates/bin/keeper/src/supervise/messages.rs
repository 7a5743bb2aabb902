//! What workers say, and what they are answered.

use super::{Supervisor, millis};
use crate::{
    failure,
    listeners::Refusal,
    worker::{KillReason, Stage},
};
use std::time::Duration;
use weir_keeper_api::{DecodeError, Message, PROTOCOL, Parked, Reason, Verb, decode};
use weir_sockets::{ControlError, ControlSocket};

/// Messages read of one worker in one turn, so that one that never stops talking does not keep a signal waiting.
const MESSAGES_PER_TURN: usize = 64;

/// How long a worker that closed its control socket may take to end.
const CLOSED_GRACE: Duration = Duration::from_secs(10);

impl Supervisor<'_> {
    /// Reads what a worker said.
    pub(super) fn listen(&mut self, pid: u32) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(control) = self.workers.control(pid) else { return };
            match control.recv(Some(Duration::ZERO)) {
                Ok(received) => self.hear(pid, &received.bytes),
                Err(ControlError::TimedOut(_)) => return,
                Err(ControlError::TooMuch) => {
                    self.refuse(pid, "", &Refusal::new(Reason::Malformed, "over the limits of the control socket"))
                }
                Err(error) => return self.control_lost(pid, &error),
            }
        }
    }

    fn hear(&mut self, pid: u32, bytes: &[u8]) {
        match decode(bytes) {
            Ok(message) => self.follow(pid, message),
            // An ERR is never answered, not even a broken one: two ends would answer each other for ever.
            Err(error) if error.verb() == Verb::Err.as_str() => {
                self.log.warn("worker sent a broken ERR", &[("error", error.to_string().into())]);
            }
            Err(DecodeError::UnknownVerb(verb)) => {
                self.refuse(pid, &verb, &Refusal::new(Reason::UnknownVerb, "not a verb of control socket version 1"));
            }
            Err(error) => self.refuse(pid, error.verb(), &Refusal::new(Reason::Malformed, &error)),
        }
    }

    fn follow(&mut self, pid: u32, message: Message) {
        match message {
            Message::Ready { protocol, version } => self.ready(pid, protocol, version.as_str()),
            Message::BindRequest(listener) => {
                let result = self.listeners.add(&listener);
                self.answer_bind(pid, Verb::Bind, result, |s, control| s.listeners.pass_one(&listener.name, control));
            }
            Message::Unbind { name } => {
                let result = self.listeners.remove(&name);
                self.answer_bind(pid, Verb::Unbind, result, |_, control| control.tell(&Message::Unbind { name: name.clone() }, &[]));
            }
            Message::Draining { active } => self.log.info("worker drains", &[("pid", pid.into()), ("active", active.into())]),
            Message::Parked(parked) => self.parked(pid, parked),
            Message::Err { verb, reason, detail } => {
                let fields = [("verb", verb.as_str().into()), ("reason", reason.as_str().into()), ("detail", detail.as_str().into())];
                self.log.warn("worker refused a message", &fields);
                self.refused_by(pid, verb.as_str());
            }
            Message::Switch(_)
            | Message::Back { .. }
            | Message::Commit
            | Message::Retire { .. }
            | Message::Unburn { .. }
            | Message::Restart => self.obey(pid, message),
            Message::BindPassed { .. }
            | Message::BindDone { .. }
            | Message::Accept
            | Message::Stop
            | Message::Drain { .. }
            | Message::Park
            | Message::Unpark
            | Message::Slots { .. }
            | Message::Exit => {
                self.refuse(pid, message.verb().as_str(), &Refusal::new(Reason::OutOfOrder, "only a keeper says this"));
            }
        }
    }

    /// Words about slots, of the one worker that serves. `SLOTS` or `ERR` answers each.
    fn obey(&mut self, pid: u32, message: Message) {
        let verb = message.verb();
        let serves = self.workers.get(pid).is_some_and(|worker| worker.stage == Stage::Accepting);
        let done = if self.stopping.is_some() {
            Err(Refusal::new(Reason::OutOfOrder, "the keeper stops"))
        } else if !serves {
            Err(Refusal::new(Reason::OutOfOrder, "only the worker that serves says this"))
        } else {
            match message {
                Message::Switch(switch) => self.switch(pid, &switch),
                Message::Back { reason, burn } => self.back(reason.as_str(), burn),
                Message::Commit => self.commit(pid),
                Message::Retire { deadline_ms } => self.retire(deadline_ms),
                Message::Unburn { manifest } => self.unburn(manifest.as_str()),
                _ => self.restart(),
            }
        };
        match done {
            Ok(()) => self.tell_slots(),
            Err(refusal) => self.refuse(pid, verb.as_str(), &refusal),
        }
    }

    fn ready(&mut self, pid: u32, protocol: u32, version: &str) {
        if protocol != PROTOCOL {
            let detail = format!("this keeper speaks version {PROTOCOL}");
            self.refuse(pid, Verb::Ready.as_str(), &Refusal::new(Reason::Protocol, detail));
            return self.end_by(pid, Duration::ZERO, KillReason::ControlBroken);
        }
        let Some(worker) = self.workers.get(pid) else { return };
        let (stage, ran) = (worker.stage, worker.ran());
        match stage {
            Stage::Starting => {
                let fields = [("pid", pid.into()), ("worker_version", version.into()), ("ready_ms", millis(ran))];
                self.log.info("worker ready", &fields);
                self.take_over_from_serving(pid);
            }
            Stage::Unparking => self.unparked(pid),
            // The word crossed with the one that ends it.
            Stage::Leaving => {}
            _ => self.refuse(pid, Verb::Ready.as_str(), &Refusal::new(Reason::OutOfOrder, "READY was said before")),
        }
    }

    /// Passes on how the parked worker is.
    pub(super) fn pass_on(&mut self, parked: Parked) {
        if let Some(serving) = self.workers.at(Stage::Accepting) {
            self.tell(serving, &Message::Parked(parked));
        }
    }

    /// Says that the boot record, or whether a worker is parked, has changed.
    pub(super) fn tell_slots(&mut self) {
        let message = self.slots();
        for pid in self.workers.among(&[Stage::Accepting, Stage::Starting, Stage::Ready]) {
            self.tell(pid, &message);
        }
    }

    pub(super) fn slots(&self) -> Message {
        Message::Slots { seq: self.ledger.seq(), parked: self.workers.at(Stage::Parked).is_some() }
    }

    fn answer_bind(
        &mut self,
        pid: u32,
        verb: Verb,
        result: Result<(), Refusal>,
        done: impl FnOnce(&Self, &ControlSocket) -> Result<(), ControlError>,
    ) {
        match result {
            Ok(()) => {
                self.log.info("listeners changed", &[("listeners", self.listeners.shown().into())]);
                let sent = self.workers.control(pid).map_or(Ok(()), |control| done(self, control));
                self.sent(pid, sent);
            }
            Err(refusal) => self.refuse(pid, verb.as_str(), &refusal),
        }
    }

    pub(super) fn refuse(&mut self, pid: u32, verb: &str, refusal: &Refusal) {
        let fields = [("verb", verb.into()), ("reason", refusal.reason.as_str().into()), ("detail", refusal.detail.as_str().into())];
        self.log.warn("message of the worker refused", &fields);
        self.tell(pid, &Message::refusal(verb, refusal.reason, &refusal.detail));
    }

    pub(super) fn tell(&mut self, pid: u32, message: &Message) {
        let sent = self.workers.control(pid).map_or(Ok(()), |control| control.tell(message, &[]));
        self.sent(pid, sent);
    }

    pub(super) fn sent(&mut self, pid: u32, sent: Result<(), ControlError>) {
        match sent {
            // A worker on its way out no longer reads; its end says more than this does.
            Ok(()) | Err(ControlError::Closed) => {}
            Err(error) => self.control_lost(pid, &error),
        }
    }

    /// The control socket is of no more use: a worker that closed it is ending, any other is ended.
    fn control_lost(&mut self, pid: u32, error: &ControlError) {
        if let Some(worker) = self.workers.get_mut(pid) {
            worker.control = None;
        }
        match error {
            ControlError::Closed => self.end_by(pid, CLOSED_GRACE, KillReason::ControlClosed),
            error => {
                self.log.error("control socket lost", &[("error", failure::chain(error).into())]);
                self.end_by(pid, Duration::ZERO, KillReason::ControlBroken);
            }
        }
    }
}
