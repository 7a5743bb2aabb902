//! The manager's word: a level that holds until the next one, so that repeating or losing it does no harm.

use super::{ASK_PATIENCE_MS, Driver, evidence};
use weir_device_api::UpdateWord;
use weir_rollout::update::Event;
use weir_slots::Digest;

/// Time between two requests for another keeper, in milliseconds: the first one ends this worker.
const RESTART_PERIOD_MS: u64 = 30_000;

/// What was done of the words so far that is not the machine's.
#[derive(Debug, Default)]
pub(super) struct Obeyed {
    /// Revision of the last word whose digests were cleared: those that fall back after it are not meant.
    unburned: u64,
    /// When the keeper was last asked to clear those of a later one.
    asked_ms: Option<u64>,
    restart_ms: Option<u64>,
}

impl Driver {
    fn word(&self) -> Option<UpdateWord> {
        self.shared.update.word().borrow().clone()
    }

    /// What the word says to the machine.
    pub(super) fn order_event(&self) -> Option<Event> {
        evidence::of_order(&self.state, self.word()?.order.as_ref()?)
    }

    /// What the word says of the rollout's lease.
    pub(super) fn freed_event(&self) -> Option<Event> {
        evidence::of_freed(&self.state, &self.word()?)
    }

    /// Obeys what the word says beside its order.
    pub(super) async fn obey_beside(&mut self) {
        let Some(word) = self.word() else { return };
        if word.revision != self.obeyed.unburned {
            let now_ms = weir_clock::monotonic_ms();
            let asks = self.obeyed.asked_ms.is_none_or(|at_ms| now_ms >= at_ms.saturating_add(ASK_PATIENCE_MS));
            let mut cleared = true;
            for manifest in &word.unburn {
                cleared &= self.unburn(manifest, asks).await;
            }
            if cleared {
                (self.obeyed.unburned, self.obeyed.asked_ms) = (word.revision, None);
            } else if asks {
                self.obeyed.asked_ms = Some(now_ms);
            }
        }
        if word.restart_keeper {
            self.restart_keeper().await;
        }
    }

    /// Clears a digest; whether it is cleared. The boot record comes first: the keeper writes it when it is asked, or refuses.
    async fn unburn(&mut self, manifest: &str, asks: bool) -> bool {
        let Ok(digest) = Digest::try_from(manifest.to_owned()) else {
            tracing::warn!(manifest, "the manager clears what is no digest");
            return true;
        };
        if self.record.burned.contains(&digest) {
            if asks {
                self.say(move |sender| sender.unburn(&digest.to_string())).await;
            }
            return false;
        }
        if self.state.burned.iter().any(|burned| burned == manifest) {
            self.state.burned.retain(|burned| burned != manifest);
            self.detail.clear();
            let state = self.state.clone();
            self.unwritten = !self.write(&state).await;
            tracing::info!(manifest, "digest cleared");
        }
        true
    }

    async fn restart_keeper(&mut self) {
        let now_ms = weir_clock::monotonic_ms();
        let asked = self.obeyed.restart_ms.is_some_and(|at_ms| now_ms < at_ms + RESTART_PERIOD_MS);
        if self.shared.settings.keeper_current || !self.state.stage.at_rest() || self.parked.is_there || asked {
            return;
        }
        self.obeyed.restart_ms = Some(now_ms);
        tracing::info!("asking for the keeper of this slot");
        self.say(weir_sockets::ControlSender::restart).await;
    }
}
