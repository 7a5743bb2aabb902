//! How long to wait before a process is started again: a worker by its keeper, a keeper by `weir up`; pure.

use std::time::Duration;

/// Wait after the first unexpected exit: short, so that a viewer with some seconds of buffer notices nothing.
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait: a device that cannot run its worker looks again this often.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// A worker that ran this long was well; the exits before it do not count against it.
const STABLE: Duration = Duration::from_secs(30);

/// How it ended, as far as the wait depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Exit code 78: it says that a configuration is wrong, and haste will not change that.
    Misconfigured,
    /// Any other way.
    Unexpectedly,
}

/// Unexpected exits in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    row: u32,
}

impl Backoff {
    /// The row after one more exit of a process that ran for `ran`, and the wait before the next start.
    pub fn after(self, ended: Ended, ran: Duration) -> (Self, Duration) {
        let before = if ran >= STABLE { 0 } else { self.row };
        let next = Self { row: before.saturating_add(1) };
        match ended {
            Ended::Misconfigured => (next, LONGEST),
            // Seven doublings pass the longest wait; more would only overflow.
            Ended::Unexpectedly => (next, (FIRST * 2u32.pow(before.min(7))).min(LONGEST)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_stable_run() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        let at_once = Duration::ZERO;
        for ran in
            [at_once, at_once, at_once, at_once, at_once, at_once, at_once, at_once, STABLE - Duration::from_millis(1), STABLE, at_once]
        {
            let (next, wait) = backoff.after(Ended::Unexpectedly, ran);
            backoff = next;
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 100, 200]);
    }

    #[test]
    fn a_wrong_configuration_waits_longest_at_once() {
        assert_eq!(Backoff::default().after(Ended::Misconfigured, STABLE).1, LONGEST);
    }

    #[test]
    fn the_row_never_overflows() {
        let (next, wait) = Backoff { row: u32::MAX }.after(Ended::Unexpectedly, Duration::ZERO);
        assert_eq!((next.row, wait), (u32::MAX, LONGEST));
    }
}
