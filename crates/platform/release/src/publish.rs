//! A release directory: the publisher's keys, images and metadata.
//!
//! ```text
//! <dir>/keys/       private keys that are on this machine; root keys belong elsewhere
//! <dir>/metadata/   what is published: <n>.root.json of every n, timestamp.json, <n>.snapshot.json, <n>.targets.json
//! <dir>/staged/     what waits for signatures of keys that are not here; for a moment, what is being published
//! <dir>/images/     the image of every listed release; <name>.new is one that waits
//! ```
//! Every change signs everything again with versions one higher. A change whose signatures are not complete waits in
//! `staged/`; nothing is published that a trust store would refuse.

use crate::{
    archive::image_name,
    document,
    expiry::{self, ROOT_LIFE},
    keys::{KeyId, PublicKey, SigningKey},
    listing::Listing,
    lock,
    metadata::MetadataSet,
    tuf::Role,
};
use std::{
    collections::HashMap,
    fs, io,
    num::NonZeroU64,
    path::{Path, PathBuf},
};
use tough::schema::{RoleKeys, Root};
use weir_model::Version;
use weir_slots::DiskError;

mod build;
mod change;
mod disk;
mod error;
mod journal;
mod overview;

pub use error::PublishError;
pub use overview::KeyFile;

/// The folders of a directory.
const FOLDERS: [&str; 4] = ["keys", "metadata", "staged", "images"];

/// Most private keys in one directory.
const KEYS_MAX: usize = 64;

/// A publisher's directory.
#[derive(Debug, Clone)]
pub struct ReleaseDirectory {
    dir: PathBuf,
    /// Whether a clock after the end of what is published is believed.
    force_clock: bool,
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
        use std::os::unix::fs::DirBuilderExt;
        let this = Self { dir: dir.to_owned(), force_clock: false };
        // A directory that is there keeps its mode: what is private is in `keys/`.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make", dir))?;
        if this.is_there() {
            return Err(PublishError::Exists(dir.to_owned()));
        }
        this.refuse_other_things()?;
        let held = lock::hold(dir)?;
        if this.is_there() {
            return Err(PublishError::Exists(dir.to_owned()));
        }
        for name in FOLDERS {
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
        let this = Self { dir: dir.to_owned(), force_clock: false };
        if this.is_there() { Ok(this) } else { Err(PublishError::Absent(dir.to_owned())) }
    }

    /// Whether metadata is published in it, or its publishing has begun.
    fn is_there(&self) -> bool {
        self.journal().exists() || self.folder("metadata").join("timestamp.json").exists()
    }

    /// Refuses a place with other things in it. What a making that was cut off left is ours.
    fn refuse_other_things(&self) -> Result<(), PublishError> {
        for entry in fs::read_dir(&self.dir).map_err(failed("read", &self.dir))? {
            let name = entry.map_err(failed("read", &self.dir))?.file_name();
            let ours = name.to_str().is_some_and(|name| name == "lock" || name.starts_with("tuf-") || FOLDERS.contains(&name));
            if !ours {
                return Err(PublishError::NotEmpty(self.dir.clone()));
            }
        }
        Ok(())
    }

    /// Believes a clock that is after the end of what is published: a year passed, or nobody renewed in time.
    #[must_use]
    pub fn forcing_clock(mut self) -> Self {
        self.force_clock = true;
        self
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
        let entries = match fs::read_dir(&folder) {
            // A copy that was made to be signed elsewhere has none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &folder))?,
        };
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
        Ok(self.current()?.set.newest_root().1.to_vec())
    }

    /// Whether these are the bytes of a root that was published here: whoever pinned it trusts what this directory signs.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn has_root(&self, root: &[u8]) -> Result<bool, PublishError> {
        Ok(self.current()?.set.roots.values().any(|published| published == root))
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
