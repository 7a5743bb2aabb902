//! The readers of a body: where each is, who waits, and who holds a passing body back for the others.

use crate::{PASS_LAG_TIME, PASS_WINDOW_BYTES};
use std::{collections::HashMap, task::Waker, time::Instant};

/// Where a reader whose range has ended is: behind nothing.
const ENDED: u64 = u64::MAX;

struct Attached {
    position: u64,
    waker: Option<Waker>,
    lag: Option<Lag>,
}

/// When a reader was found holding the others back, and where it was then.
struct Lag {
    since: Instant,
    position: u64,
}

/// Readers by id.
#[derive(Default)]
pub(super) struct Readers {
    attached: HashMap<u64, Attached>,
    next: u64,
}

impl Readers {
    pub(super) fn attach(&mut self, position: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        self.attached.insert(id, Attached { position, waker: None, lag: None });
        id
    }

    pub(super) fn detach(&mut self, id: u64) {
        self.attached.remove(&id);
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.attached.contains_key(&id)
    }

    pub(super) fn count(&self) -> usize {
        self.attached.len()
    }

    /// Gives back the table's memory: of an ended body no crowd comes again.
    pub(super) fn give_back(&mut self) {
        self.attached = HashMap::new();
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.attached.capacity()
    }

    /// A reader took the bytes before `position`.
    pub(super) fn moved(&mut self, id: u64, position: u64) {
        if let Some(reader) = self.attached.get_mut(&id) {
            reader.position = position;
        }
    }

    /// A reader has all it asked for.
    pub(super) fn ended(&mut self, id: u64) {
        self.moved(id, ENDED);
    }

    /// A reader waits for bytes.
    pub(super) fn waits(&mut self, id: u64, waker: &Waker) {
        if let Some(reader) = self.attached.get_mut(&id) {
            reader.waker = Some(waker.clone());
        }
    }

    /// Those who wait.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.attached.values_mut().filter_map(|r| r.waker.take()).collect()
    }

    pub(super) fn slowest(&self) -> Option<u64> {
        self.attached.values().map(|r| r.position).min()
    }

    /// Detaches who holds a full window back too long while another has read all of the `length` bytes there are.
    ///
    /// A reader alone may be as slow as it likes; with others, one that is a window behind must read a window's worth
    /// every [`PASS_LAG_TIME`].
    pub(super) fn shed(&mut self, length: u64, now: Instant) {
        if !self.attached.values().any(|r| r.position == length) {
            return;
        }
        self.attached.retain(|_, reader| {
            if length.saturating_sub(reader.position) < PASS_WINDOW_BYTES {
                return true;
            }
            let began = Lag { since: now, position: reader.position };
            let Some(lag) = &reader.lag else {
                reader.lag = Some(began);
                return true;
            };
            let lasted = now.saturating_duration_since(lag.since);
            if lasted < PASS_LAG_TIME {
                return true;
            }
            // Found so long ago that nobody was waiting in between: it begins anew.
            let keeps_up = lasted > 2 * PASS_LAG_TIME || reader.position - lag.position >= PASS_WINDOW_BYTES;
            reader.lag = Some(began);
            keeps_up
        });
    }
}
