//! Server Offload as an engine knows it: from its own entry in the configuration in force.

use crate::here::Here;
use std::time::Duration;
use weir_model::{OffloadEpoch, Stamp};
use weir_routing::Network;

/// This engine is offloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offload {
    pub(crate) epoch: OffloadEpoch,
    /// Of the configuration it learnt of it by: who obeys this offload names this stamp or a later one.
    pub(crate) since: Stamp,
    /// When that came into force in this worker, monotonic milliseconds.
    learnt_ms: u64,
    /// How long it had held by then, when this worker was started into it, milliseconds.
    earlier_ms: u64,
}

impl Offload {
    /// What a configuration says of `epoch`, after one that said `before`. Learnt now, it has held for `earlier_ms` already.
    pub(crate) fn of(
        epoch: Option<OffloadEpoch>,
        stamp: Stamp,
        before: Option<&Offload>,
        (learnt_ms, earlier_ms): (u64, u64),
    ) -> Option<Self> {
        let epoch = epoch?;
        Some(before.map_or(Self { epoch, since: stamp, learnt_ms, earlier_ms }, |before| Self { epoch, ..*before }))
    }

    /// Milliseconds since this engine learnt of it, or the worker before this one did.
    pub(crate) fn for_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.learnt_ms).saturating_add(self.earlier_ms)
    }

    /// From when on nobody is sent here by a name any more, as far as this worker saw it: monotonic milliseconds. Who was here
    /// before a restart comes again at once, so this counts from when this worker learnt of the offload.
    pub(crate) fn late_from_ms(&self, network: &Network) -> u64 {
        self.learnt_ms.saturating_add(u64::from(network.profile().dns_ttl_seconds) * 1_000)
    }

    /// Whether an answer closes its connection: once no name leads here any more, so that a connection kept alive does not.
    /// Another engine's stays until it may no longer fill from here.
    pub(crate) fn closes(&self, network: &Network, hops: u32, now_ms: u64) -> bool {
        let ttl = Duration::from_secs(network.profile().dns_ttl_seconds.into());
        (hops == 0 || self.epoch == OffloadEpoch::Peers) && u128::from(self.for_ms(now_ms)) >= ttl.as_millis()
    }
}

impl Here {
    /// Whether the answer to a request that passed `hops` engines closes its connection.
    pub(crate) fn closes(&self, hops: u32) -> bool {
        self.offload.is_some_and(|offload| offload.closes(&self.network, hops, weir_clock::monotonic_ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OffloadEpoch::{Clients, Peers};

    fn stamp(generation: u64) -> Stamp {
        Stamp { term: 1, generation }
    }

    #[test]
    fn it_is_the_same_offload_until_the_engine_returns() {
        let first = Offload::of(Some(Clients), stamp(7), None, (1_000, 0)).expect("offloaded");
        let second = Offload::of(Some(Peers), stamp(9), Some(&first), (5_000, 0)).expect("offloaded");
        assert_eq!((second.epoch, second.since, second.for_ms(6_000)), (Peers, stamp(7), 5_000));
        assert_eq!(Offload::of(None, stamp(10), Some(&second), (6_000, 0)), None);
        let again = Offload::of(Some(Clients), stamp(11), None, (7_000, 0)).expect("offloaded");
        assert_eq!((again.since, again.for_ms(7_000)), (stamp(11), 0));
    }
    #[test]
    fn a_worker_started_into_it_goes_on_counting() {
        let first = Offload::of(Some(Clients), stamp(7), None, (1_000, 40_000)).expect("offloaded");
        let second = Offload::of(Some(Peers), stamp(9), Some(&first), (5_000, 0)).expect("offloaded");
        assert_eq!([first, second].map(|offload| offload.for_ms(6_000)), [45_000; 2]);
    }
}
