//! Another keeper in the place of this one: the device's keeper is updated by a cold restart.

use super::{Stopping, Supervisor, handover::unverified};
use crate::{
    failure::{self, Failure},
    listeners::Refusal,
    program::{Mark, Successor},
};
use weir_keeper_api::Reason;
use weir_slots::verify;

impl Supervisor<'_> {
    /// Stops the workers to become the keeper of the active slot. A keeper that was started so before and never had a
    /// worker ready is not started again: its mark is still there.
    pub(super) fn restart(&mut self) -> Result<(), Refusal> {
        let record = self.ledger.record();
        if record.trial.is_some() || self.ledger.due().is_some() {
            return Err(Refusal::new(Reason::Trial, "the boot record is not at rest"));
        }
        let slot = verify(self.data, &record.active).map_err(|error| unverified(&error))?;
        let refused = |detail: &str| Refusal::new(Reason::SlotRefused, detail);
        let successor = self.program.successor(&slot).ok_or_else(|| refused("the active slot has no keeper"))?;
        if !self.program.is_of(&slot) {
            if Mark::read(self.data).is_some_and(|mark| mark.program == successor.digest) {
                return Err(refused("the keeper of the active slot was started before and never had a worker ready"));
            }
            let written = Mark::of(successor.digest).write(self.data);
            written.map_err(|error| Refusal::new(Reason::SystemError, failure::chain(&error)))?;
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
            Ok(sockets) => self.program.turn_into(&successor.program, &sockets),
            Err(error) => error,
        };
        self.log.error("keeper does not give way", &[("program", program.into()), ("error", error.to_string().into())]);
        self.listeners.keep_for_itself().map_err(Failure::system("keep the sockets from other programs"))?;
        self.start_at = weir_clock::monotonic();
        Ok(())
    }
}
