//! What the primary makes of the standby that polls: a pure function of where both stand.

use weir_device_api::{PairHello, PairPoll, Verdict};
use weir_model::Version;

/// What we know of the place in the log that the standby names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It has nothing yet.
    Nothing,
    /// Our log does not reach back to it.
    Forgotten,
    /// Our log does not reach that far.
    Ahead,
    /// What we have there.
    Known {
        /// Chain hash, hex; empty before the first changeset.
        hash: String,
        /// Digest, hex.
        digest: String,
    },
}

/// Judges the standby that polls. `rows_doubted`: our rows are not what the log of writes says, and the standby's may be.
pub(super) fn of(ours: &PairHello, poll: &PairPoll, place: &Place, rows_doubted: bool) -> Verdict {
    let theirs = &poll.hello;
    if theirs.term > ours.term {
        return Verdict::Fenced;
    }
    if theirs.version != ours.version {
        return Verdict::VersionMismatch { next: next_step(ours, theirs) };
    }
    if theirs.heard > ours.term {
        let detail = format!(
            "{} has heard of term {} and does not follow term {} of {}: `weir cms role primary` on {} raises its term above both",
            theirs.name, theirs.heard, ours.term, ours.name, ours.name
        );
        return Verdict::Diverged { detail };
    }
    if may_overwrite(ours, poll) {
        return Verdict::Resync { reason: "an operator has it take what the primary has".to_owned() };
    }
    if let Some(why) = parted(ours, theirs, place) {
        return Verdict::Diverged { detail: format!("{why}; {}", choice(ours, theirs)) };
    }
    match poll.resync.clone().or_else(|| differs(ours, theirs, place)) {
        Some(why) if rows_doubted && theirs.step > 0 => {
            let doubt = format!(
                "{why}; rows of {} were changed by something else than Weir, and those of {} may be the good ones",
                ours.name, theirs.name
            );
            Verdict::Diverged { detail: format!("{doubt}; {}", choice(ours, theirs)) }
        }
        Some(reason) => Verdict::Resync { reason },
        None => Verdict::Matched,
    }
}

/// Whether an operator of the standby has said that what we have counts: we as we are, and not another primary, or we before we lost
/// something.
pub(super) fn may_overwrite(ours: &PairHello, poll: &PairPoll) -> bool {
    poll.overwrite.as_ref().is_some_and(|given| given.name == ours.name && given.term == ours.term && given.rev <= ours.rev)
}

/// Of one term there is one history: when the standby has acknowledged what we do not have, it is we who have lost it.
fn parted(ours: &PairHello, theirs: &PairHello, place: &Place) -> Option<String> {
    if theirs.term != ours.term {
        return None;
    }
    let (rev, term) = (theirs.rev, ours.term);
    match place {
        Place::Ahead => {
            Some(format!("{} has changesets up to {rev} of term {term}, and {} only up to {}", theirs.name, ours.name, ours.rev))
        }
        Place::Known { hash, .. } if !theirs.hash.is_empty() && theirs.hash != *hash => {
            Some(format!("changeset {rev} of {} is another one than that of {}, in the same term {term}", theirs.name, ours.name))
        }
        _ => None,
    }
}

/// The two ways on, for an operator.
fn choice(ours: &PairHello, theirs: &PairHello) -> String {
    let (own, other) = (&ours.name, &theirs.name);
    format!(
        "to keep what {other} has, run `weir cms disable` on {own} and then `weir cms role primary --accept-loss 0` on {other}; \
         to keep what {own} has, run `weir cms resync` on {other}, which sets what it has beside its configuration"
    )
}

/// Why the standby cannot go on from where it is.
fn differs(ours: &PairHello, theirs: &PairHello, place: &Place) -> Option<String> {
    let rev = theirs.rev;
    let (hash, digest) = match place {
        Place::Nothing => return Some("it has no configuration yet".to_owned()),
        Place::Forgotten => return Some(format!("changeset {rev} is not kept here any more")),
        Place::Ahead => return Some(format!("it has changesets up to {rev}, and this network has them up to {}", ours.rev)),
        Place::Known { hash, digest } => (hash, digest),
    };
    if theirs.step != ours.step {
        return Some(format!("its schema step is {}, and the primary's {}", theirs.step, ours.step));
    }
    if theirs.hash != *hash {
        return Some(format!("its changeset {rev} is another one"));
    }
    (theirs.digest != *digest).then(|| format!("its rows at changeset {rev} are not the primary's"))
}

