//! Maintenance windows, as they are typed.

use jiff::Timestamp;
use weir_operator_api::RolloutWindow;

/// Reads `FROM/UNTIL`.
pub(super) fn window(text: &str) -> Result<RolloutWindow, String> {
    let (from, until) = text.split_once('/').ok_or("is not FROM/UNTIL")?;
    let (from_ms, until_ms) = (time_ms(from)?, time_ms(until)?);
    if from_ms < until_ms { Ok(RolloutWindow { from_ms, until_ms }) } else { Err("ends before it begins".to_owned()) }
}

/// Reads milliseconds since 1970, or a time with its offset (RFC 3339 section 5.6; seconds may be left out).
fn time_ms(text: &str) -> Result<u64, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| format!("{text:?} is not milliseconds since 1970"));
    }
    let wrong = || format!("{text:?} is neither a time such as 2030-05-01T01:00:00Z nor milliseconds since 1970");
    text.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_with_an_offset_or_milliseconds() {
        for (text, from_ms, until_ms) in [
            ("0/1", 0, 1),
            ("1893459600000/1893474000000", 1_893_459_600_000, 1_893_474_000_000),
            ("2030-01-01T01:00:00Z/2030-01-01T05:00:00Z", 1_893_459_600_000, 1_893_474_000_000),
            ("2030-01-01T03:00+02:00/2030-01-01T05:00Z", 1_893_459_600_000, 1_893_474_000_000),
            ("2030-01-01T01:00:00.5Z/1893474000000", 1_893_459_600_500, 1_893_474_000_000),
        ] {
            assert_eq!(window(text), Ok(RolloutWindow { from_ms, until_ms }), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "/",
            "1",
            "1/",
            "/1",
            "2/1",
            "1/1",
            "1/2/3",
            "-2/-1",
            "now/1893474000000",
            "1h/2h",
            "2030-01-01/2030-01-02",
            "2030-01-01T01:00:00/2030-01-01T05:00:00",
            "1960-01-01T01:00:00Z/2030-01-01T05:00:00Z",
            "0/99999999999999999999",
        ] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
