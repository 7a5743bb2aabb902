//! Builds: images that are listed, and the archives made of them.

use super::{PublishError, Published, ReleaseDirectory, failed, journal::FRESH};
use crate::{
    archive::{Archive, archive_name, image_name},
    expiry::METADATA_LIFE,
    image::{ImagePlan, PackedImage, pack},
    listing::{Listed, Listing, Release},
    lock::Lock,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use weir_model::Version;
use weir_slots::{Digest, digest_of_bytes, digest_of_file};

impl ReleaseDirectory {
    /// Makes the image of a release, lists it, and takes its line into the lineage.
    ///
    /// # Errors
    /// [`PublishError`]; [`PublishError::Replaces`] when the version is listed with another image.
    pub fn build(&self, plan: &ImagePlan, now: u64) -> Result<(Listed, Published), PublishError> {
        self.build_held(plan, false, now, &self.hold()?)
    }

    /// As [`Self::build`], and a listed image of the same version goes off the list: its archives install no more.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn replace(&self, plan: &ImagePlan, now: u64) -> Result<(Listed, Published), PublishError> {
        self.build_held(plan, true, now, &self.hold()?)
    }

    /// As [`Self::replace`], unless an image with the very MANIFEST of `plan` is listed and here. Signs again what holds for
    /// less than half its life. `None`: nothing was to be signed.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn build_if_other(&self, plan: &ImagePlan, now: u64) -> Result<(Listed, Option<Published>), PublishError> {
        let held = self.hold()?;
        let manifest = digest_of_bytes(&plan.manifest()?.to_bytes());
        let current = self.current()?;
        let found = Listing::read(&current.targets.signed)?.images.remove(&image_name(plan.version, &plan.arch));
        let Some(listed) = found.filter(|listed| listed.release.as_ref().is_some_and(|release| release.manifest == manifest)) else {
            return self.build_held(plan, true, now, &held).map(|(listed, published)| (listed, Some(published)));
        };
        let image = self.folder("images").join(&listed.name);
        if fs::metadata(&image).map_or(0, |file| file.len()) != listed.bytes {
            return self.build_held(plan, true, now, &held).map(|(listed, published)| (listed, Some(published)));
        }
        let holds = current.set.claims()?.expires.saturating_sub(now) > METADATA_LIFE.as_secs() / 2;
        let renewed = if holds { None } else { Some(self.change_held(now, &held, |_, _| Ok(()))?) };
        Ok((listed, renewed))
    }

    /// The lock is held throughout: an image on the disk is the published one whenever it is free.
    fn build_held(&self, plan: &ImagePlan, replace: bool, now: u64, held: &Lock) -> Result<(Listed, Published), PublishError> {
        // Before the long work, and before the image that a waiting change needs is written over.
        if self.staged()?.is_some() {
            return Err(PublishError::Pending);
        }
        self.check_clock(&self.current()?, None, now)?;
        let name = image_name(plan.version, &plan.arch);
        let images = self.folder("images");
        let fresh = images.join(format!("{name}{FRESH}"));
        let built = pack(plan, &fresh).map_err(PublishError::from).and_then(|packed| {
            fs::File::open(&images).and_then(|folder| folder.sync_all()).map_err(failed("sync", &images))?;
            let listed = listed(name, &packed);
            let published = self.change_held(now, held, |_, listing| admit(listing, &packed, listed.clone(), replace))?;
            Ok((listed, published))
        });
        if built.is_err() {
            // It stays when it is listed by what is being published.
            drop(self.settle_images(held));
        }
        built
    }

    /// Writes the archive of a listed release, with the newest metadata, into the directory `to`.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn pack(&self, version: Version, arch: &str, to: &Path) -> Result<PathBuf, PublishError> {
        let _held = self.hold()?;
        let name = image_name(version, arch);
        let image = self.folder("images").join(&name);
        let listing = self.listing()?;
        let listed = listing.images.get(&name).ok_or_else(|| PublishError::NotListed(name.clone()))?;
        let (sha256, bytes): (Digest, u64) = digest_of_file(&image).map_err(failed("read", &image))?;
        if (sha256, bytes) != (listed.sha256, listed.bytes) {
            return Err(PublishError::OtherImage(name));
        }
        let archive = to.join(archive_name(version, arch));
        Archive::write(&archive, &self.metadata()?, &name, &image)?;
        Ok(archive)
    }
}

fn listed(name: String, packed: &PackedImage) -> Listed {
    let release = Release {
        version: packed.manifest.version,
        arch: packed.manifest.arch.clone(),
        manifest: packed.manifest_digest,
        interface: packed.manifest.interface.clone(),
    };
    Listed { name, bytes: packed.bytes, sha256: packed.sha256, release: Some(release) }
}

/// Lists a release, unless it breaks what its line or the floor promise.
fn admit(listing: &mut Listing, packed: &PackedImage, listed: Listed, replace: bool) -> Result<(), PublishError> {
    let manifest = &packed.manifest;
    if let Some(floor) = listing.floor.filter(|floor| manifest.version < *floor) {
        return Err(PublishError::BelowFloor { version: manifest.version, floor });
    }
    if !replace && listing.images.get(&listed.name).is_some_and(|present| present.sha256 != listed.sha256) {
        return Err(PublishError::Replaces(manifest.version));
    }
    let same_line = |release: &&Release| release.version.line == manifest.line && image_name(release.version, &release.arch) != listed.name;
    for other in listing.images.values().filter_map(|listed| listed.release.as_ref()).filter(same_line) {
        if let Some(field) = manifest.interface.difference(&other.interface) {
            return Err(PublishError::InterfaceChanged { field, other: other.version });
        }
    }
    listing.lineage.release(manifest.line, manifest.bridges.as_ref())?;
    listing.images.insert(listed.name.clone(), listed);
    Ok(())
}
