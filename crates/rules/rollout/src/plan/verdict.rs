//! Whether a wave is good enough for the next one.

use super::{Arm, Comparison, WaveKind};
use serde::{Deserialize, Serialize};

/// Requests of each arm below which only counts decide.
const REQUESTS_MIN: u64 = 1_000;
/// Of a thousand devices of a later wave, how many may fail.
const FAILED_PERMILLE: u32 = 20;
/// Own errors and resets: a wave is worse when its share is more than this many times the control's and
const WORSE_TIMES: u64 = 2;
/// more than this many in ten thousand above it.
const WORSE_PER_10_000: u64 = 50;
/// Time to the first byte: a wave is worse when its p99 is more than this many percent of the control's and
const SLOWER_PERCENT: u64 = 150;
/// more than this many milliseconds above it.
const SLOWER_MS: u64 = 50;

/// What a wave's devices came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaveVerdict {
    /// The next wave may open.
    Passed,
    /// Too many went back or were lost on the way, or its answers are worse.
    Failed,
    /// Most of its devices could not be judged.
    Inconclusive,
}

/// Why a wave failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum WaveFailure {
    /// More of its devices went back, or were lost on the way, than may.
    Devices {
        /// How many, when that was noticed.
        failed: u32,
        /// Position of the first.
        first: u32,
    },
    /// Its answers are worse than its neighbours'.
    Answers {
        /// In what.
        worse: Worse,
        /// What both answered.
        comparison: Comparison,
    },
}

/// In what a wave's answers are worse than its neighbours'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// 5xx that no origin caused.
    OwnErrors,
    /// Connections reset.
    Resets,
    /// Time to the first byte.
    Delay,
}

/// Devices of a wave of this size that may fail: none of the canaries, else one, or 2 % of the larger ones.
pub fn failures_allowed(kind: WaveKind, members: u32) -> u32 {
    match kind {
        WaveKind::Canary => 0,
        _ => (members * FAILED_PERMILLE / 1000).max(1),
    }
}

/// What a wave's members came to, by count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) members: u32,
    pub(super) failed: u32,
    /// Neither at their goal nor failed: lost before they were told, pinned, excused.
    pub(super) unjudged: u32,
}

/// Judges a wave at the end of its bake.
pub(super) fn judge(kind: WaveKind, counts: Counts, comparison: Option<Comparison>) -> WaveVerdict {
    if counts.failed > failures_allowed(kind, counts.members) || comparison.is_some_and(|comparison| worse(comparison).is_some()) {
        WaveVerdict::Failed
    } else if counts.unjudged * 2 > counts.members {
        WaveVerdict::Inconclusive
    } else {
        WaveVerdict::Passed
    }
}

/// In what the wave's answers are worse than its neighbours', if they are.
pub(super) fn worse(Comparison { new, control }: Comparison) -> Option<Worse> {
    if new.requests.min(control.requests) < REQUESTS_MIN {
        return None;
    }
    let per_10_000 = |count: u64, arm: Arm| count.saturating_mul(10_000) / arm.requests;
    let more = |of: fn(Arm) -> u64| {
        let (new, control) = (per_10_000(of(new), new), per_10_000(of(control), control));
        new > control.saturating_mul(WORSE_TIMES) && new > control + WORSE_PER_10_000
    };
    let slower = new.ttfb_p99_ms.saturating_mul(100) > control.ttfb_p99_ms.saturating_mul(SLOWER_PERCENT)
        && new.ttfb_p99_ms > control.ttfb_p99_ms + SLOWER_MS;
    let found = [(more(|arm| arm.own_errors), Worse::OwnErrors), (more(|arm| arm.resets), Worse::Resets), (slower, Worse::Delay)];
    found.into_iter().find_map(|(is, worse)| is.then_some(worse))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Arm = Arm { requests: 10_000, own_errors: 10, resets: 10, ttfb_p99_ms: 100 };

    fn judged(new: Arm) -> WaveVerdict {
        let counts = Counts { members: 10, failed: 0, unjudged: 0 };
        judge(WaveKind::Share, counts, Some(Comparison { new, control: FINE }))
    }

    #[test]
    fn a_canary_may_not_fail_and_of_a_wave_two_percent_may() {
        let table = [(WaveKind::Canary, 50, 0), (WaveKind::Location, 3, 1), (WaveKind::Share, 99, 1), (WaveKind::Share, 500, 10)];
        for (kind, members, allowed) in table {
            assert_eq!(failures_allowed(kind, members), allowed, "{kind:?} {members}");
            for failed in 0..=allowed + 1 {
                let verdict = judge(kind, Counts { members, failed, unjudged: 0 }, None);
                assert_eq!(verdict == WaveVerdict::Failed, failed > allowed, "{kind:?} {members} {failed}");
            }
        }
    }

    #[test]
    fn a_wave_fails_on_errors_resets_or_delay_that_its_neighbours_do_not_have() {
        assert_eq!(judged(FINE), WaveVerdict::Passed);
        for (new, wanted) in [
            (Arm { own_errors: 80, ..FINE }, Worse::OwnErrors),
            (Arm { resets: 80, ..FINE }, Worse::Resets),
            (Arm { ttfb_p99_ms: 160, ..FINE }, Worse::Delay),
        ] {
            assert_eq!(judged(new), WaveVerdict::Failed, "{new:?}");
            assert_eq!(worse(Comparison { new, control: FINE }), Some(wanted));
        }
        for fine in [Arm { own_errors: 50, ..FINE }, Arm { ttfb_p99_ms: 149, ..FINE }, Arm { ttfb_p99_ms: 1, ..FINE }] {
            assert_eq!(judged(fine), WaveVerdict::Passed, "{fine:?}");
        }
    }

    #[test]
    fn under_a_thousand_requests_counts_alone_decide() {
        assert_eq!(judged(Arm { requests: 999, own_errors: 999, ..FINE }), WaveVerdict::Passed);
        assert_eq!(judged(Arm { requests: 1_000, own_errors: 999, ..FINE }), WaveVerdict::Failed);
    }

    #[test]
    fn a_wave_of_which_most_was_never_seen_is_inconclusive() {
        let verdict = |unjudged| judge(WaveKind::Share, Counts { members: 4, failed: 0, unjudged }, None);
        assert_eq!((verdict(2), verdict(3)), (WaveVerdict::Passed, WaveVerdict::Inconclusive));
    }
}
