//! The release archives that `config.db` names, and the signed metadata they are judged by: fetched from the primary beside the
//! stream, one at a time and resumed, so that this box can give them when it is the primary.

use super::{
    Follower,
    client::{ANSWER_TIMEOUT, Answered},
};
use crate::{
    keep,
    software::{archives, record::Record, root},
    tables,
};
use hyper::body::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use weir_database::DatabaseError;
use weir_device_api::{Verdict, paths};
use weir_model::SoftwareState;
use weir_operator_api::SoftwareRelease;
use weir_release::{METADATA_MAX_BYTES, MetadataSet, TrustError, TrustStore};
use weir_telemetry::Chain;

/// Between two looks at what is missing.
const PERIOD: Duration = Duration::from_secs(5);

/// Why something is not here yet.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    /// The primary did not give it.
    #[error("the primary did not give it: {0}")]
    Primary(Answered),
    /// It is not what it should be.
    #[error("what came is not {0}")]
    Other(String),
    /// A file.
    #[error("cannot keep it")]
    File(#[from] io::Error),
    /// The trust store.
    #[error("the signed metadata is not taken")]
    Trust(#[from] TrustError),
    /// `config.db`.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        FetchError::Primary(error.into())
    }
}

/// Keeps the archives until the follower is closed.
pub(super) async fn run(follower: Arc<Follower>) {
    let mut closing = follower.closing.subscribe();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Archives that were found to be what they should: by number their SHA-256.
    let mut proven = BTreeMap::new();
    let mut said = String::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = closing.wait_for(|closes| *closes) => return,
        }
        let matched = follower.primary_seen().is_some_and(|seen| seen.verdict == Verdict::Matched);
        let Some(from) = follower.lock().primary_at.filter(|_| matched) else { continue };
        let round = async {
            metadata(&follower, from).await?;
            missing(&follower, from, &mut proven).await
        };
        let ended = tokio::select! {
            ended = round => ended,
            _ = closing.wait_for(|closes| *closes) => return,
        };
        let error = ended.err().map_or_else(String::new, |error| Chain(&error).to_string());
        if !error.is_empty() && error != said {
            tracing::warn!(error, "release archives of the primary are not all here");
        }
        said = error;
    }
}

/// The next part of an answer, within [`ANSWER_TIMEOUT`].
async fn next(response: &mut reqwest::Response) -> Result<Option<Bytes>, FetchError> {
    let chunk = tokio::time::timeout(ANSWER_TIMEOUT, response.chunk()).await;
    Ok(chunk.map_err(|_| FetchError::Primary(Answered::Cut))??)
}

