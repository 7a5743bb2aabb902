//! HTTP dates (RFC 9110 section 5.6.7): the three forms, nothing else.

use std::time::{Duration, UNIX_EPOCH};

/// Latest time [`format`] writes: the last second of the year 9999, in seconds since 1970.
const LATEST: u64 = 253_402_300_799;

/// Seconds since 1970 of an IMF-fixdate, an RFC 850 date or an asctime date; anything else is not a date.
pub fn parse(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(crate::fields::trim_ows(value)).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// `seconds` since 1970 as an IMF-fixdate.
pub fn format(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(LATEST)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_forms_and_no_other() {
        let time = Some(784_111_777);
        for good in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(good.as_bytes()), time, "{good}");
        }
        let bad = [
            "0",
            "",
            "-1",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov  1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ];
        for bad in bad {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 \xff"), None);
    }

    proptest! {
        #[test]
        fn format_and_parse_round_trip(seconds in 0..=LATEST) {
            prop_assert_eq!(parse(format(seconds).as_bytes()), Some(seconds));
        }

        #[test]
        fn parse_never_panics(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&value);
        }

        #[test]
        fn nearly_dates_never_panic(value in "(Sun|Sunday|Wednesday),? [0-9 ]{1,3}[ -]Nov[ -][0-9]{2,4} [0-9:]{5,9} ?(GMT)?") {
            let _ = parse(value.as_bytes());
        }
    }
}
