//! How a release directory changes: edit, sign, wait or publish.

use super::{Lacking, PublishError, Published, ReleaseDirectory, failed};
use crate::{
    document,
    expiry::{self, METADATA_LIFE, SIGNED_AT},
    keys::SigningKey,
    listing::Listing,
    lock::{self, Lock},
    metadata::MetadataSet,
    tuf::{self, MetadataError, Role},
};
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    num::NonZeroU64,
    path::Path,
};
use tough::schema::{Metafile, Role as TufRole, Root, Signed, Snapshot, Targets, Timestamp};
use weir_slots::durable_write;

/// Why there is a root to sign with.
const HAS_ROOT: &str = "the first draft has a root, and later ones change what has one";

/// What is published.
pub(super) struct Current {
    pub(super) set: MetadataSet,
    pub(super) root: Signed<Root>,
    pub(super) targets: Signed<Targets>,
    timestamp: Signed<Timestamp>,
    snapshot: Signed<Snapshot>,
}

/// A change on its way: a new root if there is one, and new targets.
pub(super) struct Draft {
    pub(super) root: Option<Signed<Root>>,
    pub(super) targets: Signed<Targets>,
}

impl ReleaseDirectory {
    pub(super) fn current(&self) -> Result<Current, PublishError> {
        let folder = self.folder("metadata");
        let read = |name: &str| fs::read(folder.join(name)).map_err(failed("read", &folder.join(name)));
        let roots = self.roots()?;
        let newest = roots.last_key_value().map(|(_, body)| body.as_slice());
        let root = document::parse(newest.ok_or(MetadataError::Missing { role: Role::Root })?, Role::Root)?;
        let timestamp_bytes = read("timestamp.json")?;
        let timestamp: Signed<Timestamp> = document::parse(&timestamp_bytes, Role::Timestamp)?;
        let snapshot_version = pointed_at(&timestamp.signed.meta, Role::Snapshot)?;
        let snapshot_bytes = read(&format!("{snapshot_version}.snapshot.json"))?;
        let snapshot: Signed<Snapshot> = document::parse(&snapshot_bytes, Role::Snapshot)?;
        let targets_version = pointed_at(&snapshot.signed.meta, Role::Targets)?;
        let targets_bytes = read(&format!("{targets_version}.targets.json"))?;
        let targets = document::parse(&targets_bytes, Role::Targets)?;
        let set = MetadataSet {
            roots,
            timestamp: timestamp_bytes,
            snapshot: (snapshot_version, snapshot_bytes),
            targets: (targets_version, targets_bytes),
        };
        Ok(Current { set, root, targets, timestamp, snapshot })
    }

    /// Every published root, by version. They only become more, so nobody needs to hold the lock.
    pub(super) fn roots(&self) -> Result<BTreeMap<u64, Vec<u8>>, PublishError> {
        let folder = self.folder("metadata");
        let mut roots = BTreeMap::new();
        loop {
            let version = roots.len() as u64 + 1;
            let path = folder.join(format!("{version}.root.json"));
            match fs::read(&path) {
                Ok(body) => roots.insert(version, body),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(roots),
                Err(error) => return Err(failed("read", &path)(error)),
            };
        }
    }

    /// The first metadata of a directory.
    pub(super) fn begin(&self, root: Root, now: u64, held: &Lock) -> Result<(), PublishError> {
        let targets = targets_of(&Listing::default(), NonZeroU64::MIN, now);
        let draft = Draft { root: Some(document::unsigned(root)), targets: document::unsigned(targets) };
        self.finish(None, draft, Vec::new(), now, held).map(|_| ())
    }

    /// Edits keys and listing. The root is made anew only when its version was raised.
    pub(super) fn change(
        &self,
        now: u64,
        edit: impl FnOnce(&mut Root, &mut Listing) -> Result<(), PublishError>,
    ) -> Result<Published, PublishError> {
        self.change_held(now, &lock::hold(&self.dir)?, edit)
    }

