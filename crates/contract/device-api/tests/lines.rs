//! The report between lines: each reads the other's, and writes its own to the byte.

use weir_device_api::Report;

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