/// Takes the newest signed metadata in; pins the root this box was given, or the one the primary's metadata begins with.
async fn metadata(follower: &Follower, from: SocketAddr) -> Result<(), FetchError> {
    let mut response = match follower.client.get(from, paths::RELEASE_METADATA, 0).await {
        // It has none.
        Err(Answered::Refused(problem)) if problem.status == 404 => return Ok(()),
        answered => answered.map_err(FetchError::Primary)?,
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = next(&mut response).await? {
        if (bytes.len() + chunk.len()) as u64 > METADATA_MAX_BYTES {
            return Err(FetchError::Other("release metadata: it is too large".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    let directory = follower.directory.clone();
    let taken = tokio::task::spawn_blocking(move || take(&directory, &bytes)).await;
    taken.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into()))
}

fn take(directory: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    let set = MetadataSet::parse(bytes).map_err(|error| FetchError::Other(format!("release metadata: {error}")))?;
    let trust = directory.join("trust");
    // `<data>/state/manager`: the root lies two levels above.
    if let Some(data) = directory.parent().and_then(Path::parent) {
        root::pin(&data.join(root::RELEASE_ROOT), &trust);
    }
    let store = match TrustStore::open(&trust) {
        Err(TrustError::NotPinned(_)) => {
            let (_, first) = set.files().next().ok_or_else(|| FetchError::Other("release metadata: no root".to_owned()))?;
            TrustStore::pin(&trust, first)?
        }
        opened => opened?,
    };
    store.load(&set, weir_clock::wall_ms() / 1_000)?;
    Ok(())
}

/// Fetches what is missing, and removes what `config.db` does not name any more.
async fn missing(follower: &Follower, from: SocketAddr, proven: &mut BTreeMap<i64, String>) -> Result<(), FetchError> {
    let Some(config) = follower.database() else { return Ok(()) };
    let records = config.read(|tx| Ok::<_, DatabaseError>(tables::software_files::all(tx)?)).await?;
    let directory = follower.directory.join("software");
    keep::directory(&directory)?;
    for gone in archives::numbers(&directory)?.into_iter().filter(|id| !records.iter().any(|record| record.id == *id)) {
        archives::remove(&directory, gone)?;
    }
    remove_parts(&directory, &records.iter().filter_map(wanted).map(|(_, release)| release.archive_sha256.as_str()).collect())?;
    proven.retain(|id, _| records.iter().any(|record| record.id == *id));
    for (id, release) in records.iter().filter_map(wanted) {
        let path = archives::held(&directory, id);
        if proven.get(&id) == Some(&release.archive_sha256) && path.exists() {
            continue;
        }
        let (held, expected) = (path.clone(), release.clone());
        let is_here = tokio::task::spawn_blocking(move || is_it(&held, &expected)).await.unwrap_or(false);
        if !is_here {
            fetch(follower, from, &directory, release, &path).await?;
            tracing::info!(software_file = id, version = %release.version, "release archive fetched from the primary");
        }
        proven.insert(id, release.archive_sha256.clone());
    }
    Ok(())
}

/// Removes what came of archives that `config.db` does not name any more.
fn remove_parts(directory: &Path, named: &BTreeSet<&str>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let part = name.to_str().and_then(|name| name.strip_suffix(".part"));
        if part.is_some_and(|sha256| !named.contains(sha256)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn wanted(record: &Record) -> Option<(i64, &SoftwareRelease)> {
    let release = record.release.as_ref().filter(|_| record.state() != SoftwareState::Withdrawn)?;
    Some((record.id, release))
}

fn is_it(path: &Path, release: &SoftwareRelease) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == release.archive_bytes)
        && weir_slots::digest_of_file(path).is_ok_and(|(digest, _)| digest.to_string() == release.archive_sha256)
}

/// Fetches an archive, from where the last try ended.
async fn fetch(follower: &Follower, from: SocketAddr, directory: &Path, release: &SoftwareRelease, to: &Path) -> Result<(), FetchError> {
    let part = directory.join(format!("{}.part", release.archive_sha256));
    let mut begin = fs::metadata(&part).map_or(0, |file| file.len());
    if begin > release.archive_bytes {
        fs::remove_file(&part)?;
        begin = 0;
    }
    archives::room_for(directory, release.archive_bytes - begin)?;
    if begin < release.archive_bytes {
        let path = format!("{}/{}", paths::SOFTWARE, release.archive_sha256);
        let mut response = follower.client.get(from, &path, begin).await.map_err(FetchError::Primary)?;
        // Whoever does not know ranges answers with all of it (RFC 9110 section 14.2).
        let is_rest = begin > 0 && response.status().as_u16() == 206;
        let mut file = OpenOptions::new().create(true).write(true).append(is_rest).truncate(!is_rest).mode(0o600).open(&part)?;
        let mut bytes = if is_rest { begin } else { 0 };
        loop {
            let Some(chunk) = next(&mut response).await? else { break };
            bytes += chunk.len() as u64;
            if bytes > release.archive_bytes {
                drop(file);
                fs::remove_file(&part)?;
                return Err(FetchError::Other(format!("archive {}: it is longer", release.archive_sha256)));
            }
            let written = tokio::task::spawn_blocking(move || file.write_all(&chunk).map(|()| file)).await;
            file = written.map_err(io::Error::other)??;
        }
    }
    let (part, to, release) = (part, to.to_owned(), release.clone());
    let kept = tokio::task::spawn_blocking(move || put(&part, &to, &release)).await;
    kept.map_err(io::Error::other)?
}

fn put(part: &PathBuf, to: &Path, release: &SoftwareRelease) -> Result<(), FetchError> {
    let bytes = fs::metadata(part)?.len();
    if bytes < release.archive_bytes {
        return Err(FetchError::Other(format!("all of archive {} yet", release.archive_sha256)));
    }
    if !is_it(part, release) {
        fs::remove_file(part)?;
        return Err(FetchError::Other(format!("archive {}", release.archive_sha256)));
    }
    File::open(part)?.sync_all()?;
    fs::rename(part, to)?;
    to.parent().map_or(Ok(()), |directory| Ok(File::open(directory)?.sync_all()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_what_is_not_named_go() {
        let dir = tempfile::tempdir().expect("dir");
        for name in ["aa.part", "bb.part", "7.weir"] {
            fs::write(dir.path().join(name), b"x").expect("written");
        }
        remove_parts(dir.path(), &BTreeSet::from(["bb"])).expect("removed");
        let left: BTreeSet<_> = fs::read_dir(dir.path()).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(left, BTreeSet::from(["bb.part".into(), "7.weir".into()]));
    }
}
