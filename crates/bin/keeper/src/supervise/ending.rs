//! How a worker is ended, and what follows when one has ended.

use super::{Supervisor, millis};
use crate::{
    backoff::{Backoff, Ended},
    failure::Failure,
    worker::{KillReason, Stage, Worker, exit_text},
};
use std::{process::ExitStatus, time::Duration};
use weir_keeper_api::{EXIT_SELF_TEST, Message};

/// Beyond its drain, how long a worker may take to end before its process is killed.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Unexpected ends of a committed worker, while the one before it is parked, that lead back: one may be chance.
const PROBATION_CRASHES: u32 = 2;

/// Why a slot is left, in the words of the update machine.
pub(super) const CRASHED: &str = "crashed";
/// The same: nobody committed it by its deadline, or in as many starts as it had.
pub(super) const UNPROVEN: &str = "unproven";
const NEVER_READY: &str = "never_ready";
const SELF_TEST_FAILED: &str = "self_test_failed";

impl Supervisor<'_> {
    /// Tells a worker to end. One that is or was accepting drains; one that never did leaves at once. One that was told so
    /// before may get less time, never more.
    pub(super) fn dismiss(&mut self, pid: u32, drain: Duration) {
        let Some(worker) = self.workers.get_mut(pid) else { return };
        let stage = std::mem::replace(&mut worker.stage, Stage::Leaving);
        worker.wait = None;
        let left = worker.end.map(|(moment, _)| moment.saturating_duration_since(weir_clock::monotonic()).saturating_sub(KILL_GRACE));
        let drain = left.filter(|_| stage == Stage::Leaving).map_or(drain, |left| left.min(drain));
        match stage {
            Stage::Starting | Stage::Ready => {
                self.tell(pid, &Message::Exit);
                self.end_by(pid, KILL_GRACE, KillReason::StopOverdue);
            }
            Stage::Accepting | Stage::Parking | Stage::Parked | Stage::Unparking | Stage::Leaving => {
                self.tell(pid, &Message::Stop);
                self.tell(pid, &Message::Drain { deadline_ms: weir_clock::millis(drain) });
                self.end_by(pid, drain + KILL_GRACE, KillReason::StopOverdue);
            }
        }
    }

    /// Ends a worker's process, unless it ends by itself within this time or is to end earlier.
    pub(super) fn end_by(&mut self, pid: u32, within: Duration, reason: KillReason) {
        if let Some(worker) = self.workers.get_mut(pid) {
            worker.end_by(weir_clock::monotonic() + within, reason);
        }
    }

    /// Takes note of a worker that has ended.
    pub(super) fn reap(&mut self, pid: u32) -> Result<(), Failure> {
        let Some(worker) = self.workers.get_mut(pid) else { return Ok(()) };
        let Some(status) = worker.ended().map_err(Failure::system("reap the worker"))? else { return Ok(()) };
        let gone = self.workers.remove(pid).expect("just found");
        let text = exit_text(status);
        let fields = [("pid", pid.into()), ("exit", text.as_str().into()), ("ran_ms", millis(gone.ran()))];
        if self.stopping.is_some() || gone.stage == Stage::Leaving {
            self.log.info("worker stopped", &fields);
        } else {
            self.log.error("worker ended unexpectedly", &fields);
            self.lost(&gone, status, text);
        }
        Ok(())
    }

    /// What follows from an unexpected end.
    fn lost(&mut self, gone: &Worker, status: ExitStatus, text: String) {
        self.history.add(text);
        match gone.stage {
            // The way back is a cold start now.
            Stage::Parked => self.tell_slots(),
            Stage::Parking => self.serve_next(),
            Stage::Unparking => self.start_at = weir_clock::monotonic(),
            _ if self.ledger.record().tries(&gone.slot) => self.trial_lost(blame(gone, status), true),
            _ if self.ends_probation(CRASHED, true) => {}
            _ => self.start_later(ended(status), gone.ran()),
        }
    }

    /// The worker of the slot on trial has ended: back at once.
    pub(super) fn trial_lost(&mut self, reason: &str, burn: bool) {
        self.backoff = Backoff::default();
        if let Err(error) = self.go_back(reason, burn) {
            self.log.error("trial not taken back", &[("error", error.to_string().into())]);
        }
    }

    /// Counts the end of a committed worker whose predecessor is parked; whether it led back.
    pub(super) fn ends_probation(&mut self, reason: &str, burn: bool) -> bool {
        if self.workers.at(Stage::Parked).is_none() {
            return false;
        }
        self.probation_crashes += 1;
        self.probation_crashes >= PROBATION_CRASHES && self.go_back(reason, burn).is_ok()
    }

    /// Starts a worker again after the wait that the row of ends before asks for.
    pub(super) fn start_later(&mut self, ended: Ended, ran: Duration) {
        let (backoff, wait) = self.backoff.after(ended, ran);
        self.backoff = backoff;
        self.start_at = weir_clock::monotonic() + wait;
        self.log.info("worker starts again", &[("wait_ms", millis(wait)), ("crashes", self.history.crashes.into())]);
    }
}

fn ended(status: ExitStatus) -> Ended {
    if status.code() == Some(crate::EXIT_CONFIGURATION.into()) { Ended::Misconfigured } else { Ended::Unexpectedly }
}

/// Why the worker of a slot on trial is gone.
fn blame(gone: &Worker, status: ExitStatus) -> &'static str {
    if gone.killed == Some(KillReason::NotReady) {
        NEVER_READY
    } else if gone.stage == Stage::Starting && status.code() == Some(EXIT_SELF_TEST.into()) {
        SELF_TEST_FAILED
    } else {
        CRASHED
    }
}
