//! The age of a response (RFC 9111 section 4.2.3).

use crate::cache_control::{SECONDS_MAX, delta_seconds};
use crate::fields::list_members;
use crate::{Fields, ResponseFacts, date};

/// Age, in seconds, that the `Age` field states; absent when it states none.
///
/// Section 5.1: the first value of a list or of repeated lines counts; what is not a non-negative integer is ignored;
/// 2^31 and more is 2^31.
pub fn stated<F: Fields + ?Sized>(fields: &F) -> Option<u32> {
    let first = fields.values("age").flat_map(list_members).next()?;
    delta_seconds(first)
}

/// Age, in seconds, of a response at the moment it was received: `corrected_initial_age`.
///
/// A clock that went backwards between request and response counts as no delay.
pub fn at_receipt<F: Fields + ?Sized>(response: &ResponseFacts<'_, F>) -> u32 {
    let date = response.fields.first("date").and_then(date::parse).unwrap_or(response.received_at);
    let apparent_age = response.received_at.saturating_sub(date);
    let response_delay = response.received_at.saturating_sub(response.requested_at);
    let corrected_age = u64::from(stated(response.fields).unwrap_or(0)).saturating_add(response_delay);
    clamp(apparent_age.max(corrected_age))
}

/// `seconds` as a delta-seconds: at most 2^31 (section 1.2.2).
pub(crate) fn clamp(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(SECONDS_MAX).min(SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ages: &[&str]) -> crate::FieldLines {
        ages.iter().map(|age| ("Age".to_owned(), age.as_bytes().to_vec())).collect()
    }

    #[test]
    fn stated_age_follows_section_5_1() {
        let cases: &[(&[&str], Option<u32>)] = &[
            (&["0"], Some(0)),
            (&["7200"], Some(7200)),
            (&["007200"], Some(7200)),
            (&["7200,0"], Some(7200)),
            (&["0, 7200"], Some(0)),
            (&["7200", "0"], Some(7200)),
            (&["0", "7200"], Some(0)),
            (&["7200.0"], None),
            (&["-7200"], None),
            (&["+7200"], None),
            (&["abc"], None),
            (&["abc, 7200"], None),
            (&["\"7200\""], None),
            (&[""], None),
            (&[], None),
            (&["2147483647"], Some(2_147_483_647)),
            (&["2147483648"], Some(SECONDS_MAX)),
            (&["99999999999999999999999999"], Some(SECONDS_MAX)),
        ];
        for (ages, expected) in cases {
            assert_eq!(stated(&lines(ages)), *expected, "{ages:?}");
        }
    }

    #[test]
    fn corrected_age_is_the_larger_of_date_and_age() {
        let cases = [
            // (date, age, requested_at, received_at) -> age at receipt
            ((Some(1000), None, 1000, 1000), 0),
            ((Some(900), None, 1000, 1000), 100),
            ((Some(900), Some("10"), 1000, 1000), 100),
            ((Some(900), Some("300"), 998, 1000), 302),
            ((Some(2000), Some("5"), 1000, 1000), 5),
            ((None, Some("5"), 1000, 1000), 5),
            ((None, None, 990, 1000), 10),
            ((None, None, 1010, 1000), 0),
            ((None, Some("4294967296"), 0, u64::MAX), SECONDS_MAX),
        ];
        for ((date, age, requested_at, received_at), expected) in cases {
            let mut fields = lines(age.as_slice());
            fields.extend(date.map(|date| ("Date".to_owned(), date::format(date).into_bytes())));
            let response = ResponseFacts { status: 200, fields: &fields, requested_at, received_at, arrived_at: 0 };
            assert_eq!(at_receipt(&response), expected, "{date:?} {age:?} {requested_at} {received_at}");
        }
    }
}
