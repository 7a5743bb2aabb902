//! The image of a release: MANIFEST and files in one compressed container.
//!
//! Zstandard around the container of [`crate::tar`], MANIFEST first. An image is decompressed only after its digest was
//! compared with the signed one, within fixed limits of memory and length, and each file is compared with the MANIFEST.

use crate::{
    manifest::{Migration, RELEASE_MANIFEST, ReleaseManifest, ReleaseManifestError},
    tar::{TarError, TarReader, TarWriter},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};
use weir_model::{Line, ReleaseInterface, Version};
use weir_slots::{Digest, ImageFile, MANIFEST_MAX_BYTES, ManifestFile, digest_of_bytes, digest_of_file};

/// Largest image, in bytes.
pub const IMAGE_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Most bytes in the files of one image.
pub const UNPACKED_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// How hard an image is compressed. The same effort makes the same bytes of the same plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// For publishing: higher levels gain little on programs and take far longer.
    #[default]
    Release,
    /// For a program that is built and started every few minutes.
    Development,
}

impl Effort {
    /// The level of Zstandard.
    fn level(self) -> i32 {
        match self {
            Self::Release => 12,
            Self::Development => 1,
        }
    }
}

/// Most memory a decoder keeps, as the logarithm of bytes: 8 MiB, more than the level above writes.
const WINDOW_LOG_MAX: u32 = 23;

/// Bytes moved at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// What a release is made of.
#[derive(Debug, Clone)]
pub struct ImagePlan {
    /// Its version.
    pub version: Version,
    /// The architecture of its programs.
    pub arch: String,
    /// The bridges its line states, when it is the first of its major.
    pub bridges: Option<BTreeSet<Line>>,
    /// What it has in common with every build of its line.
    pub interface: ReleaseInterface,
    /// The schema steps it brings, in order.
    pub migrations: Vec<Migration>,
    /// What an operator should know.
    pub notes: String,
    /// What a build for tests does wrong on purpose.
    pub fault: Option<String>,
    /// How hard it is compressed.
    pub effort: Effort,
    /// The files: the worker `weir`, the keeper `weir-keeper` and what they need.
    pub files: Vec<ImageFile>,
}

