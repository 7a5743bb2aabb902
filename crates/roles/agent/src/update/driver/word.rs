//! The manager's word: a level that holds until the next one, so that repeating or losing it does no harm.

use super::{Driver, evidence};
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
            self.obeyed.unburned = word.revision;
            for manifest in &word.unburn {
                self.unburn(manifest).await;
            }
        }
        if word.restart_keeper {
            self.restart_keeper().await;
        }
    }

    async fn unburn(&mut self, manifest: &str) {
        let Ok(digest) = Digest::try_from(manifest.to_owned()) else {
            return tracing::warn!(manifest, "the manager clears what is no digest");
        };
        if self.record.burned.contains(&digest) {
            self.say(move |sender| sender.unburn(&digest.to_string())).await;
            // The record that is read next says it too.
            self.record.burned.retain(|burned| *burned != digest);
        }
        if self.state.burned.iter().any(|burned| burned == manifest) {
            self.state.burned.retain(|burned| burned != manifest);
            self.detail.clear();
            let state = self.state.clone();
            self.unwritten = !self.write(&state).await;
            tracing::info!(manifest, "digest cleared");
        }
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
