//! Every rule by table, and walks of any words over it.

use super::*;
use proptest::prelude::*;

fn slot(version: &str) -> SlotRef {
    SlotRef::of(version, crate::digest_of_bytes(version.as_bytes()))
}

/// A device that runs `b`, came from `a`, and has obeyed a word of term 1, generation 5.
fn settled() -> BootRecord {
    let first = BootRecord::first(slot("a"));
    first.begin_trial(slot("b"), 1, 5, 1_000).expect("begin").commit(&slot("b")).expect("commit")
}

fn on_trial() -> BootRecord {
    settled().begin_trial(slot("c"), 1, 6, 2_000).expect("begin")
}

fn named(record: &BootRecord) -> [Option<&str>; 4] {
    let version = |slot: &SlotRef| -> &'static str { ["a", "b", "c", "d"].into_iter().find(|v| **v == slot.version).expect("known") };
    let trial = record.trial.as_ref().map(|trial| version(&trial.slot));
    [Some(version(&record.active)), record.previous.as_ref().map(version), record.last_good.as_ref().map(version), trial]
}

#[test]
fn a_trial_names_its_slot_beside_the_active_one_and_a_commit_makes_it_active() {
    assert_eq!(named(&settled()), [Some("b"), Some("a"), Some("b"), None]);
    let trial = on_trial();
    assert_eq!(named(&trial), [Some("b"), Some("a"), Some("b"), Some("c")]);
    assert_eq!((trial.to_start(), trial.term, trial.generation), (&slot("c"), 1, 6));
    assert!(trial.tries(&slot("c")) && !trial.tries(&slot("b")));
    let committed = trial.commit(&slot("c")).expect("commit");
    assert_eq!(named(&committed), [Some("c"), Some("b"), Some("c"), None]);
    assert_eq!(committed.commit(&slot("c")), Err(TrialError::Already(slot("c").name)));
}

#[test]
fn a_trial_is_refused() {
    let burned = settled().begin_trial(slot("c"), 1, 6, 1).expect("begin").fall_back("crashed", true).expect("back");
    let full = BootRecord { burned: (0..BURNED_MAX).map(|n| slot(&n.to_string()).manifest).collect(), ..settled() };
    let cases = [
        (settled(), "c", 1, 4, TrialError::Stale { term: 1, generation: 4 }),
        (settled(), "c", 0, 9, TrialError::Stale { term: 0, generation: 9 }),
        (settled(), "b", 1, 5, TrialError::Already(slot("b").name)),
        (on_trial(), "c", 1, 6, TrialError::Already(slot("c").name)),
        (on_trial(), "d", 1, 7, TrialError::UnderWay(slot("c").name)),
        (on_trial(), "b", 1, 7, TrialError::UnderWay(slot("c").name)),
        (burned, "c", 2, 0, TrialError::Burned),
        (full, "c", 2, 0, TrialError::BurnedFull),
    ];
    for (record, version, term, generation, expected) in cases {
        let refused = record.begin_trial(slot(version), term, generation, 1);
        assert_eq!(refused, Err(expected), "{version} by ({term}, {generation}) on {record:?}");
    }
    assert!(settled().begin_trial(slot("c"), 1, 5, 1).is_ok(), "an equal word is the same word");
    assert!(settled().begin_trial(slot("a"), 2, 0, 1).is_ok(), "the previous slot may be tried again");
}

#[test]
fn a_trial_has_one_start_more_than_the_first() {
    let again = on_trial().count_start().expect("one more");
    assert_eq!(again.count_start(), Err(TrialError::NoTryLeft));
    assert_eq!(again.to_start(), &slot("c"));
    assert_eq!(settled().count_start(), Err(TrialError::NoTrial));
}

#[test]
fn only_the_slot_on_trial_is_committed() {
    assert_eq!(on_trial().commit(&slot("b")), Err(TrialError::NoTrial));
    assert_eq!(settled().commit(&slot("c")), Err(TrialError::NoTrial));
}

#[test]
fn falling_back_leaves_the_slot_to_blame_and_says_why() {
    let back = on_trial().fall_back("crashed", true).expect("back");
    assert_eq!(named(&back), [Some("b"), Some("a"), Some("b"), None]);
    assert_eq!(back.fell_back, Some(FellBack { slot: slot("c"), reason: "crashed".to_owned() }));
    assert_eq!(back.burned, [slot("c").manifest]);
    assert_eq!(back.fall_back("crashed", true), Err(TrialError::AlreadyBack(slot("c").name)));
    let kept = on_trial().fall_back("no_contact", false).expect("back");
    assert_eq!(kept.burned, []);
    let again = kept.begin_trial(slot("c"), 1, 7, 1).expect("tried again");
    assert_eq!(again.fell_back, None);
}

