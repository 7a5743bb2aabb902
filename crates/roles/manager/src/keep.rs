//! Files only the manager may read: written whole or not at all, mode 0600, in a directory of mode 0700.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Makes the directory, and those above it, for this user only.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Writes the file durably: after a power cut it has the old content or the new.
pub(crate) fn file(path: &Path, content: &[u8]) -> io::Result<()> {
    weir_slots::durable_write_private(path, content).map_err(|error| error.source)
}
