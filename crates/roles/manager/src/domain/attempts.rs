//! Sign-ins that failed: how long the next one of the same user or from the same place has to wait, and which are audited.
//!
//! Each attempt counts as failed until it has succeeded, so that many at once gain nothing. After [`FREE`] failures each
//! further one doubles the delay. A user's delay is short and does not hold for places they signed in from: guessing at a
//! name from elsewhere does not lock its owner out. Times are milliseconds of the monotonic clock.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Failures that cost nothing but their time.
const FREE: u32 = 5;
/// The delay after one failure more, in milliseconds; it doubles with each.
const FIRST_DELAY_MS: u64 = 1_000;
/// The longest delay of a place, in milliseconds.
const SOURCE_DELAY_MAX_MS: u64 = 15 * 60 * 1000;
/// The longest delay of a user, in milliseconds.
const USER_DELAY_MAX_MS: u64 = 60 * 1000;
/// Failures are forgotten this long after the last one, in milliseconds.
const MEMORY_MS: u64 = 30 * 60 * 1000;
/// Users, and places, remembered at the same time; the one quiet longest is forgotten for another.
const REMEMBERED_MAX: usize = 10_000;
/// Places a user signed in from that are remembered.
const GOOD_SOURCES: usize = 8;
/// Of a burst from one place the first refusal is audited, then each of this many.
const AUDIT_EVERY: u32 = 10;
/// Audit rows about refused sign-ins in one minute, whatever their places.
const AUDIT_PER_MINUTE: u32 = 30;
const MINUTE_MS: u64 = 60_000;

#[derive(Default, Clone)]
struct Failures {
    count: u32,
    /// Refusals of the burst, those that had to wait included.
    refused: u32,
    last_ms: u64,
    not_before_ms: u64,
}

impl Failures {
    fn fail(&mut self, now_ms: u64, longest_ms: u64) {
        self.count = self.count.saturating_add(1);
        self.last_ms = now_ms;
        if let Some(beyond) = self.count.checked_sub(FREE + 1) {
            let delay = FIRST_DELAY_MS.saturating_mul(1 << beyond.min(32));
            self.not_before_ms = now_ms + delay.min(longest_ms);
        }
    }

    fn wait(&self, now_ms: u64) -> Option<u64> {
        self.not_before_ms.checked_sub(now_ms).filter(|w| *w > 0)
    }
}

#[derive(Default)]
struct Inner {
    users: HashMap<String, Failures>,
    sources: HashMap<String, Failures>,
    good: HashMap<String, Vec<String>>,
    minute_began_ms: u64,
    audited: u32,
}

/// The failures there were.
#[derive(Default)]
pub(crate) struct Attempts {
    inner: Mutex<Inner>,
}

/// What places are told apart by: an IPv4 address, or the /64 an IPv6 address is in, which one holder may use freely.
fn place(source: &str) -> String {
    match source.parse() {
        Ok(IpAddr::V6(v6)) => Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64)).to_string(),
        _ => source.to_owned(),
    }
}

