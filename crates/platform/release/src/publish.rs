//! A release directory: the publisher's keys, images and metadata.
//!
//! ```text
//! <dir>/keys/       private keys that are on this machine; root keys belong elsewhere
//! <dir>/metadata/   what is published: <n>.root.json of every n, timestamp.json, <n>.snapshot.json, <n>.targets.json
//! <dir>/staged/     what waits for signatures of keys that are not here
//! <dir>/images/     the image of every listed release
//! ```
//! Every change signs everything again with versions one higher. A change whose signatures are not complete waits in
//! `staged/`; nothing is published that a trust store would refuse.

use crate::{
    archive::{ArchiveError, image_name},
    document,
    expiry::{self, ROOT_LIFE},
    image::ImageError,
    keys::{KeyError, KeyId, PublicKey, SigningKey},
    listing::{Listing, ListingError},
    lock,
    metadata::{MetadataSet, SetError},
    tuf::{MetadataError, Role},
};
use std::{
    collections::HashMap,
    fs, io,
    num::NonZeroU64,
    path::{Path, PathBuf},
};
use tough::schema::{RoleKeys, Root};
use weir_model::{LineageError, Version};
use weir_slots::DiskError;

mod build;
mod change;
mod overview;

pub use overview::KeyFile;

/// Most private keys in one directory.
const KEYS_MAX: usize = 64;

/// A publisher's directory.
#[derive(Debug, Clone)]
pub struct ReleaseDirectory {
    dir: PathBuf,
}

/// How many keys a role has and how many of them must sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// Keys.
    pub keys: u8,
    /// Signatures.
    pub threshold: u8,
}

/// The keys of a new directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlan {
    /// One key for everything.
    Development,
    /// Keys of their own for root and targets, and for snapshot and timestamp together.
    Separate {
        /// Of the root.
        root: Quorum,
        /// Of the targets.
        targets: Quorum,
        /// Of snapshot and timestamp.
        online: Quorum,
    },
}

/// A change of the keys of one role.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The role.
    pub role: Role,
    /// Keys it gets.
    pub add: Vec<PublicKey>,
    /// Keys it loses.
    pub remove: Vec<KeyId>,
    /// How many must sign from now on; unchanged when absent.
    pub threshold: Option<u8>,
}

/// Signatures that a staged part waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    /// The part.
    pub role: Role,
    /// Signatures it needs of one set of keys.
    pub needed: u64,
    /// Valid ones it has.
    pub valid: u64,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is published, with this version of the timestamp.
    Version(u64),
    /// It waits in `staged/` for these.
    Waiting(Vec<Lacking>),
}

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

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    move |source| DiskError { action, path, source }.into()
}

