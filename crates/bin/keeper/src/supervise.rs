//! The loop: start the worker, follow what it says, start it again when it ends, stop it when told to.

use crate::{
    account::Account,
    arguments::Arguments,
    backoff::{Backoff, Ended},
    claim::Claim,
    device_log::DeviceLog,
    failure::{self, Failure},
    listeners::{Listeners, Refusal},
    watch::Watch,
    worker::{History, KillReason, Stage, Worker, exit_text},
};
use std::{
    io,
    os::fd::AsFd,
    process::ExitStatus,
    time::{Duration, Instant},
};
use weir_keeper_api::{DecodeError, Message, PROTOCOL, Reason, Verb, decode};
use weir_slots::{DataDirectory, VerifyError, verify_active};
use weir_sockets::{ControlError, ControlSocket};

/// How long the worker may drain when the lifeline closes: whoever held it is gone, and nothing of it may stay.
const LIFELINE_DRAIN: Duration = Duration::from_secs(2);

/// Beyond its drain, how long a worker may take to end before its process is killed.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// How long a worker that closed its control socket may take to end.
const CLOSED_GRACE: Duration = Duration::from_secs(10);

/// Messages read in one turn, so that a worker that never stops talking does not keep a signal waiting.
const MESSAGES_PER_TURN: usize = 64;

