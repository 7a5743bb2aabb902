//! How answers are printed: the API's JSON, or a table.

use crate::cli::Format;
use comfy_table::{Table, presets};
use serde::Serialize;
use std::{io::Write, ops::ControlFlow};

/// Writes to standard output; a closed pipe (`weir devices | head`) ends the command quietly.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    line_while_read(text).map(|_| ())
}

/// The same for a command without an end of its own: breaks when nobody reads any more.
pub(crate) fn line_while_read(text: &str) -> anyhow::Result<ControlFlow<()>> {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error.into()),
    }
}

/// Prints `value` as JSON, or as the table `rows` makes of it.
pub(crate) fn print<T: Serialize>(format: Format, value: &T, rows: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    match format {
        Format::Json => line(&serde_json::to_string_pretty(value)?),
        Format::Table => line(rows(value).trim_end()),
    }
}

/// A table with these columns.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// What is shown for something absent.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

/// A reason as a person reads it: `detail (word); next`.
pub(crate) fn sentence(detail: &str, word: &str, next: &str) -> String {
    let detail = detail.trim_end_matches('.');
    let next = if next.is_empty() { String::new() } else { format!("; {next}") };
    if detail.is_empty() { format!("{word}{next}") } else { format!("{detail} ({word}){next}") }
}

/// Wall-clock milliseconds as UTC text.
pub(crate) fn time(clock_ms: u64) -> String {
    let ms = i64::try_from(clock_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "-".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// A span of time in its two largest units.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Bytes in the largest unit that keeps one digit before the point.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (count, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn spans() {
        for (ms, text) in [
            (0, "0 s"),
            (1, "1 s"),
            (59_000, "59 s"),
            (60_000, "1 min 0 s"),
            (3_599_000, "59 min 59 s"),
            (4_800_000, "1 h 20 min"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_reason_has_its_word_and_its_next_step() {
        for (detail, word, next, text) in [
            ("what exactly.", "guard", "do this", "what exactly (guard); do this"),
            ("what exactly", "guard", "", "what exactly (guard)"),
            ("", "guard", "do this", "guard; do this"),
        ] {
            assert_eq!(sentence(detail, word, next), text);
        }
    }
}
