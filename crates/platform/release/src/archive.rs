//! A release archive: the metadata of the network and the bytes of one image, in one file.
//!
//! `weir-<version>-<arch>.weir` is a container of [`crate::tar`]: the files of a [`MetadataSet`] below `metadata/`, then
//! `image/<name of the image>`. Nothing is compressed outside the image, so nothing is decompressed before its digest is known.

use crate::{
    image::{self, IMAGE_MAX_BYTES, ImageError},
    manifest::ReleaseManifest,
    metadata::{Collected, FOLDER, METADATA_MAX_BYTES, MetadataSet, SetError},
    tar::{TarError, TarReader, TarWriter},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use weir_model::Version;
use weir_slots::Digest;

/// The folder of the image.
const IMAGE_FOLDER: &str = "image/";

/// Largest archive, in bytes.
pub const ARCHIVE_MAX_BYTES: u64 = METADATA_MAX_BYTES + IMAGE_MAX_BYTES + 64 * 1024;

/// Bytes hashed at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// The name of the archive of a release.
pub fn archive_name(version: Version, arch: &str) -> String {
    format!("weir-{version}-{arch}.weir")
}

/// The name of the image of a release, which the metadata lists.
pub fn image_name(version: Version, arch: &str) -> String {
    format!("weir-{version}-{arch}.image")
}

/// Why a file is not an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its metadata, or the container.
    #[error(transparent)]
    Set(#[from] SetError),
    /// No image after the metadata.
    #[error("the archive has no image")]
    NoImage,
    /// Something after the image.
    #[error("the archive has `{0}` after its image")]
    AfterImage(String),
    /// Over [`ARCHIVE_MAX_BYTES`] or [`IMAGE_MAX_BYTES`].
    #[error("the archive is over its limit")]
    TooLarge,
}

impl From<TarError> for ArchiveError {
    fn from(error: TarError) -> Self {
        Self::Set(error.into())
    }
}

/// What is in an archive; nothing of it is verified.
#[derive(Debug)]
pub struct ArchiveContent {
    metadata: MetadataSet,
    /// The name the archive gives its image.
    name: String,
    /// Where the image begins, in bytes.
    offset: u64,
    bytes: u64,
    sha256: Digest,
}

/// An open archive that was read to its end once; nothing of it is verified.
#[derive(Debug)]
pub struct Archive {
    file: File,
    content: ArchiveContent,
}

impl Archive {
    /// Reads an archive: its metadata into memory, its image to its digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |source| ArchiveError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > ARCHIVE_MAX_BYTES {
            return Err(ArchiveError::TooLarge);
        }
        let content = ArchiveContent::read(BufReader::with_capacity(CHUNK_BYTES, &file))?;
        Ok(Self { file, content })
    }

    /// What is in it.
    pub fn content(&self) -> &ArchiveContent {
        &self.content
    }

    /// The MANIFEST of its image, after comparing every file with it. No signature is verified.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn manifest(&self) -> Result<ReleaseManifest, ImageError> {
        let unread = |source| ImageError::File { action: "read", path: self.content.name.clone().into(), source };
        image::check(self.image().map_err(unread)?, None)
    }

    /// The bytes of its image.
    pub(crate) fn image(&self) -> io::Result<impl Read + '_> {
        (&self.file).seek(SeekFrom::Start(self.content.offset))?;
        Ok(BufReader::with_capacity(CHUNK_BYTES, &self.file).take(self.content.bytes))
    }

    /// Writes an archive.
    ///
    /// # Errors
    /// [`ArchiveError`]; the file may be there in part.
    pub(crate) fn write(to: &Path, metadata: &MetadataSet, name: &str, image: &Path) -> Result<(), ArchiveError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ArchiveError::File { path, source }
        };
        let source = File::open(image).map_err(failed(image))?;
        let bytes = source.metadata().map_err(failed(image))?.len();
        let mut writer = TarWriter::new(BufWriter::new(File::create(to).map_err(failed(to))?));
        metadata.write(&mut writer)?;
        writer.add(&format!("{IMAGE_FOLDER}{name}"), bytes, source)?;
        let mut out = writer.finish()?;
        out.flush().map_err(failed(to))?;
        out.get_ref().sync_all().map_err(failed(to))
    }
}

impl ArchiveContent {
    /// The metadata it carries.
    pub fn metadata(&self) -> &MetadataSet {
        &self.metadata
    }

    /// The name it gives its image.
    pub fn image_name(&self) -> &str {
        &self.name
    }

    /// Length and digest of its image.
    pub fn image_digest(&self) -> (u64, Digest) {
        (self.bytes, self.sha256)
    }

    /// Reads an archive from its first byte to its last.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read(from: impl Read) -> Result<Self, ArchiveError> {
        let mut reader = TarReader::new(from);
        let mut collected = Collected::default();
        loop {
            let head = reader.next_entry()?.ok_or(ArchiveError::NoImage)?;
            if let Some(name) = head.path.strip_prefix(FOLDER) {
                collected.take(name, &mut reader)?;
                continue;
            }
            let name = head.path.strip_prefix(IMAGE_FOLDER).ok_or_else(|| SetError::Unexpected(head.path.clone()))?.to_owned();
            if head.bytes > IMAGE_MAX_BYTES {
                return Err(ArchiveError::TooLarge);
            }
            let offset = reader.position();
            let sha256 = digest(&mut reader)?;
            return match reader.next_entry()? {
                Some(after) => Err(ArchiveError::AfterImage(after.path)),
                None => Ok(Self { metadata: collected.finish()?, name, offset, bytes: head.bytes, sha256 }),
            };
        }
    }
}

fn digest(from: &mut impl Read) -> Result<Digest, TarError> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk).map_err(TarError::of_body)? {
            0 => return Ok(Digest::try_from(hex::encode(hash.finalize())).expect("a digest is 64 digits")),
            read => hash.update(&chunk[..read]),
        }
    }
}

#[cfg(test)]
mod tests;