    /// As [`Self::change`], by whoever holds the lock.
    pub(super) fn change_held(
        &self,
        now: u64,
        held: &Lock,
        edit: impl FnOnce(&mut Root, &mut Listing) -> Result<(), PublishError>,
    ) -> Result<Published, PublishError> {
        if self.folder("staged").join("targets.json").exists() {
            return Err(PublishError::Pending);
        }
        let current = self.current()?;
        let mut root = current.root.signed.clone();
        let mut listing = Listing::read(&current.targets.signed)?;
        edit(&mut root, &mut listing)?;
        let targets = targets_of(&listing, document::next(current.targets.signed.version), now);
        let root = (root.version != current.root.signed.version).then(|| document::unsigned(root));
        let draft = Draft { root, targets: document::unsigned(targets) };
        self.finish(Some(&current), draft, Vec::new(), now, held)
    }

    /// Signs the waiting change with these keys too, and publishes it if that completes it.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn sign(&self, keys: Vec<SigningKey>, now: u64) -> Result<Published, PublishError> {
        let held = lock::hold(&self.dir)?;
        let draft = self.staged()?.ok_or(PublishError::NothingPending)?;
        self.finish(Some(&self.current()?), draft, keys, now, &held)
    }

    /// Throws the waiting change away.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn discard(&self) -> Result<(), PublishError> {
        let held = lock::hold(&self.dir)?;
        self.clear_staged(&held)
    }

    fn clear_staged(&self, _held: &Lock) -> Result<(), PublishError> {
        // The targets say that a change waits, so they go last.
        for name in ["root.json", "targets.json"] {
            let path = self.folder("staged").join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Signs a draft with the keys here and `more`; stages it or publishes it.
    fn finish(
        &self,
        current: Option<&Current>,
        mut draft: Draft,
        more: Vec<SigningKey>,
        now: u64,
        held: &Lock,
    ) -> Result<Published, PublishError> {
        if let Some(signed_at) = current.map(|current| tuf::signed_at(&current.timestamp)).transpose()?.filter(|at| now < *at) {
            return Err(PublishError::ClockBehind { now, signed_at });
        }
        let mut keys = self.keys()?;
        keys.extend(more);
        let before = current.map(|current| &current.root.signed);
        let mut lacking = draft.sign(before, &keys)?;
        let mut online = None;
        if lacking.is_empty() {
            let root = draft.root.as_ref().map(|root| &root.signed).or(before).expect(HAS_ROOT);
            lack(&mut lacking, sign_online(&draft.targets, current, root, &keys, now).map(|signed| online = Some(signed)))?;
        }
        let Some((snapshot, timestamp)) = online else {
            self.stage(&draft)?;
            return Ok(Published::Waiting(lacking));
        };
        let version = timestamp.signed.version.get();
        let set = assemble(current, &draft, &snapshot, &timestamp);
        let trusted = current.map_or_else(|| set.newest_root(), |current| current.set.newest_root());
        MetadataSet::parse(&set.to_bytes())?;
        tuf::verify(trusted.1, &set, current.map(|current| &current.set), &self.dir)?;
        self.write(&set, held)?;
        Ok(Published::Version(version))
    }

    fn stage(&self, draft: &Draft) -> Result<(), PublishError> {
        let staged = self.folder("staged");
        if let Some(root) = &draft.root {
            durable_write(&staged.join("root.json"), &document::bytes(root))?;
        }
        Ok(durable_write(&staged.join("targets.json"), &document::bytes(&draft.targets))?)
    }

    /// Makes `set` what is published: the timestamp, which points at the rest, goes last.
    fn write(&self, set: &MetadataSet, held: &Lock) -> Result<(), PublishError> {
        let folder = self.folder("metadata");
        for (name, body) in set.files() {
            let path = folder.join(&name);
            if name == "timestamp.json" || fs::read(&path).ok().as_deref() != Some(body) {
                durable_write(&path, body)?;
            }
        }
        self.clear_staged(held)?;
        remove_superseded(&folder, set)
    }
}

impl Draft {
    /// Adds the signatures of `keys`; what is lacking then.
    fn sign(&mut self, before: Option<&Root>, keys: &[SigningKey]) -> Result<Vec<Lacking>, PublishError> {
        let mut lacking = Vec::new();
        if let Some(root) = &mut self.root {
            let new = root.signed.clone();
            for of in before.into_iter().chain([&new]) {
                lack(&mut lacking, sign(root, of, Role::Root, keys))?;
            }
        }
        let root = self.root.as_ref().map(|root| &root.signed).or(before).expect(HAS_ROOT);
        lack(&mut lacking, sign(&mut self.targets, root, Role::Targets, keys))?;
        Ok(lacking)
    }
}

fn sign<T: TufRole>(document: &mut Signed<T>, root: &Root, role: Role, keys: &[SigningKey]) -> Result<(), MetadataError> {
    document::sign(document, root, role, keys);
    document::verify(document, root, role)
}

/// Notes a lack of signatures; any other error stays one.
pub(super) fn lack(lacking: &mut Vec<Lacking>, signed: Result<(), MetadataError>) -> Result<(), MetadataError> {
    match signed {
        Err(MetadataError::Threshold { role, needed, valid }) => {
            lacking.push(Lacking { role, needed, valid });
            Ok(())
        }
        other => other,
    }
}

/// What points at the targets, which must be signed before: their digest is in it.
fn sign_online(
    targets: &Signed<Targets>,
    current: Option<&Current>,
    root: &Root,
    keys: &[SigningKey],
    now: u64,
) -> Result<(Signed<Snapshot>, Signed<Timestamp>), MetadataError> {
    let mut snapshot = snapshot_of(targets, current, now);
    sign(&mut snapshot, root, Role::Snapshot, keys)?;
    let mut timestamp = timestamp_of(&snapshot, current, now);
    sign(&mut timestamp, root, Role::Timestamp, keys)?;
    Ok((snapshot, timestamp))
}

fn pointed_at(meta: &HashMap<String, Metafile>, role: Role) -> Result<u64, MetadataError> {
    let file = meta.get(&format!("{role}.json"));
    file.map(|file| file.version.get()).ok_or(MetadataError::Missing { role })
}

fn targets_of(listing: &Listing, version: NonZeroU64, now: u64) -> Targets {
    let mut targets = Targets::new(document::SPECIFICATION.to_owned(), version, expiry::expires(now, METADATA_LIFE));
    targets.delegations = None;
    listing.write(&mut targets);
    targets
}

fn snapshot_of(targets: &Signed<Targets>, current: Option<&Current>, now: u64) -> Signed<Snapshot> {
    let version = current.map_or(NonZeroU64::MIN, |current| document::next(current.snapshot.signed.version));
    let mut snapshot = Snapshot::new(document::SPECIFICATION.to_owned(), version, expiry::expires(now, METADATA_LIFE));
    snapshot.meta.insert("targets.json".to_owned(), document::metafile(targets));
    document::unsigned(snapshot)
}

fn timestamp_of(snapshot: &Signed<Snapshot>, current: Option<&Current>, now: u64) -> Signed<Timestamp> {
    let version = current.map_or(NonZeroU64::MIN, |current| document::next(current.timestamp.signed.version));
    let mut timestamp = Timestamp::new(document::SPECIFICATION.to_owned(), version, expiry::expires(now, METADATA_LIFE));
    timestamp.meta.insert("snapshot.json".to_owned(), document::metafile(snapshot));
    timestamp._extra.insert(SIGNED_AT.to_owned(), expiry::at(now).to_string().into());
    document::unsigned(timestamp)
}

fn assemble(current: Option<&Current>, draft: &Draft, snapshot: &Signed<Snapshot>, timestamp: &Signed<Timestamp>) -> MetadataSet {
    let mut roots = current.map(|current| current.set.roots.clone()).unwrap_or_default();
    roots.extend(draft.root.as_ref().map(|root| (root.signed.version.get(), document::bytes(root))));
    MetadataSet {
        roots,
        timestamp: document::bytes(timestamp),
        snapshot: (snapshot.signed.version.get(), document::bytes(snapshot)),
        targets: (draft.targets.signed.version.get(), document::bytes(&draft.targets)),
    }
}

/// Removes snapshots and targets that nothing points at any more.
fn remove_superseded(folder: &Path, set: &MetadataSet) -> Result<(), PublishError> {
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let versioned = name.ends_with(".snapshot.json") || name.ends_with(".targets.json");
        if versioned && set.file(name).is_none() {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}
