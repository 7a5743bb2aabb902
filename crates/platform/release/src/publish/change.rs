//! How a release directory changes: edit, sign, wait or publish.

use super::{Lacking, PublishError, Published, ReleaseDirectory, disk, failed};
use crate::{
    document,
    expiry::{self, METADATA_LIFE, SIGNED_AT},
    keys::SigningKey,
    listing::Listing,
    lock::Lock,
    metadata::MetadataSet,
    tuf::{self, MetadataError, Role},
};
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    num::NonZeroU64,
};
use tough::schema::{Metafile, Role as TufRole, Root, Signed, Snapshot, Targets, Timestamp};

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
        let mut set = match self.publishing()? {
            Some(set) => set,
            None => self.on_disk()?,
        };
        let parse = |body: &[u8]| document::parse::<Root>(body, Role::Root);
        let timestamp = document::parse(&set.timestamp, Role::Timestamp)?;
        let snapshot = document::parse(&set.snapshot.1, Role::Snapshot)?;
        let targets = document::parse(&set.targets.1, Role::Targets)?;
        // The newest root the rest goes with: one after it was left by a change that was cut off.
        let goes_with = |root: &Root| {
            document::verify(&timestamp, root, Role::Timestamp).is_ok()
                && document::verify(&snapshot, root, Role::Snapshot).is_ok()
                && document::verify(&targets, root, Role::Targets).is_ok()
        };
        let newest = set.roots.iter().rev().find(|(_, body)| parse(body).is_ok_and(|root| goes_with(&root.signed)));
        if let Some(newest) = newest.map(|(version, _)| *version) {
            set.roots.retain(|version, _| *version <= newest);
        }
        let root = parse(set.newest_root().1)?;
        Ok(Current { set, root, targets, timestamp, snapshot })
    }

    /// What is in `metadata/`, with every root that is there.
    fn on_disk(&self) -> Result<MetadataSet, PublishError> {
        let folder = self.folder("metadata");
        let read = |name: &str| fs::read(folder.join(name)).map_err(failed("read", &folder.join(name)));
        let timestamp = read("timestamp.json")?;
        let pointing: Signed<Timestamp> = document::parse(&timestamp, Role::Timestamp)?;
        let version = pointed_at(&pointing.signed.meta, Role::Snapshot)?;
        let snapshot = (version, read(&format!("{version}.snapshot.json"))?);
        let pointing: Signed<Snapshot> = document::parse(&snapshot.1, Role::Snapshot)?;
        let version = pointed_at(&pointing.signed.meta, Role::Targets)?;
        let targets = (version, read(&format!("{version}.targets.json"))?);
        Ok(MetadataSet { roots: self.roots()?, timestamp, snapshot, targets })
    }

    /// Every root in `metadata/`, by version.
    fn roots(&self) -> Result<BTreeMap<u64, Vec<u8>>, PublishError> {
        let mut roots = BTreeMap::new();
        loop {
            let version = roots.len() as u64 + 1;
            let path = self.root_file(version);
            match fs::read(&path) {
                Ok(body) => roots.insert(version, body),
                Err(error) if error.kind() == io::ErrorKind::NotFound && version > 1 => return Ok(roots),
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
        self.change_held(now, &self.hold()?, edit)
    }

    /// As [`Self::change`], by whoever holds the lock.
    pub(super) fn change_held(
        &self,
        now: u64,
        held: &Lock,
        edit: impl FnOnce(&mut Root, &mut Listing) -> Result<(), PublishError>,
    ) -> Result<Published, PublishError> {
        if self.staged()?.is_some() {
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
        let held = self.hold()?;
        let draft = self.staged()?.ok_or(PublishError::NothingPending)?;
        self.finish(Some(&self.current()?), draft, keys, now, &held)
    }

    /// Throws the waiting change away, with the image it would list and a root it left unpublished.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn discard(&self) -> Result<(), PublishError> {
        let held = self.hold()?;
        self.clear_staged(&held)?;
        self.remove_unpublished_roots(self.current()?.root.signed.version.get(), &held)?;
        self.settle_images(&held)
    }

    pub(super) fn clear_staged(&self, _held: &Lock) -> Result<(), PublishError> {
        // The targets say that a change waits, so they go last.
        for name in ["root.json", "targets.json"] {
            disk::remove(&self.folder("staged").join(name))?;
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
        if let Some(root) = &mut draft.root {
            let there = self.join_signatures(root)?;
            let published = current.is_some_and(|current| root.signed.version <= current.root.signed.version);
            draft.root = draft.root.take().filter(|_| !(there && published));
        }
        if let Some(current) = current {
            self.check_clock(current, draft.root.as_ref().map(|root| &root.signed), now)?;
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
        self.judge(&set, current, now)?;
        self.publish(&set, held)?;
        Ok(Published::Version(version))
    }

    /// Whether every store takes `set`: one that knows what is published now, and one that knows the first root only.
    fn judge(&self, set: &MetadataSet, current: Option<&Current>, now: u64) -> Result<(), PublishError> {
        MetadataSet::parse(&set.to_bytes())?;
        let known = current.map_or(set, |current| &current.set);
        let trusted = tuf::verify(known.newest_root().1, set, current.map(|current| &current.set), &self.dir)?;
        trusted.check_expiry(now)?;
        Listing::read(&trusted.repository.targets().signed)?;
        let first = set.roots.values().next().expect("a set has a root");
        tuf::verify(first, set, None, &self.dir)?;
        Ok(())
    }

    /// Whether this is a time to sign at: not before the newest signature, except with other keys for timestamps, at which
    /// stores begin again too; and not after the end of what is published unless that is forced.
    pub(super) fn check_clock(&self, current: &Current, root: Option<&Root>, now: u64) -> Result<(), PublishError> {
        let signed_at = tuf::signed_at(&current.timestamp)?;
        let keys = |root: &Root| root.roles.get(&Role::Timestamp.tuf()).map(|role| role.keyids.clone());
        let same_keys = root.is_none_or(|root| keys(root) == keys(&current.root.signed));
        if now < signed_at && same_keys {
            return Err(PublishError::ClockBehind { now, signed_at });
        }
        let expires = expiry::seconds(current.timestamp.signed.expires);
        if now > expires && !self.force_clock {
            return Err(PublishError::ClockAhead { now, expires });
        }
        Ok(())
    }

    fn stage(&self, draft: &Draft) -> Result<(), PublishError> {
        let staged = self.folder("staged");
        if let Some(root) = &draft.root {
            disk::write(&staged.join("root.json"), &document::bytes(root))?;
        }
        disk::write(&staged.join("targets.json"), &document::bytes(&draft.targets))
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
