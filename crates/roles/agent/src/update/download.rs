//! Fetches a release archive from wherever it can be had: engines, a manager, its own source.
//!
//! Sources are asked in order, each for what is still missing; one that breaks leaves it to the next. Nobody is trusted: what is
//! there in the end has the right SHA-256, or it is thrown away, and who gave it is not asked again for this archive. When
//! several gave parts, nobody knows whose was wrong: from then on each gives the whole or nothing.

mod http;
mod pace;
mod partial;
mod source;
#[cfg(test)]
mod tests;

use crate::agent::Shared;
use http::{Clients, HEAD_TIME};
use pace::Bucket;
use partial::Partial;
use source::{Giver, Givers, Source};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;
use weir_device_api::ArchivePlace;
use weir_fetch::{FetchError, Limits, Part, Watch};
use weir_model::{FetchReason, Role, SoftwareCheck, SourceAllow, delivery};

/// Times every source is asked before it is left to the caller to try again later.
const ROUNDS_MAX: u32 = 8;

/// How far a fetch is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes that are there.
    pub(crate) done: u64,
    /// Bytes in all.
    pub(crate) total: u64,
    /// Where they come from now: an engine's name, `direct`, `manager`.
    pub(crate) from: Option<String>,
}

/// Why an archive is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DownloadError {
    /// The disk has no room.
    #[error("the disk has no room")]
    NoSpace,
    /// It cannot be had, for good.
    #[error("{0}")]
    Refused(String),
    /// It is worth trying again.
    #[error("{0}")]
    Unreachable(String),
}

/// Fetches the archive into the file `into`, which may hold its beginning. Returns once length and SHA-256 are right.
///
/// May be dropped at any time; what has come stays in the file.
pub(crate) async fn archive(
    shared: &Arc<Shared>,
    place: &ArchivePlace,
    into: &Path,
    progress: &watch::Sender<Progress>,
) -> Result<(), DownloadError> {
    let configuration = shared.running.borrow().clone();
    let identity = &shared.settings.identity;
    let sources = source::of(place, configuration.as_deref(), identity.manager);
    let own = configuration.as_deref().and_then(source::own_address);
    let clients = Clients::new(identity, own).map_err(|error| DownloadError::Unreachable(error.to_string()))?;
    let rate = || pace::rate(shared.profile().update.fetch_bytes_per_second, answers_viewers(shared));
    let bucket = Mutex::new(Bucket::new(weir_clock::monotonic()));
    let limits = Limits::for_archives(place.bytes);
    Fetch { place, clients, head: HEAD_TIME, limits, rate: &rate, bucket, progress }.run(&sources, into).await
}

/// Whether the device has viewers to answer now. An engine's requests in hand count archives that others fetch from it, and this
/// one: its sessions do not.
fn answers_viewers(shared: &Shared) -> bool {
    let load = (shared.hooks.load)();
    load.sessions > 0 || (shared.settings.role != Role::Engine && load.active_requests > 0)
}

/// Why one source gave nothing, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Broken {
    /// The disk has no room.
    NoSpace,
    /// Another answer will not come from it: it is not asked again.
    ForGood(String),
    /// It is another one's to answer (RFC 9110 section 15.5.20), as of a manager that is not the primary: not asked again in this call.
    Elsewhere(String),
    /// It may answer another time.
    Passing(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Passing(format!("the file it is written to: {error}")),
        }
    }
}

/// One archive on its way.
struct Fetch<'a> {
    place: &'a ArchivePlace,
    clients: Clients,
    /// How long an engine or a manager may take to its response's head.
    head: Duration,
    /// What a transfer may cost, from whomever.
    limits: Limits,
    /// Bytes a second, now.
    rate: &'a (dyn Fn() -> u64 + Send + Sync),
    bucket: Mutex<Bucket>,
    progress: &'a watch::Sender<Progress>,
}

/// What became of asking every source once.
enum Round {
    /// The archive is there.
    Done,
    /// It is not; whether anything came, what was last to blame, and why one who was asked has another archive.
    Missing { gained: bool, last: String, refused: Option<String> },
}

