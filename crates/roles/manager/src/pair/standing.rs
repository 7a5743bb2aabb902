//! Whether the standby has a write before it is acknowledged: a machine of what it said and when, without a clock.

use weir_device_api::{PairHello, Verdict};

/// A standby that says nothing for so long, or does not acknowledge a write for so long, does not follow any more.
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
}

impl Standing {
    /// After a poll of a standby at `rev`, with this verdict, when ours is at `newest`.
    pub(super) fn polled(self, verdict: &Verdict, rev: u64, newest: u64) -> Self {
        if *verdict != Verdict::Matched {
            return Self { follows: false, rev: 0, ..self };
        }
        // One that follows goes on following while it acknowledges in time, however much is written meanwhile.
        Self { follows: self.expected && (self.follows || rev + NEARLY >= newest), rev, ..self }
    }

    /// At `now_ms`, when it was last heard at `heard_ms`.
    pub(super) fn at(self, heard_ms: Option<u64>, now_ms: u64) -> Self {
        let silent = heard_ms.is_none_or(|heard| now_ms.saturating_sub(heard) > SILENT_MS);
        Self { follows: self.follows && !silent, ..self }
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
        let far = standing.polled(MATCHED, 10, 11 + NEARLY);
        assert_eq!((far.follows, far.answer(10), far.answer(11)), (false, Some(Some(true)), Some(Some(false))));
        let near = far.polled(MATCHED, 11, 11 + NEARLY);
        assert_eq!((near.follows, near.answer(11), near.answer(12)), (true, Some(Some(true)), None));
        let late = near.polled(MATCHED, 12, 900);
        assert!(late.follows, "it acknowledges in time");
        assert!(late.at(Some(5), 5 + SILENT_MS).follows);
        assert_eq!(late.at(Some(5), 6 + SILENT_MS).answer(13), Some(Some(false)));
        assert!(!late.at(None, 0).follows);
        let resync = late.polled(&Verdict::Resync { reason: "r".into() }, 12, 900);
        assert_eq!((resync.follows, resync.answer(12)), (false, Some(Some(false))), "what it has is not ours");
        assert!(!Standing::default().polled(MATCHED, 1, 1).follows);
    }
}
