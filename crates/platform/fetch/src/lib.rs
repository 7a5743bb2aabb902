//! One download of a software file from a server nobody vouches for, and one upload of a file to such a server.
//!
//! The URL's name is resolved once and the connection goes to the address that was checked; every redirect is resolved and
//! checked like the first. Bytes, time and slowness are bounded, and a secret never follows a redirect to another origin.

mod budget;
mod connection;
mod content;
mod credentials;
mod exchange;
mod pace;
mod put;
mod resolve;
mod target;

use budget::Budget;
use content::Content;
pub use credentials::{Credentials, header_refused, header_value_refused};
use exchange::{Answer, Asked, Wanted};
pub use pace::Pace;
pub use put::{PutError, put};
use std::time::Duration;
use target::Target;
pub use target::shown;
use weir_model::{FetchReason, SoftwareCheck, SourceAllow};

/// Longest wait for the resolver: as long as a stub resolver asks two servers twice.
pub const RESOLVE: Duration = Duration::from_secs(10);
/// Longest wait for a connection: a lost SYN is sent three times in that time.
pub const CONNECT: Duration = Duration::from_secs(15);
/// Longest silence of a server.
pub const IDLE: Duration = Duration::from_secs(30);
/// Slowest rate worth waiting for, in bytes per second.
pub const SLOWEST: u64 = 40 << 10;
/// Time for redirects, waits and the disk, beside the time that the largest content takes at `SLOWEST`.
pub const ALLOWANCE: Duration = Duration::from_secs(10 * 60);
/// What the rate is measured over.
pub const SLOW_WINDOW: Duration = Duration::from_secs(60);
/// Redirects followed: a mirror service needs two.
pub const REDIRECTS_MAX: usize = 5;
/// Most characters of a detail: what a server makes of it is bounded. A chain of redirects is not, since every URL of it is.
const DETAIL_CHARS_MAX: usize = 300;

/// What a download may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of content.
    pub bytes_max: u64,
    /// Longest wait for the resolver.
    pub resolve: Duration,
    /// Longest wait for a connection, TLS included.
    pub connect: Duration,
    /// Longest wait for the response's head, and for each next piece of its body; of an upload, see [`put()`].
    pub idle: Duration,
    /// Longest time for everything.
    pub total: Duration,
    /// Slowest mean rate over each `slow_window`, in bytes per second.
    pub slowest: u64,
    /// Time spent waiting for the server that `slowest` is measured over. Time in the sink does not count.
    pub slow_window: Duration,
    /// Most redirects followed.
    pub redirects_max: usize,
}

impl Limits {
    /// Those of a release archive of at most `bytes_max` bytes: a server that is just not too slow delivers all of them in time.
    pub const fn for_archives(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            resolve: RESOLVE,
            connect: CONNECT,
            idle: IDLE,
            total: Duration::from_secs(bytes_max.div_ceil(SLOWEST) + ALLOWANCE.as_secs()),
            slowest: SLOWEST,
            slow_window: SLOW_WINDOW,
            redirects_max: REDIRECTS_MAX,
        }
    }
}

/// What is fetched.
#[derive(Clone)]
pub struct Source {
    /// http or https.
    pub url: String,
    /// For the origin of `url` alone: once a redirect has left it they are not sent again, wherever the chain leads.
    pub credentials: Credentials,
}

/// What a caller is told on the way, in the order of [`SoftwareCheck`]. Called from the async runtime: must not block.
pub trait Watch: Send + Sync {
    /// A check passed, with what was found, one sentence.
    fn passed(&self, check: SoftwareCheck, detail: String);
    /// A check was not made to its end, since another one failed, with how far it came, one sentence.
    fn skipped(&self, check: SoftwareCheck, detail: String) {
        self.passed(check, detail);
    }
    /// Bytes that are there, and those there will be if the server said so: once before the first that comes, then a few times a
    /// second, once at the end.
    fn progress(&self, done: u64, total: Option<u64>);
    /// How long to wait before more is read, after each piece of so many bytes: who must not take the whole line says so here. The
    /// wait counts against the time for everything, and not against the server.
    fn pause(&self, _bytes: u64) -> Duration {
        Duration::ZERO
    }
}

