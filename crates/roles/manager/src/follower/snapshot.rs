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
};
use weir_database::{Database, DatabaseError};
use weir_device_api::{PairHello, paths};
use weir_telemetry::Chain;

/// The snapshot while it comes, in the manager's state directory: on the file system of `config.db`, whose place it takes.
const INCOMING: &str = "snapshot-taken.db";
/// Largest snapshot that is taken, in bytes: the log of writes keeps 1 GiB, and everything else is far below that.
const BYTES_MAX: u64 = 8 << 30;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    /// The primary gave none.
    #[error("the primary gave no snapshot: {0}")]
    Fetch(Answered),
    /// It came differently than it was announced.
    #[error("the snapshot is not what the primary announced: {0}")]
    Announced(&'static str),
    /// It is not a configuration this box can follow.
    #[error("the snapshot cannot be used: {0}")]
    Unfit(String),
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

/// Takes a snapshot from the primary at this address; whether it is in place.
pub(super) async fn take(follower: &Follower, from: SocketAddr, reason: &str) -> bool {
    tracing::info!(%from, reason, "a snapshot of the primary is taken");
    follower.lock().syncing = true;
    let taken = taken(follower, from).await;
    let _ = fs::remove_file(follower.directory.join(INCOMING));
    follower.lock().syncing = false;
    match taken {
        Ok(rev) => {
            tracing::info!(rev, "the snapshot is in place");
            true
        }
        Err(error) => {
            tracing::error!(error = %Chain(&error), "no snapshot was taken");
            follower.lock().trouble = Some(error.to_string());
            false
        }
    }
}

async fn taken(follower: &Follower, from: SocketAddr) -> Result<u64, SnapshotError> {
    let incoming = follower.directory.join(INCOMING);
    let hello = fetched(follower, from, &incoming).await?;
    let own = follower.hello();
    let (path, announced) = (incoming.clone(), hello.clone());
    let network = network_of(follower).await?;
    let checked = tokio::task::spawn_blocking(move || checked(&path, &announced, own.term, network.as_deref())).await;
    checked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into()))?;
    put(follower, incoming).await?;
    Ok(hello.rev)
}

/// Fetches it into a file of its own; where the primary stood when it was made.
async fn fetched(follower: &Follower, from: SocketAddr, to: &Path) -> Result<PairHello, SnapshotError> {
    let mut response = follower.client.get(from, paths::PAIR_SNAPSHOT, 0).await.map_err(SnapshotError::Fetch)?;
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let hello = text("weir-hello").and_then(|hello| serde_json::from_str::<PairHello>(&hello).ok());
    let (Some(hello), Some(sha256), Some(length)) = (hello, text("weir-sha256"), response.content_length()) else {
        return Err(SnapshotError::Announced("its headers do not say what it is"));
    };
    if length > BYTES_MAX {
        return Err(SnapshotError::Announced("it is larger than a configuration can be"));
    }
    keep::directory(&follower.directory)?;
    let _ = fs::remove_file(to);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    loop {
        let chunk = tokio::time::timeout(ANSWER_TIMEOUT, response.chunk()).await;
        let Some(chunk) = chunk.map_err(|_| SnapshotError::Fetch(Answered::Strange(504)))?? else { break };
        if follower.is_closing() {
            return Err(closing());
        }
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
    if announced.step != migrations::newest() {
        return unfit(format!("its schema step is {}, and this build's {}", announced.step, migrations::newest()));
    }
    let mut connection: Connection = weir_database::look(path)?;
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
        let kept = config.read(move |tx| unreplicated::keep(tx, &snapshot, &directory, weir_clock::wall_ms())).await?;
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
