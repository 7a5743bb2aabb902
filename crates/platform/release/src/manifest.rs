//! The MANIFEST of an image: what a slot's MANIFEST says, and what the release says of itself.
//!
//! It is installed as it is, so the digest that is signed names the slot and the keeper verifies the same bytes before each
//! start. A key of a later line is passed over.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use weir_model::{Line, ReleaseInterface, Version};
use weir_slots::{Digest, Manifest, ManifestError, ManifestFile, PROGRAM};

/// The name of the MANIFEST in an image and in a slot.
pub const RELEASE_MANIFEST: &str = "MANIFEST";

/// Longest name of an architecture, in bytes.
const ARCH_MAX_BYTES: usize = 32;

/// A MANIFEST of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseManifest {
    /// 1: the format of a slot's MANIFEST.
    pub format: u32,
    /// The version of the image.
    pub version: Version,
    /// Its line.
    pub line: Line,
    /// The bridges of the line, when it is the first of its major and states them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridges: Option<BTreeSet<Line>>,
    /// The architecture its programs run on, such as `x86_64`.
    pub arch: String,
    /// What it has in common with every build of its line.
    pub interface: ReleaseInterface,
    /// The schema steps it brings, in order.
    pub migrations: Vec<Migration>,
    /// What an operator should know.
    pub notes: String,
    /// What a build for tests does wrong on purpose; a released build has no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Every file but the MANIFEST, by path.
    pub files: Vec<ManifestFile>,
}

/// One schema step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The schema after it.
    pub step: u32,
    /// Digest of the program up.
    pub up: Digest,
    /// Digest of the program down; absent for a step that nothing goes back over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Digest>,
}

/// Why bytes are not the MANIFEST of a release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseManifestError {
    /// Not even the MANIFEST of a slot.
    #[error(transparent)]
    Slot(#[from] ManifestError),
    /// Something of a release is missing or has another shape.
    #[error("not the MANIFEST of a release")]
    Shape(#[from] serde_json::Error),
    /// The line is not the version's.
    #[error("version {version} is not of line {line}")]
    OtherLine {
        /// The version.
        version: Version,
        /// The line.
        line: Line,
    },
    /// Not the name of an architecture.
    #[error("`{0}` is not the name of an architecture")]
    Arch(String),
    /// A range whose ends are the wrong way round.
    #[error("the range of {0} ends before it begins")]
    Range(String),
    /// Schema steps that are not one after the other, or do not end at the newest schema.
    #[error("the schema steps are not one after the other up to the newest schema")]
    Steps,
    /// No worker.
    #[error("the image has no file `{PROGRAM}`")]
    NoProgram,
}

impl ReleaseManifest {
    /// Reads a MANIFEST.
    ///
    /// # Errors
    /// [`ReleaseManifestError`]; nothing is guessed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReleaseManifestError> {
        Manifest::parse(bytes)?;
        serde_json::from_slice::<Self>(bytes)?.checked()
    }

    /// The bytes of the MANIFEST.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is JSON");
        bytes.push(b'\n');
        bytes
    }

    /// The first schema step above the oldest schema the release can run on that has no way back.
    pub fn one_way(&self) -> Option<u32> {
        let oldest = self.interface.schema.min;
        self.migrations.iter().find(|migration| migration.step > oldest && migration.down.is_none()).map(|migration| migration.step)
    }

    /// The sum of its files, in bytes; saturating.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    pub(crate) fn checked(self) -> Result<Self, ReleaseManifestError> {
        if self.version.line != self.line {
            return Err(ReleaseManifestError::OtherLine { version: self.version, line: self.line });
        }
        if !is_arch(&self.arch) {
            return Err(ReleaseManifestError::Arch(self.arch));
        }
        let ranges = [("schema", self.interface.schema), ("cache_format", self.interface.cache_format)];
        let protocols = self.interface.protocols.iter().map(|(name, span)| (name.as_str(), *span));
        if let Some((name, _)) = protocols.chain(ranges).find(|(_, span)| !span.is_ordered()) {
            return Err(ReleaseManifestError::Range(name.to_owned()));
        }
        let follow = self.migrations.windows(2).all(|pair| pair[0].step.checked_add(1) == Some(pair[1].step));
        // Every step between the oldest schema and the newest one is brought, so that each has its digests.
        let first = self.migrations.first().map_or(self.interface.schema.max, |first| first.step.saturating_sub(1));
        let last = self.migrations.last().map_or(self.interface.schema.max, |last| last.step);
        if !follow || first > self.interface.schema.min || last != self.interface.schema.max {
            return Err(ReleaseManifestError::Steps);
        }
        if !self.files.iter().any(|file| file.path == PROGRAM) {
            return Err(ReleaseManifestError::NoProgram);
        }
        Ok(self)
    }
}

