//! Why a release directory cannot do what was asked.

use crate::{
    archive::ArchiveError,
    image::ImageError,
    keys::{KeyError, KeyId},
    listing::ListingError,
    metadata::SetError,
    tuf::{MetadataError, Role},
};
use std::path::PathBuf;
use weir_model::{LineageError, Version};
use weir_slots::DiskError;

/// Why a directory cannot do what was asked; it is as before.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is one already.
    #[error("{0} is a release directory already")]
    Exists(PathBuf),
    /// There is none.
    #[error("{0} is no release directory")]
    Absent(PathBuf),
    /// A change waits for signatures.
    #[error("a change waits for signatures: sign it or discard it first")]
    Pending,
    /// No change waits.
    #[error("no change waits for signatures")]
    NothingPending,
    /// The clock is before the newest signature.
    #[error("the clock is before the newest signature: set it right")]
    ClockBehind {
        /// The clock, in seconds since 1970.
        now: u64,
        /// The newest signature, in seconds since 1970.
        signed_at: u64,
    },
    /// The clock is after the end of what is published, which a clock that jumped is and a publisher rarely.
    #[error("the clock is after the end of the published metadata: nothing is signed by it unless it is forced")]
    ClockAhead {
        /// The clock, in seconds since 1970.
        now: u64,
        /// When the published timestamp ends, in seconds since 1970.
        expires: u64,
    },
    /// A listed release would be listed with another image.
    #[error("{0} is listed with another image, whose archives would install no more")]
    Replaces(Version),
    /// Something else is in the place of a new directory.
    #[error("{0} is not empty and no release directory")]
    NotEmpty(PathBuf),
    /// A root of this version is in `metadata/` that differs from the one to publish.
    #[error("another root {0} is there already, left by a change that was cut off")]
    OtherRoot(u64),
    /// A build of a line changes what every build of the line has in common.
    #[error("{field} differs from {other}, a build of the same line: that needs a new line")]
    InterfaceChanged {
        /// What differs.
        field: &'static str,
        /// The listed build it differs from.
        other: Version,
    },
    /// A version below the security floor.
    #[error("{version} is below the security floor {floor}")]
    BelowFloor {
        /// The version.
        version: Version,
        /// The floor.
        floor: Version,
    },
    /// A floor below the present one.
    #[error("the security floor is {0} and does not fall")]
    FloorFalls(Version),
    /// No such release.
    #[error("{0} is not listed")]
    NotListed(String),
    /// The image on the disk is not the listed one.
    #[error("{0} is not the image that is listed: build it again")]
    OtherImage(String),
    /// Fewer keys than signatures, or none.
    #[error("the {role} role would have {keys} keys and need {threshold} of them")]
    Quorum {
        /// The role.
        role: Role,
        /// Its keys.
        keys: usize,
        /// The signatures.
        threshold: u64,
    },
    /// A key that the role does not have.
    #[error("the {role} role has no key {id}")]
    NoKey {
        /// The role.
        role: Role,
        /// The key.
        id: KeyId,
    },
    /// The lineage.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// What the published metadata lists.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// Metadata that no reader would take, such as a list over its limit.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