/// What makes two versions one, for a sentence of its own.
pub(crate) fn next_step(ours: &PairHello, theirs: &PairHello) -> String {
    let (Ok(own), Ok(other)) = (ours.version.parse::<Version>(), theirs.version.parse::<Version>()) else {
        return format!("install {} on {}", ours.version, theirs.name);
    };
    if other > own {
        format!("install {} on {} too, or {} on {} again", theirs.version, ours.name, ours.version, theirs.name)
    } else {
        format!("install {} on {} too", ours.version, theirs.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_device_api::pair::Overwrite;

    fn hello(name: &str, version: &str, term: u64, rev: u64) -> PairHello {
        PairHello {
            name: name.parse().expect("name"),
            version: version.to_owned(),
            primary: name == "manager-1",
            term,
            heard: 0,
            step: 7,
            rev,
            hash: format!("hash-{rev}"),
            digest: format!("digest-{rev}"),
            journal: 0,
            journal_hash: String::new(),
            device: None,
            api: None,
            cms: String::new(),
            switch: None,
        }
    }

    fn known(rev: u64) -> Place {
        Place::Known { hash: format!("hash-{rev}"), digest: format!("digest-{rev}") }
    }

    fn poll(hello: PairHello) -> PairPoll {
        let (resync, trouble) = (None, None);
        PairPoll { hello, resync, wait_ms: 0, unreplicated: 0, unreplicated_open: false, trouble, overwrite: None, skip_journal: false }
    }

    fn given(name: &str, term: u64, rev: u64) -> Option<Overwrite> {
        Some(Overwrite { name: name.parse().expect("name"), term, rev })
    }

    #[test]
    fn the_verdict_follows_from_where_both_stand() {
        let ours = hello("manager-1", "1.0.0-b1", 3, 9);
        let word = |verdict: Verdict| match verdict {
            Verdict::Matched => "matched",
            Verdict::VersionMismatch { .. } => "mismatch",
            Verdict::Resync { .. } => "resync",
            Verdict::Diverged { detail } => {
                assert!(detail.contains("`weir cms "), "{detail}");
                "diverged"
            }
            Verdict::Fenced => "fenced",
            Verdict::Unknown => "unknown",
        };
        let wish = Some("a changeset did not fit".to_owned());
        let as_it_was: fn(&mut PairPoll) = |_| {};
        for (change, resync, place, [expected, with_doubt]) in [
            (as_it_was, None, known(7), ["matched"; 2]),
            // Its own term comes with the changeset that raises it.
            (|poll| poll.hello.term = 2, None, known(7), ["matched"; 2]),
            (|poll| poll.hello.term = 4, None, known(7), ["fenced"; 2]),
            (|poll| (poll.hello.term, poll.hello.version) = (4, "1.1.0-b1".into()), None, known(7), ["fenced"; 2]),
            // To have heard of a term is no proof of a primary.
            (|poll| poll.hello.heard = 4, None, known(7), ["diverged"; 2]),
            (|poll| poll.hello.version = "1.0.0-b2".into(), None, known(7), ["mismatch"; 2]),
            (|poll| poll.hello.version = "1.0.1-b1".into(), wish.clone(), Place::Nothing, ["mismatch"; 2]),
            (|poll| poll.hello.step = 8, None, known(7), ["resync", "diverged"]),
            (as_it_was, wish.clone(), known(7), ["resync", "diverged"]),
            (|poll| poll.hello.step = 0, None, Place::Nothing, ["resync"; 2]),
            (as_it_was, None, Place::Forgotten, ["resync", "diverged"]),
            // What the standby has of this very term and the primary has not: the primary lost it.
            (as_it_was, None, Place::Ahead, ["diverged"; 2]),
            (as_it_was, wish.clone(), Place::Ahead, ["diverged"; 2]),
            (as_it_was, None, known(6), ["diverged"; 2]),
            (|poll| poll.hello.term = 2, None, Place::Ahead, ["resync", "diverged"]),
            (|poll| poll.hello.term = 2, None, known(6), ["resync", "diverged"]),
            (|poll| poll.overwrite = given("manager-1", 3, 9), None, Place::Ahead, ["resync"; 2]),
            (|poll| poll.overwrite = given("manager-1", 3, 8), None, known(7), ["resync"; 2]),
            // Given for another primary, for this one in another term, or before it lost a changeset: it counts for nothing.
            (|poll| poll.overwrite = given("manager-3", 3, 9), None, Place::Ahead, ["diverged"; 2]),
            (|poll| poll.overwrite = given("manager-1", 2, 9), None, Place::Ahead, ["diverged"; 2]),
            (|poll| poll.overwrite = given("manager-1", 3, 10), None, Place::Ahead, ["diverged"; 2]),
            (|poll| poll.overwrite = given("manager-3", 3, 9), None, known(7), ["matched"; 2]),
            (
                |poll| (poll.hello.version, poll.overwrite) = ("1.0.0-b2".into(), given("manager-1", 3, 9)),
                None,
                Place::Ahead,
                ["mismatch"; 2],
            ),
            (|poll| poll.hello.digest = "another".into(), None, known(7), ["resync", "diverged"]),
            (|poll| poll.hello.digest = String::new(), None, known(7), ["resync", "diverged"]),
            (|poll| poll.hello.hash = String::new(), None, known(7), ["resync", "diverged"]),
        ] {
            let mut theirs = poll(hello("manager-2", "1.0.0-b1", 3, 7));
            theirs.resync = resync;
            change(&mut theirs);
            for (doubted, expected) in [(false, expected), (true, with_doubt)] {
                assert_eq!(word(of(&ours, &theirs, &place, doubted)), expected, "{theirs:?} {place:?} {doubted}");
            }
        }
    }

    #[test]
    fn the_next_step_names_the_version_and_the_box() {
        let ours = hello("manager-1", "1.0.0-b1", 1, 1);
        let of = |version| next_step(&ours, &hello("manager-2", version, 1, 1));
        assert_eq!(of("1.1.0-b1"), "install 1.1.0-b1 on manager-1 too, or 1.0.0-b1 on manager-2 again");
        assert_eq!(of("0.9.0-b4"), "install 1.0.0-b1 on manager-2 too");
        assert_eq!(of("what"), "install 1.0.0-b1 on manager-2");
    }
}
