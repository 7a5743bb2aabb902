//! What reaches the driver from outside: the keeper's news, the end of a work, time.

use super::{About, Driver, Event, KeeperNews, Outcome, ParkedWorker, RECORD_PERIOD_MS, keeper};
use weir_keeper_api::Reason;
use weir_rollout::update::{Figures, Stage};
use weir_slots::boot;
use weir_telemetry::Chain;

impl Driver {
    /// What the keeper says.
    pub(in crate::update) async fn hear(&mut self, news: KeeperNews) {
        let now_ms = weir_clock::monotonic_ms();
        match news {
            KeeperNews::Slots { parked, .. } => {
                self.parked.is_there = parked;
                if !parked {
                    self.shared.update.nobody_parked();
                }
                self.read_record().await;
            }
            KeeperNews::Parked(said) => {
                self.parked = ParkedWorker { is_there: true, reaches_manager: said.contact, heard_ms: now_ms };
                self.shared.update.parked(said);
            }
            KeeperNews::Refused { verb, reason, detail } => {
                self.read_record().await;
                tracing::warn!(verb, reason = reason.as_str(), detail, "the keeper refused");
                if verb == "RETIRE" && reason == Reason::NoWayBack {
                    self.parked.is_there = false;
                    self.shared.update.nobody_parked();
                }
                if matches!((self.state.stage, verb.as_str()), (Stage::RollingBack { .. }, "BACK")) {
                    self.detail = format!("the keeper refused {verb}: {} ({detail})", reason.as_str());
                }
                let Some(event) = keeper::refused(&self.state, self.slots(), &verb, reason) else { return };
                self.detail = format!("the keeper refused {verb}: {} ({detail})", reason.as_str());
                self.asked = None;
                self.take(event).await;
            }
        }
    }

    async fn read_record(&mut self) {
        let data = self.shared.settings.data.clone();
        self.record_ms = weir_clock::monotonic_ms();
        match tokio::task::spawn_blocking(move || boot::read(&data)).await {
            Ok(Ok(found)) => self.record = found.record,
            Ok(Err(error)) => tracing::error!(error = %Chain(&error), "the boot record cannot be read; the one before counts"),
            Err(error) => tracing::error!(%error, "reading the boot record failed"),
        }
    }

    /// What the work in hand came to.
    pub(in crate::update) async fn worked(&mut self, (stamp, outcome): About) {
        if self.state.assignment.as_ref().map(|assignment| assignment.stamp) != Some(stamp) {
            return;
        }
        let event = match outcome {
            Outcome::Waits(waits) => {
                self.waits = waits;
                return;
            }
            Outcome::Staged => Event::Fetched,
            Outcome::Space => Event::Space,
            Outcome::Failed(reason, detail) => {
                self.detail = detail;
                Event::FetchFailed(reason)
            }
            Outcome::NoSpace(detail) => {
                self.waits = detail;
                Event::NoSpace
            }
        };
        if !self.take(event.clone()).await && !self.disk.is_empty() {
            self.not_taken = Some((stamp, event));
        }
    }

    /// Time passes.
    pub(in crate::update) async fn tick(&mut self) {
        let now_ms = weir_clock::monotonic_ms();
        if !self.state.stage.at_rest() && now_ms >= self.record_ms + RECORD_PERIOD_MS {
            self.read_record().await;
        }
        if self.unwritten {
            let state = self.state.clone();
            self.unwritten = !self.write(&state).await;
        }
        if let Some((stamp, event)) = self.not_taken.take()
            && self.state.assignment.as_ref().is_some_and(|assignment| assignment.stamp == stamp)
            && !self.take(event.clone()).await
            && !self.disk.is_empty()
        {
            self.not_taken = Some((stamp, event));
        }
        if self.waits_for_record() {
            return;
        }
        let judged = match self.state.stage {
            Stage::Proving | Stage::Committed | Stage::Ramping => true,
            Stage::Done => self.state.proof.on_probation,
            _ => false,
        };
        if judged {
            let served = (self.shared.hooks.served)();
            let since = |now: u64, before: u64| now.saturating_sub(before);
            let figures = Figures {
                requests: since(served.requests, self.served_before.requests),
                own_errors: since(served.own_errors, self.served_before.own_errors),
            };
            self.take(Event::Served(figures)).await;
        }
        self.take(Event::Tick).await;
        self.resume_work();
    }
}
