//! How much of its weight an engine takes after Server Offload: a tenth at first, all of it in the end.

use std::time::{Duration, Instant};
use weir_model::{
    Stamp,
    configuration::EngineEntry,
    offload::{SHARE_FIRST, SHARE_WHOLE},
};

/// When an engine came back.
#[derive(Debug, Clone, Copy)]
struct Returned {
    /// When this worker learnt of it.
    at: Instant,
    /// How long it had been back by then.
    earlier: Duration,
}

/// Whether an engine is offloaded, and when it returned.
#[derive(Debug, Default)]
pub(crate) struct Ramp {
    /// Stamp of the configuration it learnt of its offload by.
    offloaded: Option<Stamp>,
    returned: Option<Returned>,
}

impl Ramp {
    /// That of a worker started by `now`, after another one that saw the engine return at `returned_ms`, by the wall clock.
    pub(crate) fn resumed(returned_ms: Option<u64>, wall_ms: u64, now: Instant) -> Self {
        let earlier = |returned_ms| Duration::from_millis(wall_ms.saturating_sub(returned_ms));
        Self { offloaded: None, returned: returned_ms.map(|returned_ms| Returned { at: now, earlier: earlier(returned_ms) }) }
    }

    /// A configuration with this entry of the engine's comes into force. Without one nobody sends it anything, which is no return.
    pub(crate) fn runs(&mut self, entry: Option<&EngineEntry>, stamp: Stamp, now: Instant) {
        if self.ends_with(entry) {
            *self = Self { offloaded: None, returned: Some(Returned { at: now, earlier: Duration::ZERO }) };
        } else if entry.is_some_and(|entry| entry.offload.is_some()) {
            *self = Self { offloaded: Some(self.offloaded.unwrap_or(stamp)), returned: None };
        }
    }

    /// It rises from now on, unless the engine is offloaded.
    pub(crate) fn begins(&mut self, now: Instant) {
        if self.offloaded.is_none() {
            self.returned = Some(Returned { at: now, earlier: Duration::ZERO });
        }
    }

    /// Whether the engine returns with this entry.
    pub(crate) fn ends_with(&self, entry: Option<&EngineEntry>) -> bool {
        self.offloaded.is_some() && entry.is_some_and(|entry| entry.offload.is_none())
    }

    /// The stamp its offload began with, as far as this worker knows; absent while it is in service.
    pub(crate) fn offloaded_since(&self) -> Option<Stamp> {
        self.offloaded
    }

    /// The share it takes now, in thousandths of its weight.
    pub(crate) fn share_permille(&self, now: Instant, ramp: Duration) -> u16 {
        let back = |returned: Returned| now.saturating_duration_since(returned.at) + returned.earlier;
        self.returned.map_or(SHARE_WHOLE, |returned| share_permille(back(returned), ramp))
    }
}

/// The share of an engine that has been back for so long: straight from [`SHARE_FIRST`] to [`SHARE_WHOLE`].
fn share_permille(back: Duration, ramp: Duration) -> u16 {
    if back >= ramp {
        return SHARE_WHOLE;
    }
    let gained = u128::from(SHARE_WHOLE - SHARE_FIRST) * back.as_millis() / ramp.as_millis().max(1);
    SHARE_FIRST + u16::try_from(gained).expect("less than the whole: the ramp is not over")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::OffloadEpoch;

    fn entry(offload: Option<OffloadEpoch>) -> EngineEntry {
        EngineEntry {
            name: "east-1".parse().expect("name"),
            location: "east".parse().expect("name"),
            http: "127.0.0.1:8080".parse().expect("address"),
            weight: 100,
            offload,
            offload_since_ms: None,
        }
    }

    #[test]
    fn it_rises_straight_from_a_tenth_to_the_whole() {
        let ramp = Duration::from_secs(300);
        for (back_s, share) in [(0, 100), (1, 103), (75, 325), (150, 550), (299, 997), (300, 1000), (10_000, 1000)] {
            assert_eq!(share_permille(Duration::from_secs(back_s), ramp), share, "{back_s} s");
        }
        assert_eq!(share_permille(Duration::ZERO, Duration::ZERO), 1000, "no ramp");
        assert_eq!(share_permille(Duration::ZERO, Duration::from_micros(1)), 100, "a ramp shorter than a millisecond");
    }

    #[test]
    fn only_a_return_begins_it_and_another_offload_forgets_it() {
        use OffloadEpoch::{Clients, Peers};
        let (start, length) = (weir_clock::monotonic(), Duration::from_secs(10));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let (served, clients, peers) = (entry(None), entry(Some(Clients)), entry(Some(Peers)));
        let mut ramp = Ramp::default();
        for (second, runs, share) in [
            (0, Some(&served), 1000),
            (1, Some(&clients), 1000),
            (2, Some(&peers), 1000),
            (3, None, 1000),
            (4, Some(&served), 100),
            (9, Some(&served), 550),
            (9, None, 550),
            (10, Some(&clients), 1000),
            (11, Some(&served), 100),
            (21, Some(&served), 1000),
        ] {
            ramp.runs(runs, Stamp { term: 1, generation: second }, at(second));
            assert_eq!(ramp.share_permille(at(second), length), share, "second {second}");
            let since = [(1..4, 1), (10..11, 10)].into_iter().find(|(seconds, _)| seconds.contains(&second));
            assert_eq!(ramp.offloaded_since().map(|stamp| stamp.generation), since.map(|(_, since)| since), "second {second}");
        }
    }

    #[test]
    fn a_worker_started_meanwhile_goes_on_with_it() {
        let (now, length, wall_ms) = (weir_clock::monotonic(), Duration::from_secs(10), 1_000_000);
        for (returned_ms, share) in [(None, 1000), (Some(995_000), 550), (Some(990_000), 1000), (Some(1_005_000), 100), (Some(0), 1000)] {
            let mut ramp = Ramp::resumed(returned_ms, wall_ms, now);
            ramp.runs(Some(&entry(None)), Stamp::default(), now);
            assert_eq!(ramp.share_permille(now, length), share, "{returned_ms:?}");
            ramp.runs(Some(&entry(Some(OffloadEpoch::Clients))), Stamp::default(), now);
            assert_eq!(ramp.share_permille(now, length), 1000, "another offload forgets it");
        }
    }
}
