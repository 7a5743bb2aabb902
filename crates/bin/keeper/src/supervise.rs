//! The loop: start workers, follow what they say, start them again when they end, stop them when told to.
//!
//! - `messages`: what a worker says, and what it is answered.
//! - `handover`: from the worker that serves to the one on trial, and back.
//! - `ending`: what follows from the end of a worker, and how one is ended.
//! - `starting`: which slot is started, and when.
//! - `succession`: another keeper in the place of this one.

mod ending;
mod handover;
mod messages;
mod starting;
mod succession;

use crate::{
    account::Account,
    arguments::Arguments,
    backoff::Backoff,
    claim::Claim,
    device_log::DeviceLog,
    failure::{self, Failure},
    ledger::Ledger,
    listeners::Listeners,
    program::{Program, Successor},
    watch::Watch,
    worker::{History, KillReason},
    workers::Workers,
};
use starting::Next;
use std::time::{Duration, Instant};
use weir_slots::{DataDirectory, Digest};

/// How long workers may drain when the lifeline closes: whoever held it is gone, and nothing of it may stay.
const LIFELINE_DRAIN: Duration = Duration::from_secs(2);

/// What belongs to the device this keeper keeps.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) data: &'a DataDirectory,
    pub(crate) claim: &'a Claim,
    pub(crate) log: &'a DeviceLog,
    pub(crate) program: &'a Program,
    /// Whom workers run as.
    pub(crate) user: Option<Account>,
}

/// What comes when no worker is left.
enum Stopping {
    /// The keeper's end.
    ForGood,
    /// Another keeper.
    For(Successor),
}

