//! Sign-ins that failed: how long the next one has to wait, and which are audited.
//!
//! Each attempt counts as failed until it has succeeded, so that many at once gain nothing. A place (an address, or a /64) has
//! [`FREE`] failures; each further one doubles its delay. Guesses from many places are bounded by two buckets, one for each name
//! and one for all: only places a user has not signed in from draw on them, so that nobody locks an owner out of a place they
//! have used. Those places are kept in `state.db`. Times are milliseconds of the monotonic clock.

use crate::{
    app::App,
    change::Refusal,
    tables::{self, places::Place},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_operator_api::Problem;

/// Failures of a place that cost nothing but their time.
const FREE: u32 = 5;
/// The delay after one failure more, in milliseconds; it doubles with each.
const FIRST_DELAY_MS: u64 = 1_000;
/// The longest delay of a place, in milliseconds.
const SOURCE_DELAY_MAX_MS: u64 = 15 * 60 * 1000;
/// Failures are forgotten this long after the last one, in milliseconds.
const MEMORY_MS: u64 = 30 * 60 * 1000;
/// Attempts at one user from places that are new to it: so many at once, then one in each of these milliseconds (17,280 a day).
const USER_BURST: u64 = 500;
const USER_REFILL_MS: u64 = 5_000;
/// Attempts from new places at all users together; each costs a password hash.
const STRANGERS_BURST: u64 = 200;
const STRANGERS_REFILL_MS: u64 = 50;
/// Names, and places, remembered at the same time; the one quiet longest is forgotten for another.
const REMEMBERED_MAX: usize = 10_000;
/// Places a user signed in from that are remembered.
const GOOD_PLACES: usize = 16;
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
    fn fail(&mut self, now_ms: u64) {
        self.count = self.count.saturating_add(1);
        self.last_ms = now_ms;
        if let Some(beyond) = self.count.checked_sub(FREE + 1) {
            let delay = FIRST_DELAY_MS.saturating_mul(1 << beyond.min(32));
            self.not_before_ms = now_ms + delay.min(SOURCE_DELAY_MAX_MS);
        }
    }

    fn wait(&self, now_ms: u64) -> Option<u64> {
        self.not_before_ms.checked_sub(now_ms).filter(|w| *w > 0)
    }
}

/// So many attempts at once, then one in each refill time. `full_ms` is when it will be full again.
#[derive(Default, Clone)]
struct Bucket {
    full_ms: u64,
}

impl Bucket {
    fn wait(&self, now_ms: u64, burst: u64, refill_ms: u64) -> Option<u64> {
        let owed_ms = self.full_ms.saturating_sub(now_ms) + refill_ms;
        owed_ms.checked_sub(burst * refill_ms).filter(|w| *w > 0)
    }

    fn take(&mut self, now_ms: u64, refill_ms: u64) {
        self.full_ms = self.full_ms.max(now_ms) + refill_ms;
    }

    fn put_back(&mut self, refill_ms: u64) {
        self.full_ms = self.full_ms.saturating_sub(refill_ms);
    }
}

/// When an entry of a bounded table was last of use.
trait Quiet {
    fn last_ms(&self) -> u64;
}

impl Quiet for Failures {
    fn last_ms(&self) -> u64 {
        self.last_ms
    }
}

impl Quiet for Bucket {
    fn last_ms(&self) -> u64 {
        self.full_ms
    }
}

/// A name as it was typed, which may be anything: only its digest is remembered.
type Name = [u8; 32];

fn digest(name: &str) -> Name {
    Sha256::digest(name.as_bytes()).into()
}

#[derive(Default)]
struct Inner {
    users: HashMap<Name, Bucket>,
    strangers: Bucket,
    sources: HashMap<String, Failures>,
    /// Places by user, the one used last at the end.
    good: HashMap<String, Vec<String>>,
    minute_began_ms: u64,
    audited: u32,
    /// Refusals with and without an audit row of their own since these were last taken.
    listed: u32,
    others: u32,
}

impl Inner {
    fn trusts(&self, user: &str, place: &String) -> bool {
        self.good.get(user).is_some_and(|g| g.contains(place))
    }

    fn trust(&mut self, user: &str, place: String) {
        let good = self.good.entry(user.to_owned()).or_default();
        good.retain(|g| *g != place);
        good.push(place);
        if good.len() > GOOD_PLACES {
            good.remove(0);
        }
    }
}

/// Whether somebody signed in from there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The user has.
    Known,
    /// Nobody knows.
    Stranger,
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

/// Makes room for one more.
fn bound<K: Hash + Eq + Clone, V: Quiet>(table: &mut HashMap<K, V>, key: &K, now_ms: u64) {
    if table.contains_key(key) || table.len() < REMEMBERED_MAX {
        return;
    }
    table.retain(|_, v| v.last_ms() + MEMORY_MS > now_ms);
    if table.len() >= REMEMBERED_MAX
        && let Some(quiet) = table.iter().min_by_key(|(_, v)| v.last_ms()).map(|(k, _)| k.clone())
    {
        table.remove(&quiet);
    }
}

