//! Another keeper in the place of this one: the device's keeper is updated by a cold restart.

use super::{Stopping, Supervisor, handover::unverified};
use crate::{
    failure::{self, Failure},
    listeners::Refusal,
    program::{Mark, Successor},
    worker::may_replace_keeper,
};
use std::io;
use weir_keeper_api::Reason;
use weir_slots::verify;

/// Why a worker of another user than the keeper's does not replace it.
const PACKAGED: &str = "a keeper that runs as another user than its worker is updated by its package, not by the worker";

impl Supervisor<'_> {
    /// Stops the workers to become the keeper of the active slot. A keeper that was started so before and never had a
    /// worker ready is not started again: its mark is still there.
    pub(super) fn restart(&mut self) -> Result<(), Refusal> {
        let refused = |detail: &str| Refusal::new(Reason::SlotRefused, detail);
        if !may_replace_keeper(self.user) {
            return Err(refused(PACKAGED));
        }
        let record = self.ledger.record();
        if record.trial.is_some() || self.ledger.due().is_some() {
            return Err(Refusal::new(Reason::Trial, "the boot record is not at rest"));
        }
        let slot = verify(self.data, &record.active).map_err(|error| unverified(&error))?;
        let successor = self.program.successor(&slot).ok_or_else(|| refused("the active slot has no keeper"))?;
        if self.not_executed == Some(successor.digest) {
            return Err(refused("the keeper of the active slot could not be executed"));
        }
        if successor.other && Mark::read(self.data).is_some_and(|mark| mark.program == successor.digest) {
            return Err(refused("the keeper of the active slot was started before and never had a worker ready"));
        }
        self.stop(Stopping::For(successor), self.drain, "restart");
        Ok(())
    }

    /// Becomes the other keeper, unless this one was told to end meanwhile. When that fails, this one goes on.
    pub(super) fn give_way(&mut self, successor: &Successor) -> Result<(), Failure> {
        let news = self.watch.wait(&[], Some(weir_clock::monotonic()))?;
        if news.signal || news.lifeline {
            self.stopping = Some(Stopping::ForGood);
            return Ok(());
        }
        let program = successor.program.display().to_string();
        self.log.info("keeper gives way", &[("program", program.as_str().into()), ("digest", successor.digest.to_string().into())]);
        self.name_foremost();
        // Connections and datagrams wait in the queues of the sockets until the other keeper's worker takes them.
        let error = match self.listeners.hand_on() {
            Ok(sockets) => self.execute(successor, &sockets),
            Err(error) => error,
        };
        self.log.error("keeper does not give way", &[("program", program.into()), ("error", error.to_string().into())]);
        self.listeners.keep_for_itself().map_err(Failure::system("keep the sockets from other programs"))?;
        self.start_at = weir_clock::monotonic();
        Ok(())
    }

    /// Marks the other keeper as started, and becomes it; returns only when that failed. The mark is written last, so that it
    /// never names one that was not started.
    fn execute(&mut self, successor: &Successor, sockets: &str) -> io::Error {
        if successor.other
            && let Err(error) = Mark::of(successor.digest).write(self.data)
        {
            return io::Error::other(failure::chain(&error));
        }
        let error = self.program.turn_into(&successor.program, sockets);
        self.not_executed = Some(successor.digest);
        if successor.other
            && let Err(error) = Mark::remove(self.data)
        {
            self.log.warn("keeper.json not removed", &[("error", error.to_string().into())]);
        }
        error
    }
}
