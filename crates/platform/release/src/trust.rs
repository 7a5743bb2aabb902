//! What a device or a manager trusts: a pinned root and the newest metadata seen since; archives are verified against it.
//!
//! ```text
//! <dir>/root.json      the pinned root, as the operator gave it
//! <dir>/metadata.tar   the newest metadata that was verified, with the roots since the pinned one
//! ```
//! A set is taken in whole or not at all. Two things only rise: versions, and the time the newest timestamp was signed. Both
//! start again when the root changes the keys that sign timestamps, which is the way back after such a key was misused.

use crate::{
    archive::Archive,
    document, image,
    listing::{Listed, Listing, ListingError, Release},
    lock,
    manifest::ReleaseManifest,
    metadata::{METADATA_MAX_BYTES, MetadataSet, ROOTS_MAX, SetError},
    scratch,
    tuf::{self, MetadataError, Role, Trusted},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tough::schema::Root;
use weir_model::{Lineage, Version};
use weir_slots::{DiskError, durable_write};

pub use self::invalid::Invalid;

mod invalid;
mod vouches;

/// A pinned root and what was verified from it.
#[derive(Debug, Clone)]
pub struct TrustStore {
    dir: PathBuf,
}

/// Why there is nothing to verify against.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Another root is pinned already.
    #[error("{0} has a pinned root already")]
    AlreadyPinned(PathBuf),
    /// No root is pinned.
    #[error("{0} has no pinned root")]
    NotPinned(PathBuf),
    /// What is stored is damaged.
    #[error("the stored metadata {path} is damaged; without it nothing remembers which releases were taken off the list")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        source: SetError,
    },
    /// Metadata that is not trusted.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What became of a set that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// It is the newest now.
    Newer,
    /// It is of the versions that are trusted already; nothing changed.
    Unchanged,
}

/// What an archive must be beside genuine.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The version it was registered as.
    pub version: Option<Version>,
    /// The architecture of the device it is for.
    pub arch: Option<String>,
}

/// An archive that may be installed.
#[derive(Debug)]
pub struct Verified {
    /// Its place in the newest metadata.
    pub listed: Listed,
    /// What is signed about it.
    pub release: Release,
    /// Its MANIFEST.
    pub manifest: ReleaseManifest,
    /// The newest lineage.
    pub lineage: Lineage,
    archive: Archive,
}

/// The store as it is on the disk, verified.
struct State {
    pinned: Vec<u8>,
    stored: Option<(MetadataSet, Trusted)>,
}

impl State {
    fn root(&self) -> &[u8] {
        self.stored.as_ref().map_or(&self.pinned, |(set, _)| set.newest_root().1)
    }

    /// Whether what is trusted may be behind `set`, by what that claims; a claim that does not hold fails when it is loaded.
    fn may_be_behind(&self, set: &MetadataSet) -> bool {
        let Some((_, trusted)) = &self.stored else { return true };
        let timestamp = trusted.repository.timestamp().signed.version.get();
        set.newest_root().0 > trusted.root_version() || set.claimed_version().is_none_or(|claimed| claimed > timestamp)
    }
}

impl TrustStore {
    /// Begins a store in `dir`, which is made, by trusting `root`.
    ///
    /// # Errors
    /// [`TrustError`]: a root is pinned already, or this one does not hold by itself.
    pub fn pin(dir: &Path, root: &[u8]) -> Result<Self, TrustError> {
        check_root(root)?;
        fs::create_dir_all(dir).map_err(failed("make", dir))?;
        let store = Self { dir: dir.to_owned() };
        let _held = lock::hold(dir)?;
        if store.pinned_file().exists() {
            return Err(TrustError::AlreadyPinned(dir.to_owned()));
        }
        durable_write(&store.pinned_file(), root)?;
        Ok(store)
    }

    /// The store in `dir`.
    ///
    /// # Errors
    /// [`TrustError::NotPinned`].
    pub fn open(dir: &Path) -> Result<Self, TrustError> {
        let store = Self { dir: dir.to_owned() };
        if !store.pinned_file().exists() {
            return Err(TrustError::NotPinned(dir.to_owned()));
        }
        scratch::sweep(dir);
        Ok(store)
    }

    fn pinned_file(&self) -> PathBuf {
        self.dir.join("root.json")
    }

    fn metadata_file(&self) -> PathBuf {
        self.dir.join("metadata.tar")
    }

    fn state(&self) -> Result<State, TrustError> {
        let path = self.pinned_file();
        let pinned = fs::read(&path).map_err(failed("read", &path))?;
        let stored = match self.metadata()? {
            Some(set) => {
                let trusted = tuf::verify(&pinned, &set, None, &self.dir)?;
                Some((set, trusted))
            }
            None => None,
        };
        Ok(State { pinned, stored })
    }