fn entry<'a>(table: &'a mut HashMap<String, Failures>, key: &str, now_ms: u64) -> &'a mut Failures {
    if !table.contains_key(key) && table.len() >= REMEMBERED_MAX {
        table.retain(|_, f| f.last_ms + MEMORY_MS > now_ms);
        if table.len() >= REMEMBERED_MAX
            && let Some(quiet) = table.iter().min_by_key(|(_, f)| f.last_ms).map(|(k, _)| k.clone())
        {
            table.remove(&quiet);
        }
    }
    let failures = table.entry(key.to_owned()).or_default();
    if failures.last_ms + MEMORY_MS <= now_ms {
        *failures = Failures::default();
    }
    failures
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt, or says how many milliseconds it has to wait.
    pub(crate) fn begin(&self, user: &str, source: &str, now_ms: u64) -> Result<(), u64> {
        let place = place(source);
        let mut inner = self.lock();
        let inner = &mut *inner;
        let trusted = inner.good.get(user).is_some_and(|g| g.contains(&place));
        let of_user = entry(&mut inner.users, user, now_ms);
        let of_source = entry(&mut inner.sources, &place, now_ms);
        let waits = [of_source.wait(now_ms), of_user.wait(now_ms).filter(|_| !trusted)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        of_source.fail(now_ms, SOURCE_DELAY_MAX_MS);
        if !trusted {
            of_user.fail(now_ms, USER_DELAY_MAX_MS);
        }
        Ok(())
    }

    /// It succeeded: the user's failures are forgotten, and one less counts for the place.
    pub(crate) fn succeeded(&self, user: &str, source: &str) {
        let place = place(source);
        let mut inner = self.lock();
        inner.users.remove(user);
        if let Some(failures) = inner.sources.get_mut(&place) {
            failures.count = failures.count.saturating_sub(1);
            failures.not_before_ms = 0;
            failures.refused = 0;
        }
        let good = inner.good.entry(user.to_owned()).or_default();
        good.retain(|g| *g != place);
        good.push(place);
        if good.len() > GOOD_SOURCES {
            good.remove(0);
        }
    }

    /// Forgets a user's failures.
    pub(crate) fn forgive(&self, user: &str) {
        self.lock().users.remove(user);
    }

    /// Counts a refusal; `Some` with the refusals of its burst when it is to be audited.
    pub(crate) fn refused(&self, source: &str, now_ms: u64) -> Option<u32> {
        let place = place(source);
        let mut inner = self.lock();
        let failures = entry(&mut inner.sources, &place, now_ms);
        failures.last_ms = now_ms;
        failures.refused = failures.refused.saturating_add(1);
        let count = failures.refused;
        if count != 1 && !count.is_multiple_of(AUDIT_EVERY) {
            return None;
        }
        if inner.minute_began_ms + MINUTE_MS <= now_ms {
            (inner.minute_began_ms, inner.audited) = (now_ms, 0);
        }
        inner.audited += 1;
        (inner.audited <= AUDIT_PER_MINUTE).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn the_delay_grows_and_is_bounded() {
        let attempts = Attempts::default();
        let mut now = NOW;
        let mut delays = Vec::new();
        for n in 0..20 {
            // Another user each time: only the place counts.
            while let Err(wait) = attempts.begin(&format!("u{n}"), "192.0.2.1", now) {
                delays.push(wait / 1000);
                now += wait;
            }
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
        assert_eq!(attempts.begin("u", "192.0.2.2", now), Ok(()), "another place is not concerned");
        now += MEMORY_MS;
        assert_eq!(attempts.begin("u", "192.0.2.1", now), Ok(()), "all is forgotten in time");
    }

    #[test]
    fn guessing_from_many_places_is_slowed_but_locks_nobody_out() {
        let attempts = Attempts::default();
        attempts.begin("admin", "192.0.2.1", NOW).expect("first");
        attempts.succeeded("admin", "192.0.2.1");
        let guesses = (0..100).filter(|n| attempts.begin("admin", &format!("198.51.100.{n}"), NOW).is_ok()).count();
        assert_eq!(guesses, FREE as usize + 1);
        assert!(attempts.begin("admin", "203.0.113.9", NOW + USER_DELAY_MAX_MS).is_ok());
        assert!(attempts.begin("admin", "203.0.113.9", NOW + USER_DELAY_MAX_MS).is_err());
        assert_eq!(attempts.begin("admin", "192.0.2.1", NOW), Ok(()), "its owner signs in");
        attempts.forgive("admin");
        assert!(attempts.begin("admin", "203.0.113.10", NOW + USER_DELAY_MAX_MS).is_ok());
    }

    #[test]
    fn attempts_at_the_same_time_count_at_once() {
        let attempts = Attempts::default();
        let begun = (0..50).filter(|_| attempts.begin("admin", "192.0.2.1", NOW).is_ok()).count();
        assert_eq!(begun, FREE as usize + 1);
        let v6 = (0..50).filter(|n| attempts.begin(&format!("u{n}"), &format!("2001:db8::{n}"), NOW).is_ok()).count();
        assert_eq!(v6, FREE as usize + 1, "one /64 is one place");
    }

    #[test]
    fn the_audit_is_not_flooded() {
        let attempts = Attempts::default();
        let rows: Vec<u32> = (0..35).filter_map(|_| attempts.refused("192.0.2.1", NOW)).collect();
        assert_eq!(rows, [1, 10, 20, 30]);
        let rows = (0..200).filter_map(|n| attempts.refused(&format!("198.51.100.{n}"), NOW)).count();
        assert_eq!(rows, AUDIT_PER_MINUTE as usize - 4);
        assert_eq!(attempts.refused("203.0.113.1", NOW + MINUTE_MS), Some(1));
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..REMEMBERED_MAX as u64 + 100 {
            let _ = attempts.begin(&format!("u{n}"), &format!("s{n}"), NOW + n);
        }
        let inner = attempts.lock();
        assert_eq!((inner.users.len(), inner.sources.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(!inner.sources.contains_key("s0") && inner.sources.contains_key("s10099"));
    }
}
