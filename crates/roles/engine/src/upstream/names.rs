//! Addresses of origins by name: asked for once at a time, kept when the resolver fails.

use super::{connect::CONNECT_TIME, failure::Failure};
use std::{
    collections::HashMap,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use weir_model::{OriginUrl, origin::address_allowed};
use weir_telemetry::Tasks;

/// Addresses of one name tried in turn.
const ADDRESSES_MAX: usize = 4;
/// How long found addresses are used before the name is looked up again.
const FRESH_TIME: Duration = Duration::from_secs(10);
/// Addresses up to this age are used while the name is looked up again; older ones wait for the lookup.
const ASIDE_TIME: Duration = Duration::from_secs(60);
/// How long a name's last addresses are used when it cannot be looked up: an outage of the resolver is none of the origin.
const KEPT_TIME: Duration = Duration::from_secs(3600);
/// How long a failed lookup is not repeated.
const FAILED_TIME: Duration = Duration::from_secs(2);
/// Names remembered.
const NAMES_MAX: usize = 4096;

/// A host name and a port.
type Name = (String, u16);
type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Asks the resolver.
type Lookup = fn(Name) -> Answer;

fn ask_system(name: Name) -> Answer {
    Box::pin(async move { Ok(tokio::net::lookup_host(name).await?.collect()) })
}

/// What is known of a name.
#[derive(Default)]
struct Known {
    /// Addresses an origin may have, and when they were found.
    found: Option<(Vec<SocketAddr>, Instant)>,
    /// Why the last lookup gave none, and when; nothing after one that did.
    failed: Option<(Failure, Instant)>,
    /// The lookup under way; its other end is gone when it ended or was cancelled.
    lookup: Option<watch::Receiver<()>>,
}

/// What to do about a name.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Use these addresses.
    Use(Vec<SocketAddr>),
    /// Use these addresses and look up new ones meanwhile.
    UseAndLook(Vec<SocketAddr>),
    /// Wait for a lookup.
    Look,
    /// It failed a moment ago.
    Fail(Failure),
}

impl Known {
    fn within(&self, age: Duration, now: Instant) -> Option<Vec<SocketAddr>> {
        let (addresses, at) = self.found.as_ref()?;
        (now.saturating_duration_since(*at) < age).then(|| addresses.clone())
    }

    fn step(&self, now: Instant) -> Step {
        if let Some(addresses) = self.within(FRESH_TIME, now) {
            return Step::Use(addresses);
        }
        let kept = self.within(KEPT_TIME, now);
        match (self.failed, kept) {
            (Some((_, at)), Some(kept)) if now.saturating_duration_since(at) < FAILED_TIME => Step::Use(kept),
            (Some((failure, at)), None) if now.saturating_duration_since(at) < FAILED_TIME => Step::Fail(failure),
            (Some(_), Some(kept)) => Step::UseAndLook(kept),
            (_, _) => self.within(ASIDE_TIME, now).map_or(Step::Look, Step::UseAndLook),
        }
    }

    /// What a lookup that was waited for leaves.
    fn outcome(&self, now: Instant) -> Result<Vec<SocketAddr>, Failure> {
        self.within(KEPT_TIME, now).ok_or(self.failed.map_or(Failure::Resolve, |(failure, _)| failure))
    }

    fn learn(&mut self, answer: io::Result<Vec<SocketAddr>>, now: Instant) {
        self.lookup = None;
        let found = answer.unwrap_or_default();
        if found.is_empty() {
            self.failed = Some((Failure::Resolve, now));
            return;
        }
        // Addresses no origin may have are left out: a name that points at nothing else reaches nothing, whatever it meant before.
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| address_allowed(a.ip())).take(ADDRESSES_MAX).collect();
        (self.found, self.failed) = if allowed.is_empty() { (None, Some((Failure::Forbidden, now))) } else { (Some((allowed, now)), None) };
    }

    fn is_looking(&self) -> bool {
        self.lookup.as_ref().is_some_and(|lookup| lookup.has_changed().is_ok())
    }
}

type Table = Mutex<HashMap<Name, Known>>;