    /// The newest metadata, to hand to others; `None` before the first was loaded.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn metadata(&self) -> Result<Option<MetadataSet>, TrustError> {
        let path = self.metadata_file();
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error).into()),
            Ok(file) if file.len() > METADATA_MAX_BYTES => {
                return Err(TrustError::Damaged { source: SetError::TooLarge(path.display().to_string()), path });
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        MetadataSet::parse(&bytes).map(Some).map_err(|source| TrustError::Damaged { path, source })
    }

    /// The newest trusted root: the pinned one or a successor.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn root(&self) -> Result<Vec<u8>, TrustError> {
        Ok(self.state()?.root().to_vec())
    }

    /// The pinned root, as the operator gave it.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn pinned(&self) -> Result<Vec<u8>, TrustError> {
        let path = self.pinned_file();
        Ok(fs::read(&path).map_err(failed("read", &path))?)
    }

    /// Whether whoever trusts these bytes as a root trusts what this store does: they are a root of its chain, byte for byte,
    /// or the next one, signed as the newest asks.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn follows(&self, root: &[u8]) -> Result<bool, TrustError> {
        let state = self.state()?;
        let stored = state.stored.as_ref().is_some_and(|(set, _)| set.roots.values().any(|of| of == root));
        Ok(stored || state.pinned == root || succeeds(state.root(), root))
    }

    /// What the newest metadata lists, expired or not; `None` before the first was loaded.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn listing(&self) -> Result<Option<Listing>, TrustError> {
        self.state()?.stored.map(|(_, trusted)| Ok(listing(&trusted)?)).transpose()
    }

    /// Takes newer metadata in. `now` is the clock in seconds since 1970.
    ///
    /// # Errors
    /// [`TrustError`]: older, expired or not signed as the root asks; what was trusted before is trusted still.
    pub fn load(&self, set: &MetadataSet, now: u64) -> Result<Loaded, TrustError> {
        let _held = lock::hold(&self.dir)?;
        scratch::sweep(&self.dir);
        self.load_after(&self.state()?, set, now)
    }

    /// [`Self::load`] by whoever holds the lock since `before` was read.
    fn load_after(&self, before: &State, set: &MetadataSet, now: u64) -> Result<Loaded, TrustError> {
        let trusted = tuf::verify(before.root(), set, before.stored.as_ref().map(|(set, _)| set), &self.dir)?;
        let signed_before = |old: &Trusted| trusted.signed_at < old.signed_at && trusted.same_timestamp_keys(old);
        if before.stored.as_ref().is_some_and(|(_, old)| signed_before(old)) {
            return Err(MetadataError::SignedBefore.into());
        }
        trusted.check_expiry(now)?;
        listing(&trusted)?;
        if !before.may_be_behind(set) {
            return Ok(Loaded::Unchanged);
        }
        let kept = with_roots_of(before, set, trusted.root_version())?;
        durable_write(&self.metadata_file(), &kept.to_bytes())?;
        Ok(Loaded::Newer)
    }

    /// What is trusted once `set` was taken in, if it is newer. Judged and taken under one lock: another archive's metadata that
    /// came in between would make this one's a rollback.
    fn after(&self, set: &MetadataSet, now: u64) -> Result<State, TrustError> {
        let _held = lock::hold(&self.dir)?;
        scratch::sweep(&self.dir);
        let before = self.state()?;
        if !before.may_be_behind(set) {
            return Ok(before);
        }
        self.load_after(&before, set, now)?;
        self.state()
    }

    /// Verifies an archive, taking its metadata in first if that is newer. `now` is the clock in seconds since 1970.
    ///
    /// # Errors
    /// [`Invalid`], with the first check that failed.
    pub fn verify(&self, archive: Archive, expected: &Expected, now: u64) -> Result<Verified, Invalid> {
        let Some((_, trusted)) = self.after(archive.content().metadata(), now)?.stored else {
            return Err(Invalid::Store(TrustError::NotPinned(self.dir.clone())));
        };
        trusted.check_expiry(now).map_err(Invalid::Metadata)?;
        let listing = listing(&trusted).map_err(Invalid::Metadata)?;
        let listed = listed_as(&archive, &listing)?;
        let release = listed.release.clone().ok_or(Invalid::NotAsListed("release"))?;
        let image =
            archive.image().map_err(|source| Invalid::Store(failed("read", Path::new(archive.content().image_name()))(source).into()))?;
        let manifest = image::check(image, Some(release.manifest))?;
        agrees(&manifest, &release)?;
        fits(&manifest, expected, &listing.lineage)?;
        Ok(Verified { listed, release, manifest, lineage: listing.lineage, archive })
    }
}

