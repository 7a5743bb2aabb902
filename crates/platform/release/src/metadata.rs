//! A set of TUF metadata as bytes: what an archive carries, a manager hands out and a trust store keeps.
//!
//! Reading one checks names, sizes and completeness, not signatures.

use crate::tar::{TarError, TarReader, TarWriter};
use std::{collections::BTreeMap, io::Read};

/// Most roots in one set: at a rotation every quarter this is 32 years.
pub const ROOTS_MAX: usize = 128;

/// Largest root, in bytes: a few keys and signatures.
pub(crate) const ROOT_MAX_BYTES: u64 = 32 * 1024;

/// Largest timestamp or snapshot, in bytes: one entry and a few signatures.
pub(crate) const SMALL_MAX_BYTES: u64 = 16 * 1024;

/// Largest targets, in bytes: about 2 KiB for each of a thousand images.
pub(crate) const TARGETS_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// Largest set, in bytes.
pub const METADATA_MAX_BYTES: u64 = ROOT_MAX_BYTES * ROOTS_MAX as u64 + 2 * SMALL_MAX_BYTES + TARGETS_MAX_BYTES + 256 * 1024;

/// The folder of metadata in a container.
pub(crate) const FOLDER: &str = "metadata/";

/// Every file of one state of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSet {
    pub(crate) roots: BTreeMap<u64, Vec<u8>>,
    pub(crate) timestamp: Vec<u8>,
    pub(crate) snapshot: (u64, Vec<u8>),
    pub(crate) targets: (u64, Vec<u8>),
}

/// Why bytes are not a set of metadata.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The container.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file that has no place in a set.
    #[error("`{0}` is no file of a metadata set")]
    Unexpected(String),
    /// A file twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// A file over its limit.
    #[error("`{0}` is over its limit")]
    TooLarge(String),
    /// A file that must be there.
    #[error("there is no {0}")]
    Missing(&'static str),
}

/// Which file of a set a name means.
enum File {
    Root(u64),
    Timestamp,
    Snapshot(u64),
    Targets(u64),
}

impl File {
    fn of(name: &str) -> Option<(Self, u64)> {
        if name == "timestamp.json" {
            return Some((Self::Timestamp, SMALL_MAX_BYTES));
        }
        let (number, rest) = name.split_once('.')?;
        let version: u64 = number.parse().ok().filter(|version: &u64| *version > 0 && version.to_string() == number)?;
        match rest {
            "root.json" => Some((Self::Root(version), ROOT_MAX_BYTES)),
            "snapshot.json" => Some((Self::Snapshot(version), SMALL_MAX_BYTES)),
            "targets.json" => Some((Self::Targets(version), TARGETS_MAX_BYTES)),
            _ => None,
        }
    }
}

/// Files of a set as they come in.
#[derive(Default)]
pub(crate) struct Collected {
    roots: BTreeMap<u64, Vec<u8>>,
    timestamp: Option<Vec<u8>>,
    snapshot: Option<(u64, Vec<u8>)>,
    targets: Option<(u64, Vec<u8>)>,
}

impl Collected {
    /// Takes the current entry of `reader`, whose name below the folder is `name`.
    pub(crate) fn take(&mut self, name: &str, reader: &mut TarReader<impl Read>) -> Result<(), SetError> {
        let (file, limit) = File::of(name).ok_or_else(|| SetError::Unexpected(name.to_owned()))?;
        if self.roots.len() >= ROOTS_MAX && matches!(file, File::Root(_)) {
            return Err(SetError::TooLarge(name.to_owned()));
        }
        let body = reader.body(limit)?.ok_or_else(|| SetError::TooLarge(name.to_owned()))?;
        let twice = match file {
            File::Root(version) => self.roots.insert(version, body).is_some(),
            File::Timestamp => self.timestamp.replace(body).is_some(),
            File::Snapshot(version) => self.snapshot.replace((version, body)).is_some(),
            File::Targets(version) => self.targets.replace((version, body)).is_some(),
        };
        if twice { Err(SetError::Twice(name.to_owned())) } else { Ok(()) }
    }

    pub(crate) fn finish(self) -> Result<MetadataSet, SetError> {
        if self.roots.is_empty() {
            return Err(SetError::Missing("root.json"));
        }
        Ok(MetadataSet {
            roots: self.roots,
            timestamp: self.timestamp.ok_or(SetError::Missing("timestamp.json"))?,
            snapshot: self.snapshot.ok_or(SetError::Missing("snapshot.json"))?,
            targets: self.targets.ok_or(SetError::Missing("targets.json"))?,
        })
    }
}

