//! An archive that was verified, written into its slot.

use crate::{Archive, Expected, Invalid, TrustStore};
use std::{error::Error, path::Path};
use weir_slots::{DataDirectory, Disk, DiskError, FileSystem, Image, InstallError, staging};

/// Why an archive is not in its slot.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It is not an image this device may run.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is another image than the one that was named.
    #[error("the MANIFEST is {found}; {wanted} was assigned")]
    Other {
        /// Its digest.
        found: String,
        /// The one that was named.
        wanted: String,
    },
    /// The disk.
    #[error("write the image into its slot")]
    Disk(#[source] Box<dyn Error + Send + Sync>),
    /// What was unpacked is not an image.
    #[error("read what was unpacked")]
    Unpacked(#[source] InstallError),
}

impl From<DiskError> for StageError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error.into())
    }
}

/// Verifies the archive at `path` against what `store` trusts, unpacks it at `tree`, below `staging/`, and writes the slot of the image
/// whose MANIFEST has the digest `manifest`, hex; `now` is the clock in seconds since 1970. `room` is what was kept free for it. Blocks.
///
/// # Errors
/// [`StageError`]; the slot is not there then.
pub fn stage(
    data: &DataDirectory,
    store: &TrustStore,
    path: &Path,
    (expected, manifest): (&Expected, &str),
    (tree, room): (&Path, Option<&Path>),
    now: u64,
) -> Result<(), StageError> {
    let archive = Archive::open(path).map_err(Invalid::Archive)?;
    let verified = store.verify(archive, expected, now)?;
    let found = verified.release.manifest;
    if found.to_string() != manifest {
        return Err(StageError::Other { found: found.to_string(), wanted: manifest.to_owned() });
    }
    FileSystem.remove_tree(tree).map_err(|error| StageError::Disk(error.into()))?;
    if let Some(room) = room {
        drop(std::fs::remove_file(room));
    }
    verified.unpack(tree).map_err(|error| StageError::Disk(error.into()))?;
    let image = Image::of_tree(tree, found).map_err(|error| match error {
        InstallError::Disk(error) => StageError::Disk(error.into()),
        other => StageError::Unpacked(other),
    })?;
    staging::stage(&mut FileSystem, data, &image).map_err(|error| StageError::Disk(error.into()))?;
    staging::clear(data, None)?;
    Ok(())
}
