//! The gate of a process: whether it accepts, what is open, and when it is drained.

use super::{Counters, lane::Lane};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// What a process does with its listening sockets and connections. Later phases are further on the way out; only
/// `Stop` leads back, to `Accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Sockets are held, nothing is accepted.
    Hold,
    /// Connections are accepted.
    Accept,
    /// Nothing is accepted, the sockets are kept. Requests under way are answered with `Connection: close`, idle
    /// connections are closed.
    Stop,
    /// As `Stop`, and the sockets are dropped.
    Release,
    /// Connections still open are cut.
    Closed,
}

/// One per process, shared by every listener; clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    /// Number of changes in the upper bits, phase in the low byte: one load tells a connection all it needs.
    state: AtomicU64,
    changed: Notify,
    /// A connection ended.
    ended: Notify,
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Open connections per address, kept while a listener limits them.
    addresses: Mutex<HashMap<IpAddr, u32>>,
    /// Bytes of memory held for request bodies.
    bodies: AtomicU64,
    /// What a drain waits for besides the connections of the lanes.
    guests: AtomicU64,
}

/// A phase, and which change brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GateState(u64);

impl GateState {
    pub(crate) fn phase(self) -> Phase {
        match self.0 & 0xff {
            0 => Phase::Hold,
            1 => Phase::Accept,
            2 => Phase::Stop,
            3 => Phase::Release,
            _ => Phase::Closed,
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A gate in `Hold`.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: AtomicU64::new(Phase::Hold as u64),
                changed: Notify::new(),
                ended: Notify::new(),
                lanes: Mutex::default(),
                addresses: Mutex::default(),
                bodies: AtomicU64::new(0),
                guests: AtomicU64::new(0),
            }),
        }
    }

    /// Starts or, after [`Gate::stop`], resumes accepting. Returns whether the gate accepts now: not once the sockets are dropped.
    pub fn accept(&self) -> bool {
        self.change(Phase::Accept, |phase| matches!(phase, Phase::Hold | Phase::Stop));
        self.phase() == Phase::Accept
    }

    /// Stops accepting, keeps the sockets: what another process accepts from goes on, and [`Gate::accept`] resumes.
    pub fn stop(&self) {
        self.change(Phase::Stop, |phase| phase < Phase::Stop);
    }

    /// Stops accepting and drops the sockets.
    pub fn close_listeners(&self) {
        self.change(Phase::Release, |phase| phase < Phase::Release);
    }

    /// Drops the sockets and cuts what is still open.
    pub fn close(&self) {
        self.change(Phase::Closed, |phase| phase < Phase::Closed);
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        self.state().phase()
    }

    /// What the connections did and do.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::zero();
        for lane in self.lanes().iter() {
            lane.add_to(&mut sum);
        }
        sum
    }

    /// Connections open now.
    pub fn open_connections(&self) -> u64 {
        self.lanes().iter().map(|lane| lane.open.load(Ordering::Acquire)).sum()
    }

    /// Requests being answered now.
    pub fn active_requests(&self) -> u64 {
        self.lanes().iter().map(|lane| lane.active.load(Ordering::Relaxed)).sum()
    }

    /// Counts a connection of another protocol that follows this gate, until the guest is dropped: [`Gate::drained`] waits
    /// for it, and no counter of HTTP shows it.
    pub fn guest(&self) -> Guest {
        self.shared.guests.fetch_add(1, Ordering::AcqRel);
        Guest(self.clone())
    }

    /// Waits until the gate is past `Accept` and no connection is open.
    pub async fn drained(&self) {
        loop {
            let ended = self.shared.ended.notified();
            let changed = self.shared.changed.notified();
            tokio::pin!(ended, changed);
            ended.as_mut().enable();
            changed.as_mut().enable();
            let open = self.open_connections() + self.shared.guests.load(Ordering::Acquire);
            if self.phase() >= Phase::Stop && open == 0 {
                return;
            }
            tokio::select! { () = ended => {}, () = changed => {} }
        }
    }

    /// Waits until the phase is at least `phase`.
    pub async fn reached(&self, phase: Phase) {
        loop {
            let seen = self.state();
            if seen.phase() >= phase {
                return;
            }
            self.changed_since(seen).await;
        }
    }

    /// Waits until the gate accepts. False when it never will again: its sockets are to be dropped.
    pub async fn accepts(&self) -> bool {
        loop {
            let seen = self.state();
            match seen.phase() {
                Phase::Accept => return true,
                Phase::Release | Phase::Closed => return false,
                Phase::Hold | Phase::Stop => self.changed_since(seen).await,
            }
        }
    }

    pub(crate) fn state(&self) -> GateState {
        GateState(self.shared.state.load(Ordering::Acquire))
    }

    /// Waits until the state is no longer `seen`.
    pub(crate) async fn changed_since(&self, seen: GateState) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state() != seen {
                return;
            }
            changed.await;
        }
    }

    /// Wakes at every change; connections register once and then look at the state.
    pub(crate) fn changes(&self) -> &Notify {
        &self.shared.changed
    }

    /// Wakes whenever a connection ended.
    pub(crate) fn ends(&self) -> &Notify {
        &self.shared.ended
    }

    pub(crate) fn add_lane(&self) -> Arc<Lane> {
        let lane = Arc::new(Lane::new());
        self.lanes().push(lane.clone());
        lane
    }

    /// Lets a connection in, unless its address has `per_address` open already (0: no limit).
    pub(crate) fn admit(&self, lane: &Arc<Lane>, address: IpAddr, per_address: u32) -> Option<Admission> {
        if per_address > 0 {
            let mut addresses = self.addresses();
            let open = addresses.entry(address).or_default();
            if *open >= per_address {
                return None;
            }
            *open += 1;
        }
        lane.accepted.fetch_add(1, Ordering::Relaxed);
        lane.open.fetch_add(1, Ordering::AcqRel);
        Some(Admission { gate: self.clone(), lane: lane.clone(), address: (per_address > 0).then_some(address) })
    }

    /// Takes `bytes` for a request body, unless that makes more than `most` in the whole process.
    pub(crate) fn take_body_bytes(&self, bytes: u64, most: u64) -> bool {
        let taken = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= most);
        self.shared.bodies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Gives back what was taken for a request body.
    pub(crate) fn give_body_bytes(&self, bytes: u64) {
        self.shared.bodies.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn change(&self, to: Phase, allowed: impl Fn(Phase) -> bool) {
        let change = |state| allowed(GateState(state).phase()).then(|| (((state >> 8) + 1) << 8) | to as u64);
        if self.shared.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok() {
            self.shared.changed.notify_waiters();
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection, counted until it is dropped.
pub(crate) struct Admission {
    gate: Gate,
    lane: Arc<Lane>,
    address: Option<IpAddr>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let mut addresses = self.gate.addresses();
            if let Some(open) = addresses.get_mut(&address) {
                *open -= 1;
                if *open == 0 {
                    addresses.remove(&address);
                }
            }
        }
        self.lane.open.fetch_sub(1, Ordering::AcqRel);
        self.gate.shared.ended.notify_waiters();
    }
}

/// A connection of another protocol, counted until it is dropped.
pub struct Guest(Gate);

impl Drop for Guest {
    fn drop(&mut self) {
        let Guest(gate) = self;
        gate.shared.guests.fetch_sub(1, Ordering::AcqRel);
        gate.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, task::Poll};

    #[test]
    fn phases_go_forward_and_stop_leads_back() {
        let gate = Gate::new();
        assert_eq!(gate.phase(), Phase::Hold);
        assert!(gate.accept());
        gate.stop();
        assert_eq!(gate.phase(), Phase::Stop);
        assert!(gate.accept());
        gate.close_listeners();
        gate.stop();
        assert_eq!(gate.phase(), Phase::Release);
        assert!(!gate.accept());
        gate.close();
        gate.close_listeners();
        assert_eq!(gate.phase(), Phase::Closed);
    }

    #[tokio::test]
    async fn who_waits_to_accept_is_woken_again_after_a_stop_and_told_of_the_end() {
        let gate = Gate::new();
        let now = async || {
            let mut accepts = Box::pin(gate.accepts());
            std::future::poll_fn(|context| Poll::Ready(accepts.as_mut().poll(context))).await
        };
        assert_eq!(now().await, Poll::Pending, "it holds");
        gate.accept();
        assert_eq!(now().await, Poll::Ready(true));
        gate.stop();
        assert_eq!(now().await, Poll::Pending);
        let (accepts, resumed) = tokio::join!(gate.accepts(), async { gate.accept() });
        assert!(accepts && resumed);
        gate.close_listeners();
        assert_eq!(now().await, Poll::Ready(false), "never again");
    }

    #[test]
    fn an_address_has_its_share() {
        let gate = Gate::new();
        let lane = gate.add_lane();
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = gate.admit(&lane, address, 1);
        assert!(first.is_some());
        assert!(gate.admit(&lane, address, 1).is_none());
        assert!(gate.admit(&lane, IpAddr::from([127, 0, 0, 2]), 1).is_some());
        assert_eq!(gate.open_connections(), 1);
        drop(first);
        assert!(gate.admit(&lane, address, 1).is_some());
        assert_eq!(gate.counters().accepted, 3);
        assert!(gate.addresses().is_empty());
    }

    #[tokio::test]
    async fn a_drain_waits_for_guests() {
        let gate = Gate::new();
        let (one, other) = (gate.guest(), gate.guest());
        gate.stop();
        let mut drained = Box::pin(gate.drained());
        let mut is_drained = async || std::future::poll_fn(|context| Poll::Ready(drained.as_mut().poll(context).is_ready())).await;
        assert!(!is_drained().await);
        drop(one);
        assert!(!is_drained().await);
        assert_eq!(gate.open_connections(), 0, "they are no connections of HTTP");
        drop(other);
        assert!(is_drained().await);
    }
}
