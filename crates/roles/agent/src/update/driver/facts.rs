//! Facts for the machine: what the driver knows, event by event, until nothing moves.

use super::{BEHIND_MAX_MS, Driver, PARKED_SILENCE_MS, SETTLE_MAX, evidence};
use weir_rollout::update::{Event, Reach, Stage};

impl Driver {
    /// Lets everything that is known reach the machine, until nothing moves; then asks the keeper for what is still wanted.
    pub(in crate::update) async fn settle(&mut self) {
        for _ in 0..SETTLE_MAX {
            if self.slots().is_left() {
                tracing::info!("the keeper has left this slot; another worker drives");
                self.is_over = true;
                self.shared.parked.send_replace(true);
                return;
            }
            if !self.learn().await {
                break;
            }
        }
        self.obey_beside().await;
        self.ask_keeper().await;
        self.show();
    }

    /// Whether to wait for the keeper to write why it went back.
    pub(super) fn waits_for_record(&self) -> bool {
        let recent = weir_clock::monotonic_ms() < self.state.since_ms.saturating_add(BEHIND_MAX_MS);
        recent && evidence::is_behind(&self.state, self.slots())
    }

    /// Takes the first fact that moves the machine; whether one did. A fact it refuses keeps no other from it.
    async fn learn(&mut self) -> bool {
        if self.waits_for_record() {
            return false;
        }
        let facts = [Self::record_event, Self::order_event, Self::configuration_event, Self::freed_event, Self::reach_event];
        for fact in facts {
            if let Some(event) = fact(self)
                && self.take(event).await
            {
                return true;
            }
        }
        false
    }

    fn record_event(&self) -> Option<Event> {
        evidence::of_record(&self.state, self.slots())
    }

    fn configuration_event(&self) -> Option<Event> {
        let running = self.shared.running.borrow().clone()?;
        evidence::of_configuration(&self.state, &running)
    }

    /// Who reaches the manager, when the machine moves by it.
    fn reach_event(&self) -> Option<Event> {
        let now_ms = weir_clock::monotonic_ms();
        let profile = self.shared.profile();
        let recent_ms = profile.update.contact_ms.max(2 * profile.report_ms);
        let new = self.shared.update.is_reached(recent_ms, now_ms);
        let parked = self.parked;
        let old = parked.is_there && parked.reaches_manager && now_ms <= parked.heard_ms + PARKED_SILENCE_MS;
        let silent_for_long = now_ms >= self.state.since_ms + profile.update.contact_ms;
        match self.state.stage {
            Stage::Trial if new || (old && silent_for_long) => Some(Event::Reach(Reach { new, old })),
            Stage::Proving if !new && old && silent_for_long => Some(Event::Reach(Reach { new, old })),
            _ => None,
        }
    }
}