/// What the loop turns on.
pub(crate) struct Supervisor<'a> {
    data: &'a DataDirectory,
    claim: &'a Claim,
    log: &'a DeviceLog,
    program: &'a Program,
    user: Option<Account>,
    drain: Duration,
    ready: Duration,
    reserve_bytes: u64,
    listeners: Listeners,
    watch: Watch,
    ledger: Ledger,
    workers: Workers,
    /// The worker `run/worker.pid` names.
    named: Option<u32>,
    /// The slot to start on trial.
    next: Option<Next>,
    /// When a worker is started that is wanted because none serves.
    start_at: Instant,
    /// The next worker is started only when no other is left: memory holds one.
    alone: bool,
    /// When a slot on trial that serves must have been committed.
    trial_end: Option<Instant>,
    /// Unexpected ends of a committed worker while the one before it was parked.
    probation_crashes: u32,
    /// Failed reads of the active slot in a row.
    unread: u32,
    /// The program of another keeper that the system did not execute: asking again would only end the worker again.
    not_executed: Option<Digest>,
    backoff: Backoff,
    history: History,
    stopping: Option<Stopping>,
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(arguments: &Arguments, place: Place<'a>, listeners: Listeners, watch: Watch) -> Result<Self, Failure> {
        let Place { data, claim, log, program, user } = place;
        let (ledger, damaged) = Ledger::read(data)?;
        if let Some((half, why)) = damaged {
            log.warn("half of the boot record is damaged", &[("half", half.into()), ("error", why.to_string().into())]);
        }
        Ok(Self {
            data,
            claim,
            log,
            program,
            user,
            drain: arguments.drain,
            ready: arguments.ready,
            reserve_bytes: arguments.reserve_bytes,
            listeners,
            watch,
            ledger,
            workers: Workers::default(),
            named: None,
            next: None,
            start_at: weir_clock::monotonic(),
            alone: false,
            trial_end: None,
            probation_crashes: 0,
            unread: 0,
            not_executed: None,
            backoff: Backoff::default(),
            history: History::default(),
            stopping: None,
        })
    }

    /// Turns until the keeper was told to stop and no worker is left.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        self.log.info("listeners bound", &[("listeners", self.listeners.shown().into())]);
        let result = self.turn_until_stopped();
        // A keeper that fails takes its workers along: nobody would hold their listeners or start them again.
        if result.is_err() && !self.workers.is_empty() {
            self.stop(Stopping::ForGood, Duration::ZERO, "keeper_failed");
            while !self.workers.is_empty() {
                self.turn()?;
            }
        }
        result
    }

    fn turn_until_stopped(&mut self) -> Result<(), Failure> {
        loop {
            if self.workers.is_empty() {
                match self.stopping.take() {
                    Some(Stopping::ForGood) => return Ok(()),
                    Some(Stopping::For(successor)) => {
                        self.give_way(&successor)?;
                        continue;
                    }
                    None => {}
                }
            }
            if self.start_due().is_some_and(|moment| moment <= weir_clock::monotonic()) {
                self.start()?;
            }
            self.name_foremost();
            self.turn()?;
        }
    }

    /// Waits for news and follows it.
    fn turn(&mut self) -> Result<(), Failure> {
        let until = [self.workers.next_moment(), self.start_due(), self.trial_end, self.ledger.due()].into_iter().flatten().min();
        let news = self.watch.wait(&self.workers.watched(), until)?;
        for pid in news.control {
            self.listen(pid);
        }
        for pid in news.ended {
            self.reap(pid)?;
        }
        if news.signal {
            match self.stopping {
                Some(Stopping::ForGood) => self.hurry(),
                _ => self.stop(Stopping::ForGood, self.drain, "signal"),
            }
        }
        if news.lifeline {
            self.stop(Stopping::ForGood, self.drain.min(LIFELINE_DRAIN), "lifeline");
        }
        self.pass_time()
    }

    /// Does what is due: ends workers, gives up waiting for an answer, takes a trial back, writes what could not be written.
    fn pass_time(&mut self) -> Result<(), Failure> {
        let now = weir_clock::monotonic();
        for worker in self.workers.iter_mut() {
            if let Some(reason) = worker.end_if_due().map_err(Failure::system("kill the worker"))? {
                self.log.error("worker killed", &[("pid", worker.pid().into()), ("reason", reason.as_str().into())]);
            }
        }
        let waited: Vec<u32> = self.workers.iter().filter(|w| w.wait.is_some_and(|moment| moment <= now)).map(|w| w.pid()).collect();
        for pid in waited {
            self.waited_long_enough(pid);
        }
        if self.trial_end.is_some_and(|moment| moment <= now) {
            self.trial_overdue();
        }
        if self.ledger.due().is_some_and(|moment| moment <= now) {
            match self.ledger.write() {
                Ok(()) => {
                    self.log.info("boot record written", &[("seq", self.ledger.seq().into())]);
                    self.tell_slots();
                }
                Err(error) => self.log.error("boot record not written", &[("error", failure::chain(&error).into())]),
            }
        }
        Ok(())
    }

    /// Keeps `run/worker.pid` at the worker that serves.
    fn name_foremost(&mut self) {
        let foremost = self.workers.foremost();
        if foremost == self.named {
            return;
        }
        self.named = foremost;
        match foremost.map(|pid| self.claim.worker_started(pid)) {
            None => self.claim.worker_gone(),
            Some(Ok(())) => {}
            Some(Err(error)) => self.log.warn("worker.pid not written", &[("error", error.to_string().into())]),
        }
    }

    /// Begins to stop: every worker ends, none is started.
    fn stop(&mut self, what: Stopping, drain: Duration, why: &str) {
        self.log.info("keeper stops", &[("why", why.into()), ("drain_ms", millis(drain))]);
        self.stopping = Some(what);
        (self.next, self.trial_end) = (None, None);
        // One that retires may have been given longer.
        let all: Vec<u32> = self.workers.iter().map(|worker| worker.pid()).collect();
        for pid in all {
            self.dismiss(pid, drain);
        }
    }

    /// Ends every worker at once.
    fn hurry(&mut self) {
        for worker in self.workers.iter_mut() {
            worker.end_by(weir_clock::monotonic(), KillReason::SecondSignal);
        }
    }
}

fn millis(duration: Duration) -> serde_json::Value {
    weir_clock::millis(duration).into()
}
