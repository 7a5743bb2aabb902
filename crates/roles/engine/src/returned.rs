//! Viewers whose steering a router undid a moment ago: nothing else was live for them. They are left alone for a while, for
//! each further try would only cost them another round.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long a session is served after it came back, milliseconds: several segments long.
const LEFT_ALONE_MS: u64 = 30_000;
/// Sessions remembered at once; those beyond it are steered, come back and are served.
const RETURNED_MAX: usize = 10_000;

/// When sessions came back, monotonic milliseconds.
#[derive(Default)]
pub(crate) struct Returned {
    sessions: Mutex<HashMap<u64, u64>>,
}

impl Returned {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session this engine steered came back to it.
    pub(crate) fn note(&self, session: u64, now_ms: u64) {
        let mut sessions = self.lock();
        if sessions.len() >= RETURNED_MAX {
            sessions.retain(|_, at_ms| is_recent(*at_ms, now_ms));
        }
        if sessions.len() < RETURNED_MAX || sessions.contains_key(&session) {
            sessions.insert(session, now_ms);
        }
    }

    /// Whether it did so a moment ago.
    pub(crate) fn is_recent(&self, session: u64, now_ms: u64) -> bool {
        self.lock().get(&session).is_some_and(|at_ms| is_recent(*at_ms, now_ms))
    }
}

fn is_recent(at_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) < LEFT_ALONE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_left_alone_for_a_while() {
        let returned = Returned::default();
        returned.note(1, 1_000);
        for (session, now_ms, expected) in [(1, 1_000, true), (1, 30_999, true), (1, 31_000, false), (2, 1_000, false)] {
            assert_eq!(returned.is_recent(session, now_ms), expected, "{session} {now_ms}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_makes_room() {
        let returned = Returned::default();
        let most = u64::try_from(RETURNED_MAX).expect("small");
        (0..=most).for_each(|session| returned.note(session, 0));
        assert!(returned.is_recent(0, 0) && !returned.is_recent(most, 0));
        returned.note(0, 5_000);
        assert!(returned.is_recent(0, LEFT_ALONE_MS), "one that is known");
        returned.note(most, LEFT_ALONE_MS);
        assert!(returned.is_recent(most, LEFT_ALONE_MS) && returned.lock().len() == 2);
    }
}
