//! Wall-clock seconds that never go back: what the residence of content on disk is measured with.
//!
//! Freshness counts monotonic seconds, which mean nothing in another process; the wall clock means the same in every process
//! but may be put back, and would make what lies on disk younger than its `Age` has said (RFC 9111 section 4.2.3). So the engine
//! counts on from the latest moment it knows of: its own, and that of the worker before it, which left it in a file each minute
//! and when it let go of the disk. Records move no clock: one that is damaged, or of a clock that was ahead, would age all others.

use std::{
    fs, io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};
use weir_telemetry::Chain;

/// Seconds since 1970 that never go back, from the moment this process begins.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    /// How far they are ahead of the monotonic clock; only rises.
    ahead_s: AtomicU64,
}

/// The one of this process: its engines, however many, are on one box.
static STEADY: Steady = Steady { ahead_s: AtomicU64::new(0) };

impl Steady {
    /// Now, when the clocks show this.
    pub(crate) fn at(&self, monotonic_s: u64, wall_s: u64) -> u64 {
        monotonic_s + self.raise(monotonic_s, wall_s)
    }

    /// It is `seconds` or later.
    fn raise(&self, monotonic_s: u64, seconds: u64) -> u64 {
        let ahead_s = seconds.saturating_sub(monotonic_s);
        self.ahead_s.fetch_max(ahead_s, Ordering::Relaxed).max(ahead_s)
    }
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Seconds on the clock of [`weir_caching::Freshness::arrived_at`].
    pub(crate) monotonic_s: u64,
    /// Steady seconds since 1970.
    pub(crate) steady_s: u64,
}

/// This moment.
pub(crate) fn now() -> Moment {
    let monotonic_s = weir_clock::monotonic_seconds();
    Moment { monotonic_s, steady_s: STEADY.at(monotonic_s, weir_clock::wall_seconds()) }
}

/// A worker left this moment: it has been.
fn learn(seconds: u64) {
    STEADY.raise(weir_clock::monotonic_seconds(), seconds);
}

/// Learns what the worker before left; nothing when there is no such file or it does not say.
pub(crate) fn recall(file: &Path) {
    if let Some(seconds) = fs::read_to_string(file).ok().and_then(|text| text.trim_end().parse().ok()) {
        learn(seconds);
    }
}

/// Leaves this moment for the next worker, or a later one that was left already.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn leave(file: &Path) -> io::Result<()> {
    recall(file);
    let line = format!("{}\n", now().steady_s);
    weir_slots::durable_write(file, line.as_bytes()).map_err(|error| io::Error::other(Chain(&error).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_clock_forward_and_goes_on_when_that_is_put_back() {
        let steady = Steady::default();
        for (monotonic_s, wall_s, is) in
            [(0, 1_000, 1_000), (10, 1_010, 1_010), (20, 500, 1_020), (30, 1_500, 1_500), (40, 0, 1_510), (50, 1_000, 1_520)]
        {
            assert_eq!(steady.at(monotonic_s, wall_s), is, "at {monotonic_s}");
        }
    }

    #[test]
    fn what_has_been_is_not_undone() {
        let steady = Steady::default();
        steady.raise(5, 2_000);
        assert_eq!(steady.at(15, 1_000), 2_010);
        steady.raise(15, 10);
        assert_eq!(steady.at(15, 1_000), 2_010);
    }

    #[test]
    fn the_next_worker_goes_on_from_there() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("clock");
        recall(&file);
        leave(&file).expect("writes");
        let left: u64 = fs::read_to_string(&file).expect("file").trim_end().parse().expect("a number");
        assert!(left >= weir_clock::wall_seconds().saturating_sub(5));
        for garbled in ["", "soon", "-1"] {
            fs::write(&file, garbled).expect("writes");
            recall(&file);
        }
        assert!(now().steady_s < left + 3600);
    }
}
