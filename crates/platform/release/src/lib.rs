//! Release archives: the signed metadata of a network's releases and the bytes of one image.
//!
//! A publisher keeps a [`ReleaseDirectory`]: keys, images, and TUF metadata that only rises. [`ReleaseDirectory::pack`] writes
//! `weir-<version>-<arch>.weir`. Whoever installs keeps a [`TrustStore`]: it begins with a pinned root, takes newer metadata
//! in, and verifies archives against the newest it has seen, so that an old archive still installs and a de-listed one does
//! not. `docs/protocols/release-archive.md` describes every byte.
//!
//! Everything here blocks on files and hashing: call it from a blocking thread.

mod archive;
mod document;
mod expiry;
#[cfg(test)]
mod fixture;
mod image;
mod keys;
mod listing;
mod lock;
mod manifest;
mod metadata;
mod publish;
mod scratch;
mod slot;
mod tar;
mod trust;
mod tuf;

pub use archive::{ARCHIVE_MAX_BYTES, Archive, ArchiveContent, ArchiveError, archive_name, image_name};
pub use expiry::{METADATA_LIFE, ROOT_LIFE};
pub use image::{Effort, IMAGE_MAX_BYTES, ImageError, ImagePlan, PackedImage, UNPACKED_MAX_BYTES, check as check_image};
pub use keys::{KeyError, KeyId, PublicKey, SigningKey};
pub use listing::{Claims, Listed, Listing, ListingError, PartClaims, Release, RoleClaims};
pub use manifest::{Migration, RELEASE_MANIFEST, ReleaseManifest, ReleaseManifestError};
pub use metadata::{METADATA_MAX_BYTES, MetadataSet, ROOTS_MAX, SetError};
pub use publish::{KeyFile, KeyPlan, Lacking, PublishError, Published, Quorum, ReleaseDirectory, Rotation};
pub use slot::{StageError, stage};
pub use tar::{Head, TarError, TarReader, TarWriter};
pub use trust::{Expected, Invalid, Loaded, TrustError, TrustStore, Verified, check_root, succeeds, verify_from};
pub use tuf::{MetadataError, Role};
