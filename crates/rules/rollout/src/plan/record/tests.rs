//! The shape of records is the manager's: lines as it writes them are read.

use super::{super::fixture::*, *};
use crate::{pair_order::Direction, plan::State};
use serde_json::json;

/// A step as a manager of line 1.0 wrote it.
const GOLDEN: &str = r#"{"seq":7,"at_ms":1700000000000,"term":1,"kind":"rollout","body":{"step":{"commit":{"stamp":{"term":1,"generation":5},"parent":4,"state":"paused","reason":{"reason":"operator","why":"lunch"},"course":{"direction":"up","driver":"gui","back":false,"hop":0},"phase":"engines","waves":["passed","open","pending"],"lanes":{"3":{"wave":1,"was":"1.0.0-b1","before":"1.0.0-b1","word":{"stamp":{"term":1,"generation":4},"version":"1.1.0-b1","leave":"drained","reload":true,"cancelled":false},"attempts":0,"back":false,"excuse":"none","force":false,"moved":false}},"soaked":false,"counted":{"ticked_ms":1699999999000,"soak_ms":0,"frozen_ms":0,"bake_ms":0,"draining_ms":{"3":5000}}},"said":{"command":{"command":"pause","why":"lunch"},"by":"token:ann"}}},"before":"f88d"}"#;

fn line(seq: u64, kind: &str, body: &Value) -> String {
    json!({ "seq": seq, "at_ms": 10 * seq, "term": 1, "kind": kind, "body": body, "before": "" }).to_string()
}

#[test]
fn a_line_of_line_1_0_is_read_and_written_as_it_was() {
    let entry = Reader::default().take(GOLDEN).expect("read").expect("whole");
    let Record::Step { commit, said: Some(said) } = &entry.record else { panic!("{entry:?}") };
    assert_eq!((entry.seq, entry.at_ms, commit.parent, said.by.as_str()), (7, 1_700_000_000_000, 4, "token:ann"));
    assert!(matches!(&commit.state, State::Paused { .. }) && matches!(&said.command, Command::Pause { why } if why == "lunch"));
    let written = serde_json::to_value(&entry.record).expect("JSON");
    let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
    assert_eq!(written, golden["body"]);
}

#[test]
fn parts_count_with_the_last_of_them_and_other_kinds_not_at_all() {
    let plan = World::small(Direction::Up).started().plan;
    let record = Record::Began { plan: Box::new(plan), by: "ann".into() };
    let text = serde_json::to_string(&record).expect("JSON");
    let (one, other) = text.split_at(text.len() / 2);
    let part = |number, text: &str| json!(Part { number, of: 2, text: text.to_owned() });
    let mut reader = Reader::default();
    let mut take = |line: String| reader.take(&line).expect("read");
    assert_eq!(take(line(1, KIND_PART, &part(1, "cut off by a crash"))), None);
    assert_eq!(take(line(2, KIND_PART, &part(1, one))), None);
    assert_eq!(take(line(3, "promoted", &Value::Null)), None);
    assert_eq!(take(line(4, KIND_PART, &part(2, other))), Some(Entry { seq: 4, at_ms: 40, record: record.clone() }));
    assert_eq!(take(line(5, KIND_PART, &part(2, other))), None, "its first part is not there");
    let whole = serde_json::to_value(&record).expect("JSON");
    assert_eq!(take(line(6, KIND, &whole)).map(|entry| entry.record), Some(record));
}

#[test]
fn what_is_no_record_is_said() {
    let mut reader = Reader::default();
    assert!(matches!(reader.take("{"), Err(RecordError::NoLine(_))));
    let refused = reader.take(&line(9, KIND, &json!({ "ended": {} }))).expect_err("unknown");
    assert_eq!(refused.to_string(), "journal record 9 is no rollout");
}
