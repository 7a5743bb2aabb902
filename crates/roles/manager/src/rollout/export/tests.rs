//! What is exported is what the rollout's own reader follows.

use super::*;
use crate::rollout::{
    fixture::{facts, started, ticked},
    record::{Record, append, read},
};
use http_body_util::BodyExt;
use serde_json::json;
use weir_rollout::plan::Plan;

fn opened() -> (tempfile::TempDir, Arc<Journal>) {
    let dir = tempfile::tempdir().expect("dir");
    let journal = Journal::open(dir.path()).expect("opens");
    (dir, Arc::new(journal))
}

fn begin(journal: &Journal, plan: &Plan) {
    append(journal, 10, 1, &Record::Began { plan: Box::new(plan.clone()), by: "token:ann".to_owned() }).expect("written");
}

fn step(journal: &Journal, parent: &Plan, next: &Plan) {
    append(journal, 11, 1, &Record::Step { commit: Box::new(next.since(parent)), said: None }).expect("written");
}

fn end(journal: &Journal) -> u64 {
    journal.end().0
}

async fn exported(journal: &Arc<Journal>) -> Vec<String> {
    let first = began(journal).expect("read").expect("a rollout");
    let body = Export::from(Arc::clone(journal), first).collect().await.expect("read").to_bytes();
    String::from_utf8(body.to_vec()).expect("text").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn it_begins_with_the_last_rollout_and_passes_over_other_records() {
    let (dir, journal) = opened();
    assert_eq!(began(&journal).expect("read"), None);
    let facts = facts(8);
    let first = started(&facts);
    let second = ticked(&first, &facts, 1_000).plan;
    begin(&journal, &first);
    step(&journal, &first, &second);
    let before = end(&journal);
    journal.append(11, 1, "promoted", json!({})).expect("written");
    begin(&journal, &first);
    journal.append(11, 1, "promoted", json!({})).expect("written");
    step(&journal, &first, &second);
    let lines = exported(&journal).await;
    let text = std::fs::read_to_string(dir.path().join("journal.log")).expect("there");
    let kept: Vec<&str> = text.lines().skip(usize::try_from(before).expect("few")).filter(|line| !line.contains("promoted")).collect();
    assert_eq!(lines, kept, "byte for byte");
}

#[tokio::test]
async fn a_long_beginning_counts_when_it_is_whole() {
    let (dir, journal) = opened();
    let (small, large) = (started(&facts(8)), started(&facts(6_000)));
    begin(&journal, &small);
    let first = end(&journal);
    begin(&journal, &large);
    assert!(end(&journal) > 40, "more than one stretch: {} records", end(&journal));
    assert_eq!(began(&journal).expect("read"), Some(first + 1));
    let lines = exported(&journal).await;
    assert_eq!(lines.len() as u64, end(&journal) - first);
    drop(journal);
    // A crash in the middle of the second one leaves the first.
    let path = dir.path().join("journal.log");
    let text = std::fs::read_to_string(&path).expect("there");
    let left: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&path, left[..left.len() - 1].concat()).expect("as a crash left it");
    let journal = Journal::open(dir.path()).expect("opens");
    assert_eq!(began(&journal).expect("read"), Some(first));
    step(&journal, &small, &ticked(&small, &facts(8), 1_000).plan);
    assert_eq!(began(&journal).expect("read"), Some(first), "what comes after the crash is of the first");
    read(&journal).expect("the rollout's own reader takes it too").expect("a rollout");
}
