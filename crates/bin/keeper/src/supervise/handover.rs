//! The hand-over: from the worker that serves to the one on trial, and back.

use super::{Supervisor, ending::UNPROVEN, millis, starting::Next};
use crate::{
    failure,
    listeners::Refusal,
    memory,
    worker::{KillReason, Stage},
};
use std::time::Duration;
use weir_keeper_api::{Message, Parked, Reason, Switch, Verb};
use weir_slots::{BootError, BootRecord, Digest, SlotRef, VerifyError, boot::trial::TrialError, verify};

/// How long the worker that serves may take to park, and a parked one to serve again.
const PARK_PATIENCE: Duration = Duration::from_secs(2);

/// Longest time a worker's words may set, a day: more would only overflow what adds to it.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long a worker that is left may drain when memory holds no other meanwhile: the way back is to take under 10 s.
const LONE_DRAIN: Duration = Duration::from_secs(5);

impl Supervisor<'_> {
    /// Begins the trial of another slot.
    pub(super) fn switch(&mut self, pid: u32, switch: &Switch) -> Result<(), Refusal> {
        let slot = SlotRef::of(switch.version.as_str(), digest(switch.manifest.as_str())?);
        let trial = millis_of(switch.trial_ms);
        let next = match self.ledger.record().begin_trial(slot.clone(), switch.term, switch.generation, weir_clock::millis(trial)) {
            // The word was obeyed before and is repeated.
            Err(TrialError::Already(_)) => return Ok(()),
            next => next.map_err(|error| refusal(&error))?,
        };
        let slot = verify(self.data, &slot).map_err(|error| unverified(&error))?;
        self.ledger.advance(next).map_err(|error| unwritten(&error))?;
        self.alone = !memory::holds_another(pid, self.reserve_bytes);
        let fields = [("slot", slot.slot.name.as_str().into()), ("trial_ms", millis(trial)), ("beside", (!self.alone).into())];
        self.log.info("trial begins", &fields);
        self.next = Some(Next { slot, ready: millis_of(switch.ready_ms) });
        // The way back of the trial before is none of this one's: there are never three.
        // One that retires may have been given minutes, which the trial would wait for.
        for other in self.workers.among(&[Stage::Parked, Stage::Parking, Stage::Leaving]) {
            self.dismiss(other, self.drain);
        }
        if self.alone {
            // It learns of the trial before it is told to end.
            self.tell_slots();
            self.dismiss(pid, self.drain);
        }
        Ok(())
    }

    /// A worker is READY: it serves at once when none does, else as soon as the one that does is parked.
    pub(super) fn take_over_from_serving(&mut self, pid: u32) {
        if self.stopping.is_some() {
            return;
        }
        let Some(serving) = self.workers.at(Stage::Accepting) else { return self.accept(pid) };
        let worker = self.workers.get_mut(pid).expect("the worker that said READY");
        (worker.stage, worker.end) = (Stage::Ready, None);
        let worker = self.workers.get_mut(serving).expect("just found");
        (worker.stage, worker.wait) = (Stage::Parking, Some(weir_clock::monotonic() + PARK_PATIENCE));
        self.tell(serving, &Message::Park);
    }

    /// A worker says how it is while it is parked: for the first time, or again.
    pub(super) fn parked(&mut self, pid: u32, parked: Parked) {
        let Some(worker) = self.workers.get_mut(pid) else { return };
        match worker.stage {
            Stage::Parking => {
                (worker.stage, worker.wait) = (Stage::Parked, None);
                self.log.info("worker parked", &[("pid", pid.into())]);
                self.serve_next();
                self.pass_on(parked);
            }
            Stage::Parked => self.pass_on(parked),
            // The word crossed with the one that ends its park.
            Stage::Unparking | Stage::Leaving => {}
            _ => self.refuse(pid, Verb::Parked.as_str(), &Refusal::new(Reason::OutOfOrder, "this worker is not parked")),
        }
    }

    /// What was waited for did not come.
    pub(super) fn waited_long_enough(&mut self, pid: u32) {
        let Some(worker) = self.workers.get_mut(pid) else { return };
        worker.wait = None;
        if worker.stage == Stage::Parking {
            // It stays the way back; whether it is one shows when it is needed.
            worker.stage = Stage::Parked;
            self.log.warn("worker does not say that it is parked", &[("pid", pid.into())]);
            self.serve_next();
        } else {
            self.end_by(pid, Duration::ZERO, KillReason::NotUnparked);
        }
    }

    /// A worker refused a message.
    pub(super) fn refused_by(&mut self, pid: u32, verb: &str) {
        let Some(worker) = self.workers.get(pid) else { return };
        if matches!(worker.stage, Stage::Parking | Stage::Parked) && verb == Verb::Park.as_str() {
            // One that cannot park is no way back, and ends as it would without one; also when it says so late.
            self.dismiss(pid, self.drain);
            self.serve_next();
            self.tell_slots();
        } else if worker.stage == Stage::Unparking && verb == Verb::Unpark.as_str() {
            self.end_by(pid, Duration::ZERO, KillReason::NotUnparked);
        }
    }

    /// Lets the worker that is READY serve.
    pub(super) fn serve_next(&mut self) {
        if let Some(pid) = self.workers.at(Stage::Ready) {
            self.accept(pid);
        }
    }

    fn accept(&mut self, pid: u32) {
        let worker = self.workers.get_mut(pid).expect("a worker that is READY");
        (worker.stage, worker.end) = (Stage::Accepting, None);
        let slot = worker.slot.clone();
        self.tell(pid, &Message::Accept);
        if let Some(trial) = self.ledger.record().trial.as_ref().filter(|trial| trial.slot == slot) {
            self.trial_end = Some(weir_clock::monotonic() + millis_of(trial.deadline_ms));
        }
        if let Err(error) = self.program.note_ready(self.data) {
            self.log.warn("keeper.json not removed", &[("error", error.to_string().into())]);
        }
        if self.workers.at(Stage::Parked).is_some() {
            self.log.info("listeners handed over", &[("pid", pid.into()), ("slot", slot.name.into())]);
            self.tell_slots();
        }
    }

    /// A parked worker serves again.
    pub(super) fn unparked(&mut self, pid: u32) {
        let worker = self.workers.get_mut(pid).expect("the worker that said READY");
        (worker.stage, worker.wait) = (Stage::Accepting, None);
        self.log.info("worker serves again", &[("pid", pid.into())]);
        self.tell_slots();
    }

    /// The slot on trial is good.
    pub(super) fn commit(&mut self, pid: u32) -> Result<(), Refusal> {
        let running = self.workers.get(pid).expect("the worker that asks").slot.clone();
        let next = match self.ledger.record().commit(&running) {
            // The word was obeyed before and is repeated.
            Err(TrialError::Already(_)) => return Ok(()),
            next => next.map_err(|error| refusal(&error))?,
        };
        self.ledger.advance(next).map_err(|error| unwritten(&error))?;
        (self.trial_end, self.probation_crashes) = (None, 0);
        self.log.info("slot committed", &[("slot", running.name.into())]);
        Ok(())
    }

    /// Ends the parked worker.
    pub(super) fn retire(&mut self, deadline_ms: u64) -> Result<(), Refusal> {
        let pid = self.workers.at(Stage::Parked).ok_or_else(|| Refusal::new(Reason::NoWayBack, "no worker is parked"))?;
        self.dismiss(pid, millis_of(deadline_ms));
        Ok(())
    }

    pub(super) fn unburn(&mut self, manifest: &str) -> Result<(), Refusal> {
        let next = self.ledger.record().unburn(digest(manifest)?);
        if next == *self.ledger.record() {
            return Ok(());
        }
        self.ledger.advance(next).map_err(|error| unwritten(&error))
    }

    /// The worker that serves asks for the slot before.
    pub(super) fn back(&mut self, reason: &str, burn: bool) -> Result<(), Refusal> {
        match self.go_back(reason, burn) {
            Err(TrialError::AlreadyBack(_)) => Ok(()),
            result => result.map_err(|error| refusal(&error)),
        }
    }

    /// A slot on trial was not committed in time.
    pub(super) fn trial_overdue(&mut self) {
        self.trial_end = None;
        if let Err(error) = self.go_back(UNPROVEN, true) {
            self.log.error("trial not taken back", &[("error", error.to_string().into())]);
        }
    }

    /// Leaves the slot on trial, or the active one after its commit, for the one before it. It holds at once; the record is
    /// written when the disk takes it.
    pub(super) fn go_back(&mut self, reason: &str, burn: bool) -> Result<(), TrialError> {
        let next = self.ledger.record().fall_back(reason, burn)?;
        let left = next.fell_back.as_ref().map(|fell_back| fell_back.slot.clone()).expect("a record that fell back says from where");
        let next = self.that_may_be_started(next, &left)?;
        self.log.error("slot falls back", &[("slot", left.name.as_str().into()), ("reason", reason.into()), ("burned", burn.into())]);
        (self.next, self.trial_end, self.probation_crashes) = (None, None, 0);
        let lone = self.way_back().is_none() && self.workers.foremost().is_some_and(|pid| !memory::holds_another(pid, self.reserve_bytes));
        let drain = if lone { self.drain.min(LONE_DRAIN) } else { self.drain };
        let leaving: Vec<u32> =
            self.workers.iter().filter(|worker| worker.slot == left && worker.stage != Stage::Leaving).map(|w| w.pid()).collect();
        for pid in leaving {
            self.dismiss(pid, drain);
        }
        self.alone = lone;
        if let Err(error) = self.ledger.retreat(next) {
            self.log.error("boot record not written", &[("error", failure::chain(&error).into())]);
        }
        self.resume();
        Ok(())
    }

    /// The record to go back to. Where that ends a worker that lives and the one to come starts cold, its slot must verify, or
    /// another that was active before; else the worker that lives stays.
    fn that_may_be_started(&self, next: BootRecord, left: &SlotRef) -> Result<BootRecord, TrialError> {
        let lives = |here: bool| self.workers.iter().any(|worker| (worker.slot == *left) == here && worker.stage != Stage::Leaving);
        if !lives(true) || lives(false) || verify(self.data, &next.active).is_ok() {
            return Ok(next);
        }
        let before: Vec<&SlotRef> = next.previous.iter().chain(&next.last_good).filter(|slot| **slot != next.active).collect();
        let good = before.into_iter().find(|slot| verify(self.data, slot).is_ok()).cloned().ok_or(TrialError::NoWayBack)?;
        let fields = [("slot", next.active.name.as_str().into()), ("started", good.name.as_str().into())];
        self.log.error("slot to go back to may not be started", &fields);
        Ok(next.instead(good))
    }

    /// The worker that is, or is about to be, parked.
    pub(super) fn way_back(&self) -> Option<u32> {
        self.workers.among(&[Stage::Parked, Stage::Parking]).first().copied()
    }

    /// Lets the slot to start serve again: its parked worker, the one that never stopped, or a new one.
    pub(super) fn resume(&mut self) {
        if let Some(pid) = self.way_back() {
            let worker = self.workers.get_mut(pid).expect("just found");
            (worker.stage, worker.wait) = (Stage::Unparking, Some(weir_clock::monotonic() + PARK_PATIENCE));
            self.tell(pid, &Message::Unpark);
        } else if self.workers.at(Stage::Accepting).is_some() {
            self.tell_slots();
        } else {
            self.start_at = weir_clock::monotonic();
        }
    }
}

fn millis_of(millis: u64) -> Duration {
    Duration::from_millis(millis).min(LONGEST)
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    Digest::try_from(text.to_owned()).map_err(|error| Refusal::new(Reason::Malformed, error))
}

fn refusal(error: &TrialError) -> Refusal {
    let reason = match error {
        TrialError::Burned | TrialError::BurnedFull => Reason::Burned,
        TrialError::Stale { .. } => Reason::Stale,
        TrialError::UnderWay(_) | TrialError::Already(_) | TrialError::NoTrial | TrialError::NoTryLeft => Reason::Trial,
        TrialError::NoWayBack | TrialError::AlreadyBack(_) => Reason::NoWayBack,
    };
    Refusal::new(reason, error)
}

pub(super) fn unverified(error: &VerifyError) -> Refusal {
    let reason = if super::starting::says_nothing(error) { Reason::SystemError } else { Reason::SlotRefused };
    Refusal::new(reason, failure::chain(error))
}

fn unwritten(error: &BootError) -> Refusal {
    Refusal::new(Reason::SystemError, failure::chain(error))
}
