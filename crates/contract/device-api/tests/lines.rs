//! The report between lines: each reads the other's, and writes its own to the byte.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use weir_device_api::{Poll, Report, ReportAnswer};

const LINE_1_0: &str = include_str!("golden/report-1.0.json");
const LINE_1_1: &str = include_str!("golden/report-1.1.json");

fn read(text: &str) -> Report {
    serde_json::from_str(text).expect("every line reads it")
}

fn written(report: &Report) -> String {
    format!("{}\n", serde_json::to_string_pretty(report).expect("JSON"))
}

#[test]
fn what_line_1_0_wrote_is_written_the_same() {
    assert_eq!(written(&read(LINE_1_0)), LINE_1_0);
}

#[cfg(not(feature = "synthetic-next"))]
#[test]
fn line_1_0_passes_over_what_it_does_not_know() {
    let report = read(LINE_1_1);
    assert_eq!(report.hello.version, "1.1.0-b1");
    let mut known = read(LINE_1_0);
    known.hello = report.hello.clone();
    assert_eq!(report, known);
}

#[cfg(feature = "synthetic-next")]
#[test]
fn line_1_1_writes_its_own() {
    assert_eq!(read(LINE_1_0).detailed_responses, None);
    assert_eq!(read(LINE_1_1).detailed_responses, Some(7));
    assert_eq!(written(&read(LINE_1_1)), LINE_1_1);
}

/// Rescue, version 1: what a device of any line says and what any manager answers, for as much as it takes to bring the device one
/// line on. Frozen when line 1.0 was cut: never edited, only added to under another number.
const RESCUE_1: &str = include_str!("golden/rescue-1.json");

/// Whether `whole` says everything that `part` says.
fn says(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| says(whole, part)))
        }
        _ => whole == part,
    }
}

fn keeps<T: DeserializeOwned + Serialize>(name: &str) {
    let golden: Value = serde_json::from_str(RESCUE_1).expect("JSON");
    let read: T = serde_json::from_value(golden[name].clone()).unwrap_or_else(|error| panic!("{name} is read by every line: {error}"));
    let written = serde_json::to_value(read).expect("JSON");
    assert!(says(&written, &golden[name]), "{name} is written so that every line reads it: {written:#}");
}

#[test]
fn rescue_is_read_and_written_by_every_line() {
    keeps::<Report>("report");
    keeps::<ReportAnswer>("report_answer");
    keeps::<Poll>("poll");
}
