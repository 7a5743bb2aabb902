//! A snapshot of the primary's `config.db`: fetched, checked, and put in the place of this box's.

use super::{
    Follower,
    client::{ANSWER_TIMEOUT, Answered},
    unreplicated,
};
use crate::{
    keep,
    tables::{changesets, digests, migrations, settings},
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use weir_database::{Database, DatabaseError};
use weir_device_api::{PairHello, paths};
use weir_telemetry::Chain;

/// The snapshot while it comes, in the manager's state directory: on the file system of `config.db`, whose place it takes.
const INCOMING: &str = "snapshot-taken.db";
/// Largest snapshot that is taken, in bytes: the log of writes keeps 1 GiB, and everything else is far below that.
const BYTES_MAX: u64 = 8 << 30;
/// Bytes that stay free beside a snapshot: the write-ahead log and the journal need some.
const FREE_MIN: u64 = 16 << 20;
/// Pause before a snapshot that the primary is making is asked for again.
const MAKING_PAUSE: Duration = Duration::from_millis(500);
/// Pause after the first snapshot that failed, in milliseconds; it doubles with each.
const BACK_OFF_MS: u64 = 500;
/// Longest pause between two snapshots, in milliseconds.
const BACK_OFF_MAX_MS: u64 = 30_000;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    /// The primary gave none.
    #[error("the primary gave no snapshot: {0}")]
    Fetch(Answered),
    /// It came differently than it was announced.
    #[error("the snapshot is not what the primary announced: {0}")]
    Announced(&'static str),
    /// It is not a configuration this box can follow.
    #[error("the snapshot cannot be used: {0}")]
    Unfit(String),
    /// The disk.
    #[error("the disk has no room for a snapshot: {needed} bytes are needed, and {free} are free")]
    NoRoom {
        /// With what stays free.
        needed: u64,
        /// Now.
        free: u64,
    },
    /// A file.
    #[error("cannot write the snapshot")]
    File(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<reqwest::Error> for SnapshotError {
    fn from(error: reqwest::Error) -> Self {
        SnapshotError::Fetch(error.into())
    }
}
impl From<rusqlite::Error> for SnapshotError {
    fn from(error: rusqlite::Error) -> Self {
        SnapshotError::Database(error.into())
    }
}

/// Whether there is room for so many bytes and what stays free beside them.
///
/// # Errors
/// There is not; or nobody can say.
pub(super) fn room_for(directory: &Path, bytes: u64) -> Result<(), SnapshotError> {
    let space = rustix::fs::statvfs(directory).map_err(io::Error::from)?;
    let (free, needed) = (space.f_bavail.saturating_mul(space.f_frsize), bytes.saturating_add(FREE_MIN));
    if free < needed { Err(SnapshotError::NoRoom { needed, free }) } else { Ok(()) }
}

/// Takes a snapshot from the primary at this address; whether it is in place. After one that failed the next waits, and the primary
/// is told why.
pub(super) async fn take(follower: &Follower, from: SocketAddr, reason: &str) -> bool {
    if weir_clock::monotonic_ms() < follower.lock().snapshot_after_ms {
        return false;
    }
    tracing::info!(%from, reason, "a snapshot of the primary is taken");
    follower.lock().syncing = true;
    let taken = taken(follower, from).await;
    let _ = fs::remove_file(follower.directory.join(INCOMING));
    let mut inner = follower.lock();
    inner.syncing = false;
    match taken {
        Ok(rev) => {
            tracing::info!(rev, "the snapshot is in place");
            (inner.failed_snapshots, inner.snapshot_after_ms, inner.hindrance, inner.overwrite) = (0, 0, None, None);
            true
        }
        Err(error) => {
            let pause_ms = back_off_ms(inner.failed_snapshots);
            tracing::error!(error = %Chain(&error), pause_ms, "no snapshot was taken");
            inner.failed_snapshots += 1;
            inner.snapshot_after_ms = weir_clock::monotonic_ms() + pause_ms;
            inner.hindrance = Some(Chain(&error).to_string());
            false
        }
    }
}

fn back_off_ms(failed: u32) -> u64 {
    BACK_OFF_MS.saturating_mul(1 << failed.min(20)).min(BACK_OFF_MAX_MS)
}

async fn taken(follower: &Follower, from: SocketAddr) -> Result<u64, SnapshotError> {
    let incoming = follower.directory.join(INCOMING);
    let hello = fetched(follower, from, &incoming).await?;
    let own = follower.hello();
    let (path, announced) = (incoming.clone(), hello.clone());
    let network = network_of(follower).await?;
    let checked = tokio::task::spawn_blocking(move || checked(&path, &announced, own.heard, network.as_deref())).await;
    checked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into()))?;
    put(follower, incoming).await?;
    Ok(hello.rev)
}

/// Fetches it into a file of its own; where the primary stood when it was made.
async fn fetched(follower: &Follower, from: SocketAddr, to: &Path) -> Result<PairHello, SnapshotError> {
    let response = given(follower, from).await?;
    stored(follower, response, to).await
}

/// Writes an answer into a file as it comes; each part of it is a sign of life of the primary.
async fn stored(follower: &Follower, mut response: reqwest::Response, to: &Path) -> Result<PairHello, SnapshotError> {
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let hello = text("weir-hello").and_then(|hello| serde_json::from_str::<PairHello>(&hello).ok());
    let (Some(hello), Some(sha256), Some(length)) = (hello, text("weir-sha256"), response.content_length()) else {
        return Err(SnapshotError::Announced("its headers do not say what it is"));
    };
    if length > BYTES_MAX {
        return Err(SnapshotError::Announced("it is larger than a configuration can be"));
    }
    keep::directory(&follower.directory)?;
    room_for(&follower.directory, length)?;
    let _ = fs::remove_file(to);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    loop {
        let chunk = tokio::time::timeout(ANSWER_TIMEOUT, response.chunk()).await;
        let Some(chunk) = chunk.map_err(|_| SnapshotError::Fetch(Answered::Strange(504)))?? else { break };
        if follower.is_closing() {
            return Err(closing());
        }
        follower.touch();
        bytes += chunk.len() as u64;
        if bytes > length {
            return Err(SnapshotError::Announced("it is longer"));
        }
        (file, digest) = tokio::task::spawn_blocking(move || {
            digest.update(&chunk);
            file.write_all(&chunk).map(|()| (file, digest))
        })
        .await
        .map_err(io::Error::other)??;
    }
    if bytes != length || hex::encode(digest.finalize()) != sha256 {
        return Err(SnapshotError::Announced("length or SHA-256 differ"));
    }
    tokio::task::spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other)??;
    Ok(hello)
}

