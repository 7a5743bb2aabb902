//! One writer of a directory at a time.

use rustix::fs::{FlockOperation, flock};
use std::{fs::File, path::Path};
use weir_slots::DiskError;

/// Held until dropped; the system releases it when the process goes.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Waits until nobody else holds `directory`.
pub(crate) fn hold(directory: &Path) -> Result<Lock, DiskError> {
    let path = directory.join("lock");
    let failed = |source| DiskError { action: "lock", path: path.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(Lock { _file: file })
}
