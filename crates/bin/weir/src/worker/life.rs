//! The life of a worker that serves viewers, as its keeper says it: ready, accept, park, unpark, stop, drain; and what happens
//! when the keeper dies.
//!
//! ```text
//! READY ── ACCEPT ──> serving ── PARK ──> parked ── UNPARK ──> serving
//!                        └── STOP ──> stopped ── DRAIN ──> ended <── DRAIN ──┘ (of a parked one)
//! ```
//! Two workers of a device share every socket, so the order is what keeps a client from falling between them: this one stops
//! accepting, falls silent and lets go of what only one may hold, and only then tells the keeper, which has the other accept.

use super::{data_plane::DataPlane, parked::Parked};
use anyhow::Context;
use std::{ops::ControlFlow, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep_until, timeout_at},
};
use weir_agent::{Agent, KEEPER_NEWS_MAX, KeeperLink, KeeperNews, admin::WorkerState};
use weir_keeper_api::{self as keeper_api, Reason, Verb};
use weir_model::version;
use weir_net::http1::Phase;
use weir_sockets::{ControlSender, Event};

/// How long a worker whose keeper died finishes what is in flight.
const ORPHAN_DRAIN: Duration = Duration::from_secs(10);
/// How often a draining worker tells the keeper what is left.
const DRAIN_REPORT: Duration = Duration::from_millis(250);
/// How long a stopped worker that may have been left for the parked one keeps its lifelines: the other's take their place
/// within it. Then routers are told that the engine is about to stop, which they ignore of the older of two workers.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// Where a worker is in its life.
pub(super) struct Life<'p> {
    plane: &'p DataPlane,
    keeper: Option<ControlSender>,
    /// To the agent that runs.
    news: mpsc::Sender<KeeperNews>,
    /// How the boot record is, as the keeper last said.
    pub(super) slots: Option<KeeperNews>,
    parked: Option<Parked>,
    /// When a stopped worker gives up waiting for the other's lifelines.
    goodbye: Option<Instant>,
    deadline: Option<Instant>,
}

impl<'p> Life<'p> {
    /// Before ACCEPT.
    pub(super) fn new(plane: &'p DataPlane, keeper: ControlSender) -> Self {
        let (news, _) = mpsc::channel(1);
        Self { plane, keeper: Some(keeper), news, slots: None, parked: None, goodbye: None, deadline: None }
    }

    /// A way for the keeper's news to an agent that starts; the last word of the slots is on it.
    fn link(&mut self, sender: ControlSender) -> KeeperLink {
        let (tell, news) = mpsc::channel(KEEPER_NEWS_MAX);
        self.news = tell;
        if let Some(slots) = self.slots.clone() {
            self.tell(slots);
        }
        KeeperLink { sender, news }
    }

    fn tell(&self, news: KeeperNews) {
        // Who does not take them looks up what it missed.
        drop(self.news.try_send(news));
    }

    /// The keeper said ACCEPT.
    pub(super) async fn accept(&mut self) {
        let plane = self.plane;
        // The worker before may have obeyed a newer one since this one read the file.
        plane.agent.take_up().await;
        plane.duty.take_over().await;
        plane.gate.accept();
        plane.admin.accept();
        plane.state.is(WorkerState::Serving);
        if let Some(sender) = self.keeper.clone() {
            plane.agent.start(self.link(sender));
        }
    }

    /// Does what the keeper says until this worker ends.
    ///
    /// # Errors
    /// The keeper does not hear that a parked worker serves again.
    pub(super) async fn follow(&mut self, events: &mut mpsc::Receiver<Event>) -> anyhow::Result<()> {
        let plane = self.plane;
        let mut tell = interval(DRAIN_REPORT);
        let drained = plane.gate.drained();
        tokio::pin!(drained);
        loop {
            tokio::select! {
                event = events.recv(), if self.keeper.is_some() => {
                    if self.obey(event.unwrap_or(Event::Closed)).await?.is_break() {
                        return Ok(());
                    }
                }
                () = due(&mut self.parked), if self.parked.is_some() => self.tell_parked(),
                is_replaced = replaced(&plane.agent, self.goodbye), if self.goodbye.is_some() => {
                    self.goodbye = None;
                    if !is_replaced {
                        plane.agent.leave().await;
                    }
                }
                () = &mut drained, if self.deadline.is_some() && self.goodbye.is_none() => {
                    tracing::info!("drained");
                    return Ok(());
                }
                () = sleep_until(self.deadline.unwrap_or_else(|| after(ORPHAN_DRAIN))), if self.deadline.is_some() => {
                    tracing::warn!(active = plane.gate.active_requests(), "drain deadline passed; the rest is cut");
                    return Ok(());
                }
                _ = tell.tick(), if self.deadline.is_some() => {
                    if let Some(Err(error)) = self.keeper.as_ref().map(|k| k.draining(plane.gate.active_requests())) {
                        tracing::debug!(%error, "keeper not told of the drain");
                    }
                }
            }
        }
    }

