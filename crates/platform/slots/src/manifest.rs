//! What is in a slot: the MANIFEST beside its files.

use crate::Digest;
use serde::{Deserialize, Serialize};

/// Largest MANIFEST, in bytes.
pub const MANIFEST_MAX_BYTES: usize = 256 * 1024;

/// Most files in one image: a release is a few programs, not a tree of a distribution.
pub const FILES_MAX: usize = 256;

/// The format of the MANIFEST this build reads and writes.
const FORMAT: u32 = 1;

/// The MANIFEST of one image. Keys of a later line are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// The version of the image.
    pub version: String,
    /// The architecture its programs run on, such as `x86_64`.
    pub arch: String,
    /// Every file but the MANIFEST and `.verified`, by path.
    pub files: Vec<ManifestFile>,
}

/// One file of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path below the slot, with `/`.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Digest of the content.
    pub sha256: Digest,
}

/// The bytes are not a MANIFEST this build may act on.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MANIFEST_MAX_BYTES`], or more files than [`FILES_MAX`].
    #[error("the MANIFEST is over its limits")]
    TooLarge,
    /// Not JSON of the right shape.
    #[error("not a MANIFEST")]
    Shape(#[from] serde_json::Error),
    /// Another format.
    #[error("MANIFEST format {0} is not known to this build")]
    Format(u32),
    /// A path that leaves the slot or means another file of it.
    #[error("`{0}` is not a plain path below the slot")]
    Path(String),
    /// The same path twice.
    #[error("`{0}` is listed twice")]
    Twice(String),
}

impl Manifest {
    /// A MANIFEST of these files, in order of path.
    ///
    /// # Errors
    /// [`ManifestError`] when they may not be in one image.
    pub fn of(version: &str, arch: &str, mut files: Vec<ManifestFile>) -> Result<Self, ManifestError> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { format: FORMAT, version: version.to_owned(), arch: arch.to_owned(), files }.checked()
    }

    /// Reads a MANIFEST.
    ///
    /// # Errors
    /// [`ManifestError`]; nothing is guessed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_MAX_BYTES {
            return Err(ManifestError::TooLarge);
        }
        serde_json::from_slice::<Self>(bytes)?.checked()
    }

    /// The bytes of the MANIFEST, whose digest names the slot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is JSON");
        bytes.push(b'\n');
        bytes
    }

    fn checked(self) -> Result<Self, ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::Format(self.format));
        }
        if self.files.len() > FILES_MAX {
            return Err(ManifestError::TooLarge);
        }
        if let Some(file) = self.files.iter().find(|file| !plain(&file.path)) {
            return Err(ManifestError::Path(file.path.clone()));
        }
        let mut paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        match paths.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ManifestError::Twice(pair[0].to_owned())),
            None => Ok(self),
        }
    }
}

/// Segments of letters, digits and `.-_+` that are neither hidden nor `..`, so `MANIFEST` apart no file of ours is named.
pub(crate) fn plain(path: &str) -> bool {
    let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b));
    path.len() <= 255 && path != "MANIFEST" && path.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> ManifestFile {
        ManifestFile { path: path.to_owned(), bytes: 3, sha256: crate::digest_of_bytes(b"abc") }
    }

    #[test]
    fn round_trip_and_order() {
        let manifest = Manifest::of("1.0.0-b1", "x86_64", vec![file("weir"), file("share/page.html")]).expect("manifest");
        assert_eq!(manifest.files[0].path, "share/page.html");
        assert_eq!(Manifest::parse(&manifest.to_bytes()).expect("own bytes"), manifest);
    }

    #[test]
    fn what_a_later_line_adds_is_passed_over() {
        let text = r#"{"format":1,"version":"1.1.0-b1","arch":"x86_64","files":[],"fault":"crash"}"#;
        assert_eq!(Manifest::parse(text.as_bytes()).expect("manifest").version, "1.1.0-b1");
    }

    #[test]
    fn refused() {
        for path in ["", "/weir", "../weir", "a/../b", "a//b", ".verified", "a/.b", "MANIFEST", "a\0b", "é", "a/"] {
            assert!(matches!(Manifest::of("1", "x", vec![file(path)]), Err(ManifestError::Path(_))), "{path:?}");
        }
        assert!(matches!(Manifest::of("1", "x", vec![file("a"), file("a")]), Err(ManifestError::Twice(_))));
        let many = (0..=FILES_MAX).map(|n| file(&n.to_string())).collect();
        assert!(matches!(Manifest::of("1", "x", many), Err(ManifestError::TooLarge)));
        assert!(matches!(Manifest::parse(br#"{"format":2,"version":"","arch":"","files":[]}"#), Err(ManifestError::Format(2))));
        assert!(matches!(Manifest::parse(b"{}"), Err(ManifestError::Shape(_))));
        assert!(matches!(Manifest::parse(&vec![b' '; MANIFEST_MAX_BYTES + 1]), Err(ManifestError::TooLarge)));
    }
}
