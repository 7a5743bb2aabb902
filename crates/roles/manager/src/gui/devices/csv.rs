//! The table as CSV (RFC 4180), safe to open in a spreadsheet.

use super::row::Row;
use crate::gui::figures::Moment;

const COLUMNS: [&str; 17] = [
    "name",
    "role",
    "status",
    "location",
    "version",
    "sessions",
    "active_requests",
    "generation",
    "configuration",
    "address",
    "weight",
    "capacity_mbps",
    "requests",
    "client_bytes",
    "origin_bytes",
    "last_report",
    "enrolled",
];

/// A header line and a line for each row.
pub(super) fn text(rows: &[Row]) -> String {
    let mut out = COLUMNS.join(",");
    out.push_str("\r\n");
    for row in rows {
        let line: Vec<String> = cells(row).iter().map(|c| cell(c)).collect();
        out.push_str(&line.join(","));
        out.push_str("\r\n");
    }
    out
}

fn cells(row: &Row) -> [String; 17] {
    let device = &row.device;
    let report = device.last_report.as_ref();
    let of_report = |number: fn(&weir_operator_api::LastReport) -> u64| report.map(|r| number(r).to_string()).unwrap_or_default();
    [
        device.name.to_string(),
        device.role.to_string(),
        device.status.to_string(),
        row.location().to_owned(),
        row.version().to_owned(),
        row.sessions().map(|s| s.to_string()).unwrap_or_default(),
        of_report(|r| r.load.active_requests.into()),
        of_report(|r| r.stamp.generation),
        row.running.word().to_owned(),
        row.address().map(|a| a.to_string()).unwrap_or_default(),
        device.weight.to_string(),
        device.capacity_mbps.map(|c| c.to_string()).unwrap_or_default(),
        of_report(|r| r.load.requests),
        of_report(|r| r.load.client_bytes),
        of_report(|r| r.load.origin_bytes),
        report.map(|r| Moment::at(r.received_ms).iso()).unwrap_or_default(),
        Moment::at(device.enrolled_ms).iso(),
    ]
}

/// A cell. One that a spreadsheet would take for a formula begins with an apostrophe instead: a device's version is its
/// own word.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    if formula || text.contains(['"', ',', '\r', '\n']) { format!("\"{guard}{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::cell;
    use proptest::{prop_assert, proptest};

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        for (text, expected) in [
            ("east-1", "east-1"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("1.0-b1", "1.0-b1"),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula_or_leaves_its_place(text in "\\PC*|[=+@\t\r\n\",-]{0,6}") {
            let written = cell(&text);
            let bare = written.strip_prefix('"').unwrap_or(&written);
            prop_assert!(!bare.starts_with(['=', '+', '-', '@', '\t', '\r']));
            if written.contains([',', '\n', '\r', '"']) {
                let inside = written.strip_prefix('"').and_then(|w| w.strip_suffix('"')).expect("quoted");
                prop_assert!(!inside.replace("\"\"", "").contains('"'));
            }
        }
    }
}
