//! Why an archive may not be installed, and at which check that showed.

use super::TrustError;
use crate::{archive::ArchiveError, image::ImageError, metadata::SetError, tar::TarError, tuf::MetadataError};
use weir_model::{InvalidReason, Line, ReleaseCheck, Version};
use weir_slots::Digest;

/// Why an archive may not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not an archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Its metadata, or the newest metadata of all.
    #[error(transparent)]
    Metadata(MetadataError),
    /// The newest metadata does not list the image.
    #[error("{name} is not listed in the newest metadata")]
    Delisted {
        /// The image.
        name: String,
    },
    /// Another length than the listed one.
    #[error("the image has {found} bytes, the metadata lists {listed}")]
    WrongSize {
        /// What is signed, in bytes.
        listed: u64,
        /// What is there, in bytes.
        found: u64,
    },
    /// Another digest than the listed one.
    #[error("the image has the digest {found}, the metadata lists {listed}")]
    WrongDigest {
        /// What is signed.
        listed: Digest,
        /// What is there.
        found: Digest,
    },
    /// The image is not what a build makes.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The MANIFEST says something else than what is signed about the image.
    #[error("the {0} of the MANIFEST is not the one that is signed")]
    NotAsListed(&'static str),
    /// Another version than expected.
    #[error("the archive is version {found}, not {wanted}")]
    OtherVersion {
        /// What was registered.
        wanted: Version,
        /// What it is.
        found: Version,
    },
    /// Another architecture than expected.
    #[error("the archive is for {found}, not {wanted}")]
    OtherArch {
        /// The device's.
        wanted: String,
        /// The archive's.
        found: String,
    },
    /// A line that the lineage does not have.
    #[error("line {0} is not in the signed lineage")]
    UnknownLine(Line),
    /// A schema step without its way back.
    #[error("schema step {step} has no way back")]
    OneWay {
        /// The step.
        step: u32,
    },
    /// What is trusted here.
    #[error(transparent)]
    Store(TrustError),
}

impl From<TrustError> for Invalid {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Metadata(error) => Self::Metadata(error),
            other => Self::Store(other),
        }
    }
}

impl Invalid {
    /// The word for pages, JSON and alarms.
    pub fn reason(&self) -> InvalidReason {
        match self {
            Self::Archive(error) => of_archive(error),
            Self::Metadata(error) => of_metadata(error),
            Self::Delisted { .. } => InvalidReason::Delisted,
            Self::WrongSize { .. } => InvalidReason::WrongSize,
            Self::WrongDigest { .. } => InvalidReason::WrongDigest,
            Self::Image(error) => of_image(error),
            Self::NotAsListed("version") | Self::OtherVersion { .. } => InvalidReason::WrongVersion,
            Self::NotAsListed("arch") | Self::OtherArch { .. } => InvalidReason::WrongArch,
            Self::NotAsListed(_) => InvalidReason::ManifestMalformed,
            Self::UnknownLine(_) => InvalidReason::UnknownLine,
            Self::OneWay { .. } => InvalidReason::MigrationOneWay,
            Self::Store(_) => InvalidReason::Unreadable,
        }
    }

    /// The check that failed; those before it passed, those after it were not made.
    pub fn check(&self) -> ReleaseCheck {
        match self {
            Self::Archive(_) => ReleaseCheck::Archive,
            Self::Metadata(MetadataError::Expired { .. }) | Self::Delisted { .. } => ReleaseCheck::Listed,
            Self::Metadata(_) | Self::Store(_) => ReleaseCheck::Signature,
            Self::WrongSize { .. } | Self::WrongDigest { .. } => ReleaseCheck::Content,
            Self::Image(_) | Self::NotAsListed(_) => ReleaseCheck::Manifest,
            Self::OtherVersion { .. } => ReleaseCheck::Version,
            Self::OtherArch { .. } => ReleaseCheck::Arch,
            Self::UnknownLine(_) => ReleaseCheck::Lineage,
            Self::OneWay { .. } => ReleaseCheck::Migrations,
        }
    }
}

fn of_archive(error: &ArchiveError) -> InvalidReason {
    match error {
        ArchiveError::File { .. } => InvalidReason::Unreadable,
        ArchiveError::Set(SetError::Tar(error)) => of_tar(error),
        ArchiveError::Set(SetError::TooLarge(_)) | ArchiveError::TooLarge => InvalidReason::TooLarge,
        ArchiveError::Set(SetError::Missing(_)) => InvalidReason::MetadataMissing,
        ArchiveError::Set(SetError::Unexpected(_) | SetError::Twice(_)) => InvalidReason::NotAnArchive,
        ArchiveError::NoImage | ArchiveError::AfterImage(_) => InvalidReason::NotAnArchive,
    }
}

fn of_tar(error: &TarError) -> InvalidReason {
    match error {
        TarError::Io(_) => InvalidReason::Unreadable,
        TarError::Truncated => InvalidReason::Truncated,
        TarError::NotAFile(_) | TarError::Path(_) => InvalidReason::UnsafeEntry,
        TarError::NoHeader | TarError::Form(_) | TarError::Trailing => InvalidReason::NotAnArchive,
    }
}

fn of_metadata(error: &MetadataError) -> InvalidReason {
    match error {
        MetadataError::Malformed { .. } | MetadataError::Refused(_) => InvalidReason::MetadataMalformed,
        MetadataError::Missing { .. } => InvalidReason::MetadataMissing,
        MetadataError::Threshold { .. } => InvalidReason::Unsigned,
        MetadataError::DuplicateSignature { .. } => InvalidReason::DuplicateSignature,
        MetadataError::Rollback { .. } | MetadataError::SignedBefore => InvalidReason::Rollback,
        MetadataError::Mixed { .. } => InvalidReason::MetadataMixed,
        MetadataError::TooLarge { .. } => InvalidReason::TooLarge,
        MetadataError::Expired { .. } => InvalidReason::Expired,
        MetadataError::Scratch(_) => InvalidReason::Unreadable,
    }
}

fn of_image(error: &ImageError) -> InvalidReason {
    match error {
        ImageError::OtherFile(_) | ImageError::MissingFile(_) => InvalidReason::WrongFile,
        ImageError::TooLarge => InvalidReason::TooLarge,
        ImageError::File { .. } => InvalidReason::Unreadable,
        ImageError::Tar(TarError::NotAFile(_) | TarError::Path(_)) => InvalidReason::UnsafeEntry,
        // The digest of the image was right, so a decoder that fails means what was signed is no image.
        ImageError::Tar(_) | ImageError::Compression(_) => InvalidReason::ManifestMalformed,
        ImageError::Manifest(_) | ImageError::NoManifest | ImageError::OtherManifest => InvalidReason::ManifestMalformed,
    }
}
