//! Whether the standby has a write before it is acknowledged: a machine of what it said and when, without a clock.

use weir_device_api::{PairHello, Verdict};

/// A manager of the pair that says nothing for so long is silent, milliseconds; a standby that does not acknowledge a write for so long
/// does not follow any more.
pub(crate) const SILENT_MS: u64 = 2_000;
/// A standby that lacks at most so many changesets follows: writes wait for it from there on.
const NEARLY: u64 = 64;

/// What was last heard of the standby.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) hello: PairHello,
    pub(super) verdict: Verdict,
    /// Monotonic milliseconds of its last sign of life.
    pub(super) at_ms: u64,
    /// Changes it acknowledged alone when it was primary.
    pub(super) unreplicated: u64,
    /// There may be more of them than it could tell.
    pub(super) unreplicated_open: bool,
    /// Why it cannot apply what it was sent.
    pub(super) trouble: Option<String>,
}

/// Where writes stand with the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// There is one on record.
    pub(super) expected: bool,
    /// Writes wait for it.
    pub(super) follows: bool,
    /// The newest changeset it has.
    pub(super) rev: u64,
    /// It follows again only once it has this changeset: a write waited for it in vain.
    pub(super) owes: u64,
    /// What it lacks; none: nothing.
    pub(super) lack: Option<Lack>,
}

/// A changeset that the standby lacks, and since when, monotonic milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    rev: u64,
    since_ms: u64,
}

impl Standing {
    /// After a poll, at `now_ms`, of a standby at `rev`, with this verdict, when ours is at `newest`.
    pub(super) fn polled(self, verdict: &Verdict, rev: u64, newest: u64, now_ms: u64) -> Self {
        if *verdict != Verdict::Matched {
            return Self { follows: false, rev: 0, lack: None, ..self };
        }
        let begins = !self.follows && rev >= self.owes && rev + NEARLY >= newest;
        let lack = match self.lack {
            _ if rev >= newest => None,
            Some(lack) if rev < lack.rev && !begins => Some(lack),
            _ => Some(Lack { rev: newest, since_ms: now_ms }),
        };
        // One that follows goes on following while it acknowledges in time, however much is written meanwhile.
        Self { follows: self.expected && (self.follows || begins), rev, lack, ..self }
    }

    /// At `now_ms`, when it was last heard at `heard_ms`. One that polls and yet lacks the same for too long does not follow either.
    pub(super) fn at(self, heard_ms: Option<u64>, now_ms: u64) -> Self {
        let is_silent = heard_ms.is_none_or(|heard| now_ms.saturating_sub(heard) > SILENT_MS);
        match self.lack.filter(|lack| self.follows && now_ms.saturating_sub(lack.since_ms) > SILENT_MS) {
            Some(lack) => self.missed(lack.rev),
            None => Self { follows: self.follows && !is_silent, ..self },
        }
    }

    /// After a write that waited for `rev` in vain.
    pub(super) fn missed(self, rev: u64) -> Self {
        Self { follows: false, owes: self.owes.max(rev), ..self }
    }

    /// What a write that waits for `rev` may answer: whether the standby has it; `None`: it waits on.
    pub(super) fn answer(self, rev: u64) -> Option<Option<bool>> {
        match self {
            Self { expected: false, .. } => Some(None),
            Self { rev: has, .. } if has >= rev => Some(Some(true)),
            Self { follows: false, .. } => Some(Some(false)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCHED: &Verdict = &Verdict::Matched;

    #[test]
    fn writes_wait_for_a_standby_that_has_nearly_all_and_is_heard() {
        let standing = Standing { expected: true, ..Standing::default() };
        assert_eq!(Standing::default().answer(1), Some(None), "there is none");
        assert_eq!(standing.answer(1), Some(Some(false)));
        let far = standing.polled(MATCHED, 10, 11 + NEARLY, 0);
        assert_eq!((far.follows, far.answer(10), far.answer(11)), (false, Some(Some(true)), Some(Some(false))));
        let near = far.polled(MATCHED, 11, 11 + NEARLY, 0);
        assert_eq!((near.follows, near.answer(11), near.answer(12)), (true, Some(Some(true)), None));
        let late = near.polled(MATCHED, 12, 900, 5);
        assert!(late.follows, "it acknowledges in time");
        assert!(late.at(Some(5), SILENT_MS).follows);
        assert_eq!(late.at(Some(5), 6 + SILENT_MS).answer(13), Some(Some(false)));
        assert!(!late.at(None, 0).follows);
        let resync = late.polled(&Verdict::Resync { reason: "r".into() }, 12, 900, 6);
        assert_eq!((resync.follows, resync.answer(12)), (false, Some(Some(false))), "what it has is not ours");
        assert!(!Standing::default().polled(MATCHED, 1, 1, 0).follows);
    }

    #[test]
    fn a_standby_that_polls_and_does_not_apply_is_not_followed_until_it_has_what_was_missed() {
        let has_all = Standing { expected: true, ..Standing::default() }.polled(MATCHED, 7, 7, 0);
        assert!(has_all.at(Some(90_000), 90_000).follows, "nothing was written");
        let stuck =
            (1..30).fold(has_all, |standing, tick| standing.polled(MATCHED, 7, 8 + tick, tick * 100).at(Some(tick * 100), tick * 100));
        assert!(!stuck.follows, "it is heard, and lacks changeset 9 for longer than {SILENT_MS} ms");
        assert!(!stuck.polled(MATCHED, 8, 38, 3_000).follows, "one of them is not enough");
        assert!(stuck.polled(MATCHED, 9, 38, 3_000).at(Some(3_000), 3_001).follows);
        // The same after a write that waited in vain.
        let missed = has_all.missed(8);
        assert!(!missed.polled(MATCHED, 7, 8, 2_000).follows);
        assert!(missed.polled(MATCHED, 8, 8, 2_000).follows);
        // Under continuous writes something is always lacking, and never the same.
        let busy = (1..90)
            .fold(has_all, |standing, tick| standing.polled(MATCHED, 7 + tick, 9 + tick, tick * 100).at(Some(tick * 100), tick * 100));
        assert!(busy.follows);
    }
}
