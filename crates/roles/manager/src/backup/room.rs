//! Room on the manager's disk: backups and rehearsals never take what its databases need.

use super::records::unkept;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use weir_operator_api::{Problem, Reason};

/// Room that is left to the manager beside a backup, in bytes.
const MARGIN_BYTES: u64 = 64 << 20;

/// Refuses what would not leave [`MARGIN_BYTES`] on the disk of a directory. Blocks.
///
/// # Errors
/// [`Reason::DiskFull`] with what is lacking.
pub(crate) fn needed(directory: &Path, bytes: u64, what: &str) -> Result<(), Problem> {
    let space = rustix::fs::statvfs(directory).map_err(|error| unkept(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free >= bytes.saturating_add(MARGIN_BYTES) {
        return Ok(());
    }
    let detail = format!("{what} takes {bytes} bytes beside {MARGIN_BYTES} that stay free, and the disk has {free}");
    Err(Problem::new(Reason::DiskFull, detail).next_step("make room: `weir cms database delete NAME`, or a schedule that keeps fewer"))
}

/// Length of a database with its write-ahead log, in bytes. Blocks.
pub(super) fn of_database(path: &Path) -> u64 {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    [path, &log].into_iter().filter_map(|path| fs::metadata(path).ok()).map(|about| about.len()).sum()
}

/// A file that is gone when this is dropped, unless it was renamed.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// Removes what an earlier one left there. Blocks.
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        removed(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = removed(&self.0) {
            tracing::warn!(%error, "a file of a backup that was not made is left behind");
        }
    }
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_fill_the_disk_is_refused_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("dir");
        needed(dir.path(), 0, "nothing").expect("fits");
        let refused = needed(dir.path(), u64::MAX / 2, "a backup").expect_err("no disk has that");
        assert_eq!(refused.reason, Reason::DiskFull);
        let path = dir.path().join(".copy");
        fs::write(&path, "left by a crash").expect("written");
        let temporary = Temporary::new(path.clone()).expect("cleared");
        assert!(!path.exists());
        fs::write(temporary.path(), "half").expect("written");
        drop(temporary);
        assert!(!path.exists());
    }
}
