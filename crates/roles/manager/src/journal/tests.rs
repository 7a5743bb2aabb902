//! What is appended is what is read, whatever was cut, damaged or forked in between.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};

const KINDS: [&str; 3] = ["promoted", "fenced", "restored"];

fn opened(dir: &Path) -> Journal {
    Journal::open(dir).expect("opens")
}

fn bytes(dir: &Path) -> Vec<u8> {
    fs::read(dir.join(FILE)).expect("there")
}

fn lines(dir: &Path) -> Vec<String> {
    String::from_utf8(bytes(dir)).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn append(journal: &Journal, term: u64, texts: &[String]) {
    for (index, text) in texts.iter().enumerate() {
        let body = json!({ "why": text, "kept": index });
        journal.append(1_000 + index as u64, term, KINDS[index % KINDS.len()], body).expect("appended");
    }
}

/// What was set aside, by name.
fn aside(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(dir).expect("read").map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"));
    names.filter(|name| name != FILE).map(|name| (name.clone(), fs::read(dir.join(name)).expect("there"))).collect()
}

fn texts(at_most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ -~äß\\n]{0,30}", 0..at_most)
}

/// The format of line 1.0: what this test reads and writes never changes.
#[test]
fn the_format_is_frozen() {
    let dir = tempfile::tempdir().expect("dir");
    let journal = opened(dir.path());
    journal.append(1_700_000_000_000, 1, "promoted", json!({ "manager": "manager-1", "planned": true })).expect("appended");
    journal.append(1_700_000_000_001, 2, "fenced", json!({ "by": "manager-2", "said": "a \"quoted\"\nword" })).expect("appended");
    journal.append(1_700_000_000_002, 2, "empty", Value::Null).expect("appended");
    assert_eq!(String::from_utf8(bytes(dir.path())).expect("UTF-8"), include_str!("golden.log"));
    drop(journal);
    let hash = line::hash(lines(dir.path())[2].as_bytes());
    assert_eq!(opened(dir.path()).end(), (3, hash));
    assert_eq!(fs::metadata(dir.path().join(FILE)).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_reader_passes_over_fields_of_a_later_line() {
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join(FILE), "{\"seq\":1,\"at_ms\":5,\"term\":1,\"kind\":\"new\",\"body\":{},\"more\":[1],\"before\":\"\"}\n")
        .expect("file");
    let journal = opened(dir.path());
    assert_eq!(journal.append(6, 1, "old", json!({})).expect("appended"), 2);
    assert!(lines(dir.path())[0].contains("more"));
}

#[test]
fn a_record_too_long_is_refused_and_nothing_is_kept_of_it() {
    let dir = tempfile::tempdir().expect("dir");
    let journal = opened(dir.path());
    let error = journal.append(1, 1, "long", json!("x".repeat(LINE_BYTES_MAX))).expect_err("refused");
    assert!(matches!(error, JournalError::TooLong { .. }), "{error}");
    assert_eq!((journal.end(), bytes(dir.path()).len()), ((0, String::new()), 0));
}

#[test]
fn a_full_journal_takes_no_more() {
    let dir = tempfile::tempdir().expect("dir");
    let journal = opened(dir.path());
    append(&journal, 1, &["one".to_owned()]);
    journal.held().length = FILE_BYTES_MAX - 10;
    assert!(matches!(journal.append(1, 1, "more", Value::Null), Err(JournalError::Full)));
}

#[test]
fn subscribers_hear_of_each_change() {
    let dir = tempfile::tempdir().expect("dir");
    let journal = opened(dir.path());
    let mut heard = journal.subscribe();
    assert_eq!(heard.borrow_and_update().0, 0);
    append(&journal, 1, &["one".to_owned()]);
    assert!(heard.has_changed().expect("open"));
    assert_eq!(*heard.borrow_and_update(), journal.end());
}

#[test]
fn what_is_not_a_continuation_is_refused() {
    let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let journal = opened(here.path());
    append(&journal, 1, &["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    let other = opened(there.path());
    let sent = lines(here.path());
    assert!(matches!(other.mirror(&sent[1..]), Err(JournalError::Gap { first: 2, last: 0 })));
    assert!(matches!(other.mirror(&[sent[0].clone(), sent[2].clone()]), Err(JournalError::Line { seq: 2, .. })));
    assert!(matches!(other.mirror(&[format!("{}\n{}", sent[0], sent[1])]), Err(JournalError::Line { .. })));
    assert!(matches!(other.mirror(&["{}".to_owned()]), Err(JournalError::Line { .. })));
    assert_eq!((other.end().0, bytes(there.path()).len()), (0, 0));
    assert_eq!(other.mirror(&sent).expect("taken over"), 3);
}

/// A poll after the other until the standby stands where the primary does.
fn converge(primary: &Journal, standby: &Journal, at_most: usize) -> usize {
    for round in 0..1_000 {
        let (seq, hash) = standby.end();
        let sent = match primary.after(seq, &hash, at_most) {
            After::Lines(lines) if lines.is_empty() => return round,
            After::Lines(lines) => lines,
            After::Diverged => primary.around(seq, at_most),
        };
        standby.mirror(&sent).expect("taken over");
    }
    panic!("never equal");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Wherever a crash or a power cut ends the file, what opens is a prefix, and it goes on from there.
    #[test]
    fn any_cut_opens_to_a_prefix(texts in texts(8), cut in 0.0..=1.0_f64) {
        let dir = tempfile::tempdir().expect("dir");
        append(&opened(dir.path()), 3, &texts);
        let whole = bytes(dir.path());
        let at = (whole.len() as f64 * cut) as usize;
        fs::write(dir.path().join(FILE), &whole[..at]).expect("cut");
        let journal = opened(dir.path());
        let kept = bytes(dir.path());
        prop_assert!(whole.starts_with(&kept));
        prop_assert_eq!(kept.len(), whole[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        prop_assert_eq!(journal.end().0 as usize, kept.iter().filter(|byte| **byte == b'\n').count());
        prop_assert!(aside(dir.path()).is_empty());
        append(&journal, 4, &["more".to_owned()]);
        prop_assert_eq!(opened(dir.path()).end(), journal.end());
    }

    /// A byte that changed is found; what was written before it stays, the rest is set aside as it is.
    #[test]
    fn a_damaged_byte_is_found(texts in texts(8), at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        prop_assume!(!texts.is_empty());
        let dir = tempfile::tempdir().expect("dir");
        append(&opened(dir.path()), 3, &texts);
        let mut damaged = bytes(dir.path());
        let at = at.index(damaged.len());
        damaged[at] ^= flip;
        fs::write(dir.path().join(FILE), &damaged).expect("damaged");
        let last_line = damaged[..damaged.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        // A change in the last line that leaves a record is one nothing after it contradicts.
        prop_assume!(at < last_line);
        let journal = opened(dir.path());
        let kept = bytes(dir.path());
        prop_assert!(damaged.starts_with(&kept) && kept.len() < damaged.len());
        let name = format!("journal-damaged-{}.log", journal.end().0 + 1);
        prop_assert_eq!(aside(dir.path()), BTreeMap::from([(name, damaged[kept.len()..].to_vec())]));
        append(&journal, 4, &["more".to_owned()]);
        prop_assert_eq!(opened(dir.path()).end(), journal.end());
    }

    #[test]
    fn a_mirror_of_any_part_and_the_rest_is_equal(texts in texts(10), cut in any::<prop::sample::Index>(), at_most in 1_usize..5) {
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let primary = opened(here.path());
        append(&primary, 1, &texts);
        let sent = lines(here.path());
        let standby = opened(there.path());
        standby.mirror(&sent[..cut.index(sent.len() + 1)]).expect("taken over");
        converge(&primary, &standby, at_most);
        prop_assert_eq!(bytes(here.path()), bytes(there.path()));
        prop_assert!(aside(there.path()).is_empty());
    }

    /// Two writers after a common part: the one that follows ends equal, and has what only it knew beside.
    #[test]
    fn a_fork_sets_the_tail_aside(common in texts(6), ours in texts(6), theirs in texts(6), at_most in 1_usize..8) {
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let (primary, standby) = (opened(here.path()), opened(there.path()));
        append(&primary, 1, &common);
        standby.mirror(&lines(here.path())).expect("taken over");
        append(&primary, 3, &theirs);
        append(&standby, 2, &ours);
        let before = bytes(there.path());
        let shared = common.len();
        // An empty journal has nothing to compare with.
        prop_assume!(primary.end().0 > 0);
        converge(&primary, &standby, at_most);
        prop_assert_eq!(bytes(here.path()), bytes(there.path()));
        prop_assert_eq!(opened(there.path()).end(), primary.end());
        // What is beside, in the order of its numbers, ends with all that only the standby knew.
        let first = |name: &String| name.trim_end_matches(".log").rsplit('-').next().and_then(|seq| seq.parse::<u64>().ok());
        let mut parts: Vec<_> = aside(there.path()).into_iter().map(|(name, part)| (first(&name), part)).collect();
        parts.sort();
        let beside = parts.into_iter().flat_map(|(_, part)| part).collect::<Vec<u8>>();
        let own: Vec<u8> = before.split_inclusive(|byte| *byte == b'\n').skip(shared).flatten().copied().collect();
        prop_assert!(beside.ends_with(&own), "{}", String::from_utf8_lossy(&beside));
    }

    /// A crash between setting aside and going on brings the same again, once.
    #[test]
    fn a_crash_while_parting_repeats(ours in texts(4), theirs in texts(4), cut in 0.0..=1.0_f64) {
        prop_assume!(!ours.is_empty() && !theirs.is_empty() && ours[0] != theirs[0]);
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let (primary, standby) = (opened(here.path()), opened(there.path()));
        append(&primary, 2, &theirs);
        append(&standby, 1, &ours);
        let before = bytes(there.path());
        standby.mirror(&lines(here.path())).expect("taken over");
        let after = bytes(there.path());
        let set_aside = aside(there.path());
        // Nothing was cut yet; cut and not yet written; half written.
        for found in [&before[..], &[], &after[..(after.len() as f64 * cut) as usize]] {
            fs::write(there.path().join(FILE), found).expect("as a crash left it");
            let standby = opened(there.path());
            converge(&primary, &standby, 1_000);
            prop_assert_eq!(bytes(there.path()), after.clone());
            prop_assert_eq!(aside(there.path()), set_aside.clone());
        }
    }

    /// Whatever is in the file, opening it does not panic, keeps every byte that is not an unfinished end, and can be gone on from.
    #[test]
    fn any_file_opens(found in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400)) {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join(FILE), &found).expect("file");
        let journal = opened(dir.path());
        append(&journal, 1, &["on".to_owned()]);
        let ended = found.iter().rposition(|byte| *byte == b'\n').is_some();
        prop_assert_eq!(aside(dir.path()).len(), usize::from(ended));
    }
}
