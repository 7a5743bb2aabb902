//! What the driver does: work it begins, and what it asks of the keeper.

use super::{ASK_PATIENCE_MS, Action, Driver, Leave, Stage, Work, evidence, keeper};
use weir_slots::SlotRef;
use weir_telemetry::Chain;

impl Driver {
    /// Begins what the machine says. What the keeper is to do follows from the state, and so does the lease in the report.
    pub(super) async fn act(&mut self, action: Option<Action>) {
        match action {
            Some(Action::Fetch | Action::MakeSpace) => self.resume_work(),
            Some(Action::Ramp) => self.ramp().await,
            None => {}
        }
    }

    /// Keeps the work of the present stage going: one task, begun again when it is gone.
    pub(super) fn resume_work(&mut self) {
        let Some(assignment) = self.state.assignment.clone() else { return };
        if !self.work.is_empty() || self.not_taken.is_some() {
            return;
        }
        let work = Work { shared: self.shared.clone(), assignment, outcomes: self.to_outcomes.clone() };
        match self.state.stage {
            Stage::Assigned | Stage::Fetching => self.work.spawn("fetch image", work.fetch()),
            Stage::Blocked => self.work.spawn("make space", work.make_space()),
            _ => {}
        }
    }

    /// From a tenth to the whole; a device that was handed over has the whole already.
    async fn ramp(&self) {
        if self.state.assignment.as_ref().is_some_and(|assignment| assignment.leave == Leave::Drained) {
            self.shared.begin_ramp().await;
        }
    }

    /// Asks the keeper for what is wanted, unless it was asked a moment ago.
    pub(super) async fn ask_keeper(&mut self) {
        let (profile, now_ms) = (self.shared.profile().update, weir_clock::monotonic_ms());
        let over = now_ms >= self.state.since_ms.saturating_add(profile.bake_ms);
        let parked_for_good = self.parked.is_there && over;
        let Some(ask) = keeper::wants(&self.state, self.slots(), parked_for_good, &profile) else { return };
        if self.asked.as_ref().is_some_and(|(asked, at_ms)| *asked == ask && now_ms < at_ms + ASK_PATIENCE_MS) {
            return;
        }
        tracing::info!(?ask, "asking the keeper");
        self.asked = Some((ask.clone(), now_ms));
        self.say(move |sender| keeper::ask(sender, &ask, &profile)).await;
    }

    /// Says something to the keeper, which may not read at once.
    pub(super) async fn say(
        &self,
        said: impl FnOnce(&weir_sockets::ControlSender) -> Result<(), weir_sockets::ControlError> + Send + 'static,
    ) {
        let sender = self.keeper.clone();
        match tokio::task::spawn_blocking(move || said(&sender)).await {
            Ok(Ok(())) => {}
            // A keeper that is gone ends this worker; one that does not read is asked again.
            Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "the keeper was not asked"),
            Err(error) => tracing::error!(%error, "asking the keeper failed"),
        }
    }

    fn running_ref(&self) -> Option<SlotRef> {
        let record = &self.record;
        let trial = record.trial.as_ref().map(|trial| &trial.slot);
        let fell_back = record.fell_back.as_ref().map(|left| &left.slot);
        let named = [Some(&record.active), trial, record.previous.as_ref(), record.last_good.as_ref(), fell_back];
        let assigned = self.state.assignment.as_ref().and_then(evidence::slot_of);
        named.into_iter().flatten().cloned().chain(assigned).find(|slot| slot.name == self.running)
    }

    pub(super) fn version_of_running(&self) -> String {
        self.running_ref().map_or_else(|| weir_model::version().to_owned(), |slot| slot.version)
    }

    pub(super) fn manifest_of_running(&self) -> String {
        self.running_ref().map(|slot| slot.manifest.to_string()).unwrap_or_default()
    }
}
