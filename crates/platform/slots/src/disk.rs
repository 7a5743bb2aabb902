//! The one seam every durable write goes through.
//!
//! The operations are those whose loss matters on their own: data that is not yet synced, and names whose directory is
//! not yet synced. Readers use the file system directly.

use crate::DiskError;
use rustix::fs::{Mode, OFlags, fchmod};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// What is done to a disk. [`FileSystem`] does it; a test records it and cuts it short.
pub trait Disk {
    /// Makes a directory; one that is there is kept.
    fn make_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Makes or replaces a file's bytes; not yet durable.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Adds bytes to the end of a file, which is made when absent; not yet durable.
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Copies a file's bytes into a new file; not yet durable.
    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name on the same file system; the name is not yet durable.
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Sets the permission bits of a file or directory.
    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()>;
    /// Makes a file's bytes durable.
    fn sync_file(&mut self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Moves a name over another; not yet durable.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a directory and what is in it, read-only or not; one that is absent is fine.
    fn remove_tree(&mut self, path: &Path) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // No link is followed: a keeper that is root writes in directories of the worker's user.
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("an open flag fits an int");
        OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(path)?.write_all(bytes)
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("an open flag fits an int");
        OpenOptions::new().append(true).create(true).custom_flags(flags).open(path)?.write_all(bytes)
    }

    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from, to).map(|_| ())
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        Ok(fchmod(File::open(path)?, Mode::from_raw_mode(mode))?)
    }

    fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_tree(&mut self, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        // A slot is read-only; its directories must be writable again for their names to go.
        make_dirs_writable(self, path)?;
        fs::remove_dir_all(path)
    }
}

fn make_dirs_writable(disk: &mut FileSystem, dir: &Path) -> io::Result<()> {
    disk.set_mode(dir, 0o755)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_dirs_writable(disk, &entry.path())?;
        }
    }
    Ok(())
}

/// Replaces a file so that a crash at any moment leaves either the old bytes or the new ones: a file beside it, synced,
/// renamed over it, the directory synced. Only one process may write a given file at a time.
///
/// # Errors
/// [`DiskError`] with the step that failed; the old bytes are still there.
pub fn durable_write(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    durable_write_on(&mut FileSystem, path, bytes)
}

/// As [`durable_write`], for a file that its owner alone may read: its mode is 0600 before it holds a byte.
///
/// # Errors
/// See [`durable_write`].
pub fn durable_write_private(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let mut disk = FileSystem;
    let beside = beside(path);
    disk.write(&beside, b"").map_err(DiskError::of("write", &beside))?;
    disk.set_mode(&beside, 0o600).map_err(DiskError::of("set the mode of", &beside))?;
    durable_write_on(&mut disk, path, bytes)
}

fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    PathBuf::from(beside)
}

pub(crate) fn durable_write_on(disk: &mut impl Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let beside = beside(path);
    disk.write(&beside, bytes).map_err(DiskError::of("write", &beside))?;
    disk.sync_file(&beside).map_err(DiskError::of("sync", &beside))?;
    disk.rename(&beside, path).map_err(DiskError::of("rename to", path))?;
    let dir = parent(path);
    disk.sync_dir(dir).map_err(DiskError::of("sync", dir))
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
pub(crate) mod recorded;