fn failures<'a>(table: &'a mut HashMap<String, Failures>, key: &str, now_ms: u64) -> &'a mut Failures {
    let key = key.to_owned();
    bound(table, &key, now_ms);
    let failures = table.entry(key).or_default();
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
    pub(crate) fn begin(&self, user: &str, source: &str, now_ms: u64) -> Result<Standing, u64> {
        let place = place(source);
        let mut inner = self.lock();
        let inner = &mut *inner;
        let known = inner.trusts(user, &place);
        let of_place = failures(&mut inner.sources, &place, now_ms);
        if let Some(wait) = of_place.wait(now_ms) {
            return Err(wait);
        }
        if !known {
            let name = digest(user);
            bound(&mut inner.users, &name, now_ms);
            let of_user = inner.users.entry(name).or_default();
            let waits =
                [of_user.wait(now_ms, USER_BURST, USER_REFILL_MS), inner.strangers.wait(now_ms, STRANGERS_BURST, STRANGERS_REFILL_MS)];
            if let Some(wait) = waits.into_iter().flatten().max() {
                return Err(wait);
            }
            of_user.take(now_ms, USER_REFILL_MS);
            inner.strangers.take(now_ms, STRANGERS_REFILL_MS);
        }
        of_place.fail(now_ms);
        Ok(if known { Standing::Known } else { Standing::Stranger })
    }

    /// It was not judged: it counts as if it had not been made.
    pub(crate) fn take_back(&self, user: &str, source: &str, standing: Standing) {
        let place = place(source);
        let mut inner = self.lock();
        let inner = &mut *inner;
        if let Some(failures) = inner.sources.get_mut(&place) {
            failures.count = failures.count.saturating_sub(1);
            failures.not_before_ms = 0;
        }
        if standing == Standing::Stranger {
            inner.strangers.put_back(STRANGERS_REFILL_MS);
            if let Some(of_user) = inner.users.get_mut(&digest(user)) {
                of_user.put_back(USER_REFILL_MS);
            }
        }
    }

    /// It succeeded: it counts no more, and the place is one the user signed in from.
    pub(crate) fn succeeded(&self, user: &str, source: &str, standing: Standing) {
        self.take_back(user, source, standing);
        let place = place(source);
        let mut inner = self.lock();
        if let Some(failures) = inner.sources.get_mut(&place) {
            failures.refused = 0;
        }
        inner.trust(user, place);
    }

    /// Forgets the attempts at a user.
    pub(crate) fn forgive(&self, user: &str) {
        self.lock().users.remove(&digest(user));
    }

    /// Counts a refusal; `Some` with the refusals of its burst when it is to be audited.
    pub(crate) fn refused(&self, source: &str, now_ms: u64) -> Option<u32> {
        let place = place(source);
        let mut inner = self.lock();
        let failures = failures(&mut inner.sources, &place, now_ms);
        failures.last_ms = now_ms;
        failures.refused = failures.refused.saturating_add(1);
        let count = failures.refused;
        if inner.minute_began_ms + MINUTE_MS <= now_ms {
            (inner.minute_began_ms, inner.audited) = (now_ms, 0);
        }
        let row = (count == 1 || count.is_multiple_of(AUDIT_EVERY)) && inner.audited < AUDIT_PER_MINUTE;
        if row {
            inner.audited += 1;
            inner.listed = inner.listed.saturating_add(1);
        } else {
            inner.others = inner.others.saturating_add(1);
        }
        row.then_some(count)
    }

    /// Refusals with and without an audit row of their own since the last call.
    pub(crate) fn take_counts(&self) -> (u32, u32) {
        let mut inner = self.lock();
        (std::mem::take(&mut inner.listed), std::mem::take(&mut inner.others))
    }
}

/// Reads the places users signed in from before this manager started.
pub(crate) async fn begin(app: &App) -> Result<(), Problem> {
    let kept = app.state.read(|tx| Ok::<_, Refusal>(tables::places::all(tx)?)).await.map_err(Refusal::into_problem)?;
    let mut inner = app.attempts.lock();
    for Place { user, place, .. } in kept {
        inner.trust(&user, place);
    }
    Ok(())
}

