//! How long a fill waits for its readers, and goes on without any.

use std::time::{Duration, Instant};
use weir_store::{AbortReason, Fill};

/// How often a fill that waits looks whether one reader holds back the others.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a fill may go on without a reader before it is judged abandoned.
const ABANDONED_TIME: Duration = Duration::from_secs(1);
/// An abandoned fill goes on all the same when no more than this is missing (or less than half of the object is).
const ABANDONED_MISSING_BYTES: u64 = 4 * 1024 * 1024;
/// How long a fill without a reader may be slow before its rate counts.
const SLOW_TIME: Duration = Duration::from_secs(5);
/// Slowest rate, in bytes per second, at which a fill goes on without a reader: slower, what is missing is not worth its
/// connection.
const FILL_RATE_MIN: u64 = 16 * 1024;

/// Waits until the fill may append; see [`Fill::room`].
pub(crate) async fn room<H>(fill: &Fill<H>) -> Result<(), AbortReason> {
    loop {
        if let Ok(room) = tokio::time::timeout(LOOK_EVERY, fill.room(weir_clock::monotonic())).await {
            return room;
        }
    }
}

/// A fill's time without a reader.
pub(crate) struct Alone {
    /// Whether it is wanted without a reader: a revalidation.
    wanted: bool,
    /// Since when, and the bytes that had come then.
    since: Option<(Instant, u64)>,
}

impl Alone {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, since: None }
    }

    /// Whether nobody reads the fill and it is not worth going on. To be asked after each piece.
    pub(crate) fn is_abandoned<H>(&mut self, fill: &Fill<H>, now: Instant) -> bool {
        if fill.readers() > 0 {
            self.since = None;
            return false;
        }
        let (since, came) = *self.since.get_or_insert((now, fill.length()));
        let time = now.saturating_duration_since(since);
        let is_slow = time >= SLOW_TIME && fill.length() - came < FILL_RATE_MIN * time.as_secs();
        is_slow || (!self.wanted && time >= ABANDONED_TIME && misses_much(fill))
    }
}

/// Of an unknown length, all may be missing.
fn misses_much<H>(fill: &Fill<H>) -> bool {
    fill.object().length().is_none_or(|length| {
        let missing = length.saturating_sub(fill.length());
        missing > ABANDONED_MISSING_BYTES && missing > length / 2
    })
}