    async fn obey(&mut self, event: Event) -> anyhow::Result<ControlFlow<()>> {
        match event {
            Event::Stop => self.stop().await,
            Event::Drain { deadline } => self.deadline = Some(after(deadline)),
            Event::Exit => return Ok(ControlFlow::Break(())),
            Event::Closed => self.orphaned().await,
            Event::Park if self.plane.gate.phase() == Phase::Accept => self.park().await,
            Event::Unpark if self.parked.is_some() => self.unpark().await?,
            Event::Park => self.refuse(Verb::Park),
            Event::Unpark => self.refuse(Verb::Unpark),
            Event::Slots { seq, parked } => {
                self.slots = Some(KeeperNews::Slots { seq, parked });
                self.tell(KeeperNews::Slots { seq, parked });
            }
            Event::Parked(parked) => self.tell(KeeperNews::Parked(parked)),
            Event::Refused { verb, reason, detail } => {
                self.tell(KeeperNews::Refused { verb: verb.to_string(), reason, detail: detail.to_string() });
            }
            other => tracing::warn!(event = ?other, "ignored: nothing of this kind was asked for"),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn refuse(&self, verb: Verb) {
        tracing::warn!(%verb, "refused: not legal now");
        if let Some(Err(error)) = self.keeper.as_ref().map(|k| k.refuse(verb, Reason::OutOfOrder, "not in this state")) {
            tracing::debug!(%error, "keeper not told of the refusal");
        }
    }

    async fn park(&mut self) {
        let plane = self.plane;
        plane.gate.stop();
        plane.admin.stop();
        // Side by side, the agent's silence first: the keeper waits 2 s for PARKED, and each of the two may take 1.5 s.
        tokio::join!(biased; plane.agent.park(), plane.handed_over());
        plane.state.is(WorkerState::Parked);
        self.parked = Some(Parked::begin(&plane.agent));
        self.tell_parked();
        tracing::info!(active = plane.gate.active_requests(), "parked");
    }

    fn tell_parked(&self) {
        let (Some(keeper), Some(parked)) = (&self.keeper, &self.parked) else { return };
        let load = self.plane.duty.load();
        let word = keeper_api::Parked {
            contact: parked.has_contact(),
            active: self.plane.gate.active_requests(),
            sessions: u64::from(load.sessions),
            requests: load.requests,
            client_bytes: load.client_bytes,
        };
        if let Err(error) = keeper.parked(word) {
            tracing::debug!(%error, "keeper not told of the parked worker");
        }
    }

    async fn unpark(&mut self) -> anyhow::Result<()> {
        let plane = self.plane;
        let Some(sender) = self.keeper.clone() else { return Ok(()) };
        self.parked = None;
        let link = self.link(sender.clone());
        plane.agent.unpark(link).await;
        plane.duty.take_over().await;
        plane.gate.accept();
        plane.admin.accept();
        plane.state.is(WorkerState::Serving);
        sender.ready(version()).context("tell the keeper READY")?;
        tracing::info!("accepting again");
        Ok(())
    }

    async fn stop(&mut self) {
        let plane = self.plane;
        plane.state.is(WorkerState::Stopping);
        if self.parked.take().is_some() || plane.gate.phase() >= Phase::Stop {
            return;
        }
        if matches!(self.slots, Some(KeeperNews::Slots { parked: true, .. })) {
            // As likely as not the parked worker serves next: routers are to see no gap between the two.
            plane.gate.stop();
            plane.admin.stop();
            drop(plane.hand_over());
            plane.agent.park().await;
            self.goodbye = Some(after(GOODBYE_TIME));
        } else {
            plane.agent.leave().await;
            plane.gate.stop();
            drop(plane.hand_over());
        }
        tracing::info!("stopped accepting");
    }

    /// The keeper is gone: a new one will bind every address of this device, and its worker's agent will speak.
    async fn orphaned(&mut self) {
        tracing::warn!("the keeper is gone: listeners closed, finishing what is in flight");
        let plane = self.plane;
        let was_parked = self.parked.take().is_some();
        (self.keeper, self.goodbye) = (None, None);
        plane.gate.close_listeners();
        plane.admin.close_listeners();
        plane.state.is(WorkerState::Stopping);
        if !was_parked {
            plane.agent.leave().await;
            plane.handed_over().await;
        }
        plane.agent.end().await;
        plane.tasks.cancel();
        let latest = after(ORPHAN_DRAIN);
        self.deadline = Some(self.deadline.map_or(latest, |deadline| deadline.min(latest)));
    }
}

async fn due(parked: &mut Option<Parked>) {
    match parked {
        Some(parked) => parked.due().await,
        None => std::future::pending().await,
    }
}

/// Whether another worker's lifelines have taken the place of this one's, by `at`.
async fn replaced(agent: &Agent, at: Option<Instant>) -> bool {
    match at {
        Some(at) => timeout_at(at, agent.replaced()).await.is_ok(),
        None => std::future::pending().await,
    }
}

fn after(patience: Duration) -> Instant {
    Instant::from_std(weir_clock::monotonic() + patience)
}

#[cfg(test)]
mod tests;