/// Where the bytes go. Each call may block for the length of one write of at most a quarter of a MiB; on a multi-thread runtime the other
/// tasks of the thread are moved off it meanwhile (so `fetch` cannot run inside a `LocalSet` of such a runtime).
pub trait Sink: Send {
    /// The first bytes that come belong at `at`: where [`Part::from`] says, or 0 from a server that sends the whole all the same. What
    /// the sink has from there on is void. Called once, before the first [`Sink::take`].
    ///
    /// # Errors
    /// The disk's, which ends the download.
    fn begin(&mut self, _at: u64) -> std::io::Result<()> {
        Ok(())
    }
    /// Takes the next bytes.
    ///
    /// # Errors
    /// The disk's, which ends the download.
    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of the whole, with those that were there before.
    pub bytes: u64,
    /// The URLs that were asked, in order, as they may be shown: without their queries, which may hold a signature. The last one
    /// answered with the content.
    pub chain: Vec<String>,
}

/// Why nothing came, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The source's doing.
    #[error("{detail} ({reason})")]
    Source {
        /// The check that failed.
        check: SoftwareCheck,
        /// The word.
        reason: FetchReason,
        /// What exactly, one sentence.
        detail: String,
    },
    /// The sink's.
    #[error("cannot keep what was downloaded")]
    Sink(#[source] std::io::Error),
}

/// What went wrong, in one sentence; the check it belongs to depends on where.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    reason: FetchReason,
    detail: String,
}

impl Failure {
    fn new(reason: FetchReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    fn at(self, check: SoftwareCheck) -> FetchError {
        let Self { reason, mut detail } = self;
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
            detail.push_str("...");
        }
        FetchError::Source { check, reason, detail }
    }
}

/// Downloads `source` into `sink`. `expected` is the size that was stated; another one ends the download as soon as it shows.
///
/// A download that fails at [`SoftwareCheck::Size`] has said of `Download` how far it came. Dropping the future ends everything but a
/// question to the system's resolver, which ends by itself.
///
/// # Errors
/// [`FetchError`]; what the sink took is the caller's to throw away.
pub async fn fetch(
    source: &Source,
    allow: &SourceAllow,
    expected: Option<u64>,
    limits: &Limits,
    sink: &mut dyn Sink,
    watch: &dyn Watch,
) -> Result<Fetched, FetchError> {
    take(source, allow, (0, expected), limits, sink, watch).await
}

/// What is missing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Bytes that are there: the first one asked for has this number.
    pub from: u64,
    /// Bytes of the whole file.
    pub expected: u64,
}

/// Downloads what is missing of `source`, by range (RFC 9110 section 14). A server that does not do ranges sends the whole, which
/// [`Sink::begin`] says. What the two parts together are is the caller's to check: nothing but a digest can tell.
///
/// # Errors
/// As [`fetch`]; what the sink took may be resumed.
pub async fn resume(
    source: &Source,
    allow: &SourceAllow,
    part: Part,
    limits: &Limits,
    sink: &mut dyn Sink,
    watch: &dyn Watch,
) -> Result<Fetched, FetchError> {
    take(source, allow, (part.from, Some(part.expected)), limits, sink, watch).await
}

async fn take(
    source: &Source,
    allow: &SourceAllow,
    (from, expected): (u64, Option<u64>),
    limits: &Limits,
    sink: &mut dyn Sink,
    watch: &dyn Watch,
) -> Result<Fetched, FetchError> {
    let budget = Budget::new(limits.total);
    let way = Way { allow, from, limits, budget: &budget, watch };
    let (answer, chain) = way.follow(source).await?;
    let content = Content { expected, limits, budget: &budget, watch };
    let bytes = content.take(answer, sink).await?;
    Ok(Fetched { bytes, chain })
}