/// An attempt succeeded: see [`Attempts::succeeded`]; the place is kept.
pub(crate) async fn succeeded(app: &App, user: &str, source: &str, standing: Standing) {
    app.attempts.succeeded(user, source, standing);
    let place = Place { user: user.to_owned(), place: place(source), at_ms: weir_clock::wall_ms() };
    let written = app.state.write(move |tx| Ok::<_, Refusal>(tables::places::note(tx, &place, GOOD_PLACES)?)).await;
    if let Err(problem) = written.map_err(Refusal::into_problem) {
        tracing::warn!(%problem, "the place of a sign-in is not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;
    const HELD_UP: u64 = USER_BURST * USER_REFILL_MS;

    /// The `n`th of many places.
    fn elsewhere(n: u64) -> String {
        format!("10.{}.{}.{}", n / 65_536, n / 256 % 256, n % 256)
    }

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
        assert!(attempts.begin("u", "192.0.2.2", now).is_ok(), "another place is not concerned");
        now += MEMORY_MS;
        assert!(attempts.begin("u", "192.0.2.1", now).is_ok(), "all is forgotten in time");
    }

    #[test]
    fn guessing_from_many_places_is_bounded_but_locks_nobody_out_of_a_place_they_used() {
        let attempts = Attempts::default();
        let standing = attempts.begin("admin", "192.0.2.1", NOW).expect("first");
        assert_eq!(standing, Standing::Stranger);
        attempts.succeeded("admin", "192.0.2.1", standing);
        // A guess each 100 ms, for as long as the burst takes to come back, never from the same place.
        let guesses = (0..HELD_UP / 100).filter(|n| attempts.begin("admin", &elsewhere(*n), NOW + n * 100).is_ok()).count() as u64;
        assert!((USER_BURST * 2 - 5..=USER_BURST * 2).contains(&guesses), "{guesses}");
        let now = NOW + HELD_UP - 50;
        assert_eq!(attempts.begin("admin", "192.0.2.1", now), Ok(Standing::Known), "its owner signs in where they did before");
        let wait = attempts.begin("admin", "203.0.113.9", now).expect_err("a new place has to wait");
        assert!(wait <= USER_REFILL_MS, "{wait}");
        assert!(attempts.begin("operator", "203.0.113.9", now).is_ok(), "another user is not concerned");
        attempts.forgive("admin");
        assert!(attempts.begin("admin", "203.0.113.10", now).is_ok());
    }

    #[test]
    fn a_few_strangers_hold_nobody_up() {
        let attempts = Attempts::default();
        for n in 0..50 {
            attempts.begin("admin", &elsewhere(n), NOW).expect("begun");
        }
        assert_eq!(attempts.begin("admin", "203.0.113.9", NOW), Ok(Standing::Stranger), "the owner, from a place they never used");
    }

    #[test]
    fn strangers_together_get_so_many_hashes() {
        let attempts = Attempts::default();
        let begun = (0..1_000).filter(|n| attempts.begin(&format!("u{n}"), &elsewhere(*n), NOW).is_ok()).count() as u64;
        assert_eq!(begun, STRANGERS_BURST);
        assert_eq!(attempts.begin("u", "203.0.113.9", NOW), Err(STRANGERS_REFILL_MS));
        assert!(attempts.begin("u", "203.0.113.9", NOW + STRANGERS_REFILL_MS).is_ok());
    }

    #[test]
    fn an_attempt_nobody_judged_is_taken_back() {
        let attempts = Attempts::default();
        for _ in 0..u64::from(FREE) + USER_BURST {
            let standing = attempts.begin("admin", "192.0.2.1", NOW).expect("begun");
            attempts.take_back("admin", "192.0.2.1", standing);
        }
        let begun = (0..50).filter(|_| attempts.begin("admin", "192.0.2.1", NOW).is_ok()).count();
        assert_eq!(begun, FREE as usize + 1);
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
    fn the_audit_is_not_flooded_and_forgets_to_count_none() {
        let attempts = Attempts::default();
        let rows: Vec<u32> = (0..35).filter_map(|_| attempts.refused("192.0.2.1", NOW)).collect();
        assert_eq!(rows, [1, 10, 20, 30]);
        let rows = (0..200).filter_map(|n| attempts.refused(&format!("198.51.100.{n}"), NOW)).count();
        assert_eq!(rows, AUDIT_PER_MINUTE as usize - 4);
        assert_eq!(attempts.take_counts(), (AUDIT_PER_MINUTE, 235 - AUDIT_PER_MINUTE));
        assert_eq!(attempts.take_counts(), (0, 0));
        assert_eq!(attempts.refused("203.0.113.1", NOW + MINUTE_MS), Some(1));
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..REMEMBERED_MAX as u64 + 100 {
            let _ = attempts.begin(&format!("u{n}"), &format!("s{n}"), NOW + n * STRANGERS_REFILL_MS);
        }
        for n in 0..GOOD_PLACES + 5 {
            attempts.succeeded("admin", &format!("s{n}"), Standing::Known);
        }
        let inner = attempts.lock();
        assert_eq!((inner.users.len(), inner.sources.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(!inner.sources.contains_key("s0") && inner.sources.contains_key("s10099"));
        assert_eq!(inner.good["admin"].len(), GOOD_PLACES);
    }
}