/// What the loop turns on.
pub(crate) struct Supervisor<'a> {
    data: &'a DataDirectory,
    claim: &'a Claim,
    log: &'a DeviceLog,
    drain: Duration,
    ready: Duration,
    user: Option<Account>,
    listeners: Listeners,
    watch: Watch,
    worker: Option<Worker>,
    start_at: Instant,
    backoff: Backoff,
    history: History,
    stopping: bool,
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(
        arguments: &Arguments,
        data: &'a DataDirectory,
        claim: &'a Claim,
        log: &'a DeviceLog,
        listeners: Listeners,
        watch: Watch,
        user: Option<Account>,
    ) -> Self {
        Self {
            data,
            claim,
            log,
            drain: arguments.drain,
            ready: arguments.ready,
            user,
            listeners,
            watch,
            worker: None,
            start_at: weir_clock::monotonic(),
            backoff: Backoff::default(),
            history: History::default(),
            stopping: false,
        }
    }

    /// Turns until the keeper was told to stop and no worker is left.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        self.log.info("listeners bound", &[("listeners", self.listeners.shown().into())]);
        let result = self.turn_until_stopped();
        // A keeper that fails takes its worker along: nobody would hold its listeners or start it again.
        if result.is_err() && self.worker.is_some() {
            self.stop(Duration::ZERO, "keeper_failed");
            while self.worker.is_some() {
                self.turn()?;
            }
        }
        result
    }

    fn turn_until_stopped(&mut self) -> Result<(), Failure> {
        while !(self.stopping && self.worker.is_none()) {
            if self.worker.is_none() && self.start_at <= weir_clock::monotonic() {
                self.start()?;
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Waits for news and follows it.
    fn turn(&mut self) -> Result<(), Failure> {
        let control = self.worker.as_ref().and_then(|worker| worker.control.as_ref()).map(AsFd::as_fd);
        let process = self.worker.as_ref().map(Worker::process);
        let until = match &self.worker {
            Some(worker) => worker.end.map(|(moment, _)| moment),
            None => Some(self.start_at),
        };
        let news = self.watch.wait(control, process, until)?;
        if news.control {
            self.listen();
        }
        if news.worker {
            self.reap()?;
        }
        if news.signal {
            match &mut self.worker {
                Some(worker) if self.stopping => worker.end_by(weir_clock::monotonic(), KillReason::SecondSignal),
                _ => self.stop(self.drain, "signal"),
            }
        }
        if news.lifeline {
            self.stop(self.drain.min(LIFELINE_DRAIN), "lifeline");
        }
        if let Some(worker) = &mut self.worker
            && let Some(reason) = worker.end_if_due().map_err(Failure::system("kill the worker"))?
        {
            self.log.error("worker killed", &[("pid", worker.pid().into()), ("reason", reason.as_str().into())]);
        }
        Ok(())
    }

    /// Verifies the active slot and starts its worker. A slot that does not verify is a failure of the keeper; a
    /// process that cannot be started counts as an exit and is tried again.
    fn start(&mut self) -> Result<(), Failure> {
        let slot = match verify_active(self.data) {
            // Reading failed, which says nothing against the slot: a worker that could not be started, so far.
            Err(VerifyError::Disk(error)) if error.source.kind() != io::ErrorKind::NotFound => {
                let text = failure::chain(&error);
                self.log.error("slot not read", &[("error", text.as_str().into())]);
                self.ended_unexpectedly(Ended::Unexpectedly, Duration::ZERO, format!("not started: {text}"));
                return Ok(());
            }
            verified => verified?,
        };
        if let Some((half, why)) = slot.damaged_half {
            self.log.warn("half of the boot record is damaged", &[("half", half.into()), ("error", why.to_string().into())]);
        }
        let worker = match Worker::start(self.data, &slot, self.user, &self.history, self.ready) {
            Ok(worker) => worker,
            Err(error) => {
                self.log.error("worker not started", &[("slot", slot.slot.name.into()), ("error", error.to_string().into())]);
                self.ended_unexpectedly(Ended::Unexpectedly, Duration::ZERO, format!("not started: {error}"));
                return Ok(());
            }
        };
        self.log.info("worker started", &[("pid", worker.pid().into()), ("slot", slot.slot.name.into())]);
        if let Err(error) = self.claim.worker_started(worker.pid()) {
            self.log.warn("worker.pid not written", &[("error", error.to_string().into())]);
        }
        let passed = self.listeners.pass_all(worker.control.as_ref().expect("a fresh worker has its control socket"));
        self.worker = Some(worker);
        self.sent(passed);
        Ok(())
    }

    /// Reads what the worker said.
    fn listen(&mut self) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(control) = self.control() else { return };
            match control.recv(Some(Duration::ZERO)) {
                Ok(received) => self.hear(&received.bytes),
                Err(ControlError::TimedOut(_)) => return,
                Err(ControlError::TooMuch) => self.refuse("", Reason::Malformed, "over the limits of the control socket"),
                Err(error) => return self.control_lost(&error),
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        match decode(bytes) {
            Ok(message) => self.follow(message),
            // An ERR is never answered, not even a broken one: two ends would answer each other for ever.
            Err(error) if error.verb() == Verb::Err.as_str() => {
                self.log.warn("worker sent a broken ERR", &[("error", error.to_string().into())]);
            }
            Err(DecodeError::UnknownVerb(verb)) => self.refuse(&verb, Reason::UnknownVerb, "not a verb of control socket version 1"),
            Err(error) => self.refuse(error.verb(), Reason::Malformed, &error.to_string()),
        }
    }

    fn follow(&mut self, message: Message) {
        match message {
            Message::Ready { protocol, version } => self.ready(protocol, version.as_str()),
            Message::BindRequest(listener) => {
                let result = self.listeners.add(&listener);
                self.answer(Verb::Bind, result, |s, control| s.listeners.pass_one(&listener.name, control));
            }
            Message::Unbind { name } => {
                let result = self.listeners.remove(&name);
                self.answer(Verb::Unbind, result, |_, control| control.tell(&Message::Unbind { name: name.clone() }, &[]));
            }
            Message::Draining { active } => self.log.info("worker drains", &[("active", active.into())]),
            Message::Err { verb, reason, detail } => {
                let fields = [("verb", verb.as_str().into()), ("reason", reason.as_str().into()), ("detail", detail.as_str().into())];
                self.log.warn("worker refused a message", &fields);
            }
            Message::Parked(_)
            | Message::Switch(_)
            | Message::Back { .. }
            | Message::Commit
            | Message::Retire { .. }
            | Message::Unburn { .. }
            | Message::Restart => {
                self.refuse(message.verb().as_str(), Reason::NotBuilt, "this keeper runs one worker and parks none");
            }
            Message::BindPassed { .. }
            | Message::BindDone { .. }
            | Message::Accept
            | Message::Stop
            | Message::Drain { .. }
            | Message::Park
            | Message::Unpark
            | Message::Slots { .. }
            | Message::Exit => {
                self.refuse(message.verb().as_str(), Reason::OutOfOrder, "only a keeper says this");
            }
        }
    }

    fn ready(&mut self, protocol: u32, version: &str) {
        if protocol != PROTOCOL {
            self.refuse(Verb::Ready.as_str(), Reason::Protocol, &format!("this keeper speaks version {PROTOCOL}"));
            return self.end_worker(Duration::ZERO, KillReason::ControlBroken);
        }
        let Some(worker) = &mut self.worker else { return };
        if worker.stage != Stage::Starting {
            return self.refuse(Verb::Ready.as_str(), Reason::OutOfOrder, "READY was said before");
        }
        if self.stopping {
            return;
        }
        worker.stage = Stage::Accepting;
        worker.end = None;
        let fields = [("pid", worker.pid().into()), ("worker_version", version.into()), ("ready_ms", millis(worker.ran()))];
        self.log.info("worker ready", &fields);
        self.tell(&Message::Accept);
    }

    fn answer(&mut self, verb: Verb, result: Result<(), Refusal>, done: impl FnOnce(&Self, &ControlSocket) -> Result<(), ControlError>) {
        match result {
            Ok(()) => {
                self.log.info("listeners changed", &[("listeners", self.listeners.shown().into())]);
                let sent = self.control().map_or(Ok(()), |control| done(self, control));
                self.sent(sent);
            }
            Err(refusal) => self.refuse(verb.as_str(), refusal.reason, &refusal.detail),
        }
    }

    fn refuse(&mut self, verb: &str, reason: Reason, detail: &str) {
        let fields = [("verb", verb.into()), ("reason", reason.as_str().into()), ("detail", detail.into())];
        self.log.warn("message of the worker refused", &fields);
        self.tell(&Message::refusal(verb, reason, detail));
    }

    fn control(&self) -> Option<&ControlSocket> {
        self.worker.as_ref().and_then(|worker| worker.control.as_ref())
    }

    fn tell(&mut self, message: &Message) {
        let sent = self.control().map_or(Ok(()), |control| control.tell(message, &[]));
        self.sent(sent);
    }

    fn sent(&mut self, sent: Result<(), ControlError>) {
        match sent {
            // A worker on its way out no longer reads; its end says more than this does.
            Ok(()) | Err(ControlError::Closed) => {}
            Err(error) => self.control_lost(&error),
        }
    }

    /// The control socket is of no more use: a worker that closed it is ending, any other is ended.
    fn control_lost(&mut self, error: &ControlError) {
        if let Some(worker) = &mut self.worker {
            worker.control = None;
        }
        match error {
            ControlError::Closed => self.end_worker(CLOSED_GRACE, KillReason::ControlClosed),
            error => {
                self.log.error("control socket lost", &[("error", failure::chain(error).into())]);
                self.end_worker(Duration::ZERO, KillReason::ControlBroken);
            }
        }
    }

    fn end_worker(&mut self, within: Duration, reason: KillReason) {
        if let Some(worker) = &mut self.worker {
            worker.end_by(weir_clock::monotonic() + within, reason);
        }
    }

    /// Begins to stop. A worker that accepts drains; one that never did leaves at once.
    fn stop(&mut self, drain: Duration, why: &str) {
        self.log.info("keeper stops", &[("why", why.into()), ("drain_ms", millis(drain))]);
        self.stopping = true;
        let Some(worker) = &self.worker else { return };
        if worker.stage == Stage::Accepting {
            self.tell(&Message::Stop);
            self.tell(&Message::Drain { deadline_ms: weir_clock::millis(drain) });
            self.end_worker(drain + KILL_GRACE, KillReason::StopOverdue);
        } else {
            self.tell(&Message::Exit);
            self.end_worker(KILL_GRACE, KillReason::StopOverdue);
        }
    }

    /// Takes note of a worker that has ended.
    fn reap(&mut self) -> Result<(), Failure> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        let Some(status) = worker.ended().map_err(Failure::system("reap the worker"))? else { return Ok(()) };
        let (pid, ran, text) = (worker.pid(), worker.ran(), exit_text(status));
        self.worker = None;
        self.claim.worker_gone();
        let fields = [("pid", pid.into()), ("exit", text.as_str().into()), ("ran_ms", millis(ran))];
        if self.stopping {
            self.log.info("worker stopped", &fields);
        } else {
            self.log.error("worker ended unexpectedly", &fields);
            self.ended_unexpectedly(ended(status), ran, text);
        }
        Ok(())
    }

    fn ended_unexpectedly(&mut self, ended: Ended, ran: Duration, text: String) {
        let (backoff, wait) = self.backoff.after(ended, ran);
        self.backoff = backoff;
        self.start_at = weir_clock::monotonic() + wait;
        self.history = History { crashes: self.history.crashes.saturating_add(1), last_exit: Some(text) };
        self.log.info("worker starts again", &[("wait_ms", millis(wait)), ("crashes", self.history.crashes.into())]);
    }
}

fn ended(status: ExitStatus) -> Ended {
    if status.code() == Some(crate::EXIT_CONFIGURATION.into()) { Ended::Misconfigured } else { Ended::Unexpectedly }
}

fn millis(duration: Duration) -> serde_json::Value {
    weir_clock::millis(duration).into()
}
