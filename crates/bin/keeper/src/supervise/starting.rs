//! Which slot is started, and when.

use super::{
    Supervisor,
    ending::{CRASHED, UNPROVEN},
};
use crate::{
    backoff::Ended,
    failure::{self, Failure},
    worker::{Stage, Start, Worker},
};
use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};
use weir_slots::{SlotRef, VerifiedSlot, VerifyError, verify};

/// Why a slot is left, in the words of the update machine: it is not the image its digest names.
const IMAGE_REFUSED: &str = "image_refused";
/// The same: the disk did not take the count of its starts, so that nobody would know when it has had its last.
const NO_SPACE: &str = "no_space";

/// Failed reads of the active slot in a row after which it counts as one that does not verify.
const READS_MAX: u32 = 3;

/// How long a committed worker that was started again may take to be READY while the one before it is parked: nobody serves
/// meanwhile.
const PROBATION_READY: Duration = Duration::from_secs(5);

/// A slot to start on trial.
pub(super) struct Next {
    pub(super) slot: VerifiedSlot,
    /// How long its worker may take to be READY.
    pub(super) ready: Duration,
}

impl Supervisor<'_> {
    /// When the next worker is started; `None` while none is wanted or there is no room.
    pub(super) fn start_due(&self) -> Option<Instant> {
        if self.stopping.is_some() || !self.workers.has_room() || (self.alone && !self.workers.is_empty()) {
            return None;
        }
        // A worker that dies while another starts in its place is not started again: the other serves as soon as it can.
        let coming = [Stage::Starting, Stage::Ready, Stage::Accepting, Stage::Parking, Stage::Unparking];
        match &self.next {
            Some(_) => Some(self.start_at.min(weir_clock::monotonic())),
            None if self.workers.among(&coming).is_empty() => Some(self.start_at),
            None => None,
        }
    }

    /// Starts the worker of the slot whose turn it is. No slot that may be started is a failure of the keeper; a process
    /// that cannot be started counts as an end and is tried again.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let Next { slot, ready } = match self.next.take() {
            Some(next) => next,
            None => match self.choose()? {
                Some(slot) => {
                    let ready = if self.way_back().is_some() { self.ready.min(PROBATION_READY) } else { self.ready };
                    Next { slot, ready }
                }
                None => return Ok(()),
            },
        };
        self.alone = false;
        let start = Start { data: self.data, slot: &slot, user: self.user, history: &self.history, keeper: self.program, ready };
        let worker = match Worker::start(&start) {
            Ok(worker) => worker,
            Err(error) => {
                self.log.error("worker not started", &[("slot", slot.slot.name.as_str().into()), ("error", error.to_string().into())]);
                // The system had no process or no room for it: that says nothing about the image.
                self.not_started(&slot.slot, &error.to_string(), (CRASHED, false));
                return Ok(());
            }
        };
        let pid = worker.pid();
        self.log.info("worker started", &[("pid", pid.into()), ("slot", slot.slot.name.into())]);
        let passed = self.listeners.pass_all(worker.control.as_ref().expect("a fresh worker has its control socket"));
        self.workers.add(worker);
        self.sent(pid, passed);
        self.tell(pid, &self.slots());
        Ok(())
    }

    /// `left` is why the slot is left, and whether its digest is burned, when that leads back to a parked worker.
    fn not_started(&mut self, slot: &SlotRef, why: &str, left: (&str, bool)) {
        self.history.add(format!("not started: {why}"));
        if self.ledger.record().tries(slot) {
            self.trial_lost(left.0, left.1);
        } else if !self.ends_probation(left.0, left.1) {
            self.start_later(Ended::Unexpectedly, Duration::ZERO);
        }
    }

    /// The slot to start when none serves: the one on trial while it has a start left, else the active one, else one that
    /// was active before. `None` when that could not be found out now.
    fn choose(&mut self) -> Result<Option<VerifiedSlot>, Failure> {
        if let Some(slot) = self.choose_trial() {
            return Ok(Some(slot));
        }
        let active = self.ledger.record().active.clone();
        match verify(self.data, &active) {
            Ok(slot) => {
                self.unread = 0;
                Ok(Some(slot))
            }
            Err(error) if says_nothing(&error) && self.unread + 1 < READS_MAX => {
                self.unread += 1;
                self.not_read(&active, &error);
                Ok(None)
            }
            Err(error) => match self.rescue(&active, &error) {
                // Its worker may be parked, and serves at once.
                Some(_) if self.way_back().is_some() => {
                    self.resume();
                    Ok(None)
                }
                Some(slot) => {
                    self.unread = 0;
                    Ok(Some(slot))
                }
                // What cannot be read now may be read later, and nothing else is left.
                None if says_nothing(&error) => {
                    self.not_read(&active, &error);
                    Ok(None)
                }
                None => Err(error.into()),
            },
        }
    }

    /// The active slot cannot be read, which says nothing against its image.
    fn not_read(&mut self, active: &SlotRef, error: &VerifyError) {
        let text = failure::chain(error);
        self.log.error("slot not read", &[("error", text.as_str().into())]);
        self.not_started(active, &text, (IMAGE_REFUSED, false));
    }

    /// The slot on trial, one more start counted. One that has none left, or is not what its digest names, is left.
    fn choose_trial(&mut self) -> Option<VerifiedSlot> {
        let slot = self.ledger.record().trial.as_ref()?.slot.clone();
        let reason = match self.start_of_trial(&slot) {
            Ok(slot) => return Some(slot),
            Err(reason) => reason,
        };
        if let Ok(back) = self.ledger.record().fall_back(reason, reason == UNPROVEN)
            && let Err(error) = self.ledger.retreat(back)
        {
            self.log.error("boot record not written", &[("error", failure::chain(&error).into())]);
        }
        None
    }

    /// Verifies the slot on trial and counts its start; else why it is left.
    fn start_of_trial(&mut self, slot: &SlotRef) -> Result<VerifiedSlot, &'static str> {
        let log = self.log;
        let said = |reason: &'static str, error: &dyn Error| {
            log.error("slot on trial not started", &[("reason", reason.into()), ("error", failure::chain(error).into())]);
            reason
        };
        let next = self.ledger.record().count_start().map_err(|error| said(UNPROVEN, &error))?;
        let slot = verify(self.data, slot).map_err(|error| said(IMAGE_REFUSED, &error))?;
        self.ledger.advance(next).map_err(|error| said(NO_SPACE, &error))?;
        Ok(slot)
    }

    /// The active slot is not what its digest names: one that was active before, if it is.
    fn rescue(&mut self, active: &SlotRef, error: &VerifyError) -> Option<VerifiedSlot> {
        let record = self.ledger.record();
        let before: Vec<SlotRef> = record.previous.iter().chain(&record.last_good).filter(|slot| *slot != active).cloned().collect();
        let slot = before.iter().find_map(|slot| verify(self.data, slot).ok())?;
        let fields = [("slot", active.name.as_str().into()), ("started", slot.slot.name.as_str().into())];
        self.log.error("active slot may not be started", &[&fields[..], &[("error", failure::chain(error).into())]].concat());
        let next = self.ledger.record().rescue(slot.slot.clone(), IMAGE_REFUSED);
        if let Err(error) = self.ledger.retreat(next) {
            self.log.error("boot record not written", &[("error", failure::chain(&error).into())]);
        }
        Some(slot)
    }
}

/// Whether reading failed, which says nothing against the slot.
pub(super) fn says_nothing(error: &VerifyError) -> bool {
    matches!(error, VerifyError::Disk(error) if error.source.kind() != io::ErrorKind::NotFound)
}
