//! A publisher with the keys that a network trusts, in a directory of its own.

use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use weir_model::{InvalidReason, Line, ReleaseInterface, Span, Version};
use weir_release::{Archive, Effort, Expected, ImagePlan, KeyPlan, Migration, Quorum, ReleaseDirectory, TrustStore};
use weir_slots::{ImageFile, digest_of_bytes};

/// Text that stands for a program; nobody runs it.
const PROGRAM: &[u8] = b"#!/bin/false\n";

/// A publisher. What it publishes is newer than what the network has seen, and is in nobody else's way.
pub struct Publisher {
    scratch: TempDir,
    directory: ReleaseDirectory,
}

fn now() -> u64 {
    weir_clock::wall_seconds()
}

impl Publisher {
    /// With new keys that no network trusts.
    pub fn alone() -> anyhow::Result<Self> {
        Self::planned(KeyPlan::Development)
    }

    /// The same, where each role needs two of three keys; all of them are at hand.
    pub fn two_of_three() -> anyhow::Result<Self> {
        let quorum = Quorum { keys: 3, threshold: 2 };
        Self::planned(KeyPlan::Separate { root: quorum, targets: quorum, online: quorum })
    }

    fn planned(plan: KeyPlan) -> anyhow::Result<Self> {
        let scratch = scratch()?;
        let directory = ReleaseDirectory::create(&scratch.path().join("release"), plan, now())?;
        Ok(Self { scratch, directory })
    }

    /// With the keys, the metadata and the images of another release directory, which stays as it is.
    pub fn like(release_keys: &Path) -> anyhow::Result<Self> {
        let scratch = scratch()?;
        let to = scratch.path().join("release");
        for folder in ["keys", "metadata", "staged", "images"] {
            fs::create_dir_all(to.join(folder))?;
            let from = release_keys.join(folder);
            for entry in fs::read_dir(&from).with_context(|| format!("read {}", from.display()))? {
                let entry = entry?;
                fs::copy(entry.path(), to.join(folder).join(entry.file_name()))?;
            }
        }
        let directory = ReleaseDirectory::open(&to)?;
        Ok(Self { scratch, directory })
    }

    /// Where it keeps what it makes.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Its release directory.
    pub fn folder(&self) -> PathBuf {
        self.path().join("release")
    }

    /// Its release directory, to change it.
    pub fn directory(&self) -> &ReleaseDirectory {
        &self.directory
    }

    /// A small release of this version that `edit` may change, its line's interface taken from the builds that are listed.
    pub fn release(&self, version: &str, edit: impl FnOnce(&mut ImagePlan)) -> anyhow::Result<PathBuf> {
        let version: Version = version.parse().with_context(|| version.to_owned())?;
        let interface = self.interface(version.line)?;
        let source = self.path().join(format!("program-{version}"));
        fs::write(&source, [PROGRAM, version.to_string().as_bytes()].concat())?;
        let step = |step| Migration { step, up: digest_of_bytes(b"up"), down: Some(digest_of_bytes(b"down")) };
        let mut plan = ImagePlan {
            version,
            arch: std::env::consts::ARCH.to_owned(),
            bridges: None,
            migrations: (interface.schema.min + 1..=interface.schema.max).map(step).collect(),
            interface,
            notes: format!("notes of {version}"),
            files: vec![ImageFile { path: "weir".to_owned(), source }],
            fault: None,
            effort: Effort::Development,
        };
        edit(&mut plan);
        self.directory.build(&plan, now())?;
        self.pack(&plan.version.to_string(), &plan.arch)
    }

    /// The archive of a listed release with the newest metadata.
    pub fn pack(&self, version: &str, arch: &str) -> anyhow::Result<PathBuf> {
        let to = tempfile::Builder::new().prefix("archive-").tempdir_in(self.path())?.keep();
        Ok(self.directory.pack(version.parse()?, arch, &to)?)
    }

    /// Takes a release off the list.
    pub fn delist(&self, version: &str) -> anyhow::Result<()> {
        self.directory.delist(version.parse()?, std::env::consts::ARCH, now())?;
        Ok(())
    }

    fn interface(&self, line: Line) -> anyhow::Result<ReleaseInterface> {
        let listing = self.directory.listing()?;
        let listed = listing.releases().into_iter().find(|(release, _)| release.version.line == line);
        let span = |max| Span { min: 1, max };
        let new = || ReleaseInterface {
            protocols: [("device".to_owned(), span(1))].into(),
            schema: span(3),
            cache_format: span(1),
            gates: vec![],
        };
        Ok(listed.map_or_else(new, |(release, _)| release.interface.clone()))
    }

    /// Check and reason with which a store that trusts this publisher's newest metadata refuses an archive.
    pub fn refused(&self, bytes: &[u8]) -> Option<(String, String)> {
        let scratch = scratch().expect("a folder");
        let store = TrustStore::pin(scratch.path(), &self.directory.root().expect("a root")).expect("a new store");
        store.load(&self.directory.metadata().expect("published"), now()).expect("own metadata");
        let path = scratch.path().join("an.weir");
        fs::write(&path, bytes).expect("write");
        let archive = match Archive::open(&path) {
            Ok(archive) => archive,
            Err(error) => {
                let invalid = weir_release::Invalid::from(error);
                return Some((invalid.check().to_string(), invalid.reason().to_string()));
            }
        };
        let expected = Expected { version: None, arch: Some(std::env::consts::ARCH.to_owned()) };
        let invalid = store.verify(archive, &expected, now()).err()?;
        debug_assert!(InvalidReason::ALL.contains(&invalid.reason()));
        Some((invalid.check().to_string(), invalid.reason().to_string()))
    }
}

fn scratch() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix("weir-publisher-").tempdir().context("a folder")
}
