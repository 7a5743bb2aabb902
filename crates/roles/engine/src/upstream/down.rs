//! Parents that did not answer, remembered so that the next requests do not try them again.
//!
//! A parent that cannot be reached, or breaks, is passed over for every delivery service. One that stays silent is passed
//! over for the service it was silent about: another may well be answered. Each failure doubles the time; when it is over,
//! one request tries, and the others go on passing over until that one is answered.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a parent is passed over after its first failure.
const DOWN_TIME_MIN: Duration = Duration::from_secs(2);
/// Longest time a parent is passed over before it is tried again.
const DOWN_TIME_MAX: Duration = Duration::from_secs(30);
/// How long one request that tries a parent again keeps the others away: longer than it may take.
const TRIAL_TIME: Duration = Duration::from_secs(20);
/// Failures this much older than their end are forgotten.
const FORGOTTEN_TIME: Duration = Duration::from_secs(600);

/// Failures in a row, and until when they count.
struct Mark {
    failures: u32,
    until: Instant,
    /// One request is trying it.
    trial: bool,
}

impl Mark {
    /// One more failure. Of those under way when the first came, only that one counts.
    fn fail(mark: Option<Mark>, now: Instant) -> Mark {
        match mark {
            Some(mark) if !mark.trial && mark.until > now => mark,
            mark => {
                let before = mark.map_or(0, |mark| mark.failures);
                let time = DOWN_TIME_MIN.saturating_mul(1 << before.min(16)).min(DOWN_TIME_MAX);
                Mark { failures: before.saturating_add(1), until: now + time, trial: false }
            }
        }
    }

    fn begin_trial(&mut self, now: Instant) {
        (self.until, self.trial) = (now + TRIAL_TIME, true);
    }
}

#[derive(Default)]
struct Marks {
    unreachable: Option<Mark>,
    /// By domain of the delivery service.
    silent: HashMap<String, Mark>,
}

impl Marks {
    fn of(&mut self, domain: &str) -> impl Iterator<Item = &mut Mark> {
        self.unreachable.iter_mut().chain(self.silent.get_mut(domain))
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |mark: &Mark| mark.until + FORGOTTEN_TIME <= now;
        self.unreachable.take_if(|mark| is_old(mark));
        self.silent.retain(|_, mark| !is_old(mark));
    }

    fn is_empty(&self) -> bool {
        self.unreachable.is_none() && self.silent.is_empty()
    }
}

type Table = HashMap<SocketAddr, Marks>;

/// Parents passed over. Only engines and services of configurations get in, which bounds it.
#[derive(Default)]
pub(crate) struct Down {
    table: Mutex<Table>,
}

impl Down {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a parent is passed over for a service now.
    pub(crate) fn holds(&self, address: SocketAddr, domain: &str, now: Instant) -> bool {
        self.lock().get_mut(&address).is_some_and(|marks| marks.of(domain).any(|mark| mark.until > now))
    }

    /// Whether this request may ask a parent. Of those that come after a failure's time one may, as a trial.
    pub(crate) fn admits(&self, address: SocketAddr, domain: &str, now: Instant) -> bool {
        let mut table = self.lock();
        let Some(marks) = table.get_mut(&address) else { return true };
        if marks.of(domain).any(|mark| mark.until > now) {
            return false;
        }
        marks.of(domain).for_each(|mark| mark.begin_trial(now));
        true
    }

    /// A parent could not be reached, or broke.
    pub(crate) fn broke(&self, address: SocketAddr, now: Instant) {
        let mut table = self.lock();
        Self::forget(&mut table, now);
        let marks = table.entry(address).or_default();
        marks.unreachable = Some(Mark::fail(marks.unreachable.take(), now));
    }

    /// A parent did not answer in time for a service.
    pub(crate) fn was_silent(&self, address: SocketAddr, domain: &str, now: Instant) {
        let mut table = self.lock();
        Self::forget(&mut table, now);
        let marks = table.entry(address).or_default();
        let mark = Mark::fail(marks.silent.remove(domain), now);
        marks.silent.insert(domain.to_owned(), mark);
    }

    /// A parent answered for a service.
    pub(crate) fn answered(&self, address: SocketAddr, domain: &str) {
        let mut table = self.lock();
        let Some(marks) = table.get_mut(&address) else { return };
        marks.unreachable = None;
        marks.silent.remove(domain);
        if marks.is_empty() {
            table.remove(&address);
        }
    }

    fn forget(table: &mut Table, now: Instant) {
        table.retain(|_, marks| {
            marks.forget(now);
            !marks.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    #[test]
    fn one_request_tries_again_and_the_time_doubles() {
        let (down, start) = (Down::default(), weir_clock::monotonic());
        assert!(down.admits(AT, "a", start) && !down.holds(AT, "a", start));
        let mut now = start;
        for seconds in [2, 4, 8, 16, 30, 30] {
            // The failures of one moment count once.
            down.broke(AT, now);
            down.broke(AT, now);
            let end = now + Duration::from_secs(seconds);
            assert!(!down.admits(AT, "b", end - Duration::from_millis(1)), "{seconds} s");
            assert!(!down.holds(AT, "a", end));
            assert!(down.admits(AT, "a", end));
            assert!(!down.admits(AT, "b", end) && down.holds(AT, "a", end), "one trial at a time");
            now = end + Duration::from_secs(1);
        }
        down.answered(AT, "a");
        assert!(down.admits(AT, "a", now) && down.admits(AT, "a", now));
        assert!(down.lock().is_empty());
    }

    #[test]
    fn silence_about_one_service_leaves_the_parent_to_the_others() {
        let (down, now) = (Down::default(), weir_clock::monotonic());
        down.was_silent(AT, "a", now);
        assert_eq!((down.admits(AT, "a", now), down.admits(AT, "b", now)), (false, true));
        down.answered(AT, "b");
        assert!(!down.admits(AT, "a", now), "an answer about b says nothing of a");
        down.answered(AT, "a");
        assert!(down.admits(AT, "a", now));
    }

    #[test]
    fn a_trial_that_never_ends_lets_the_next_one_in_and_old_failures_are_forgotten() {
        let (down, now) = (Down::default(), weir_clock::monotonic());
        down.broke(AT, now);
        let later = now + DOWN_TIME_MIN;
        assert!(down.admits(AT, "a", later));
        assert!(down.admits(AT, "a", later + TRIAL_TIME));
        down.was_silent("127.0.0.1:2".parse().expect("address"), "a", later + TRIAL_TIME * 2 + FORGOTTEN_TIME);
        assert_eq!(down.lock().len(), 1);
    }
}
