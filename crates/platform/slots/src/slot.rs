//! Slots: install an image so that a crash at any write starts a verified slot, and verify one before each start.

use crate::{
    BootError, BootRecord, DataDirectory, Digest, DiskError, Manifest, ManifestError, ManifestFile, PROGRAM, SlotRef, boot,
    digest_of_bytes, digest_of_file,
    disk::{Disk, parent},
    manifest::plain,
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

const MANIFEST: &str = "MANIFEST";

/// Holds the digest of the MANIFEST; written last, so its presence says that the tree was written whole.
const VERIFIED: &str = ".verified";

/// Permission bits of a slot's files and directories: nobody writes to an installed image.
const READ_ONLY: u32 = 0o555;

/// One file to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Path below the slot, with `/`. The worker's program is [`PROGRAM`].
    pub path: String,
    /// The file to take. On the same file system it is linked, not copied: it must not be written to afterwards.
    pub source: PathBuf,
}

/// Files measured for installation, once for any number of data directories.
#[derive(Debug, Clone)]
pub struct Image {
    slot: SlotRef,
    manifest: Vec<u8>,
    files: Vec<ImageFile>,
}

impl Image {
    /// Hashes the files of an image of `version` for this machine's architecture.
    ///
    /// # Errors
    /// [`InstallError`] when a file cannot be read or the files may not be one image.
    pub fn measure(version: &str, files: Vec<ImageFile>) -> Result<Self, InstallError> {
        let mut listed = Vec::with_capacity(files.len());
        for file in &files {
            let (sha256, bytes) = digest_of_file(&file.source).map_err(DiskError::of("read", &file.source))?;
            listed.push(ManifestFile { path: file.path.clone(), bytes, sha256 });
        }
        if !files.iter().any(|file| file.path == PROGRAM) {
            return Err(InstallError::NoProgram);
        }
        let manifest = Manifest::of(version, std::env::consts::ARCH, listed)?.to_bytes();
        let digest = digest_of_bytes(&manifest);
        Ok(Self { slot: SlotRef::of(version, digest), manifest, files })
    }

    /// An image that was unpacked below `tree`, with its MANIFEST, whose digest is `manifest`: the slot is named by it, and every
    /// file is compared with it. The files must not be written to afterwards.
    ///
    /// # Errors
    /// [`InstallError`] when it is not the image that `manifest` names.
    pub fn of_tree(tree: &Path, manifest: Digest) -> Result<Self, InstallError> {
        let path = tree.join(MANIFEST);
        let bytes = fs::read(&path).map_err(DiskError::of("read", &path))?;
        if digest_of_bytes(&bytes) != manifest {
            return Err(InstallError::OtherManifest(path));
        }
        let says = Manifest::parse(&bytes)?;
        if !says.files.iter().any(|file| file.path == PROGRAM) {
            return Err(InstallError::NoProgram);
        }
        // The version becomes a part of the slot's name.
        if says.version.contains('/') || !plain(&says.version) {
            return Err(ManifestError::Path(says.version).into());
        }
        let mut files = Vec::with_capacity(says.files.len());
        for file in says.files {
            let source = tree.join(&file.path);
            let is = digest_of_file(&source).map_err(DiskError::of("read", &source))?;
            if is != (file.sha256, file.bytes) {
                return Err(InstallError::OtherFile(source));
            }
            files.push(ImageFile { path: file.path, source });
        }
        Ok(Self { slot: SlotRef::of(&says.version, manifest), manifest: bytes, files })
    }

    /// The slot this image becomes.
    pub fn slot(&self) -> &SlotRef {
        &self.slot
    }
}

/// What an installation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// The first slot of this data directory.
    First,
    /// The slot was active; where it did not verify it was written again.
    Unchanged,
    /// Another build of the same version was active; its slot is gone.
    Replaced {
        /// What was active.
        before: SlotRef,
    },
}