impl Fetch<'_> {
    async fn run(&self, sources: &[Source], into: &Path) -> Result<(), DownloadError> {
        let refused = |why: &str| Err(DownloadError::Refused(why.to_owned()));
        if !delivery::is_sha256(&self.place.sha256) || self.place.bytes == 0 {
            return refused("the order names no archive");
        }
        if sources.is_empty() {
            return Err(DownloadError::Unreachable("there is no engine to fetch it from".into()));
        }
        let mut partial = Partial::open(into, self.place.bytes).await.map_err(lost)?;
        let mut givers = Givers::new(partial.length() > 0);
        if partial.is_full() && self.is_right(&mut partial, &mut givers).await? {
            return Ok(());
        }
        // What is wrong with an archive counts more than who does not answer.
        let mut wrong = None;
        let mut missed = String::new();
        for _ in 0..ROUNDS_MAX {
            let Round::Missing { gained, last, refused } = self.round(sources, &mut partial, &mut givers).await? else { return Ok(()) };
            wrong = wrong.or(refused);
            missed = last;
            if !gained || givers.are_all_barred(sources) {
                break;
            }
        }
        Err(match wrong {
            Some(why) if givers.are_all_barred(sources) => DownloadError::Refused(why),
            wrong => DownloadError::Unreachable(wrong.unwrap_or(missed)),
        })
    }

    /// Asks each source once, as far as it may be asked.
    async fn round(&self, sources: &[Source], partial: &mut Partial, givers: &mut Givers) -> Result<Round, DownloadError> {
        let (mut gained, mut last, mut refused) = (false, String::new(), None);
        for (index, source) in sources.iter().enumerate().filter(|(index, _)| !givers.is_barred(*index)).collect::<Vec<_>>() {
            if givers.must_be_one() {
                partial.clear().await.map_err(lost)?;
            }
            self.tell(partial.length(), Some(source));
            let had = partial.came();
            let came = self.from(source, partial).await;
            if partial.came() > had {
                gained = true;
                givers.gave(index, partial.begins() == 0);
            }
            if partial.is_full() {
                if self.is_right(partial, givers).await? {
                    return Ok(Round::Done);
                }
                last = format!("what came from {} has another digest", source.as_str());
                refused = Some(last.clone());
                continue;
            }
            match came {
                Ok(()) => last = format!("{}: ended early", source.as_str()),
                Err(Broken::NoSpace) => return Err(DownloadError::NoSpace),
                Err(Broken::ForGood(why)) => {
                    givers.bar(index);
                    last = format!("{}: {why}", source.as_str());
                    refused = Some(last.clone());
                }
                Err(Broken::Elsewhere(why)) => {
                    givers.bar(index);
                    last = format!("{}: {why}", source.as_str());
                }
                Err(Broken::Passing(why)) => last = format!("{}: {why}", source.as_str()),
            }
            tracing::info!(reason = %last, "release archive not complete; the next source is asked");
        }
        Ok(Round::Missing { gained, last, refused })
    }

    /// Whether the whole file is the archive. If not, it is thrown away, and who gave it is not asked again.
    async fn is_right(&self, partial: &mut Partial, givers: &mut Givers) -> Result<bool, DownloadError> {
        if partial.sha256().await.map_err(lost)? == self.place.sha256 {
            partial.sync().await.map_err(lost)?;
            self.tell(partial.length(), None);
            return Ok(true);
        }
        let blamed = matches!(givers.blame(), Giver::One(_));
        tracing::warn!(blamed, "what was fetched is not the release archive: thrown away");
        partial.clear().await.map_err(lost)?;
        Ok(false)
    }

    async fn from(&self, source: &Source, partial: &mut Partial) -> Result<(), Broken> {
        match source {
            Source::Engine { address, .. } => {
                let url = format!("http://{address}/{}{}", delivery::DOMAIN, delivery::archive_path(&self.place.sha256));
                self.over(&self.clients.engines, &url, (source, partial)).await
            }
            Source::Manager { address } => {
                let url = format!("https://{address}{}/{}", weir_device_api::paths::SOFTWARE, self.place.sha256);
                self.over(&self.clients.managers, &url, (source, partial)).await
            }
            Source::Direct(direct) => self.direct(direct, partial).await,
        }
    }

    /// From the archive's own source, within the limits and from the addresses that are allowed.
    async fn direct(&self, direct: &weir_fetch::Source, partial: &mut Partial) -> Result<(), Broken> {
        let part = Part { from: partial.length(), expected: self.place.bytes };
        let allow = SourceAllow(self.place.allow.clone());
        match weir_fetch::resume(direct, &allow, part, &self.limits, partial, &Direct(self)).await {
            Ok(_) => Ok(()),
            Err(FetchError::Sink(error)) => Err(error.into()),
            Err(FetchError::Source { reason, detail, .. }) if is_for_good(reason) => Err(Broken::ForGood(format!("{detail} ({reason})"))),
            Err(FetchError::Source { reason, detail, .. }) => Err(Broken::Passing(format!("{detail} ({reason})"))),
        }
    }

    /// How long to wait after so many bytes.
    fn pause(&self, bytes: u64) -> Duration {
        let mut bucket = self.bucket.lock().expect("no panic while held");
        bucket.take(bytes, (self.rate)(), weir_clock::monotonic())
    }

    fn tell(&self, done: u64, from: Option<&Source>) {
        self.progress.send_replace(Progress { done, total: self.place.bytes, from: from.map(|from| from.as_str().to_owned()) });
    }
}

/// What the file cannot do ends the fetch, whoever is asked.
fn lost(error: io::Error) -> DownloadError {
    match Broken::from(error) {
        Broken::NoSpace => DownloadError::NoSpace,
        Broken::ForGood(why) | Broken::Elsewhere(why) | Broken::Passing(why) => DownloadError::Unreachable(why),
    }
}

/// Whether a source answers no better when it is asked again: it is the order, or the file behind it, that is wrong.
fn is_for_good(reason: FetchReason) -> bool {
    matches!(
        reason,
        FetchReason::BadUrl
            | FetchReason::SchemeNotAllowed
            | FetchReason::PrivateTarget
            | FetchReason::RedirectRefused
            | FetchReason::TooManyRedirects
            | FetchReason::FileTooLarge
            | FetchReason::FileSizeDiffers
    )
}

/// What is told of a download from the archive's own source.
struct Direct<'f>(&'f Fetch<'f>);

impl Watch for Direct<'_> {
    fn passed(&self, _check: SoftwareCheck, _detail: String) {}

    fn progress(&self, done: u64, _total: Option<u64>) {
        let from = Some("direct".to_owned());
        self.0.progress.send_replace(Progress { done, total: self.0.place.bytes, from });
    }

    fn pause(&self, bytes: u64) -> Duration {
        self.0.pause(bytes)
    }
}