pub(crate) fn is_arch(arch: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !arch.is_empty() && arch.len() <= ARCH_MAX_BYTES && arch.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::Span;
    use weir_slots::digest_of_bytes;

    fn manifest() -> ReleaseManifest {
        let span = Span { min: 1, max: 1 };
        let migration = |step, down| Migration { step, up: digest_of_bytes(b"up"), down };
        ReleaseManifest {
            format: 1,
            version: "1.1.0-b1".parse().expect("version"),
            line: Line::new(1, 1),
            bridges: None,
            arch: "x86_64".to_owned(),
            interface: ReleaseInterface {
                protocols: [("device".to_owned(), span)].into(),
                schema: Span { min: 1, max: 2 },
                cache_format: span,
                gates: vec![],
            },
            migrations: vec![migration(1, None), migration(2, Some(digest_of_bytes(b"down")))],
            notes: String::new(),
            fault: None,
            files: vec![ManifestFile { path: PROGRAM.to_owned(), bytes: 3, sha256: digest_of_bytes(b"abc") }],
        }
    }

    #[test]
    fn a_slot_reads_the_same_bytes() {
        let bytes = manifest().to_bytes();
        assert_eq!(ReleaseManifest::parse(&bytes).expect("own bytes"), manifest());
        let slot = Manifest::parse(&bytes).expect("a slot's MANIFEST");
        assert_eq!((slot.version.as_str(), slot.files), ("1.1.0-b1", manifest().files));
    }

    #[test]
    fn a_fault_is_a_key_only_where_there_is_one() {
        assert!(!String::from_utf8(manifest().to_bytes()).expect("JSON").contains("fault"));
        let faulty = ReleaseManifest { fault: Some("never_ready".to_owned()), ..manifest() };
        assert_eq!(ReleaseManifest::parse(&faulty.to_bytes()).expect("own bytes"), faulty);
    }

    #[test]
    fn a_step_without_its_way_back_is_named() {
        assert_eq!(manifest().one_way(), None, "nothing goes back over the oldest schema");
        let mut one_way = manifest();
        one_way.migrations[1].down = None;
        assert_eq!(one_way.one_way(), Some(2));
    }

    #[test]
    fn refused() {
        type Edit = fn(&mut ReleaseManifest);
        type Says = fn(&ReleaseManifestError) -> bool;
        let cases: [(Edit, Says); 9] = [
            (|m| m.line = Line::new(1, 0), |e| matches!(e, ReleaseManifestError::OtherLine { .. })),
            (|m| m.arch = "../x".to_owned(), |e| matches!(e, ReleaseManifestError::Arch(_))),
            (|m| m.arch.clear(), |e| matches!(e, ReleaseManifestError::Arch(_))),
            (|m| m.interface.cache_format.min = 2, |e| matches!(e, ReleaseManifestError::Range(name) if name == "cache_format")),
            (|m| m.migrations[0].step = 0, |e| matches!(e, ReleaseManifestError::Steps)),
            (|m| m.interface.schema.max = 3, |e| matches!(e, ReleaseManifestError::Steps)),
            (|m| m.migrations.clear(), |e| matches!(e, ReleaseManifestError::Steps)),
            (|m| m.files[0].path = "other".to_owned(), |e| matches!(e, ReleaseManifestError::NoProgram)),
            (|m| m.files[0].path = "../weir".to_owned(), |e| matches!(e, ReleaseManifestError::Slot(ManifestError::Path(_)))),
        ];
        for (index, (edit, says)) in cases.into_iter().enumerate() {
            let mut edited = manifest();
            edit(&mut edited);
            let error = ReleaseManifest::parse(&edited.to_bytes()).expect_err("refused");
            assert!(says(&error), "{index}: {error}");
        }
        let slot_only = br#"{"format":1,"version":"1.0.0-b1","arch":"x86_64","files":[]}"#;
        assert!(matches!(ReleaseManifest::parse(slot_only), Err(ReleaseManifestError::Shape(_))));
    }
}