fn lock(table: &Table) -> MutexGuard<'_, HashMap<Name, Known>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Addresses of origins by name.
pub(crate) struct Names {
    table: Arc<Table>,
    lookup: Lookup,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { table: Arc::default(), lookup: ask_system }
    }

    /// Where an origin is. A lookup is a task of `tasks`, for everyone who waits.
    pub(crate) async fn resolve(&self, origin: &OriginUrl, tasks: &Tasks) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(address) = origin.host().parse() {
            return if address_allowed(address) { Ok(vec![SocketAddr::new(address, origin.port())]) } else { Err(Failure::Forbidden) };
        }
        let name = (origin.host().to_owned(), origin.port());
        let (step, lookup) = self.look(&name, tasks);
        let mut ended = match (step, lookup) {
            (Step::Use(addresses) | Step::UseAndLook(addresses), _) => return Ok(addresses),
            (Step::Fail(failure), _) => return Err(failure),
            (Step::Look, None) => return Err(Failure::Resolve),
            (Step::Look, Some(lookup)) => lookup,
        };
        // Whether it ended or was cancelled: what is known now decides.
        let in_time = tokio::time::timeout(CONNECT_TIME, ended.changed()).await.is_ok();
        let now = weir_clock::monotonic();
        let mut table = lock(&self.table);
        let known = table.entry(name).or_default();
        if !in_time && known.is_looking() {
            known.failed = Some((Failure::ConnectTimeout, now));
        }
        known.outcome(now)
    }

    /// What to do about a name, and the lookup if there is one under way.
    fn look(&self, name: &Name, tasks: &Tasks) -> (Step, Option<watch::Receiver<()>>) {
        let mut table = lock(&self.table);
        if table.len() >= NAMES_MAX && !table.contains_key(name) {
            table.retain(|_, known| known.is_looking());
        }
        let known = table.entry(name.clone()).or_default();
        let step = known.step(weir_clock::monotonic());
        if matches!(step, Step::Look | Step::UseAndLook(_)) && !known.is_looking() {
            let (under_way, ended) = watch::channel(());
            known.lookup = Some(ended);
            let (table, name, answer) = (self.table.clone(), name.clone(), (self.lookup)(name.clone()));
            // Not bounded in time: the system's resolver cannot be interrupted, and a second question would not be faster.
            tasks.spawn("lookup", async move {
                let answer = answer.await;
                if let Err(error) = &answer {
                    tracing::debug!(name = %name.0, error = %error, "lookup failed");
                }
                lock(&table).entry(name).or_default().learn(answer, weir_clock::monotonic());
                drop(under_way);
            });
        }
        (step, known.lookup.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn addresses(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, last], 80))]
    }

    #[test]
    fn what_is_known_decides() {
        let start = weir_clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = Known::default();
        assert_eq!(known.step(at(0)), Step::Look);
        known.learn(Err(io::ErrorKind::TimedOut.into()), at(0));
        assert_eq!((known.step(at(1)), known.step(at(2))), (Step::Fail(Failure::Resolve), Step::Look));
        known.learn(Ok(addresses(1)), at(2));
        assert_eq!((known.step(at(11)), known.step(at(12))), (Step::Use(addresses(1)), Step::UseAndLook(addresses(1))));
        assert_eq!(known.step(at(62)), Step::Look);
        // From here on the resolver fails.
        known.learn(Err(io::ErrorKind::TimedOut.into()), at(62));
        assert_eq!((known.step(at(63)), known.outcome(at(63))), (Step::Use(addresses(1)), Ok(addresses(1))));
        assert_eq!(known.step(at(1000)), Step::UseAndLook(addresses(1)));
        assert_eq!(known.step(at(3602)), Step::Look);
        known.learn(Ok(Vec::new()), at(3602));
        assert_eq!((known.step(at(3603)), known.outcome(at(3603))), (Step::Fail(Failure::Resolve), Err(Failure::Resolve)));
        // A name that moves to an address no origin may have is not reached by the old one.
        known.learn(Ok(addresses(1)), at(4000));
        known.learn(Ok(vec!["169.254.169.254:80".parse().expect("address")]), at(4020));
        assert_eq!(known.step(at(4021)), Step::Fail(Failure::Forbidden));
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_wait() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        fn counted(_: Name) -> Answer {
            LOOKUPS.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                tokio::task::yield_now().await;
                Ok(addresses(7))
            })
        }
        let (names, tasks) = (Names { table: Arc::default(), lookup: counted }, Tasks::new());
        let origin: OriginUrl = "http://origin.example".parse().expect("valid");
        let (a, b, c) = tokio::join!(names.resolve(&origin, &tasks), names.resolve(&origin, &tasks), names.resolve(&origin, &tasks));
        assert_eq!((a, b, c), (Ok(addresses(7)), Ok(addresses(7)), Ok(addresses(7))));
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_lookup_that_was_cancelled_is_made_again() {
        fn never(_: Name) -> Answer {
            Box::pin(std::future::pending())
        }
        let (mut names, tasks) = (Names { table: Arc::default(), lookup: never }, Tasks::new());
        let origin: OriginUrl = "http://origin.example".parse().expect("valid");
        let (waited, ()) = tokio::join!(names.resolve(&origin, &tasks), async { tasks.cancel() });
        assert_eq!(waited, Err(Failure::Resolve));
        names.lookup = |_| Box::pin(std::future::ready(Ok(addresses(7))));
        assert_eq!(names.resolve(&origin, &Tasks::new()).await, Ok(addresses(7)));
    }

    #[tokio::test]
    async fn addresses_no_origin_may_have_are_refused_and_names_resolve() {
        let (names, tasks) = (Names::new(), Tasks::new());
        let origin = |text: &str| text.parse::<OriginUrl>().expect("valid");
        assert_eq!(names.resolve(&origin("http://127.0.0.1:81"), &tasks).await, Ok(vec!["127.0.0.1:81".parse().expect("address")]));
        let found = names.resolve(&origin("http://localhost:82"), &tasks).await.expect("resolves");
        assert!(found.iter().all(|a| a.ip().is_loopback() && a.port() == 82));
        assert_eq!(names.resolve(&origin("http://nothing.invalid"), &tasks).await, Err(Failure::Resolve));
    }
}
