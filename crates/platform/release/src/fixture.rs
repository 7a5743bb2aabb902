//! A publisher and forged metadata for the tests of this crate.

use crate::{
    document,
    image::{Effort, ImagePlan},
    keys::SigningKey,
    manifest::Migration,
    metadata::MetadataSet,
    publish::{KeyPlan, Published, ReleaseDirectory},
    trust::TrustStore,
    tuf::Role,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tough::schema::{Root, Signed, Snapshot, Targets, Timestamp};
use weir_model::{ReleaseInterface, Span, Version};
use weir_slots::{ImageFile, digest_of_bytes};

/// When the tests take place, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

/// One day, in seconds.
pub(crate) const DAY: u64 = 24 * 3600;

/// The architecture of the tests.
pub(crate) const ARCH: &str = "x86_64";

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect(text)
}

/// A release directory in a place of its own, and the sources of its images.
pub(crate) struct Publisher {
    pub(crate) scratch: TempDir,
    pub(crate) directory: ReleaseDirectory,
}

impl Publisher {
    pub(crate) fn new(plan: KeyPlan) -> Self {
        let scratch = TempDir::new().expect("a place for temporary files");
        let directory = ReleaseDirectory::create(&scratch.path().join("release"), plan, NOW).expect("a new directory");
        Self { scratch, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A plan whose worker is a text that names its version.
    pub(crate) fn plan(&self, text: &str) -> ImagePlan {
        let source = |name: &str| {
            let path = self.path(&format!("{name}-{text}"));
            fs::write(&path, format!("{name} of {text}\n").repeat(5000)).expect("write");
            ImageFile { path: name.to_owned(), source: path }
        };
        let span = |max| Span { min: 1, max };
        let step = |step| Migration { step, up: digest_of_bytes(b"up"), down: Some(digest_of_bytes(b"down")) };
        ImagePlan {
            version: version(text),
            arch: ARCH.to_owned(),
            bridges: None,
            interface: ReleaseInterface {
                protocols: [("device".to_owned(), span(1))].into(),
                schema: span(2),
                cache_format: span(1),
                gates: vec![],
            },
            migrations: vec![step(2)],
            notes: format!("notes of {text}"),
            fault: None,
            effort: Effort::Release,
            files: ["weir", "weir-keeper", "licences.txt"].map(source).into(),
        }
    }

    pub(crate) fn build(&self, text: &str, now: u64) {
        let (_, published) = self.directory.build(&self.plan(text), now).expect("build");
        assert!(matches!(published, Published::Version(_)), "{published:?}");
    }

    /// The archive of a listed release, under a name of its own.
    pub(crate) fn archive(&self, text: &str, name: &str) -> PathBuf {
        let made = self.directory.pack(version(text), ARCH, self.scratch.path()).expect("pack");
        let path = self.path(name);
        fs::rename(made, &path).expect("rename");
        path
    }

    pub(crate) fn set(&self) -> MetadataSet {
        self.directory.metadata().expect("published")
    }

    /// A store that pinned the newest root.
    pub(crate) fn store(&self, name: &str) -> TrustStore {
        TrustStore::pin(&self.path(name), &self.directory.root().expect("root")).expect("pin")
    }

    /// The private keys with this label.
    pub(crate) fn keys(&self, label: &str) -> Vec<SigningKey> {
        keys_in(&self.path("release/keys"), label)
    }

    pub(crate) fn forge(&self, keys: Vec<SigningKey>) -> Forge {
        Forge { keys, set: self.set() }
    }
}

/// The private keys below `folder` whose files begin with `label`.
pub(crate) fn keys_in(folder: &Path, label: &str) -> Vec<SigningKey> {
    let mut paths: Vec<_> = fs::read_dir(folder).expect("keys").map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(label)));
    paths.sort();
    paths.iter().map(|path| SigningKey::read(path).expect("key")).collect()
}

/// Metadata as somebody with these keys would sign it.
pub(crate) struct Forge {
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) set: MetadataSet,
}

impl Forge {
    fn root(&self) -> Root {
        document::parse::<Root>(self.set.newest_root().1, Role::Root).expect("root").signed
    }

    /// Edits the timestamp and signs it.
    pub(crate) fn timestamp(mut self, edit: impl FnOnce(&mut Timestamp)) -> Self {
        let mut timestamp: Signed<Timestamp> = document::parse(&self.set.timestamp, Role::Timestamp).expect("timestamp");
        edit(&mut timestamp.signed);
        timestamp.signatures.clear();
        document::sign(&mut timestamp, &self.root(), Role::Timestamp, &self.keys);
        self.set.timestamp = document::bytes(&timestamp);
        self
    }

    /// Edits the snapshot, signs it, and points the timestamp at it.
    pub(crate) fn snapshot(mut self, edit: impl FnOnce(&mut Snapshot)) -> Self {
        let mut snapshot: Signed<Snapshot> = document::parse(&self.set.snapshot.1, Role::Snapshot).expect("snapshot");
        edit(&mut snapshot.signed);
        snapshot.signatures.clear();
        document::sign(&mut snapshot, &self.root(), Role::Snapshot, &self.keys);
        self.set.snapshot = (snapshot.signed.version.get(), document::bytes(&snapshot));
        self.timestamp(|timestamp| {
            timestamp.meta.insert("snapshot.json".to_owned(), document::metafile(&snapshot));
        })
    }

    /// Edits the targets with their signatures, and points the rest at them.
    pub(crate) fn signed_targets(mut self, edit: impl FnOnce(&mut Signed<Targets>)) -> Self {
        let mut targets: Signed<Targets> = document::parse(&self.set.targets.1, Role::Targets).expect("targets");
        edit(&mut targets);
        self.set.targets = (targets.signed.version.get(), document::bytes(&targets));
        self.snapshot(|snapshot| {
            snapshot.meta.insert("targets.json".to_owned(), document::metafile(&targets));
        })
    }

    /// Edits the targets and signs them, and points the rest at them.
    pub(crate) fn targets(self, edit: impl FnOnce(&mut Targets)) -> Self {
        let (root, keys) = (self.root(), self.keys.iter().map(SigningKey::copy).collect::<Vec<_>>());
        self.signed_targets(|targets| {
            edit(&mut targets.signed);
            targets.signatures.clear();
            document::sign(targets, &root, Role::Targets, &keys);
        })
    }

    /// Raises the versions of timestamp, snapshot and targets by `by`.
    pub(crate) fn raised(self, by: u64) -> Self {
        let raise = |version: &mut std::num::NonZeroU64| *version = version.checked_add(by).expect("small");
        self.targets(|targets| raise(&mut targets.version)).snapshot(|s| raise(&mut s.version)).timestamp(|t| raise(&mut t.version))
    }
}

impl SigningKey {
    fn copy(&self) -> Self {
        let folder = TempDir::new().expect("dir");
        let path = folder.path().join("key.pem");
        self.write(&path).expect("write");
        Self::read(&path).expect("own file")
    }
}