#[test]
fn after_a_commit_the_previous_slot_is_the_way_back_once() {
    let back = settled().fall_back("own_errors", true).expect("back");
    assert_eq!(named(&back), [Some("a"), None, Some("a"), None]);
    assert_eq!(back.burned, [slot("b").manifest]);
    let next = back.begin_trial(slot("c"), 2, 0, 1).expect("begin").commit(&slot("c")).expect("commit");
    assert_eq!(named(&next), [Some("c"), Some("a"), Some("c"), None]);
    let first = BootRecord::first(slot("a"));
    assert_eq!(first.fall_back("crashed", true), Err(TrialError::NoWayBack));
}

#[test]
fn a_previous_slot_that_is_tried_again_and_burned_is_no_way_back() {
    let back = settled().begin_trial(slot("a"), 2, 0, 1).expect("begin").fall_back("crashed", true).expect("back");
    assert_eq!(named(&back), [Some("b"), None, Some("b"), None]);
}

#[test]
fn a_slot_that_does_not_verify_is_left_without_blame() {
    let saved = on_trial().rescue(slot("a"), "image_refused");
    assert_eq!(named(&saved), [Some("a"), None, Some("a"), None]);
    assert_eq!((saved.burned.len(), saved.fell_back.expect("said").slot), (0, slot("b")));
}

#[test]
fn a_cleared_digest_is_tried_again() {
    let back = on_trial().fall_back("crashed", true).expect("back");
    let cleared = back.unburn(slot("c").manifest);
    assert_eq!((cleared.burned.len(), cleared.fell_back.clone()), (0, back.fell_back.clone()));
    assert!(cleared.begin_trial(slot("c"), 1, 6, 1).is_ok());
    assert_eq!(back.unburn(slot("d").manifest), back);
}

#[test]
fn a_reason_is_kept_short_and_the_fullest_record_is_still_read() {
    let many: Vec<Digest> = (0..BURNED_MAX).map(|n| slot(&n.to_string()).manifest).collect();
    let long = BootRecord { burned: many, ..on_trial() }.fall_back(&"\u{e9}\n\"x".repeat(1_000), true).expect("back");
    let said = &long.fell_back.as_ref().expect("said").reason;
    assert!(said.len() <= REASON_MAX_BYTES && said.is_ascii(), "{said}");
    assert!((super::super::spell(u64::MAX - 1, &long).len() as u64) < super::super::RECORD_MAX_BYTES);
}

/// A word on a record.
#[derive(Debug, Clone)]
enum Word {
    Begin(usize, u64),
    Start,
    Commit(usize),
    Back(bool),
    Rescue,
    Unburn(usize),
}

fn words() -> impl Strategy<Value = Word> {
    prop_oneof![
        (0..VERSIONS.len(), 0u64..9).prop_map(|(version, generation)| Word::Begin(version, generation)),
        Just(Word::Start),
        (0..VERSIONS.len()).prop_map(Word::Commit),
        any::<bool>().prop_map(Word::Back),
        Just(Word::Rescue),
        (0..VERSIONS.len()).prop_map(Word::Unburn),
    ]
}

const VERSIONS: [&str; 4] = ["a", "b", "c", "d"];

fn obey(record: &BootRecord, word: &Word) -> Result<BootRecord, TrialError> {
    match word {
        Word::Begin(version, generation) => record.begin_trial(slot(VERSIONS[*version]), 1, *generation, 1),
        Word::Start => record.count_start(),
        Word::Commit(version) => record.commit(&slot(VERSIONS[*version])),
        Word::Back(burn) => record.fall_back("crashed", *burn),
        Word::Rescue => record.previous.clone().map(|good| record.rescue(good, "image_refused")).ok_or(TrialError::NoWayBack),
        Word::Unburn(version) => Ok(record.unburn(slot(VERSIONS[*version]).manifest)),
    }
}

proptest! {
    #[test]
    fn any_walk_leaves_a_record_to_start_from(walk in prop::collection::vec(words(), 0..60)) {
        let mut record = BootRecord::first(slot("a"));
        let mut committed = vec![slot("a")];
        for word in &walk {
            let Ok(next) = obey(&record, word) else { continue };
            if let (Word::Commit(_), true) = (word, next.trial.is_none()) {
                committed.push(next.active.clone());
            }
            // Every slot that is fallen back to was committed once; so was the last good one, which is always there.
            for named in [Some(&next.active), next.previous.as_ref(), next.last_good.as_ref()].into_iter().flatten() {
                prop_assert!(committed.contains(named), "{word:?}: {next:?}");
            }
            prop_assert!(next.last_good.is_some());
            prop_assert!(!next.burned.contains(&next.active.manifest), "{word:?}: {next:?}");
            prop_assert!(!next.trial.as_ref().is_some_and(|trial| trial.slot == next.active || next.burned.contains(&trial.slot.manifest)));
            prop_assert!(matches!(word, Word::Unburn(_)) || record.burned.iter().all(|digest| next.burned.contains(digest)));
            prop_assert!((next.term, next.generation) >= (record.term, record.generation));
            record = next;
        }
    }
}
