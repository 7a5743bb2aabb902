//! How fast an archive is fetched: pure, time is an argument.

use std::time::{Duration, Instant};

/// While the device answers viewers it takes this part of its rate (1/4).
const SHARE_BESIDE_VIEWERS: u64 = 4;
/// Never slower than this, in bytes per second: an archive of 100 MiB then takes about half an hour.
const RATE_MIN: u64 = 64 << 10;
/// What may come at once after a rest: the rate of this time.
const BURST: Duration = Duration::from_millis(250);
/// A shorter wait is none, and its bytes stay a debt: timers are of milliseconds, and pieces come by the thousand in a second.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// Bytes a second for an archive, on a device that may take `bytes_per_second`.
pub(super) fn rate(bytes_per_second: u64, answers_viewers: bool) -> u64 {
    let share = if answers_viewers { SHARE_BESIDE_VIEWERS } else { 1 };
    (bytes_per_second / share).max(RATE_MIN)
}

/// A token bucket that lends: bytes have come already when they are counted, and the debt is waited for.
#[derive(Debug)]
pub(super) struct Bucket {
    /// What may come without a wait, in bytes; less than nothing is a debt.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// An empty one.
    pub(super) fn new(now: Instant) -> Self {
        Self { level: 0.0, at: now }
    }

    /// `bytes` came; how long to wait before more is read, at `rate` bytes a second. The rate may be another one each time.
    pub(super) fn take(&mut self, bytes: u64, rate: u64, now: Instant) -> Duration {
        let rate = exact(rate.max(1));
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.level = (self.level + gained).min(BURST.as_secs_f64() * rate) - exact(bytes);
        self.at = self.at.max(now);
        let wait = Duration::from_secs_f64((-self.level / rate).max(0.0));
        if wait < WAIT_MIN { Duration::ZERO } else { wait }
    }
}

/// Bytes as a float; above 2^53, where that is not exact, nobody waits for them anyway.
#[allow(clippy::cast_precision_loss, reason = "archives are smaller than 2^53 bytes, and so are rates")]
fn exact(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_leave_a_quarter() {
        for (profile, viewers, expected) in
            [(12_500_000, false, 12_500_000), (12_500_000, true, 3_125_000), (0, false, RATE_MIN), (200_000, true, RATE_MIN)]
        {
            assert_eq!(rate(profile, viewers), expected);
        }
    }

    /// (milliseconds since the start, bytes, rate) and the wait in milliseconds.
    #[test]
    fn what_came_too_fast_is_waited_for() {
        let start = weir_clock::monotonic();
        let steps: [(u64, u64, u64, u64); 9] = [
            (0, 1_000, 1_000, 1_000),
            (1_000, 500, 1_000, 500),
            (1_500, 0, 1_000, 0),
            (2_500, 250, 1_000, 0),
            (2_500, 250, 1_000, 250),
            (60_000, 1_250, 1_000, 1_000),
            (60_000, 0, 4_000, 250),
            (60_250, 0, 4_000, 0),
            (60_250, 1_000, 1_000, 1_000),
        ];
        let mut bucket = Bucket::new(start);
        for (at_ms, bytes, rate, wait_ms) in steps {
            let wait = bucket.take(bytes, rate, start + Duration::from_millis(at_ms));
            assert_eq!(wait.as_millis(), u128::from(wait_ms), "{at_ms} ms, {bytes} bytes at {rate}");
        }
    }

    #[test]
    fn small_pieces_at_a_high_rate_are_not_waited_for_one_by_one() {
        let start = weir_clock::monotonic();
        let (mut bucket, mut now, mut waits) = (Bucket::new(start), start, 0_u32);
        for _ in 0..1_000 {
            let wait = bucket.take(16 << 10, 125_000_000, now);
            assert!(wait.is_zero() || wait >= WAIT_MIN, "{wait:?}");
            waits += u32::from(!wait.is_zero());
            now += wait;
        }
        assert!(waits <= 13, "{waits} waits in {:?}", now.duration_since(start));
    }

    #[test]
    fn over_a_while_the_rate_is_the_rate() {
        let start = weir_clock::monotonic();
        let (mut bucket, mut now) = (Bucket::new(start), start);
        for _ in 0..1_000 {
            now += bucket.take(12_345, 1_000_000, now);
        }
        let took = now.duration_since(start).as_secs_f64();
        assert!((12.3..12.4).contains(&took), "{took} s for 12.345 MB at 1 MB/s");
    }
}