/// Why an image could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The data directory runs another version, and only an update changes versions.
    #[error("the data directory {data} runs version {installed}, not {offered}")]
    OtherVersion {
        /// The data directory.
        data: String,
        /// What it runs.
        installed: String,
        /// What was offered.
        offered: String,
    },
    /// The image has no worker.
    #[error("the image has no file `{PROGRAM}`")]
    NoProgram,
    /// A MANIFEST other than the one that was asked for.
    #[error("{0} is not the MANIFEST of this image")]
    OtherManifest(PathBuf),
    /// A file that differs from what the MANIFEST lists.
    #[error("{0} is not the file that the MANIFEST lists")]
    OtherFile(PathBuf),
    /// The files may not be one image.
    #[error("the files are no image")]
    Manifest(#[from] ManifestError),
    /// The boot record.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Makes `image` the active slot of a data directory, which is made when absent. Either the slot before stays active
/// or the new one is whole; the slot before is removed only then.
///
/// # Errors
/// [`InstallError`]; the slot before is still active.
pub fn install(disk: &mut impl Disk, data: &DataDirectory, image: &Image) -> Result<Installed, InstallError> {
    let before = match boot::read(data) {
        Ok(found) => Some(found.record),
        Err(BootError::Absent(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(record) = &before {
        if record.active.version != image.slot.version {
            return Err(InstallError::OtherVersion {
                data: data.root().display().to_string(),
                installed: record.active.version.clone(),
                offered: image.slot.version.clone(),
            });
        }
        if record.active == image.slot && verify(data, &image.slot).is_ok() {
            return Ok(Installed::Unchanged);
        }
    }
    for dir in [data.root().to_owned(), data.boot(), data.slots()] {
        disk.make_dir(&dir).map_err(DiskError::of("make", &dir))?;
        let above = parent(&dir).to_owned();
        disk.sync_dir(&above).map_err(DiskError::of("sync", &above))?;
    }
    write_slot(disk, data, image)?;
    let record = match &before {
        None => BootRecord::first(image.slot.clone()),
        // Whoever installs by hand decides: no trial goes on, and what fell back before may run.
        Some(record) => BootRecord {
            active: image.slot.clone(),
            last_good: Some(image.slot.clone()),
            trial: None,
            fell_back: None,
            ..record.unburn(image.slot.manifest)
        },
    };
    boot::write(disk, data, &record)?;
    let Some(before) = before.map(|record| record.active) else { return Ok(Installed::First) };
    if before.name == image.slot.name {
        return Ok(Installed::Unchanged);
    }
    let gone = data.slot(&before.name);
    disk.remove_tree(&gone).map_err(DiskError::of("remove", &gone))?;
    Ok(Installed::Replaced { before })
}

fn mark_of(manifest: Digest) -> Vec<u8> {
    format!("{manifest}\n").into_bytes()
}

/// The tree in the order that makes the marker mean something: files, directories, marker, names.
pub(crate) fn write_slot(disk: &mut impl Disk, data: &DataDirectory, image: &Image) -> Result<(), DiskError> {
    let tree = data.slot(&image.slot.name);
    disk.remove_tree(&tree).map_err(DiskError::of("remove", &tree))?;
    disk.make_dir(&tree).map_err(DiskError::of("make", &tree))?;
    let dirs = directories(&tree, &image.files);
    for dir in &dirs {
        disk.make_dir(dir).map_err(DiskError::of("make", dir))?;
    }
    for file in &image.files {
        let path = tree.join(&file.path);
        place(disk, &file.source, &path)?;
        disk.set_mode(&path, READ_ONLY).map_err(DiskError::of("set the mode of", &path))?;
        disk.sync_file(&path).map_err(DiskError::of("sync", &path))?;
    }
    let manifest = tree.join(MANIFEST);
    disk.write(&manifest, &image.manifest).map_err(DiskError::of("write", &manifest))?;
    disk.sync_file(&manifest).map_err(DiskError::of("sync", &manifest))?;
    for dir in dirs.iter().rev().chain([&tree]) {
        disk.sync_dir(dir).map_err(DiskError::of("sync", dir))?;
    }
    let mark = tree.join(VERIFIED);
    disk.write(&mark, &mark_of(image.slot.manifest)).map_err(DiskError::of("write", &mark))?;
    disk.sync_file(&mark).map_err(DiskError::of("sync", &mark))?;
    disk.sync_dir(&tree).map_err(DiskError::of("sync", &tree))?;
    for dir in dirs.iter().chain([&tree]) {
        disk.set_mode(dir, READ_ONLY).map_err(DiskError::of("set the mode of", dir))?;
    }
    disk.sync_dir(&data.slots()).map_err(DiskError::of("sync", &data.slots()))
}

/// Directories below the tree that the files need, outer before inner.
fn directories(tree: &Path, files: &[ImageFile]) -> Vec<PathBuf> {
    let above = |path: &str| Path::new(path).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned).collect();
    let all: BTreeSet<PathBuf> = files.iter().flat_map(|file| -> Vec<PathBuf> { above(&file.path) }).collect();
    all.into_iter().map(|dir| tree.join(dir)).collect()
}

/// Links, or copies where the file system or its rules do not allow a link.
fn place(disk: &mut impl Disk, source: &Path, path: &Path) -> Result<(), DiskError> {
    match disk.link(source, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DiskError::of("read", source)(error)),
        Err(_) => disk.copy(source, path).map_err(DiskError::of("copy to", path)),
    }
}

/// A slot whose every file was just compared with its MANIFEST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSlot {
    /// Which slot.
    pub slot: SlotRef,
    /// Its worker.
    pub program: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
}

/// Why a slot may not be started.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its name is no directory below `slots/`.
    #[error("`{0}` is not the name of a slot")]
    Name(String),
    /// The tree was not written whole.
    #[error("slot {slot} has no valid {VERIFIED}: remove {tree} and install the release again")]
    NotWhole {
        /// The slot.
        slot: String,
        /// Its tree.
        tree: String,
    },
    /// The MANIFEST is not the one the boot record names.
    #[error("the MANIFEST of slot {slot} is not the one in the boot record: remove {tree} and install the release again")]
    OtherManifest {
        /// The slot.
        slot: String,
        /// Its tree.
        tree: String,
    },
    /// A file is not the one the MANIFEST lists.
    #[error("slot {slot}: {file} is not the file its MANIFEST lists: remove {tree} and install the release again")]
    OtherFile {
        /// The slot.
        slot: String,
        /// The file.
        file: String,
        /// Its tree.
        tree: String,
    },
    /// The MANIFEST may not be acted on.
    #[error("slot {slot}: unusable MANIFEST")]
    Manifest {
        /// The slot.
        slot: String,
        /// Why.
        source: ManifestError,
    },
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Compares every file of a slot with its MANIFEST and the MANIFEST with the digest the slot is named by.
///
/// # Errors
/// [`VerifyError`]: the slot must not be started.
pub fn verify(data: &DataDirectory, slot: &SlotRef) -> Result<VerifiedSlot, VerifyError> {
    // A version that is told over a socket becomes a part of a path.
    if slot.name.contains('/') || !plain(&slot.name) {
        return Err(VerifyError::Name(slot.name.clone()));
    }
    let tree = data.slot(&slot.name);
    let shown = || (slot.name.clone(), tree.display().to_string());
    let manifest = read_manifest(slot, &tree)?;
    if manifest.version != slot.version {
        let (slot, tree) = shown();
        return Err(VerifyError::OtherManifest { slot, tree });
    }
    for file in &manifest.files {
        let path = tree.join(&file.path);
        let is = digest_of_file(&path).map_err(DiskError::of("read", &path))?;
        if is != (file.sha256, file.bytes) {
            let (slot, tree) = shown();
            return Err(VerifyError::OtherFile { slot, file: file.path.clone(), tree });
        }
    }
    if !manifest.files.iter().any(|file| file.path == PROGRAM) {
        let (slot, tree) = shown();
        return Err(VerifyError::OtherFile { slot, file: PROGRAM.to_owned(), tree });
    }
    Ok(VerifiedSlot { program: tree.join(PROGRAM), slot: slot.clone(), manifest })
}

fn read_manifest(slot: &SlotRef, tree: &Path) -> Result<Manifest, VerifyError> {
    let shown = (slot.name.clone(), tree.display().to_string());
    let mark = tree.join(VERIFIED);
    match fs::read(&mark) {
        Ok(bytes) if bytes == mark_of(slot.manifest) => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(DiskError::of("read", &mark)(error).into()),
        _ => return Err(VerifyError::NotWhole { slot: shown.0, tree: shown.1 }),
    }
    let path = tree.join(MANIFEST);
    let bytes = fs::read(&path).map_err(DiskError::of("read", &path))?;
    if digest_of_bytes(&bytes) != slot.manifest {
        return Err(VerifyError::OtherManifest { slot: shown.0, tree: shown.1 });
    }
    Manifest::parse(&bytes).map_err(|source| VerifyError::Manifest { slot: shown.0, source })
}

#[cfg(test)]
pub(crate) mod tests;
