//! How long signatures hold, and against which time they are judged.
//!
//! Time is seconds since 1970. Expiry is compared with the later of the clock and the time the newest metadata was signed: a
//! clock that stands still or goes back cannot make old metadata fresh, and a clock that jumps forward and back leaves no
//! trace, for the floor comes from signatures only.

use crate::tuf::{MetadataError, Role};
use jiff::Timestamp;
use std::time::Duration;

/// How long a root holds.
pub const ROOT_LIFE: Duration = Duration::from_hours(24 * 3650);

/// How long targets, snapshot and timestamp hold: a publisher signs again within a year, and a network without contact
/// installs what it has for as long.
pub const METADATA_LIFE: Duration = Duration::from_hours(24 * 365);

/// The extra field of a timestamp that says when it was signed.
pub(crate) const SIGNED_AT: &str = "signed_at";

/// The moment `life` after `seconds`, in whole seconds as TUF writes them.
pub(crate) fn expires(seconds: u64, life: Duration) -> Timestamp {
    at(seconds.saturating_add(life.as_secs()))
}

/// The moment `seconds` after 1970; the last one there is for a larger number.
pub(crate) fn at(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

/// Seconds since 1970; 0 for a moment before.
pub(crate) fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

/// Whether `roles` all hold at the later of `now` and `signed_at`, by the first that does not.
///
/// # Errors
/// [`MetadataError::Expired`].
pub(crate) fn check(now: u64, signed_at: u64, roles: &[(Role, Timestamp)]) -> Result<(), MetadataError> {
    let floor = now.max(signed_at);
    match roles.iter().find(|(_, expires)| seconds(*expires) <= floor) {
        Some((role, expires)) => Err(MetadataError::Expired { role: *role, expired: seconds(*expires), now: floor }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judged_at_the_later_of_clock_and_signature() {
        let roles = [(Role::Root, at(200)), (Role::Timestamp, at(100))];
        for (now, signed_at, fails) in [(99, 0, None), (0, 99, None), (100, 0, Some(Role::Timestamp)), (0, 100, Some(Role::Timestamp))] {
            let failed = check(now, signed_at, &roles).err().map(|error| match error {
                MetadataError::Expired { role, .. } => role,
                other => panic!("{other}"),
            });
            assert_eq!(failed, fails, "{now} {signed_at}");
        }
        assert!(check(u64::MAX, 0, &[(Role::Root, at(u64::MAX))]).is_err());
    }

    #[test]
    fn whole_seconds() {
        assert_eq!(expires(1_700_000_000, Duration::from_secs(1)).to_string(), "2023-11-14T22:13:21Z");
        assert_eq!(seconds(at(1_700_000_000)), 1_700_000_000);
    }
}
