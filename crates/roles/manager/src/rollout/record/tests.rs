//! What is written is read again, whole, however it was cut.

use super::*;
use crate::rollout::fixture::{facts, said, started, ticked};
use weir_rollout::plan::{Command, PauseReason, State};

fn opened() -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().expect("dir");
    let journal = Journal::open(dir.path()).expect("opens");
    (dir, journal)
}

fn began(plan: &Plan) -> Record {
    Record::Began { plan: Box::new(plan.clone()), by: "token:ann".to_owned() }
}

fn step(parent: &Plan, next: &Plan) -> Record {
    Record::Step { commit: Box::new(next.since(parent)), said: None }
}

fn read_again(dir: &tempfile::TempDir) -> Option<Kept> {
    read(&Journal::open(dir.path()).expect("opens")).expect("a rollout")
}

#[test]
fn a_rollout_is_read_as_it_was_left_among_other_records() {
    let (dir, journal) = opened();
    assert_eq!(read(&journal).expect("nothing"), None);
    let facts = facts(8);
    let first = started(&facts);
    append(&journal, 10, 1, &began(&first)).expect("written");
    journal.append(11, 1, "promoted", json!({})).expect("written");
    let second = ticked(&first, &facts, 1_000).plan;
    append(&journal, 12, 1, &step(&first, &second)).expect("written");
    let pause = Command::Pause { why: "lunch".into() };
    let third = said(&second, &facts, &pause);
    let told = Record::Step {
        commit: Box::new(third.since(&second)),
        said: Some(Said { command: pause, why: Some("lunch".into()), by: "token:ann".into() }),
    };
    append(&journal, 13, 1, &told).expect("written");
    let kept = read_again(&dir).expect("a rollout");
    assert_eq!((&*kept.plan, kept.by.as_str(), kept.started_ms, kept.ended_ms), (&third, "token:ann", 10, None));
    assert_eq!(kept.plan.state, State::Paused { reason: PauseReason::Operator { why: "lunch".into() } });
    // Another one takes its place.
    append(&journal, 20, 1, &began(&first)).expect("written");
    assert_eq!(read_again(&dir).map(|kept| (kept.plan, kept.started_ms)), Some((Arc::new(first), 20)));
}

#[test]
fn a_long_record_is_whole_or_nothing() {
    let (dir, journal) = opened();
    let facts = facts(600);
    let plan = started(&facts);
    append(&journal, 10, 1, &began(&plan)).expect("written");
    let parts = journal.end().0;
    assert!(parts > 3, "{parts} lines");
    assert_eq!(read_again(&dir).map(|kept| (*kept.plan).clone()), Some(plan.clone()));
    drop(journal);
    // A crash in the middle of the second one leaves the first, and what comes then is read.
    let path = dir.path().join("journal.log");
    let text = std::fs::read_to_string(&path).expect("there");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for left in 1..lines.len() {
        std::fs::write(&path, lines[..left].concat()).expect("as a crash left it");
        assert_eq!(read_again(&dir), None, "{left} of {} lines", lines.len());
        let journal = Journal::open(dir.path()).expect("opens");
        append(&journal, 30, 1, &began(&plan)).expect("written");
        assert_eq!(read_again(&dir).map(|kept| kept.started_ms), Some(30), "{left} of {} lines", lines.len());
    }
}

#[test]
fn a_step_of_another_plan_is_not_followed() {
    let (_dir, journal) = opened();
    let facts = facts(4);
    let first = started(&facts);
    let second = ticked(&first, &facts, 1_000).plan;
    append(&journal, 10, 1, &began(&first)).expect("written");
    append(&journal, 11, 1, &step(&first, &second)).expect("written");
    append(&journal, 12, 1, &step(&first, &second)).expect("written");
    let refused = read(&journal).expect_err("twice the same");
    assert!(matches!(refused, RecordError::NotNext { seq: 3, .. }), "{refused}");
}
