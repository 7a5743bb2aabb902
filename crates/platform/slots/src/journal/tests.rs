//! Journals under torn tails, power cuts and noise.

use super::*;
use crate::disk::{
    FileSystem,
    recorded::{Loss, Recorded},
};
use proptest::prelude::*;

fn record(number: usize) -> String {
    format!(r#"{{"number":{number},"more":"{}"}}"#, "x".repeat(number % 40))
}

fn number(found: &Found) -> Option<usize> {
    let json: serde_json::Value = serde_json::from_str(found.last.as_deref()?).expect("JSON");
    Some(usize::try_from(json["number"].as_u64().expect("number")).expect("small"))
}

fn reread(path: &Path) -> Found {
    Journal::open(FileSystem, path).expect("opens").1
}

/// The bytes of a line. They are read by every later build.
#[test]
fn golden_line() {
    let line = String::from_utf8(spell(r#"{"stage":"staged"}"#)).expect("text");
    assert_eq!(line, "af026ec4 {\"stage\":\"staged\"}\n");
    assert_eq!(parse(line.as_bytes()), Found { last: Some(r#"{"stage":"staged"}"#.into()), dropped: 0 });
}

#[test]
fn the_last_record_is_read_back_and_length_is_bounded() {
    let home = tempfile::tempdir().expect("dir");
    let path = home.path().join("journal/update.log");
    let (mut journal, found) = Journal::open(FileSystem, &path).expect("opens");
    assert_eq!(found, Found::default());
    let long = "y".repeat(RECORD_MAX_BYTES - 100);
    for count in 0..40 {
        journal.append(&format!(r#"{{"number":{count},"long":"{long}"}}"#)).expect("appends");
        assert!(fs::metadata(&path).expect("file").len() <= JOURNAL_MAX_BYTES);
        assert_eq!(number(&reread(&path)), Some(count));
    }
    for wrong in ["a\nb".to_owned(), "z".repeat(RECORD_MAX_BYTES + 1)] {
        assert!(matches!(journal.append(&wrong), Err(JournalError::Record)));
    }
    assert_eq!(number(&reread(&path)), Some(39));
    fs::write(&path, vec![b'x'; usize::try_from(READ_MAX_BYTES).expect("small") + 1]).expect("not ours");
    let (mut journal, found) = Journal::open(FileSystem, &path).expect("opens");
    assert_eq!(found, Found { last: None, dropped: 1 });
    journal.append(&record(1)).expect("replaces it");
    assert_eq!(number(&reread(&path)), Some(1));
}

#[test]
fn every_torn_length_costs_only_the_last_record_and_the_next_one_is_whole() {
    let home = tempfile::tempdir().expect("dir");
    let path = home.path().join("update.log");
    let (mut journal, _) = Journal::open(FileSystem, &path).expect("opens");
    (0..3).for_each(|count| journal.append(&record(count)).expect("appends"));
    let whole = fs::read(&path).expect("bytes");
    let before = whole.len() - spell(&record(2)).len();
    for cut in before..=whole.len() {
        fs::write(&path, &whole[..cut]).expect("torn");
        let (mut journal, found) = Journal::open(FileSystem, &path).expect("opens");
        assert_eq!(number(&found), Some(if cut == whole.len() { 2 } else { 1 }), "cut at {cut}");
        journal.append(&record(7)).expect("appends");
        assert_eq!(number(&reread(&path)), Some(7), "cut at {cut}");
    }
}

#[test]
fn every_power_cut_keeps_what_was_answered() {
    let home = tempfile::tempdir().expect("dir");
    let root = home.path().join("d");
    fs::create_dir(&root).expect("root");
    let path = root.join("journal/update.log");
    // The records whose append had been answered before each cut.
    let mut answered = Vec::new();
    let (mut journal, _) = Journal::open(Recorded::below(&root), &path).expect("opens");
    for count in 0..6 {
        answered.push(journal.disk.cuts());
        // The way of a journal that is written anew, too.
        if count == 4 {
            journal.bytes = JOURNAL_MAX_BYTES;
        }
        journal.append(&record(count)).expect("appends");
    }
    answered.push(journal.disk.cuts());
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..journal.disk.cuts() {
        for loss in Loss::ALL {
            journal.disk.rebuild(&root, cut, loss);
            let found = number(&reread(&path));
            let durable = answered.iter().skip(1).filter(|cuts| cut + 1 >= **cuts).count().checked_sub(1);
            assert!(found >= durable, "cut {cut} {loss:?}: {found:?}, answered {durable:?}");
            seen.insert(found);
        }
    }
    assert_eq!(seen.len(), 7, "the cuts reach every record");
}

#[test]
fn a_record_after_one_that_failed_is_not_lost_in_its_torn_line() {
    let home = tempfile::tempdir().expect("dir");
    let path = home.path().join("update.log");
    let (mut journal, _) = Journal::open(FileSystem, &path).expect("opens");
    journal.append(&record(1)).expect("appends");
    // A directory in the place of the file fails the write for every user, root included.
    fs::rename(&path, home.path().join("aside")).expect("moved");
    fs::create_dir(&path).expect("make");
    assert!(matches!(journal.append(&record(2)), Err(JournalError::Disk(_))));
    fs::remove_dir(&path).expect("remove");
    let torn = [fs::read(home.path().join("aside")).expect("bytes"), b"1234 half a li".to_vec()].concat();
    fs::write(&path, torn).expect("as after half an append");
    journal.append(&record(3)).expect("appends");
    assert_eq!(reread(&path), Found { last: Some(record(3)), dropped: 0 });
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn a_flipped_bit_costs_its_line(flipped in 0usize..400, bit in 0u8..8) {
        let mut bytes: Vec<u8> = (0..5).flat_map(|count| spell(&record(count))).collect();
        let at = flipped % bytes.len();
        bytes[at] ^= 1 << bit;
        let found = parse(&bytes);
        prop_assert!(found.dropped >= 1);
        // A line break that is gone joins two lines.
        prop_assert!(number(&found) >= Some(2), "{found:?}");
    }
}
