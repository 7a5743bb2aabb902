//! Places in which metadata is verified, and the removal of those a killed process left.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};
use tempfile::TempDir;

/// How their names begin.
const PREFIX: &str = "tuf-";

/// Times a place is made anew because [`sweep`] took it between its making and its lock.
const ATTEMPTS: u32 = 16;

/// A directory that is in use as long as this lives; it is locked, so that [`sweep`] leaves it.
pub(crate) struct Scratch {
    dir: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one in `parent`.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            let lock = match File::open(dir.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            flock(&lock, FlockOperation::LockShared)?;
            if fs::metadata(dir.path()).is_ok_and(|there| lock.metadata().is_ok_and(|held| there.ino() == held.ino())) {
                return Ok(Self { dir, _lock: lock });
            }
        }
        Err(io::Error::other("a place to verify in is removed again and again"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the places in `parent` that nobody holds. What cannot be removed stays: it is only space.
pub(crate) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays() {
        let parent = tempfile::tempdir().expect("dir");
        let used = Scratch::new(parent.path()).expect("scratch");
        for name in ["tuf-dead", "other"] {
            fs::create_dir(parent.path().join(name)).expect("dir");
        }
        sweep(parent.path());
        assert!(used.path().exists() && parent.path().join("other").exists() && !parent.path().join("tuf-dead").exists());
        drop(used);
        assert_eq!(fs::read_dir(parent.path()).expect("dir").count(), 1);
    }
}
