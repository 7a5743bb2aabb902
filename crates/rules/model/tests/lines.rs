//! The compiled configuration between lines: each reads the other's, and writes its own to the byte.

use weir_model::DeviceConfiguration;

const LINE_1_0: &str = include_str!("golden/configuration-1.0.json");
const LINE_1_1: &str = include_str!("golden/configuration-1.1.json");

fn read(text: &str) -> DeviceConfiguration {
    serde_json::from_str(text).expect("every line reads it")
}

fn written(document: &DeviceConfiguration) -> String {
    format!("{}\n", serde_json::to_string_pretty(document).expect("JSON"))
}

#[test]
fn what_line_1_0_wrote_is_written_the_same() {
    assert_eq!(written(&read(LINE_1_0)), LINE_1_0);
}

#[test]
fn a_document_of_before_there_were_levels_is_read() {
    let before = LINE_1_0.replace("  \"level\": \"1.0\",\n", "");
    assert_ne!(before, LINE_1_0);
    assert_eq!(read(&before).level, None);
    assert_eq!(written(&read(&before)), before);
}

#[cfg(not(feature = "synthetic-next"))]
#[test]
fn line_1_0_passes_over_what_it_does_not_know() {
    let known = DeviceConfiguration { level: read(LINE_1_1).level, ..read(LINE_1_0) };
    assert_eq!(read(LINE_1_1), known);
    assert_eq!(known.level, Some(weir_model::Line::new(1, 1)));
}

#[cfg(feature = "synthetic-next")]
#[test]
fn line_1_1_writes_its_own() {
    assert_eq!(read(LINE_1_0).services[0].detail, None);
    let detail = read(LINE_1_1).services[0].detail.clone();
    assert_eq!(detail.as_ref().map(weir_model::Detail::as_str), Some("gold"));
    assert_eq!(written(&read(LINE_1_1)), LINE_1_1);
}