impl ReleaseDirectory {
    /// Makes a directory with new keys and metadata that lists nothing. `now` is the clock in seconds since 1970, here and below.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn create(dir: &Path, plan: KeyPlan, now: u64) -> Result<Self, PublishError> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let this = Self { dir: dir.to_owned() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make", dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed("set the mode of", dir))?;
        let held = lock::hold(dir)?;
        if this.folder("metadata").join("timestamp.json").exists() {
            return Err(PublishError::Exists(dir.to_owned()));
        }
        for name in ["keys", "metadata", "staged", "images"] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(this.folder(name)).map_err(failed("make", &this.folder(name)))?;
        }
        let root = this.first_root(plan, now)?;
        this.begin(root, now, &held)?;
        Ok(this)
    }

    /// The directory at `dir`, made when there is none.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn open_or_create(dir: &Path, plan: KeyPlan, now: u64) -> Result<Self, PublishError> {
        match Self::create(dir, plan, now) {
            Err(PublishError::Exists(_)) => Self::open(dir),
            result => result,
        }
    }

    /// The directory at `dir`.
    ///
    /// # Errors
    /// [`PublishError::Absent`].
    pub fn open(dir: &Path) -> Result<Self, PublishError> {
        let this = Self { dir: dir.to_owned() };
        let there = this.folder("metadata").join("timestamp.json").exists();
        if there { Ok(this) } else { Err(PublishError::Absent(dir.to_owned())) }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a private key in `keys/`; a rotation makes use of it.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn new_key(&self, label: &str) -> Result<PublicKey, PublishError> {
        let key = SigningKey::generate()?;
        key.write(&self.folder("keys").join(format!("{label}-{}.pem", key.public().id().short())))?;
        Ok(key.public())
    }

    /// The private keys that are here.
    fn keys(&self) -> Result<Vec<SigningKey>, PublishError> {
        self.key_paths()?.iter().map(|path| Ok(SigningKey::read(path)?)).collect()
    }

    fn key_paths(&self) -> Result<Vec<PathBuf>, PublishError> {
        let folder = self.folder("keys");
        let entries = fs::read_dir(&folder).map_err(failed("read", &folder))?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(failed("read", &folder))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
        paths.sort();
        paths.truncate(KEYS_MAX);
        Ok(paths)
    }

    fn first_root(&self, plan: KeyPlan, now: u64) -> Result<Root, PublishError> {
        let mut root = Root {
            spec_version: document::SPECIFICATION.to_owned(),
            consistent_snapshot: true,
            version: NonZeroU64::MIN,
            expires: expiry::expires(now, ROOT_LIFE),
            keys: HashMap::new(),
            roles: HashMap::new(),
            _extra: HashMap::new(),
        };
        let one = Quorum { keys: 1, threshold: 1 };
        let groups: &[(&str, Quorum, &[Role])] = match plan {
            KeyPlan::Development => &[("development", one, &Role::ALL)],
            KeyPlan::Separate { root, targets, online } => &[
                ("root", root, &[Role::Root]),
                ("targets", targets, &[Role::Targets]),
                ("online", online, &[Role::Snapshot, Role::Timestamp]),
            ],
        };
        for (label, quorum, roles) in groups {
            let keys = (0..quorum.keys).map(|_| self.new_key(label)).collect::<Result<Vec<_>, _>>()?;
            for role in *roles {
                let rotation = Rotation { role: *role, add: keys.clone(), remove: Vec::new(), threshold: Some(quorum.threshold) };
                apply(&mut root, &rotation)?;
            }
        }
        Ok(root)
    }

    /// Takes a release off the list: no store that has seen this installs it again.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn delist(&self, version: Version, arch: &str, now: u64) -> Result<Published, PublishError> {
        let name = image_name(version, arch);
        self.change(now, |_, listing| match listing.images.remove(&name) {
            Some(_) => Ok(()),
            None => Err(PublishError::NotListed(name)),
        })
    }

    /// Raises the security floor and takes every release below it off the list.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn raise_floor(&self, floor: Version, now: u64) -> Result<Published, PublishError> {
        self.change(now, |_, listing| {
            if let Some(present) = listing.floor.filter(|present| *present > floor) {
                return Err(PublishError::FloorFalls(present));
            }
            listing.floor = Some(floor);
            listing.images.retain(|_, listed| listed.release.as_ref().is_none_or(|release| release.version >= floor));
            Ok(())
        })
    }

    /// Signs everything but the root again, with new expiries.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn renew(&self, now: u64) -> Result<Published, PublishError> {
        self.change(now, |_, _| Ok(()))
    }

    /// Makes the next root, with other keys; without rotations only its expiry is new.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn rotate(&self, rotations: &[Rotation], now: u64) -> Result<Published, PublishError> {
        self.change(now, |root, _| {
            root.version = document::next(root.version);
            root.expires = expiry::expires(now, ROOT_LIFE);
            rotations.iter().try_for_each(|rotation| apply(root, rotation))
        })
    }

    /// The newest published root: what a network pins.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn root(&self) -> Result<Vec<u8>, PublishError> {
        let newest = self.roots()?.pop_last().ok_or(MetadataError::Missing { role: Role::Root })?;
        Ok(newest.1)
    }

    /// Whether these are the bytes of a root that was published here: whoever pinned it trusts what this directory signs.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn has_root(&self, root: &[u8]) -> Result<bool, PublishError> {
        Ok(self.roots()?.values().any(|published| published == root))
    }

    /// What is published.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn metadata(&self) -> Result<MetadataSet, PublishError> {
        Ok(self.current()?.set)
    }

    /// What the published metadata lists.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn listing(&self) -> Result<Listing, PublishError> {
        Ok(Listing::read(&self.current()?.targets.signed)?)
    }
}

/// Changes the keys of a role, and drops keys that no role has any more.
fn apply(root: &mut Root, rotation: &Rotation) -> Result<(), PublishError> {
    let role = rotation.role;
    let empty = RoleKeys { keyids: Vec::new(), threshold: NonZeroU64::MIN, _extra: HashMap::new() };
    let keys = root.roles.entry(role.tuf()).or_insert(empty);
    for id in &rotation.remove {
        let before = keys.keyids.len();
        keys.keyids.retain(|keyid| KeyId::of(keyid) != *id);
        if keys.keyids.len() == before {
            return Err(PublishError::NoKey { role, id: id.clone() });
        }
    }
    for key in &rotation.add {
        let id = key.id().bytes().into();
        if !keys.keyids.contains(&id) {
            keys.keyids.push(id.clone());
        }
        root.keys.insert(id, key.tuf());
    }
    let threshold = rotation.threshold.map_or(keys.threshold.get(), u64::from);
    match NonZeroU64::new(threshold) {
        Some(threshold) if keys.keyids.len() as u64 >= threshold.get() => keys.threshold = threshold,
        _ => return Err(PublishError::Quorum { role, keys: keys.keyids.len(), threshold }),
    }
    let used: Vec<_> = root.roles.values().flat_map(|role| role.keyids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    Ok(())
}

#[cfg(test)]
mod tests;
