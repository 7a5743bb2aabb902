//! Whether a server is worth waiting for: pure, told how long each wait was and what it brought.

use crate::{Limits, budget::seconds};
use std::time::Duration;
use weir_model::FetchReason;

/// The waits so far.
pub struct Pace<'a> {
    limits: &'a Limits,
    silent: Duration,
    waited: Duration,
    bytes: u64,
}

impl<'a> Pace<'a> {
    /// None yet.
    pub fn new(limits: &'a Limits) -> Self {
        Self { limits, silent: Duration::ZERO, waited: Duration::ZERO, bytes: 0 }
    }

    /// How long the next wait may be before something is to be judged.
    pub fn patience(&self) -> Duration {
        let silence = self.limits.idle.saturating_sub(self.silent);
        silence.min(self.limits.slow_window.saturating_sub(self.waited))
    }

    /// Takes one wait and the bytes it brought.
    ///
    /// # Errors
    /// The server was silent for too long, or too slow over a whole window.
    pub fn wait(&mut self, waited: Duration, bytes: u64) -> Result<(), crate::Failure> {
        self.silent = if bytes == 0 { self.silent + waited } else { Duration::ZERO };
        if self.silent >= self.limits.idle {
            let detail = format!("nothing came for {}", seconds(self.limits.idle));
            return Err(crate::Failure::new(FetchReason::Timeout, detail));
        }
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < self.limits.slow_window {
            return Ok(());
        }
        if self.bytes < rate_bytes(self.limits.slowest, self.waited) {
            let detail = format!("{} bytes came in {}, fewer than {} a second", self.bytes, seconds(self.waited), self.limits.slowest);
            return Err(crate::Failure::new(FetchReason::TooSlow, detail));
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

/// Bytes of `rate` in `time`.
fn rate_bytes(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_millis() / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { idle: Duration::from_secs(30), slow_window: Duration::from_secs(60), slowest: 100, ..Limits::for_archives(1) }
    }

    /// The reason that ends these waits, in seconds and bytes, and the wait it ends.
    fn verdict(waits: &[(u64, u64)]) -> Option<(usize, FetchReason)> {
        let limits = limits();
        let mut pace = Pace::new(&limits);
        waits.iter().enumerate().find_map(|(at, &(seconds, bytes))| {
            let ended = pace.wait(Duration::from_secs(seconds), bytes).err();
            ended.map(|failure| (at, failure.reason))
        })
    }

    #[test]
    fn a_server_is_silent_slow_or_fine() {
        assert_eq!(verdict(&[(29, 1), (29, 9999), (29, 1)]), None);
        assert_eq!(verdict(&[(10, 1), (10, 0), (20, 0)]), Some((2, FetchReason::Timeout)));
        assert_eq!(verdict(&[(20, 1), (20, 1), (20, 1)]), Some((2, FetchReason::TooSlow)));
        assert_eq!(verdict(&[(20, 2000), (20, 2000), (20, 2000), (59, 1)]), None, "a new window has begun");
        assert_eq!(verdict(&[(20, 2000), (20, 2000), (20, 1999)]), Some((2, FetchReason::TooSlow)));
        assert_eq!(verdict(&[(20, 1_000_000), (20, 0), (9, 1), (20, 1), (20, 1), (20, 1), (20, 1)]), Some((6, FetchReason::TooSlow)));
    }

    #[test]
    fn the_next_wait_ends_when_something_is_to_be_judged() {
        let limits = limits();
        let mut pace = Pace::new(&limits);
        assert_eq!(pace.patience(), Duration::from_secs(30));
        pace.wait(Duration::from_secs(10), 0).unwrap_or_else(|failure| panic!("{}", failure.detail));
        assert_eq!(pace.patience(), Duration::from_secs(20));
        pace.wait(Duration::from_secs(40), 6000).unwrap_or_else(|failure| panic!("{}", failure.detail));
        assert_eq!(pace.patience(), Duration::from_secs(10));
    }
}
