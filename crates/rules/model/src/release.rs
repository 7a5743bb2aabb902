//! What a release says of itself, and why one may not be installed.

use crate::Line;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Numbers a build can deal with, both ends included: versions of a protocol, schema steps, cache formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The lowest.
    pub min: u32,
    /// The highest.
    pub max: u32,
}

impl Span {
    /// Whether there is such a number at all.
    pub fn is_ordered(self) -> bool {
        self.min <= self.max
    }

    /// Whether `number` is one of them.
    pub fn contains(self, number: u32) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

/// What must agree before a feature is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// The binary has it.
    Local,
    /// Both ends of a connection have it.
    Pairwise,
    /// The level of the whole network allows it.
    Cluster,
    /// A kind of a later line.
    #[serde(other)]
    Unknown,
}

/// A feature that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// What must agree.
    pub kind: GateKind,
    /// The first line that has it.
    pub since: Line,
    /// Whether it is on where nobody said otherwise.
    pub default: bool,
}

/// The level of a network that says none: the first line there was.
pub const FIRST_LEVEL: Line = Line::new(1, 0);

/// The feature gates of this build, in order of name.
pub fn gates() -> Vec<Gate> {
    #[cfg(feature = "synthetic-next")]
    return vec![crate::next::service_detail()];
    #[cfg(not(feature = "synthetic-next"))]
    Vec::new()
}

impl Gate {
    /// Whether the feature may be used where the network's level is `level` (absent: [`FIRST_LEVEL`]) and nothing is known
    /// of the other end. One of a kind this build does not know is closed.
    pub fn is_open(&self, level: Option<Line>) -> bool {
        self.default
            && match self.kind {
                GateKind::Local => true,
                GateKind::Cluster => level.unwrap_or(FIRST_LEVEL) >= self.since,
                GateKind::Pairwise | GateKind::Unknown => false,
            }
    }
}

/// What every build of a line has in common: wire, database, cache and gates. A maintenance build changes none of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseInterface {
    /// The versions of each protocol the build speaks, by the protocol's name.
    pub protocols: BTreeMap<String, Span>,
    /// Schema steps the build can run on.
    pub schema: Span,
    /// Formats of cache records the build can read.
    pub cache_format: Span,
    /// Its feature gates, by name.
    pub gates: Vec<Gate>,
}

impl ReleaseInterface {
    /// The first part in which another build of the same line differs, by the name of its field.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("protocols", self.protocols != other.protocols),
            ("schema", self.schema != other.schema),
            ("cache_format", self.cache_format != other.cache_format),
            ("gates", self.gates != other.gates),
        ];
        parts.into_iter().find_map(|(name, differs)| differs.then_some(name))
    }
}

/// The checks of a release archive, in the order they are made. One that fails ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCheck {
    /// The file is a whole archive.
    Archive,
    /// Its metadata, if newer than what is trusted, is signed by the keys of the network's root.
    Signature,
    /// The image is listed in the newest trusted metadata, which has not expired.
    Listed,
    /// Length and digest of the image are the listed ones.
    Content,
    /// The MANIFEST, and every file it lists.
    Manifest,
    /// The version is the one that was registered.
    Version,
    /// The architecture is the device's.
    Arch,
    /// The line is one of the signed lineage.
    Lineage,
    /// Every schema step has its way back.
    Migrations,
}

impl ReleaseCheck {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Archive,
        Self::Signature,
        Self::Listed,
        Self::Content,
        Self::Manifest,
        Self::Version,
        Self::Arch,
        Self::Lineage,
        Self::Migrations,
    ];

    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Signature => "signature",
            Self::Listed => "listed",
            Self::Content => "content",
            Self::Manifest => "manifest",
            Self::Version => "version",
            Self::Arch => "arch",
            Self::Lineage => "lineage",
            Self::Migrations => "migrations",
        }
    }
}

