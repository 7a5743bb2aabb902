//! The writer's lease: one store at a time appends to a directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

/// Held by `flock`: it ends with its holder, however that ends.
pub(crate) struct Lease {
    _file: File,
}

impl Lease {
    /// Takes the lease; `None` while another store holds it.
    pub(crate) fn take(directory: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(directory.join("lease"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
