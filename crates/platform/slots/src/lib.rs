//! The data directory of a device: `device.toml`, boot record, slot tree and durable writes behind one `Disk` seam; no async.
//!
//! Every durable write goes through [`Disk`], so a test can record them, cut the power after any one and look at what
//! is left. `docs/protocols/data-directory.md` describes the files.

pub mod boot;
pub mod device;
mod digest;
mod disk;
pub mod journal;
mod layout;
mod manifest;
mod slot;
pub mod staging;

pub use boot::{BootError, BootRecord, FellBack, SlotRef, Trial};
pub use device::{DeviceFile, DeviceFileError};
pub use digest::{Digest, digest_of_bytes, digest_of_file};
pub use disk::{Disk, FileSystem, durable_write, durable_write_private};
pub use journal::{Journal, JournalError};
pub use layout::DataDirectory;
pub use manifest::{FILES_MAX, MANIFEST_MAX_BYTES, Manifest, ManifestError, ManifestFile};
pub use slot::{Image, ImageFile, InstallError, Installed, VerifiedSlot, VerifyError, install, verify};

/// The name of the worker's program in every slot.
pub const PROGRAM: &str = "weir";

/// Why something on the disk could not be done, with the file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", .path.display())]
pub struct DiskError {
    /// What was tried.
    pub action: &'static str,
    /// On which file or directory.
    pub path: std::path::PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

impl DiskError {
    pub(crate) fn of(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}
