//! What the primary makes of the standby that polls: a pure function of where both stand.

use weir_device_api::{PairHello, Verdict};
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

/// Judges the standby; `resync` is its own wish for a snapshot.
pub(super) fn of(ours: &PairHello, theirs: &PairHello, resync: Option<&str>, place: &Place) -> Verdict {
    if theirs.term > ours.term {
        return Verdict::Fenced;
    }
    if theirs.version != ours.version {
        return Verdict::VersionMismatch { next: next_step(ours, theirs) };
    }
    match resync.map(str::to_owned).or_else(|| differs(ours, theirs, place)) {
        Some(reason) => Verdict::Resync { reason },
        None => Verdict::Matched,
    }
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

    fn hello(name: &str, version: &str, term: u64, rev: u64) -> PairHello {
        PairHello {
            name: name.parse().expect("name"),
            version: version.to_owned(),
            primary: name == "manager-1",
            term,
            step: 7,
            rev,
            hash: format!("hash-{rev}"),
            digest: format!("digest-{rev}"),
            journal: 0,
            journal_hash: String::new(),
            device: None,
            api: None,
        }
    }

    fn known(rev: u64) -> Place {
        Place::Known { hash: format!("hash-{rev}"), digest: format!("digest-{rev}") }
    }

    #[test]
    fn the_verdict_follows_from_where_both_stand() {
        let ours = hello("manager-1", "1.0.0-b1", 3, 9);
        let standby = |change: fn(&mut PairHello)| {
            let mut hello = hello("manager-2", "1.0.0-b1", 3, 7);
            change(&mut hello);
            hello
        };
        let word = |verdict: Verdict| match verdict {
            Verdict::Matched => "matched",
            Verdict::VersionMismatch { .. } => "mismatch",
            Verdict::Resync { .. } => "resync",
            Verdict::Fenced => "fenced",
            Verdict::Unknown => "unknown",
        };
        let as_it_was: fn(&mut PairHello) = |_| {};
        for (change, resync, place, expected) in [
            (as_it_was, None, known(7), "matched"),
            // Its own term comes with the changeset that raises it.
            (|hello| hello.term = 2, None, known(7), "matched"),
            (|hello| hello.term = 4, None, known(7), "fenced"),
            (|hello| (hello.term, hello.version) = (4, "1.1.0-b1".into()), None, known(7), "fenced"),
            (|hello| hello.version = "1.0.0-b2".into(), None, known(7), "mismatch"),
            (|hello| hello.version = "1.0.1-b1".into(), Some("a changeset did not fit"), Place::Nothing, "mismatch"),
            (|hello| hello.step = 8, None, known(7), "resync"),
            (as_it_was, Some("a changeset did not fit"), known(7), "resync"),
            (as_it_was, None, Place::Nothing, "resync"),
            (as_it_was, None, Place::Forgotten, "resync"),
            (as_it_was, None, Place::Ahead, "resync"),
            (as_it_was, None, known(6), "resync"),
            (|hello| hello.digest = "another".into(), None, known(7), "resync"),
            (|hello| hello.digest = String::new(), None, known(7), "resync"),
            (|hello| hello.hash = String::new(), None, known(7), "resync"),
        ] {
            let theirs = standby(change);
            assert_eq!(word(of(&ours, &theirs, resync, &place)), expected, "{theirs:?} {resync:?} {place:?}");
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