impl MetadataSet {
    /// Reads a set from its container.
    ///
    /// # Errors
    /// [`SetError`]; a set is whole or nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, SetError> {
        let mut reader = TarReader::new(bytes);
        let mut collected = Collected::default();
        while let Some(head) = reader.next_entry()? {
            let name = head.path.strip_prefix(FOLDER).ok_or_else(|| SetError::Unexpected(head.path.clone()))?;
            collected.take(name, &mut reader)?;
        }
        collected.finish()
    }

    /// The container of this set.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = TarWriter::new(Vec::new());
        self.write(&mut writer).expect("memory takes everything, and names are plain");
        writer.finish().expect("memory takes everything")
    }

    pub(crate) fn write(&self, writer: &mut TarWriter<impl std::io::Write>) -> Result<(), TarError> {
        for (name, body) in self.files() {
            writer.add(&format!("{FOLDER}{name}"), body.len() as u64, body)?;
        }
        Ok(())
    }

    /// Name and bytes of every file, in the order in which a publisher writes them: what is pointed at before what points.
    pub fn files(&self) -> impl Iterator<Item = (String, &[u8])> {
        let roots = self.roots.iter().map(|(version, body)| (format!("{version}.root.json"), body.as_slice()));
        roots.chain([
            (format!("{}.targets.json", self.targets.0), self.targets.1.as_slice()),
            (format!("{}.snapshot.json", self.snapshot.0), self.snapshot.1.as_slice()),
            ("timestamp.json".to_owned(), self.timestamp.as_slice()),
        ])
    }

    /// The file of this name.
    pub(crate) fn file(&self, name: &str) -> Option<&[u8]> {
        let same = |version: u64, of: &(u64, Vec<u8>)| version == of.0;
        match File::of(name)?.0 {
            File::Root(version) => self.roots.get(&version).map(Vec::as_slice),
            File::Timestamp => Some(&self.timestamp),
            File::Snapshot(version) => same(version, &self.snapshot).then_some(&self.snapshot.1),
            File::Targets(version) => same(version, &self.targets).then_some(&self.targets.1),
        }
    }

    /// The newest root of the set.
    pub(crate) fn newest_root(&self) -> (u64, &[u8]) {
        let (version, body) = self.roots.last_key_value().expect("a set has a root");
        (*version, body)
    }

    /// The version the timestamp claims, unverified: which of two sets may be the newer one.
    pub(crate) fn claimed_version(&self) -> Option<u64> {
        let timestamp: serde_json::Value = serde_json::from_slice(&self.timestamp).ok()?;
        timestamp["signed"]["version"].as_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> MetadataSet {
        MetadataSet {
            roots: [(1, b"one".to_vec()), (2, b"two".to_vec())].into(),
            timestamp: br#"{"signed":{"version":9}}"#.to_vec(),
            snapshot: (7, b"snapshot".to_vec()),
            targets: (5, b"targets".to_vec()),
        }
    }

    fn container(files: &[(&str, usize)]) -> Vec<u8> {
        let mut writer = TarWriter::new(Vec::new());
        for (path, bytes) in files {
            writer.add(path, *bytes as u64, vec![b'x'; *bytes].as_slice()).expect(path);
        }
        writer.finish().expect("memory")
    }

    #[test]
    fn round_trip() {
        assert_eq!(MetadataSet::parse(&set().to_bytes()).expect("own bytes"), set());
        assert_eq!(set().claimed_version(), Some(9));
        assert_eq!(set().newest_root(), (2, b"two".as_slice()));
        assert_eq!(set().file("7.snapshot.json"), Some(b"snapshot".as_slice()));
        assert_eq!(set().file("8.snapshot.json"), None);
        let last = set().files().last().map(|(name, _)| name);
        assert_eq!(last.as_deref(), Some("timestamp.json"), "what points at everything is written last");
    }

    #[test]
    fn refused() {
        let parse = |files: &[(&str, usize)]| MetadataSet::parse(&container(files)).expect_err("refused");
        for name in ["x.json", "metadata/1.mirrors.json", "metadata/01.root.json", "metadata/0.root.json", "metadata/root.json"] {
            assert!(matches!(parse(&[(name, 1)]), SetError::Unexpected(_)), "{name}");
        }
        assert!(matches!(parse(&[("metadata/1.root.json", 1), ("metadata/1.root.json", 1)]), SetError::Twice(_)));
        assert!(matches!(parse(&[("metadata/1.targets.json", 1), ("metadata/2.targets.json", 1)]), SetError::Twice(_)));
        assert!(matches!(parse(&[("metadata/1.root.json", ROOT_MAX_BYTES as usize + 1)]), SetError::TooLarge(_)));
        let roots: Vec<String> = (1..=ROOTS_MAX + 1).map(|version| format!("metadata/{version}.root.json")).collect();
        assert!(matches!(parse(&roots.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>()), SetError::TooLarge(_)));
        assert!(matches!(parse(&[]), SetError::Missing("root.json")));
        assert!(matches!(parse(&[("metadata/1.root.json", 1)]), SetError::Missing("timestamp.json")));
        assert!(matches!(MetadataSet::parse(b""), Err(SetError::Tar(TarError::Truncated))));
    }
}