/// Asks for one until the primary has made it: a large database takes its time, and meanwhile it says so.
async fn given(follower: &Follower, from: SocketAddr) -> Result<reqwest::Response, SnapshotError> {
    let mut ends = follower.closing.subscribe();
    loop {
        let response = follower.client.get(from, paths::PAIR_SNAPSHOT, 0).await.map_err(SnapshotError::Fetch)?;
        follower.touch();
        if response.status().as_u16() != 202 {
            return Ok(response);
        }
        tokio::select! {
            () = tokio::time::sleep(MAKING_PAUSE) => {}
            _ = ends.wait_for(|ends| *ends) => return Err(closing()),
        }
    }
}

fn closing() -> SnapshotError {
    SnapshotError::Unfit("this box does not follow any more".to_owned())
}

async fn network_of(follower: &Follower) -> Result<Option<String>, SnapshotError> {
    let Some(config) = follower.database() else { return Ok(None) };
    Ok(config.read(|tx| Ok::<_, DatabaseError>(settings::get(tx, settings::NETWORK)?)).await?)
}

/// Refuses a snapshot that is damaged, of another network, of an older term, or not what the primary said. Blocks.
fn checked(path: &Path, announced: &PairHello, term: u64, network: Option<&str>) -> Result<(), SnapshotError> {
    let unfit = |why: String| Err(SnapshotError::Unfit(why));
    weir_database::check(path)?;
    let mut connection: Connection = weir_database::look(path)?;
    let step = weir_database::step(&connection)?;
    if step != migrations::newest() {
        return unfit(format!("its schema step is {step}, and this build's {}", migrations::newest()));
    }
    let tx = connection.transaction()?;
    let tip = changesets::tip(&tx)?;
    if tip.map_or((0, String::new()), |tip| (tip.rev, hex::encode(tip.hash))) != (announced.rev, announced.hash.clone()) {
        return unfit("its newest changeset is not the one the primary named".to_owned());
    }
    let counted = digests::recount(&tx)?;
    if counted != digests::load(&tx)? || hex::encode(counted.of_all()) != announced.digest {
        return unfit("its rows do not have the digest the primary named".to_owned());
    }
    let of = settings::get(&tx, settings::NETWORK)?;
    if let Some(network) = network
        && of.as_deref() != Some(network)
    {
        return unfit(format!("it is of network {}, and this box is of {network}", of.unwrap_or_default()));
    }
    let theirs = settings::number(&tx, settings::TERM)?;
    if theirs < term { unfit(format!("its term is {theirs}, and this box knows of term {term}")) } else { Ok(()) }
}

