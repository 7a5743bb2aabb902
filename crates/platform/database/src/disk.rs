//! The seam every change of names goes through while a database is replaced; a test records it and cuts it short.

use crate::DatabaseError;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The mode of a database: what is in it is its owner's alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// What is done to a disk beside what SQLite does.
pub(crate) trait Disk {
    /// Bytes that may still be written below a directory.
    fn free_bytes(&mut self, dir: &Path) -> io::Result<u64>;
    /// Makes an empty file that its owner alone may read.
    fn create(&mut self, path: &Path) -> io::Result<()>;
    /// Removes a file; one that is absent is fine.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Gives a file a second name.
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Moves a name over another.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a file's bytes durable.
    fn sync_file(&mut self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Comes before each statement of a step on the copy.
    fn statement(&mut self) -> rusqlite::Result<()> {
        Ok(())
    }
}

/// The machine's file system.
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn free_bytes(&mut self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn create(&mut self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path).map(|_| ())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Makes the file when it is absent, and takes others' rights to it away when it has any.
pub(crate) fn keep_private(path: &Path) -> Result<(), DatabaseError> {
    match FileSystem.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        outcome => return outcome.map_err(DatabaseError::file("create", path)),
    }
    let mode = fs::metadata(path).map_err(DatabaseError::file("read the mode of", path))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE)).map_err(DatabaseError::file("set the mode of", path))
}

/// The file of that name with something after it.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory a file lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