/// An image on the disk.
#[derive(Debug, Clone)]
pub struct PackedImage {
    /// Its MANIFEST.
    pub manifest: ReleaseManifest,
    /// The digest of the MANIFEST.
    pub manifest_digest: Digest,
    /// The length of the image in bytes.
    pub bytes: u64,
    /// The digest of the image.
    pub sha256: Digest,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The container.
    #[error("the image is not whole")]
    Tar(#[from] TarError),
    /// The compression.
    #[error("the image cannot be decompressed")]
    Compression(#[source] io::Error),
    /// The MANIFEST.
    #[error("the image has no usable MANIFEST")]
    Manifest(#[from] ReleaseManifestError),
    /// The first entry is not the MANIFEST.
    #[error("the image does not begin with its MANIFEST")]
    NoManifest,
    /// A MANIFEST other than the one that is signed.
    #[error("the MANIFEST is not the one that is signed")]
    OtherManifest,
    /// A file that differs from what the MANIFEST lists, or that it does not list.
    #[error("`{0}` is not the file that the MANIFEST lists")]
    OtherFile(String),
    /// A file that the MANIFEST lists is not there.
    #[error("there is no `{0}`")]
    MissingFile(String),
    /// Over [`IMAGE_MAX_BYTES`] or [`UNPACKED_MAX_BYTES`].
    #[error("the image is over its limit")]
    TooLarge,
    /// A file on this machine.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ImageError {
    fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

impl ImagePlan {
    /// The MANIFEST its image has; every file is read.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn manifest(&self) -> Result<ReleaseManifest, ImageError> {
        manifest_of(self, &self.sorted_files())
    }

    fn sorted_files(&self) -> Vec<ImageFile> {
        let mut files = self.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

/// Writes the image of `plan` to the file `to`, and reads it back.
///
/// # Errors
/// [`ImageError`]; the file may be there in part.
pub(crate) fn pack(plan: &ImagePlan, to: &Path) -> Result<PackedImage, ImageError> {
    let files = plan.sorted_files();
    let manifest = manifest_of(plan, &files)?;
    let bytes = manifest.to_bytes();
    let manifest_digest = digest_of_bytes(&bytes);
    let out = File::create(to).map_err(ImageError::file("make", to))?;
    let encoder = zstd::stream::write::Encoder::new(BufWriter::new(out), plan.effort.level()).map_err(ImageError::Compression)?;
    let mut writer = TarWriter::new(encoder);
    writer.add(RELEASE_MANIFEST, bytes.len() as u64, bytes.as_slice())?;
    for (file, listed) in files.iter().zip(&manifest.files) {
        let source = File::open(&file.source).map_err(ImageError::file("read", &file.source))?;
        writer.add(&file.path, listed.bytes, source)?;
    }
    let out = writer.finish()?.finish().map_err(ImageError::Compression)?;
    let out = out.into_inner().map_err(|error| ImageError::file("write", to)(error.into_error()))?;
    out.sync_all().map_err(ImageError::file("write", to))?;
    let (sha256, bytes) = digest_of_file(to).map_err(ImageError::file("read", to))?;
    if bytes > IMAGE_MAX_BYTES {
        return Err(ImageError::TooLarge);
    }
    // What this machine could not install is not published: a source that changed meanwhile, a file over its limit.
    check(File::open(to).map_err(ImageError::file("read", to))?, Some(manifest_digest))?;
    Ok(PackedImage { manifest, manifest_digest, bytes, sha256 })
}

fn manifest_of(plan: &ImagePlan, files: &[ImageFile]) -> Result<ReleaseManifest, ImageError> {
    let mut listed = Vec::with_capacity(files.len());
    for file in files {
        let (sha256, bytes) = digest_of_file(&file.source).map_err(ImageError::file("read", &file.source))?;
        listed.push(ManifestFile { path: file.path.clone(), bytes, sha256 });
    }
    let manifest = ReleaseManifest {
        format: 1,
        version: plan.version,
        line: plan.version.line,
        bridges: plan.bridges.clone(),
        arch: plan.arch.clone(),
        interface: plan.interface.clone(),
        migrations: plan.migrations.clone(),
        notes: plan.notes.clone(),
        fault: plan.fault.clone(),
        files: listed,
    };
    Ok(ReleaseManifest::parse(&manifest.to_bytes())?)
}

/// Reads an image to its end: every file is the one the MANIFEST lists, and the MANIFEST the signed one when that is given.
///
/// # Errors
/// [`ImageError`].
pub fn check(image: impl Read, signed: Option<Digest>) -> Result<ReleaseManifest, ImageError> {
    read(image, signed, |_| Ok(Box::new(io::sink()))).map(|(manifest, _)| manifest)
}

/// Writes the files of an image and its MANIFEST below `into`, a directory that is not there yet.
///
/// # Errors
/// [`ImageError`]; what was written is the caller's to remove.
pub(crate) fn unpack(image: impl Read, signed: Digest, into: &Path) -> Result<ReleaseManifest, ImageError> {
    fs::create_dir(into).map_err(ImageError::file("make", into))?;
    let (manifest, bytes) = read(image, Some(signed), |path| {
        let path = into.join(path);
        let above = path.parent().unwrap_or(into);
        fs::create_dir_all(above).map_err(ImageError::file("make", above))?;
        let file = File::create_new(&path).map_err(ImageError::file("make", &path))?;
        Ok(Box::new(file))
    })?;
    let path = into.join(RELEASE_MANIFEST);
    fs::write(&path, bytes).map_err(ImageError::file("write", &path))?;
    Ok(manifest)
}

/// Reads an image; the body of each file goes to what `open` gives for its path. Also gives the bytes of the MANIFEST.
fn read(
    image: impl Read,
    signed: Option<Digest>,
    mut open: impl FnMut(&str) -> Result<Box<dyn Write>, ImageError>,
) -> Result<(ReleaseManifest, Vec<u8>), ImageError> {
    let mut fault = None;
    let outcome = decode(Watched { from: image, fault: &mut fault }, signed, &mut open);
    match fault {
        // The disk failed, which says nothing about the image.
        Some(source) => Err(ImageError::File { action: "read", path: "the image".into(), source }),
        None => outcome,
    }
}

/// Keeps the error of the reader below a decoder, whose own errors look the same.
struct Watched<'a, R> {
    from: R,
    fault: &'a mut Option<io::Error>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.from.read(into).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let kind = error.kind();
            *self.fault = Some(error);
            kind.into()
        })
    }
}

fn decode(
    image: impl Read,
    signed: Option<Digest>,
    open: &mut impl FnMut(&str) -> Result<Box<dyn Write>, ImageError>,
) -> Result<(ReleaseManifest, Vec<u8>), ImageError> {
    let mut decoder = zstd::stream::read::Decoder::new(image).map_err(ImageError::Compression)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(ImageError::Compression)?;
    let mut reader = TarReader::new(decoder);
    let (manifest, bytes) = read_manifest(&mut reader, signed)?;
    for listed in &manifest.files {
        let head = reader.next_entry()?.ok_or_else(|| ImageError::MissingFile(listed.path.clone()))?;
        if head.path != listed.path || head.bytes != listed.bytes {
            return Err(ImageError::OtherFile(head.path));
        }
        let mut out = open(&head.path)?;
        if copy(&mut reader, &mut *out, &head.path)? != listed.sha256.to_string() {
            return Err(ImageError::OtherFile(head.path));
        }
    }
    match reader.next_entry()? {
        Some(head) => Err(ImageError::OtherFile(head.path)),
        None => Ok((manifest, bytes)),
    }
}

fn read_manifest(reader: &mut TarReader<impl Read>, signed: Option<Digest>) -> Result<(ReleaseManifest, Vec<u8>), ImageError> {
    reader.next_entry()?.filter(|head| head.path == RELEASE_MANIFEST).ok_or(ImageError::NoManifest)?;
    let bytes = reader.body(MANIFEST_MAX_BYTES as u64)?.ok_or(ImageError::TooLarge)?;
    if signed.is_some_and(|signed| signed != digest_of_bytes(&bytes)) {
        return Err(ImageError::OtherManifest);
    }
    let manifest = ReleaseManifest::parse(&bytes)?;
    if manifest.file_bytes() > UNPACKED_MAX_BYTES { Err(ImageError::TooLarge) } else { Ok((manifest, bytes)) }
}

/// Copies the current entry and gives its digest.
fn copy(from: &mut impl Read, to: &mut dyn Write, path: &str) -> Result<String, ImageError> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).map_err(TarError::of_body)?;
        if read == 0 {
            to.flush().map_err(ImageError::file("write", Path::new(path)))?;
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read]).map_err(ImageError::file("write", Path::new(path)))?;
    }
}

#[cfg(test)]
mod tests;