/// Keeps what would be lost, closes `config.db` and puts the snapshot in its place.
async fn put(follower: &Follower, incoming: PathBuf) -> Result<(), SnapshotError> {
    let _one_at_a_time = follower.changing.lock().await;
    if follower.is_closing() {
        return Err(closing());
    }
    if let Some(config) = follower.database() {
        let (directory, snapshot) = (follower.directory.clone(), incoming.clone());
        let own = follower.name.clone();
        let kept = config.read(move |tx| unreplicated::keep(tx, &snapshot, &directory, &own)).await?;
        if let Some(name) = kept {
            tracing::warn!(file = name, "changes that the primary does not have are kept beside the configuration");
        }
        follower.lock().config = None;
        config.close().await;
    }
    let path = follower.directory.join("config.db");
    let opened = tokio::task::spawn_blocking(move || {
        // Whatever becomes of it, what is there then is opened: the old one or the new one.
        let replaced = weir_database::replace(&path, &incoming);
        let opened = Database::open(&path, migrations::CONFIG, weir_clock::wall_ms(), weir_model::version());
        (replaced, opened)
    });
    let (replaced, opened) = opened.await.map_err(io::Error::other)?;
    let is_new = replaced.is_ok();
    {
        let mut inner = follower.lock();
        inner.config = Some(opened?);
        if is_new {
            inner.resync = None;
        }
    }
    follower.look().await?;
    Ok(replaced?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cms::BoxFile,
        follower::{FollowerParts, PrimarySeen},
        journal::Journal,
    };
    use std::sync::Arc;
    use weir_device_api::{Listeners, Verdict};
    use weir_telemetry::Tasks;

    #[test]
    fn snapshots_that_fail_are_tried_more_and_more_rarely() {
        let pauses: Vec<u64> = (0..9).map(back_off_ms).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(back_off_ms(u32::MAX), BACK_OFF_MAX_MS);
    }

    #[tokio::test]
    async fn each_part_of_a_snapshot_is_a_sign_of_life() {
        let dir = tempfile::tempdir().expect("dir");
        let state = dir.path().to_owned();
        let parts = FollowerParts {
            name: "manager-2".parse().expect("name"),
            config: None,
            journal: Arc::new(Journal::open(&state).expect("journal")),
            box_file: Arc::new(BoxFile::open(&state).expect("box file")),
            directory: state,
            ca_pem: String::new(),
            certificate_pem: String::new(),
            key_pem: String::new(),
            manager: None,
            listeners: Listeners::default(),
        };
        let tasks = Tasks::new();
        let follower = Follower::start(parts, &tasks);
        let hello = follower.hello();
        let bytes = b"pages".to_vec();
        let response = axum::http::Response::builder()
            .header("weir-hello", serde_json::to_string(&hello).expect("JSON"))
            .header("weir-sha256", hex::encode(Sha256::digest(&bytes)))
            .body(bytes)
            .expect("a response");
        let never = u64::MAX;
        follower.lock().seen = Some(PrimarySeen { hello: hello.clone(), at_ms: never, verdict: Verdict::Matched });
        let to = dir.path().join(INCOMING);
        assert_eq!(stored(&follower, response.into(), &to).await.expect("stored"), hello);
        assert_eq!(fs::read(&to).expect("a file"), b"pages");
        assert!(follower.primary_seen().is_some_and(|seen| seen.at_ms < never));
        follower.close().await;
    }

    #[test]
    fn a_snapshot_that_has_no_room_is_not_begun() {
        let dir = tempfile::tempdir().expect("dir");
        room_for(dir.path(), 0).expect("there is room");
        assert!(matches!(room_for(dir.path(), u64::MAX), Err(SnapshotError::NoRoom { .. })));
    }
}
