//! SHA-256 of files and bytes, streaming.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fmt, fs,
    io::{self, Read},
    path::Path,
};

/// Bytes read at a time; large enough that hashing, not reading, is the cost.
const CHUNK_BYTES: usize = 256 * 1024;

/// A SHA-256 digest, 64 lower-case hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The first 12 digits: what a slot is named by.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        let mut bytes = [0; 32];
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err("is not a SHA-256 digest: 64 lower-case hexadecimal digits"),
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// The digest of these bytes.
pub fn digest_of_bytes(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The digest and the length in bytes of a file, read once and never held whole.
///
/// # Errors
/// When the file cannot be read.
pub fn digest_of_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok((Digest(hash.finalize().into()), bytes)),
            Ok(read) => {
                hash.update(&chunk[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2 appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_answer_and_text_form() {
        let digest = digest_of_bytes(b"abc");
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(digest.short(), &ABC[..12]);
        assert_eq!(Digest::try_from(ABC.to_owned()), Ok(digest));
        for bad in [&ABC[1..], &ABC.to_uppercase(), &format!("{ABC}0"), "", &ABC.replace('b', "g")] {
            assert!(Digest::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_longer_than_one_chunk_is_the_same_as_its_bytes() {
        let dir = tempfile::tempdir().expect("dir");
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 17).map(|n| (n % 251) as u8).collect();
        let path = dir.path().join("file");
        std::fs::write(&path, &bytes).expect("write");
        assert_eq!(digest_of_file(&path).expect("read"), (digest_of_bytes(&bytes), bytes.len() as u64));
    }
}
