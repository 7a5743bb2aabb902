//! A worker that serves viewers: what it is made of, and its way from READY to its end.

use super::{admin::State, duty::Duty, life::Life};
use anyhow::{Context, bail};
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use weir_agent::{Agent, KeeperNews, control::Control};
use weir_device_api::Load;
use weir_model::version;
use weir_net::{cores::Cores, http1::Gate};
use weir_sockets::{ControlSender, Event};
use weir_telemetry::{Chain, Tasks};

/// How long the keeper is kept waiting for what only one worker may hold; it waits 2 s for PARKED. What takes longer goes on.
const HAND_OVER_TIME: Duration = Duration::from_millis(1500);
/// How long owned tasks may take to end.
pub(super) const TASKS_END: Duration = Duration::from_millis(500);

/// Waits for the keeper to say ACCEPT, after READY. `slots` hears how the boot record is meanwhile.
pub(super) async fn ready(
    sender: &ControlSender,
    events: &mut mpsc::Receiver<Event>,
    mut slots: impl FnMut(KeeperNews),
) -> anyhow::Result<bool> {
    sender.ready(version()).context("tell the keeper READY")?;
    loop {
        match events.recv().await {
            Some(Event::Accept) => return Ok(true),
            Some(Event::Slots { seq, parked }) => slots(KeeperNews::Slots { seq, parked }),
            Some(Event::Stop | Event::Drain { .. } | Event::Exit | Event::Closed) | None => return Ok(false),
            Some(other) => bail!("the keeper said {other:?} instead of ACCEPT"),
        }
    }
}

/// A worker of the data plane: what it does, its gates, its agent.
pub(super) struct DataPlane {
    pub(super) duty: Duty,
    pub(super) gate: Gate,
    pub(super) admin: Gate,
    pub(super) agent: Agent,
    pub(super) state: State,
    pub(super) tasks: Tasks,
}

impl DataPlane {
    /// Serves until the keeper stops it or dies, and drains.
    ///
    /// # Errors
    /// The keeper is not understood, a data thread failed, or a parked worker cannot serve again.
    pub(super) async fn live(self, control: Control, threads: Cores) -> anyhow::Result<()> {
        let Control { sender, mut events, .. } = control;
        let mut life = Life::new(&self, sender.clone());
        let mut outcome = Ok(());
        if ready(&sender, &mut events, |slots| life.slots = Some(slots)).await? {
            life.accept().await;
            tracing::info!("accepting");
            outcome = tokio::select! {
                outcome = life.follow(&mut events) => outcome,
                // A device with fewer threads than sockets would leave clients waiting: a new worker has them all.
                end = threads.ended() => {
                    tracing::error!(error = %Chain(&end), "a data thread ended; ending the worker");
                    Ok(())
                }
            };
        }
        self.gate.close();
        self.agent.end().await;
        self.tasks.cancel();
        self.tasks.join(TASKS_END).await;
        let joined = tokio::task::spawn_blocking(|| threads.join()).await.context("wait for data threads")?;
        outcome.and(joined.context("end data threads"))
    }

    /// Hands over what only one worker may hold; the answer comes when that is done.
    pub(super) fn hand_over(&self) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        let duty = self.duty.clone();
        self.tasks.spawn("hand over", async move {
            duty.hand_over().await;
            // Not everybody waits for it.
            let _ = done.send(());
        });
        ended
    }

    /// As [`DataPlane::hand_over`], and waits for it, though not for ever.
    pub(super) async fn handed_over(&self) {
        if timeout(HAND_OVER_TIME, self.hand_over()).await.is_err() {
            tracing::warn!("letting go takes long; it goes on beside the other worker");
        }
    }
}

/// A role's load with what only the server loop knows.
pub(super) fn with_gate(load: Load, gate: &Gate) -> Load {
    Load { active_requests: u32::try_from(gate.active_requests()).unwrap_or(u32::MAX), ..load }
}
