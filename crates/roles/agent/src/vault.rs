//! The vault of an engine: backups of the managers' database, kept on another machine and given back to prove it.
//!
//! They are sealed where they are secret, so the vault needs no key. A file that is not whole has `.part` after its name and is
//! counted by itself: no backup goes before the one that makes it superfluous is whole.

use crate::{
    agent::Shared,
    client::{ANSWER_TIMEOUT, ClientError},
};
use reqwest::{Body, StatusCode, header};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;
use weir_device_api::{Answer, VAULT_BYTES_MAX, is_backup_name, paths};
use weir_telemetry::Chain;

/// Most backups of a vault; the oldest go first.
const FILES_MAX: usize = 8;
/// Room that is left to the engine's disk beside a backup that comes, in bytes.
const ROOM_BYTES: u64 = 64 << 20;
/// Bytes written or hashed at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Slowest rate that is waited for, in bytes per second.
const SLOWEST: u64 = 1 << 20;
/// What a file is called while it is not whole.
const PART: &str = ".part";

/// A backup to keep.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    pub(crate) name: String,
}

/// One backup comes at a time: two would write into one file.
static COMING: Mutex<()> = Mutex::const_new(());

/// Why a backup is not kept or given.
#[derive(Debug, thiserror::Error)]
enum VaultError {
    #[error("{0:?} is not the name of a backup")]
    Name(String),
    #[error("a backup of {0} bytes is larger than a vault, which holds {VAULT_BYTES_MAX}")]
    TooLarge(u64),
    #[error("the disk of the vault has no room for {0} bytes more")]
    NoRoom(u64),
    #[error("has no backup of this name and hash")]
    Absent,
    #[error("what came is not the backup that was named")]
    Other,
    #[error("use the vault")]
    Disk(#[source] io::Error),
    #[error(transparent)]
    Manager(#[from] ClientError),
    #[error("the transfer broke off")]
    Broken(#[source] reqwest::Error),
}

/// Fetches a backup from the manager, from where an earlier try ended, and keeps it.
pub(crate) async fn keep(shared: &Arc<Shared>, kept: Kept) -> Answer {
    let bytes = kept.bytes;
    answered(fetched(shared, kept).await.map(|()| bytes))
}

/// Gives one back.
pub(crate) async fn give(shared: &Arc<Shared>, sha256: &str, name: &str) -> Answer {
    answered(given(shared, sha256, name).await)
}

fn answered(done: Result<u64, VaultError>) -> Answer {
    match done {
        Ok(bytes) => Answer::Held { bytes },
        Err(error) => Answer::Refused { reason: Chain(&error).to_string() },
    }
}

fn directory(shared: &Shared) -> PathBuf {
    shared.settings.state.dir().join("vault")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, VaultError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(VaultError::Disk)
}

async fn fetched(shared: &Arc<Shared>, Kept { sha256, bytes, name }: Kept) -> Result<(), VaultError> {
    if !is_backup_name(&name) {
        return Err(VaultError::Name(name));
    }
    if bytes > VAULT_BYTES_MAX {
        return Err(VaultError::TooLarge(bytes));
    }
    let _one = COMING.lock().await;
    let directory = directory(shared);
    let (path, part) = (directory.join(&name), directory.join(format!("{name}{PART}")));
    let (there, expected, opening) = (path.clone(), sha256.clone(), part.clone());
    let begun = blocking(move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        if there.is_file() && hash_of(&there)? == expected {
            return Ok(Begun::There);
        }
        only_part(&directory, &opening)?;
        let came = fs::metadata(&opening).map_or(0, |part| part.len());
        let space = rustix::fs::statvfs(&directory)?;
        let lacks = bytes.saturating_sub(came);
        if space.f_bavail.saturating_mul(space.f_frsize) < lacks.saturating_add(ROOM_BYTES) {
            return Ok(Begun::NoRoom(lacks));
        }
        File::options().create(true).append(true).mode(0o600).open(&opening).map(Begun::Part)
    });
    let file = match begun.await? {
        Begun::There => return Ok(()),
        Begun::NoRoom(lacks) => return Err(VaultError::NoRoom(lacks)),
        Begun::Part(file) => file,
    };
    transfer(shared, file, &sha256, bytes).await?;
    if blocking(move || took(&part, &path, &sha256)).await? { Ok(()) } else { Err(VaultError::Other) }
}

/// How a backup that comes begins.
enum Begun {
    /// It is there, whole.
    There,
    /// So many bytes more do not fit.
    NoRoom(u64),
    /// What is there of it.
    Part(File),
}

/// Gives a part that is the backup its name, and then lets the oldest go; false when it is another one, which is removed.
fn took(part: &Path, path: &Path, sha256: &str) -> io::Result<bool> {
    File::open(part)?.sync_all()?;
    if hash_of(part)? != sha256 {
        // From the beginning next time.
        fs::remove_file(part)?;
        return Ok(false);
    }
    fs::rename(part, path)?;
    let directory = path.parent().expect("the vault is a directory");
    File::open(directory)?.sync_all()?;
    make_room(directory, path)?;
    Ok(true)
}

/// Appends what the file lacks.
async fn transfer(shared: &Arc<Shared>, mut file: File, sha256: &str, bytes: u64) -> Result<(), VaultError> {
    let from = file.metadata().map_err(VaultError::Disk)?.len();
    if from >= bytes {
        if from > bytes {
            file.set_len(0).map_err(VaultError::Disk)?;
        }
        return Ok(());
    }
    let path = format!("{}/{sha256}", paths::VAULT);
    let range = format!("bytes={from}-");
    let request = |http: &reqwest::Client, url: String| match from {
        0 => http.get(url),
        _ => http.get(url).header(header::RANGE, range),
    };
    let (_, mut response) = shared.client.send(request, &path, patience(bytes)).await?;
    if response.status() != StatusCode::PARTIAL_CONTENT && from > 0 {
        file.set_len(0).map_err(VaultError::Disk)?;
    }
    let mut gathered = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let chunk = response.chunk().await.map_err(VaultError::Broken)?;
        gathered.extend_from_slice(chunk.as_deref().unwrap_or_default());
        if gathered.len() < CHUNK_BYTES && chunk.is_some() {
            continue;
        }
        let piece = std::mem::take(&mut gathered);
        file = blocking(move || file.write_all(&piece).map(|()| file)).await?;
        if file.metadata().map_err(VaultError::Disk)?.len() > bytes {
            return Err(VaultError::Other);
        }
        if chunk.is_none() {
            return Ok(());
        }
    }
}

fn patience(bytes: u64) -> Duration {
    ANSWER_TIMEOUT + Duration::from_secs(bytes / SLOWEST)
}

async fn given(shared: &Arc<Shared>, sha256: &str, name: &str) -> Result<u64, VaultError> {
    if !is_backup_name(name) {
        return Err(VaultError::Name(name.to_owned()));
    }
    let path = directory(shared).join(name);
    let file = match tokio::fs::File::open(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(VaultError::Absent),
        opened => opened.map_err(VaultError::Disk)?,
    };
    let bytes = file.metadata().await.map_err(VaultError::Disk)?.len();
    let request = |http: &reqwest::Client, url: String| http.put(url).header(header::CONTENT_LENGTH, bytes).body(Body::from(file));
    shared.client.send(request, &format!("{}/{sha256}", paths::VAULT), patience(bytes)).await?;
    Ok(bytes)
}

fn hash_of(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut chunk) = (File::open(path)?, Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// Removes what is left of backups that came and broke off, but for the one that comes.
fn only_part(directory: &Path, coming: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path != coming && path.to_string_lossy().ends_with(PART) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Makes the oldest backups go until those that are left are within the limits; the newest, which is whole, stays in any case.
fn make_room(directory: &Path, newest: &Path) -> io::Result<()> {
    let mut there = Vec::new();
    for entry in fs::read_dir(directory)? {
        let (path, about) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if !path.to_string_lossy().ends_with(PART) {
            there.push((path == newest, about.modified()?, about.len(), path));
        }
    }
    there.sort();
    let mut all: u64 = there.iter().map(|(_, _, length, _)| length).sum();
    let mut left = there.len();
    for (is_newest, _, length, path) in there {
        if is_newest || (left <= FILES_MAX && all <= VAULT_BYTES_MAX) {
            break;
        }
        fs::remove_file(path)?;
        left -= 1;
        all -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_only_once_the_new_one_is_whole() {
        let dir = tempfile::tempdir().expect("dir");
        let path = |name: &str| dir.path().join(name);
        for number in 0..FILES_MAX {
            let file = File::create(path(&format!("{number}.weirbackup"))).expect("made");
            let at = std::time::UNIX_EPOCH + Duration::from_secs(1_000 + u64::try_from(number).expect("small"));
            file.set_modified(at).expect("dated");
        }
        let left = || (0..FILES_MAX).filter(|number| path(&format!("{number}.weirbackup")).exists()).collect::<Vec<_>>();
        for part in ["old.weirbackup.part", "coming.weirbackup.part"] {
            fs::write(path(part), "p").expect("written");
        }
        let (coming, new) = (path("coming.weirbackup.part"), path("coming.weirbackup"));
        only_part(dir.path(), &coming).expect("read");
        assert!(!path("old.weirbackup.part").exists() && coming.exists());
        assert!(!took(&coming, &new, &"0".repeat(64)).expect("hashed"), "it is another one");
        assert!(!coming.exists() && !new.exists() && left().len() == FILES_MAX, "and took nothing's place");

        fs::write(&coming, "whole").expect("written");
        assert!(took(&coming, &new, &hex::encode(Sha256::digest("whole"))).expect("hashed"));
        assert_eq!(left(), (1..FILES_MAX).collect::<Vec<_>>(), "one more makes one too many");
        File::options().write(true).open(path("7.weirbackup")).expect("there").set_len(VAULT_BYTES_MAX).expect("sparse");
        make_room(dir.path(), &new).expect("room");
        assert!(left().is_empty() && new.exists(), "all that is older and not enough, then the large one: {:?}", left());
        File::options().write(true).open(&new).expect("there").set_len(VAULT_BYTES_MAX + 1).expect("sparse");
        make_room(dir.path(), &new).expect("room");
        assert!(new.exists(), "the newest stays");
    }
}
