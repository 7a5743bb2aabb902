//! What an operator says with `weir cms resync`: what a primary has counts, also where this box has more or other. It is said of one
//! primary as it stood then, and holds until that one was asked and does not give what was meant.

use super::{Follower, PrimarySeen};
use crate::pair::SILENT_MS;
use weir_device_api::{PairHello, Verdict, pair::Overwrite};
use weir_operator_api::{Problem, Reason};

impl Follower {
    /// Takes what the primary has although what is here may be better: an operator says so.
    ///
    /// # Errors
    /// [`Reason::CmsState`]: no primary is heard from which it could be taken, or what it makes of this box is nothing this decides.
    pub(crate) fn overwrite(&self) -> Result<(), Problem> {
        let own = self.hello();
        let mut inner = self.lock();
        let given = given(inner.seen.as_ref(), &own, weir_clock::monotonic_ms())?;
        (inner.overwrite, inner.snapshot_after_ms, inner.failed_snapshots) = (Some(given), 0, 0);
        Ok(())
    }
}

/// What the operator of the box `own` consents to at monotonic `now_ms`.
fn given(seen: Option<&PrimarySeen>, own: &PairHello, now_ms: u64) -> Result<Overwrite, Problem> {
    let refused = |detail: String, next: String| Problem::new(Reason::CmsState, detail).next_step(next);
    let Some(seen) = seen.filter(|seen| now_ms.saturating_sub(seen.at_ms) <= SILENT_MS) else {
        return Err(refused("no primary is heard by this box".to_owned(), "bring the primary back, then ask again".to_owned()));
    };
    let PairHello { name, term, rev, version, .. } = &seen.hello;
    match &seen.verdict {
        _ if *term < own.heard => {
            let detail = format!("this box has heard of term {}, and {name} is of term {term}: nothing of it is taken", own.heard);
            Err(refused(detail, format!("if {name} is to stay the primary, run `weir cms role primary` there, then ask again")))
        }
        Verdict::Matched | Verdict::Resync { .. } | Verdict::Diverged { .. } => {
            Ok(Overwrite { name: name.clone(), term: *term, rev: *rev })
        }
        Verdict::VersionMismatch { next } => {
            let detail = format!("{name} runs {version} and this box {}: nothing is taken from it", own.version);
            Err(refused(detail, format!("{next}, then ask again")))
        }
        Verdict::Fenced | Verdict::Unknown => {
            Err(refused(format!("{name} makes way"), "wait until `weir cms info` names the primary, then ask again".to_owned()))
        }
    }
}

/// What is left of it after an answer to a poll that said `told`.
pub(super) fn left(given: Option<Overwrite>, told: Option<&Overwrite>, seen: &PrimarySeen) -> Option<Overwrite> {
    let is_of = |given: &Overwrite| given.name == seen.hello.name && given.term == seen.hello.term;
    let is_taken = matches!(seen.verdict, Verdict::Resync { .. });
    // A poll that was under way when it was given says nothing of it.
    given.filter(|given| is_of(given) && (is_taken || told != Some(given)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: &str, term: u64) -> PairHello {
        PairHello {
            name: name.parse().expect("name"),
            version: "1.0.0-b1".to_owned(),
            primary: name == "manager-1",
            term,
            heard: term,
            step: 7,
            rev: 9,
            hash: "hash".to_owned(),
            digest: "digest".to_owned(),
            journal: 0,
            journal_hash: String::new(),
            device: None,
            api: None,
            cms: String::new(),
            switch: None,
        }
    }

    fn seen(term: u64, verdict: Verdict) -> PrimarySeen {
        PrimarySeen { hello: hello("manager-1", term), at_ms: 1_000, verdict }
    }

    fn resync() -> Verdict {
        Verdict::Resync { reason: "r".to_owned() }
    }

    fn diverged() -> Verdict {
        Verdict::Diverged { detail: "d".to_owned() }
    }

    #[test]
    fn consent_is_taken_only_for_what_it_decides() {
        let own = hello("manager-2", 3);
        let expected = Overwrite { name: "manager-1".parse().expect("name"), term: 3, rev: 9 };
        for verdict in [Verdict::Matched, resync(), diverged()] {
            assert_eq!(given(Some(&seen(3, verdict)), &own, 1_000 + SILENT_MS).expect("taken"), expected);
        }
        let mismatch = Verdict::VersionMismatch { next: "install 1.0.0-b2".to_owned() };
        for (seen, now_ms) in [
            (None, 0),
            (Some(seen(3, diverged())), 1_001 + SILENT_MS),
            (Some(seen(3, mismatch)), 1_000),
            (Some(seen(3, Verdict::Fenced)), 1_000),
            (Some(seen(3, Verdict::Unknown)), 1_000),
            // Of a primary whose term is over there is nothing to take.
            (Some(seen(2, diverged())), 1_000),
        ] {
            let problem = given(seen.as_ref(), &own, now_ms).expect_err("refused");
            assert!(problem.reason == Reason::CmsState && !problem.next.is_empty(), "{seen:?} {problem}");
        }
    }

    #[test]
    fn consent_ends_with_the_primary_it_was_given_for_and_when_it_decides_nothing() {
        let consent = given(Some(&seen(3, diverged())), &hello("manager-2", 3), 1_000).expect("taken");
        let after = |told: Option<&Overwrite>, seen: &PrimarySeen| left(Some(consent.clone()), told, seen);
        let (is_left, told) = (Some(consent.clone()), Some(&consent));
        assert_eq!(after(told, &seen(3, resync())), is_left, "until the snapshot is in place");
        assert_eq!(after(None, &seen(3, diverged())), is_left, "it was not told yet");
        for verdict in [Verdict::Matched, diverged(), Verdict::VersionMismatch { next: "n".to_owned() }, Verdict::Fenced] {
            assert_eq!(after(told, &seen(3, verdict)), None);
        }
        assert_eq!(after(None, &seen(4, resync())), None, "another term");
        let other = PrimarySeen { hello: hello("manager-3", 3), at_ms: 1_000, verdict: resync() };
        assert_eq!(after(None, &other), None, "another primary");
        assert_eq!(left(None, None, &seen(3, resync())), None);
    }
}
