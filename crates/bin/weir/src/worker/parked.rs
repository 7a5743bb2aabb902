//! How a parked worker is, as its keeper is told: once a second, and when it finds or loses the manager.

use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval, sleep},
};
use weir_agent::Agent;
use weir_telemetry::Tasks;

/// How often the keeper is told.
const TELL: Duration = Duration::from_secs(1);
/// How often the manager is tried: a worker that is the way back must know whether it would be a better one.
const TRY: Duration = Duration::from_secs(5);

/// A worker's time in the park.
pub(super) struct Parked {
    contact: watch::Receiver<bool>,
    ticks: Interval,
    /// Owns the task that tries.
    _tries: Tasks,
}

impl Parked {
    /// Begins; until the first try succeeds the manager counts as out of reach.
    pub(super) fn begin(agent: &Agent) -> Self {
        let (found, contact) = watch::channel(false);
        let (agent, tries) = (agent.clone(), Tasks::new());
        tries.spawn("contact of a parked worker", async move {
            loop {
                let reaches = agent.reaches_manager().await;
                found.send_if_modified(|before| std::mem::replace(before, reaches) != reaches);
                sleep(TRY).await;
            }
        });
        let mut ticks = interval(TELL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and the keeper has been told now.
        ticks.reset();
        Self { contact, ticks, _tries: tries }
    }

    /// Whether the worker reaches the manager.
    pub(super) fn has_contact(&self) -> bool {
        *self.contact.borrow()
    }

    /// Waits until the keeper is to be told again.
    pub(super) async fn due(&mut self) {
        tokio::select! {
            _ = self.ticks.tick() => {}
            Ok(()) = self.contact.changed() => {}
        }
    }
}
