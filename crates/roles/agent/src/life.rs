//! The agent's life beside its worker's: it starts when the worker serves, falls silent when another worker of the device does, and
//! may start again.

use crate::{Agent, agent::Shared, contacts, follow, keepalive, report, update};
use std::{sync::Mutex, time::Duration};
use tokio::sync::mpsc;
use weir_device_api::keepalive::EngineState;
use weir_keeper_api::{Parked, Reason};
use weir_model::Role;
use weir_sockets::ControlSender;
use weir_telemetry::{Chain, Tasks};

/// How long a parked worker keeps its lifelines: those of the worker that serves have taken their place by then.
const LIFELINES_KEPT: Duration = Duration::from_secs(5);
/// How long tasks may take to end when the agent falls silent.
const TASKS_END: Duration = Duration::from_millis(500);
/// How long the update's driver may take to end its step: a record made durable on a slow disk.
const DRIVER_END: Duration = Duration::from_millis(1500);
/// News of the keeper not yet taken: it says little, and what it says is looked up again.
pub const KEEPER_NEWS_MAX: usize = 16;

/// What the keeper says that concerns the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperNews {
    /// The boot record has changed.
    Slots {
        /// Its sequence number.
        seq: u64,
        /// A worker of the slot before is parked.
        parked: bool,
    },
    /// How the parked worker is.
    Parked(Parked),
    /// It refused what was asked.
    Refused {
        /// The verb refused.
        verb: String,
        /// Why.
        reason: Reason,
        /// For a person.
        detail: String,
    },
}

/// The agent's end of the control socket: the worker that owns the socket passes on what concerns the agent.
pub struct KeeperLink {
    /// Says what the agent wants.
    pub sender: ControlSender,
    /// What the keeper says, at most [`KEEPER_NEWS_MAX`] not yet taken.
    pub news: mpsc::Receiver<KeeperNews>,
}

/// Tasks of an agent that serves.
#[derive(Default)]
pub(crate) struct Life {
    serving: Tasks,
    /// Apart from the others, which are cut: it ends between two steps, so that nobody writes when another worker drives.
    driver: Tasks,
    lifelines: Mutex<Tasks>,
    /// Ends the lifelines of a parked worker.
    parting: Tasks,
}

impl Agent {
    /// Follows the manager, reports, carries updates out, and, on an engine, keeps routers informed. Called when the keeper said
    /// ACCEPT: whoever serves, and nobody else, speaks for the device.
    pub fn start(&self, keeper: KeeperLink) {
        let (shared, serving) = (&self.shared, &self.life.serving);
        self.life.parting.cancel();
        shared.parked.send_replace(false);
        serving.spawn("follow", follow::run(shared.clone()));
        serving.spawn("report", report::run(shared.clone()));
        serving.spawn("knock", report::knock(shared.clone()));
        if shared.settings.role != Role::Manager {
            self.life.driver.spawn("update", update::run(shared.clone(), keeper));
        }
        if shared.settings.role == Role::Engine {
            serving.spawn("keepalive", keepalive::run(shared.clone()));
            serving.spawn("contacts", contacts::tell(shared.clone()));
            let lifelines = Tasks::new();
            lifelines.spawn("lifelines", keepalive::hold_lifelines(shared.clone()));
            // Those of the life before end here, one round trip before the new ones are open.
            *self.life.lifelines.lock().expect("no panic while held") = lifelines;
        }
    }

    /// Falls silent: another worker of the device speaks from now on. Lifelines stay open until those of the other worker have
    /// taken their place, at most [`LIFELINES_KEPT`].
    pub async fn park(&self) {
        self.shared.parked.send_replace(true);
        self.end_tasks().await;
        let lifelines = self.life.lifelines.lock().expect("no panic while held").clone();
        self.life.parting.spawn("end lifelines", async move {
            tokio::time::sleep(LIFELINES_KEPT).await;
            lifelines.cancel();
        });
    }

    /// Speaks for the device again: takes up the configuration on disk, which the other worker may have replaced, and starts. A
    /// configuration that this worker cannot read or run keeps it from nothing: it has the one in memory.
    pub async fn unpark(&self, keeper: KeeperLink) {
        self.on_disk(|shared| {
            shared.raise_boot();
            shared.take_up();
        })
        .await;
        self.start(keeper);
    }

    /// Takes up a configuration that the worker before this one kept after this one had read the file. Comes before this one
    /// accepts; an error is logged and reported, and the one in memory stays.
    pub async fn take_up(&self) {
        self.on_disk(Shared::take_up).await;
    }

    async fn on_disk(&self, work: impl FnOnce(&Shared) + Send + 'static) {
        let shared = self.shared.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || work(&shared)).await {
            tracing::error!(%error, "taking the configuration on disk up failed; the one in memory stays in force");
        }
    }

    /// Whether a manager answers this worker: one short call with the device's identity.
    pub async fn reaches_manager(&self) -> bool {
        match self.shared.client.reach().await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "no manager reached");
                false
            }
        }
    }

    /// Tells routers to send nothing new: called before an engine stops accepting.
    pub async fn leave(&self) {
        self.shared.engine_state.send_replace(EngineState::Leaving);
        keepalive::send_now(&self.shared).await;
    }

    /// Ends everything [`Agent::start`] began, lifelines too: the worker ends, or the keeper is gone and the agent of another
    /// worker will speak.
    pub async fn end(&self) {
        self.shared.parked.send_replace(true);
        self.life.parting.cancel();
        self.life.lifelines.lock().expect("no panic while held").cancel();
        self.end_tasks().await;
    }

    async fn end_tasks(&self) {
        self.life.serving.cancel();
        // Side by side: the keeper does not wait for the sum of both.
        let (ended, _) = tokio::join!(self.life.driver.join(DRIVER_END), self.life.serving.join(TASKS_END));
        if !ended {
            tracing::warn!("the update's driver was cut off");
        }
    }
}

#[cfg(test)]
mod tests;
