//! One download of a software file from a server nobody vouches for.
//!
//! The URL's name is resolved once and the connection goes to the address that was checked; every redirect is resolved and
//! checked like the first. Bytes, time and slowness are bounded, and a secret never follows a redirect to another origin.

use std::time::Duration;
use weir_model::{FetchReason, SoftwareCheck, SourceAllow};
use zeroize::Zeroizing;

/// What a download may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of content.
    pub bytes_max: u64,
    /// Longest wait for the resolver.
    pub resolve: Duration,
    /// Longest wait for a connection, TLS included.
    pub connect: Duration,
    /// Longest wait for the response's head, and for each next piece of its body.
    pub idle: Duration,
    /// Longest time for everything.
    pub total: Duration,
    /// Slowest mean rate over any `slow_window`, in bytes per second.
    pub slowest: u64,
    /// See `slowest`.
    pub slow_window: Duration,
    /// Most redirects followed.
    pub redirects_max: usize,
}

/// A secret that a server asks for.
#[derive(Clone, Default)]
pub enum Credentials {
    /// None.
    #[default]
    None,
    /// RFC 7617.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Zeroizing<String>,
    },
    /// A header of the server's own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Zeroizing<String>,
    },
}

/// What is fetched.
#[derive(Clone)]
pub struct Source {
    /// http or https.
    pub url: String,
    /// For the origin of `url` alone.
    pub credentials: Credentials,
}

/// What a caller is told on the way. Called from the async runtime: must not block.
pub trait Watch: Send + Sync {
    /// A check passed, with what was found, one sentence.
    fn passed(&self, check: SoftwareCheck, detail: String);
    /// Bytes that came, and those there will be if the server said so.
    fn progress(&self, done: u64, total: Option<u64>);
}

/// Where the bytes go. Each call may block for the length of one write.
pub trait Sink: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// The disk's, which ends the download.
    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes.
    pub bytes: u64,
    /// The URLs that were asked, in order; the last one answered with the content.
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

/// Downloads `source` into `sink`. `expected` is the size that was stated; another one ends the download as soon as it shows.
///
/// # Errors
/// [`FetchError`]; what the sink took is the caller's to throw away.
pub async fn fetch(
    source: &Source,
    _allow: &SourceAllow,
    _expected: Option<u64>,
    _limits: &Limits,
    _sink: &mut dyn Sink,
    _watch: &dyn Watch,
) -> Result<Fetched, FetchError> {
    let detail = format!("{} cannot be fetched yet", source.url);
    Err(FetchError::Source { check: SoftwareCheck::Resolve, reason: FetchReason::ConnectFailed, detail })
}
