//! How the pair stands, as the standby knows it.

use super::{Follower, Inner, PrimarySeen};
use crate::pair::SILENT_MS;
use weir_device_api::Verdict;
use weir_operator_api::{PairCondition, PairInfo};

impl Follower {
    /// The primary gave a sign of life that is no answer to a poll: it gives a snapshot.
    pub(super) fn touch(&self) {
        if let Some(seen) = &mut self.lock().seen {
            seen.at_ms = weir_clock::monotonic_ms();
        }
    }

    /// The primary, as this box knows it; `None` before it knows any.
    pub(crate) fn info(&self) -> Option<PairInfo> {
        let own = self.hello();
        let inner = self.lock();
        let Some(PrimarySeen { hello, at_ms, verdict }) = &inner.seen else {
            // Nobody's name is known before the first answer.
            return None;
        };
        let silent_ms = weir_clock::monotonic_ms().saturating_sub(*at_ms);
        let lacks = hello.rev.saturating_sub(own.rev);
        let (condition, detail) = match verdict {
            _ if silent_ms > SILENT_MS && !inner.syncing => (PairCondition::Lagging, silent(&inner, silent_ms, lacks)),
            Verdict::VersionMismatch { next } => {
                let detail = format!("{} runs {} and this box {}: nothing is applied; {next}", hello.name, hello.version, own.version);
                (PairCondition::Mismatch, detail)
            }
            Verdict::Diverged { detail } => (PairCondition::Lagging, detail.clone()),
            _ if inner.hindrance.is_some() => {
                let hindrance = inner.hindrance.as_deref().unwrap_or_default();
                (PairCondition::Lagging, format!("this box cannot go on and lacks {lacks} changesets: {hindrance}"))
            }
            Verdict::Resync { reason } => (PairCondition::Syncing, format!("this box takes a snapshot: {reason}")),
            Verdict::Matched if lacks == 0 => (PairCondition::Matched, format!("this box has everything of {}", hello.name)),
            Verdict::Matched => (PairCondition::Syncing, format!("this box catches up and lacks {lacks} changesets")),
            Verdict::Fenced | Verdict::Unknown => (PairCondition::Lagging, format!("{} makes way", hello.name)),
        };
        Some(PairInfo {
            name: hello.name.clone(),
            condition,
            detail,
            version: Some(hello.version.clone()),
            standby_rev: own.rev,
            primary_rev: hello.rev,
            silent_ms: Some(silent_ms),
            digest_equal: (own.rev == hello.rev && !own.digest.is_empty()).then(|| own.digest == hello.digest),
            url: hello.api.map(|api| format!("https://{api}")),
        })
    }
}

fn silent(inner: &Inner, silent_ms: u64, lacks: u64) -> String {
    let why = inner.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    format!("the primary has been silent for {} s{why}; this box knows of {lacks} changesets it lacks", silent_ms / 1_000)
}
