//! How much of its weight an engine takes after Server Offload: a tenth at first, all of it in the end.

use std::time::{Duration, Instant};
use weir_device_api::keepalive::SHARE_WHOLE;
use weir_model::configuration::EngineEntry;

/// What an engine takes the moment it returns, in thousandths of its weight.
const SHARE_FIRST: u16 = 100;

/// Whether an engine was offloaded, and when it returned.
#[derive(Debug, Default)]
pub(crate) struct Ramp {
    offloaded: bool,
    returned: Option<Instant>,
}

impl Ramp {
    /// A configuration with this entry of the engine's comes into force. Without one nobody sends it anything, which is no return.
    pub(crate) fn runs(&mut self, entry: Option<&EngineEntry>, now: Instant) {
        match entry.map(|entry| entry.offload.is_some()) {
            Some(true) => *self = Self { offloaded: true, returned: None },
            Some(false) if self.offloaded => *self = Self { offloaded: false, returned: Some(now) },
            Some(false) | None => {}
        }
    }

    /// The share it takes now, in thousandths of its weight.
    pub(crate) fn share_permille(&self, now: Instant, ramp: Duration) -> u16 {
        self.returned.map_or(SHARE_WHOLE, |returned| share_permille(now.saturating_duration_since(returned), ramp))
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
            ramp.runs(runs, at(second));
            assert_eq!(ramp.share_permille(at(second), length), share, "second {second}");
        }
    }
}
