//! A publisher of releases whose program is a few lines of text.

use std::path::PathBuf;
use weir_model::{ReleaseInterface, Span, Version};
use weir_release::{Effort, ImagePlan, KeyPlan, Migration, ReleaseDirectory};
use weir_slots::{ImageFile, digest_of_bytes};

/// The architecture of this box.
pub(crate) const ARCH: &str = std::env::consts::ARCH;

pub(crate) struct Publisher {
    scratch: tempfile::TempDir,
    pub(crate) directory: ReleaseDirectory,
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect(text)
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().expect("dir");
        let now = weir_clock::wall_seconds();
        let directory = ReleaseDirectory::create(&scratch.path().join("release"), KeyPlan::Development, now).expect("directory");
        Self { scratch, directory }
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        self.directory.root().expect("root")
    }

    pub(crate) fn plan(&self, text: &str) -> ImagePlan {
        let source: PathBuf = self.scratch.path().join(format!("weir-{text}"));
        std::fs::write(&source, format!("#!/bin/sh\necho {text}\n")).expect("program");
        let span = |max| Span { min: 1, max };
        ImagePlan {
            version: version(text),
            arch: ARCH.to_owned(),
            bridges: None,
            interface: ReleaseInterface { protocols: [].into(), schema: span(2), cache_format: span(1), gates: vec![] },
            migrations: vec![Migration { step: 2, up: digest_of_bytes(b"up"), down: Some(digest_of_bytes(b"down")) }],
            notes: format!("notes of {text}"),
            fault: None,
            effort: Effort::Development,
            files: vec![ImageFile { path: "weir".to_owned(), source }],
        }
    }

    /// Builds a release; its archive as it is at this moment.
    pub(crate) fn build(&self, text: &str) -> Vec<u8> {
        self.build_plan(&self.plan(text))
    }

    pub(crate) fn build_plan(&self, plan: &ImagePlan) -> Vec<u8> {
        self.directory.build(plan, weir_clock::wall_seconds()).expect("built");
        self.archive(plan.version, &plan.arch)
    }

    /// The archive of a listed release, with the newest metadata.
    pub(crate) fn archive(&self, version: Version, arch: &str) -> Vec<u8> {
        std::fs::read(self.directory.pack(version, arch, self.scratch.path()).expect("packed")).expect("archive")
    }
}
