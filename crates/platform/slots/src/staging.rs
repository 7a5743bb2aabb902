//! Staging: room for an image on its way into a slot, a slot beside the active one, and the slots nobody needs any more.

use crate::{
    DataDirectory, DiskError, Image, SlotRef,
    disk::{Disk, FileSystem, parent},
    slot::{verify, write_slot},
};
use rustix::fs::{FallocateFlags, fallocate};
use std::{
    fs::{self, OpenOptions},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

/// What `st_blocks` counts in, on every file system.
const BLOCK_BYTES: u64 = 512;

/// Reserves the disk blocks of the first `bytes` bytes of a file, which is made when absent; its length stays.
///
/// # Errors
/// The system's; [`io::ErrorKind::StorageFull`] when there is no room, and then nothing is reserved. Where the file system cannot
/// reserve, what it has free now must do.
pub fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let found = file.metadata()?;
    let system = rustix::fs::fstatvfs(file.as_fd())?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    // Asked first: a reservation that fails half-way would take what is left from everybody.
    if free < bytes.saturating_sub(found.blocks().saturating_mul(BLOCK_BYTES)) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    match fallocate(file.as_fd(), FallocateFlags::KEEP_SIZE, 0, bytes) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => {
            // Frees the blocks beyond its end.
            file.set_len(found.len())?;
            Err(error.into())
        }
    }
}

/// Makes `staging/` when it is absent.
///
/// # Errors
/// [`DiskError`].
pub fn prepare(data: &DataDirectory) -> Result<(), DiskError> {
    let dir = data.staging();
    FileSystem.make_dir(&dir).map_err(DiskError::of("make", &dir))
}

/// Removes what is in `staging/` but for the names that begin with `keep`.
///
/// # Errors
/// [`DiskError`], with the first that cannot be removed.
pub fn clear(data: &DataDirectory, keep: Option<&str>) -> Result<(), DiskError> {
    let dir = data.staging();
    for name in names(&dir)? {
        if keep.is_none_or(|keep| !name.starts_with(keep)) {
            let path = dir.join(&name);
            remove(&path).map_err(DiskError::of("remove", &path))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => FileSystem.remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the slot of `image` beside the active one; the boot record stays as it is. A slot that is there and
/// verifies is kept.
///
/// # Errors
/// [`DiskError`]; what was written has no valid marker and is not started.
pub fn stage(disk: &mut impl Disk, data: &DataDirectory, image: &Image) -> Result<SlotRef, DiskError> {
    if verify(data, image.slot()).is_ok() {
        return Ok(image.slot().clone());
    }
    let slots = data.slots();
    if !slots.is_dir() {
        disk.make_dir(&slots).map_err(DiskError::of("make", &slots))?;
        disk.sync_dir(parent(&slots)).map_err(DiskError::of("sync", parent(&slots)))?;
    }
    write_slot(disk, data, image)?;
    Ok(image.slot().clone())
}

/// Removes every slot but those in `keep`; returns the names of those that went.
///
/// # Errors
/// [`DiskError`], with the first that cannot be removed.
pub fn sweep(data: &DataDirectory, keep: &[SlotRef]) -> Result<Vec<String>, DiskError> {
    let dir = data.slots();
    let mut gone = Vec::new();
    for name in names(&dir)? {
        if keep.iter().any(|slot| slot.name == name) {
            continue;
        }
        let path = dir.join(&name);
        remove(&path).map_err(DiskError::of("remove", &path))?;
        gone.push(name);
    }
    Ok(gone)
}

/// The names in a directory, in order; none when there is no such directory.
fn names(dir: &Path) -> Result<Vec<String>, DiskError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DiskError::of("read", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(DiskError::of("read", dir))?.file_name();
        names.extend(name.to_str().map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