/// Whether these bytes are a root that holds by itself, and which version of it.
///
/// # Errors
/// [`MetadataError`].
pub fn check_root(root: &[u8]) -> Result<u64, MetadataError> {
    let document = document::parse::<Root>(root, Role::Root)?;
    document::verify(&document, &document.signed, Role::Root)?;
    Ok(document.signed.version.get())
}

/// Whether `next` is the root after `root`, signed as both ask.
pub fn succeeds(root: &[u8], next: &[u8]) -> bool {
    let parse = |bytes| document::parse::<Root>(bytes, Role::Root).ok();
    let (Some(root), Some(next)) = (parse(root), parse(next)) else { return false };
    let signed = |of: &Root| document::verify(&next, of, Role::Root).is_ok();
    root.signed.version.checked_add(1) == Some(next.signed.version) && signed(&root.signed) && signed(&next.signed)
}

/// Verifies an archive from a root alone, as a device that has seen nothing else would.
///
/// # Errors
/// [`Invalid`], with the first check that failed.
pub fn verify_from(root: &[u8], archive: Archive, expected: &Expected, now: u64) -> Result<Verified, Invalid> {
    let scratch = tempfile::tempdir().map_err(|source| Invalid::Metadata(source.into()))?;
    TrustStore::pin(&scratch.path().join("trust"), root)?.verify(archive, expected, now)
}

impl Verified {
    /// Writes the files of the image and its MANIFEST below `into`, which is made; each is compared with its digest again.
    ///
    /// # Errors
    /// [`image::ImageError`]; what was written is the caller's to remove.
    pub fn unpack(&self, into: &Path) -> Result<(), image::ImageError> {
        let unread = |source| image::ImageError::File { action: "read", path: self.listed.name.clone().into(), source };
        image::unpack(self.archive.image().map_err(unread)?, self.release.manifest, into).map(|_| ())
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError { action, path, source }
}

fn listing(trusted: &Trusted) -> Result<Listing, MetadataError> {
    let malformed = |error: ListingError| MetadataError::Malformed { role: Role::Targets, source: Box::new(error) };
    Listing::read(&trusted.repository.targets().signed).map_err(malformed)
}

/// `set` with the roots that were verified: ours up to the one trusted before, its own from there to `newest`.
fn with_roots_of(before: &State, set: &MetadataSet, newest: u64) -> Result<MetadataSet, MetadataError> {
    let mut roots = match &before.stored {
        Some((old, _)) => old.roots.clone(),
        None => {
            let pinned = document::parse::<Root>(&before.pinned, Role::Root)?.signed.version.get();
            [(pinned, before.pinned.clone())].into()
        }
    };
    let trusted = roots.last_key_value().map_or(0, |(version, _)| *version);
    let verified = set.roots.iter().filter(|(version, _)| (trusted + 1..=newest).contains(version));
    roots.extend(verified.map(|(version, body)| (*version, body.clone())));
    if roots.len() > ROOTS_MAX {
        return Err(MetadataError::TooLarge { role: Role::Root });
    }
    Ok(MetadataSet { roots, ..set.clone() })
}

fn listed_as(archive: &Archive, listing: &Listing) -> Result<Listed, Invalid> {
    let (bytes, sha256) = archive.content().image_digest();
    let name = archive.content().image_name();
    let listed = listing.images.get(name).ok_or_else(|| Invalid::Delisted { name: name.to_owned() })?;
    if listed.bytes != bytes {
        return Err(Invalid::WrongSize { listed: listed.bytes, found: bytes });
    }
    if listed.sha256 != sha256 {
        return Err(Invalid::WrongDigest { listed: listed.sha256, found: sha256 });
    }
    Ok(listed.clone())
}

/// A MANIFEST says of itself what is signed about it.
fn agrees(manifest: &ReleaseManifest, release: &Release) -> Result<(), Invalid> {
    let parts = [
        ("version", manifest.version == release.version),
        ("arch", manifest.arch == release.arch),
        ("interface", manifest.interface == release.interface),
    ];
    match parts.into_iter().find(|(_, same)| !same) {
        Some((part, _)) => Err(Invalid::NotAsListed(part)),
        None => Ok(()),
    }
}

fn fits(manifest: &ReleaseManifest, expected: &Expected, lineage: &Lineage) -> Result<(), Invalid> {
    if let Some(wanted) = expected.version.filter(|wanted| *wanted != manifest.version) {
        return Err(Invalid::OtherVersion { wanted, found: manifest.version });
    }
    if let Some(wanted) = expected.arch.as_ref().filter(|wanted| **wanted != manifest.arch) {
        return Err(Invalid::OtherArch { wanted: wanted.clone(), found: manifest.arch.clone() });
    }
    if !lineage.contains(manifest.line) {
        return Err(Invalid::UnknownLine(manifest.line));
    }
    manifest.one_way().map_or(Ok(()), |step| Err(Invalid::OneWay { step }))
}

#[cfg(test)]
mod tests;