impl fmt::Display for ReleaseCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an archive is `Invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// The file could not be read here; nothing is known of its content.
    Unreadable,
    /// Not a release archive.
    NotAnArchive,
    /// It ends too early.
    Truncated,
    /// A part is over its limit.
    TooLarge,
    /// It has an entry that is a link, a device, or has a path that leads elsewhere.
    UnsafeEntry,
    /// Metadata that is not TUF metadata of ours.
    MetadataMalformed,
    /// A file of the metadata is not there.
    MetadataMissing,
    /// Fewer valid signatures than the root asks for.
    Unsigned,
    /// One key signed twice.
    DuplicateSignature,
    /// Metadata older than what was trusted before.
    Rollback,
    /// Files of different metadata sets.
    MetadataMixed,
    /// Past its expiry.
    Expired,
    /// The newest metadata does not list the image.
    Delisted,
    /// The image's length is not the listed one.
    WrongSize,
    /// The image's digest is not the listed one.
    WrongDigest,
    /// The image is not what a build makes: no MANIFEST, or one that may not be acted on.
    ManifestMalformed,
    /// A file of the image is not the one its MANIFEST lists.
    WrongFile,
    /// Another version than the one registered, or than the one listed.
    WrongVersion,
    /// Another architecture.
    WrongArch,
    /// A line that the signed lineage does not have.
    UnknownLine,
    /// A schema step without its way back.
    MigrationOneWay,
}

impl InvalidReason {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Unreadable,
        Self::NotAnArchive,
        Self::Truncated,
        Self::TooLarge,
        Self::UnsafeEntry,
        Self::MetadataMalformed,
        Self::MetadataMissing,
        Self::Unsigned,
        Self::DuplicateSignature,
        Self::Rollback,
        Self::MetadataMixed,
        Self::Expired,
        Self::Delisted,
        Self::WrongSize,
        Self::WrongDigest,
        Self::ManifestMalformed,
        Self::WrongFile,
        Self::WrongVersion,
        Self::WrongArch,
        Self::UnknownLine,
        Self::MigrationOneWay,
    ];

    /// The word on pages, in JSON and in the command's output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotAnArchive => "not_an_archive",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
            Self::UnsafeEntry => "unsafe_entry",
            Self::MetadataMalformed => "metadata_malformed",
            Self::MetadataMissing => "metadata_missing",
            Self::Unsigned => "unsigned",
            Self::DuplicateSignature => "duplicate_signature",
            Self::Rollback => "rollback",
            Self::MetadataMixed => "metadata_mixed",
            Self::Expired => "expired",
            Self::Delisted => "delisted",
            Self::WrongSize => "wrong_size",
            Self::WrongDigest => "wrong_digest",
            Self::ManifestMalformed => "manifest_malformed",
            Self::WrongFile => "wrong_file",
            Self::WrongVersion => "wrong_version",
            Self::WrongArch => "wrong_arch",
            Self::UnknownLine => "unknown_line",
            Self::MigrationOneWay => "migration_one_way",
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_everywhere() {
        for check in ReleaseCheck::ALL {
            assert_eq!(serde_json::to_value(check).expect("json"), check.as_str());
        }
        for reason in [InvalidReason::NotAnArchive, InvalidReason::MigrationOneWay, InvalidReason::Delisted] {
            assert_eq!(serde_json::to_value(reason).expect("json"), reason.as_str());
        }
        assert!(ReleaseCheck::ALL.is_sorted());
    }

    #[test]
    fn a_gate_of_a_later_line_is_read() {
        let gate: Gate = serde_json::from_str(r#"{"name":"x","kind":"planetary","since":"9.0","default":true}"#).expect("gate");
        assert_eq!(gate.kind, GateKind::Unknown);
    }

    #[test]
    fn a_gate_is_open_where_its_kind_lets_it() {
        let gate = |kind, default| Gate { name: "x".into(), kind, since: Line::new(1, 2), default };
        for (kind, at_1_0, at_1_2) in [
            (GateKind::Local, true, true),
            (GateKind::Pairwise, false, false),
            (GateKind::Cluster, false, true),
            (GateKind::Unknown, false, false),
        ] {
            assert_eq!(gate(kind, true).is_open(None), at_1_0, "{kind:?}");
            assert_eq!(gate(kind, true).is_open(Some(Line::new(1, 1))), at_1_0, "{kind:?}");
            assert_eq!(gate(kind, true).is_open(Some(Line::new(1, 2))), at_1_2, "{kind:?}");
            assert!(!gate(kind, false).is_open(Some(Line::new(9, 0))), "{kind:?} is off by default");
        }
    }

    #[cfg(not(feature = "synthetic-next"))]
    #[test]
    fn this_line_has_no_gates() {
        assert_eq!(gates(), []);
    }

    #[test]
    fn the_first_difference_is_named() {
        let span = Span { min: 1, max: 2 };
        let one = ReleaseInterface { protocols: BTreeMap::new(), schema: span, cache_format: span, gates: vec![] };
        assert_eq!(one.difference(&one), None);
        let gate = Gate { name: "x".into(), kind: GateKind::Local, since: Line::new(1, 1), default: false };
        let gated = ReleaseInterface { gates: vec![gate], ..one.clone() };
        assert_eq!(one.difference(&gated), Some("gates"));
        let newer = ReleaseInterface { schema: Span { min: 1, max: 3 }, ..gated };
        assert_eq!(one.difference(&newer), Some("schema"));
        assert!(span.contains(2) && !span.contains(3) && !Span { min: 2, max: 1 }.is_ordered());
    }
}
