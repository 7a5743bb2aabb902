//! Publishing that a crash cannot cut in two: the whole new set is written aside first, then to its files.
//!
//! From the moment `staged/publishing.tar` is there, it is what is published: readers take it, and whoever holds the lock
//! next writes its files again. It goes when they are all written.

use super::{PublishError, ReleaseDirectory, disk, failed};
use crate::{
    document,
    keys::KeyId,
    listing::Listing,
    lock::{self, Lock},
    metadata::MetadataSet,
    scratch,
    tuf::Role,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tough::schema::{Root, Signed};
use weir_slots::digest_of_file;

/// What the name of an image ends in that is not published yet.
pub(super) const FRESH: &str = ".new";

impl ReleaseDirectory {
    /// Takes the lock and completes what a killed process left half done.
    pub(super) fn hold(&self) -> Result<Lock, PublishError> {
        let held = lock::hold(&self.dir)?;
        scratch::sweep(&self.dir);
        if let Some(set) = self.publishing()? {
            self.write(&set, &held)?;
        }
        self.settle_images(&held)?;
        Ok(held)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.folder("staged").join("publishing.tar")
    }

    /// The set whose publishing has begun and not ended.
    pub(super) fn publishing(&self) -> Result<Option<MetadataSet>, PublishError> {
        let path = self.journal();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(MetadataSet::parse(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Makes `set` what is published.
    pub(super) fn publish(&self, set: &MetadataSet, held: &Lock) -> Result<(), PublishError> {
        disk::write(&self.journal(), &set.to_bytes())?;
        self.write(set, held)?;
        self.settle_images(held)
    }

    /// Writes the files of `set`: the timestamp, which points at the rest, goes last.
    fn write(&self, set: &MetadataSet, held: &Lock) -> Result<(), PublishError> {
        let folder = self.folder("metadata");
        for (name, body) in set.files() {
            let path = folder.join(&name);
            if fs::read(&path).ok().as_deref() != Some(body) {
                disk::write(&path, body)?;
            }
        }
        self.clear_staged(held)?;
        remove_superseded(&folder, set)?;
        disk::remove(&self.journal())
    }

    /// Puts images that were published meanwhile in their places; removes those that nothing waits for.
    pub(super) fn settle_images(&self, _held: &Lock) -> Result<(), PublishError> {
        let folder = self.folder("images");
        let mut listing: Option<Listing> = None;
        let entries = match fs::read_dir(&folder) {
            // A copy that was made to be signed elsewhere needs no images.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed("read", &folder))?,
        };
        for entry in entries {
            let fresh = entry.map_err(failed("read", &folder))?.path();
            let Some(name) = fresh.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(FRESH)) else { continue };
            let listing = match &mut listing {
                Some(listing) => listing,
                None => listing.insert(self.listing()?),
            };
            let (sha256, bytes) = digest_of_file(&fresh).map_err(failed("read", &fresh))?;
            if listing.images.get(name).is_some_and(|listed| (listed.sha256, listed.bytes) == (sha256, bytes)) {
                disk::rename(&fresh, &folder.join(name))?;
            } else if self.staged()?.is_none() {
                disk::remove(&fresh)?;
            }
        }
        Ok(())
    }

    /// Adds the signatures that the file of this very root has, so that none is ever lost; whether there is one.
    ///
    /// # Errors
    /// [`PublishError::OtherRoot`]: the file is of another root.
    pub(super) fn join_signatures(&self, root: &mut Signed<Root>) -> Result<bool, PublishError> {
        let version = root.signed.version.get();
        let path = self.root_file(version);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let there = document::parse::<Root>(&bytes, Role::Root).ok().filter(|there| there.signed == root.signed);
        let there = there.ok_or(PublishError::OtherRoot(version))?;
        for signature in there.signatures {
            let signed = root.signatures.iter().any(|of| KeyId::of(&of.keyid) == KeyId::of(&signature.keyid));
            if !signed {
                root.signatures.push(signature);
            }
        }
        Ok(true)
    }

    /// Removes roots after the published one, which only a change that was cut off leaves.
    pub(super) fn remove_unpublished_roots(&self, published: u64, _held: &Lock) -> Result<(), PublishError> {
        let beyond = (published + 1..).map(|version| self.root_file(version)).take_while(|path| path.exists());
        // The last one first: what is there has no gap, wherever this is cut.
        let beyond: Vec<PathBuf> = beyond.collect();
        beyond.iter().rev().try_for_each(|path| disk::remove(path))
    }

    pub(super) fn root_file(&self, version: u64) -> PathBuf {
        self.folder("metadata").join(format!("{version}.root.json"))
    }
}

/// Removes snapshots and targets that nothing points at any more.
fn remove_superseded(folder: &Path, set: &MetadataSet) -> Result<(), PublishError> {
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let versioned = name.ends_with(".snapshot.json") || name.ends_with(".targets.json");
        if versioned && set.file(name).is_none() {
            disk::remove(&path)?;
        }
    }
    Ok(())
}