/// The way to the server that has the content.
struct Way<'a> {
    allow: &'a SourceAllow,
    /// The first byte asked for.
    from: u64,
    limits: &'a Limits,
    budget: &'a Budget,
    watch: &'a dyn Watch,
}

impl Way<'_> {
    async fn follow(&self, source: &Source) -> Result<(Answer, Vec<String>), FetchError> {
        let mut target = Target::parse(&source.url).map_err(|failure| failure.at(SoftwareCheck::Resolve))?;
        let mut secret = source.credentials.header().map_err(|failure| failure.at(SoftwareCheck::Resolve))?;
        let mut chain = vec![target.shown()];
        loop {
            let connection = self.reach(&target, chain.len() == 1).await?;
            let wanted = Wanted { target: &target, secret: secret.as_ref(), from: self.from };
            let asked = exchange::ask(connection, &wanted, self.limits, self.budget).await;
            if !matches!(asked, Ok(Asked::Redirect(_))) {
                // Whatever else it answered, or did not: it led nowhere else.
                self.watch.passed(SoftwareCheck::Redirects, told(&chain));
            }
            let next = match asked.map_err(|failure| failure.at(SoftwareCheck::Download))? {
                Asked::Content(answer) => return Ok((answer, chain)),
                Asked::Redirect(head) => target.redirect(&head).map_err(|failure| failure.at(SoftwareCheck::Redirects))?,
            };
            if chain.len() > self.limits.redirects_max {
                let detail = format!("more than {} redirects, the last one to {}", self.limits.redirects_max, next.shown());
                return Err(Failure::new(FetchReason::TooManyRedirects, detail).at(SoftwareCheck::Redirects));
            }
            if !next.is_same_origin(&target) {
                secret = None;
            }
            chain.push(next.shown());
            target = next;
        }
    }

    /// Connects to an address that was checked. What fails on a later hop is the redirect's doing.
    async fn reach(&self, target: &Target, is_first: bool) -> Result<connection::Connection, FetchError> {
        let at = |check, failure: Failure| match is_first {
            true => failure.at(check),
            false => {
                let detail = format!("a redirect leads to {}: {}", target.shown(), failure.detail);
                Failure::new(failure.reason, detail).at(SoftwareCheck::Redirects)
            }
        };
        let addresses = resolve::addresses(target, self.allow, self.limits.resolve, self.budget).await;
        let addresses = addresses.map_err(|failure| at(SoftwareCheck::Resolve, failure))?;
        if is_first {
            self.watch.passed(SoftwareCheck::Resolve, resolve::told(target, &addresses));
        }
        let connection = connection::connect(target, &addresses, self.limits.connect, self.budget).await;
        let connection = connection.map_err(|failure| at(SoftwareCheck::Connect, failure))?;
        if is_first {
            self.watch.passed(SoftwareCheck::Connect, connection.told());
        }
        Ok(connection)
    }
}

fn told(chain: &[String]) -> String {
    if chain.len() == 1 { "no redirect".to_owned() } else { chain.join(" -> ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that is just not too slow delivers whatever there may be before the time is up.
    #[test]
    fn the_slowest_download_that_is_waited_for_fits_the_whole_time() {
        for bytes_max in [1, 1 << 20, 50_000_000, 263 << 20, 1 << 40] {
            let limits = Limits::for_archives(bytes_max);
            let spare = limits.total.as_millis().saturating_sub(u128::from(bytes_max) * 1000 / u128::from(limits.slowest));
            let waits = limits.resolve + limits.connect + limits.idle;
            assert!(spare >= waits.as_millis(), "{bytes_max}: {limits:?}");
        }
        let longest = Limits::for_archives(263 << 20).total;
        assert!(longest < Duration::from_secs(2 * 3600 + 300), "about two hours, as the documents say: {longest:?}");
    }
}
