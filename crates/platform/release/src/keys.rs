//! Ed25519 keys that sign metadata: PKCS#8 in PEM on disk, TUF keys in a root.

use aws_lc_rs::signature::{ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use std::{collections::HashMap, fmt, fs, io, path::Path, str::FromStr};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use weir_slots::{DiskError, durable_write_private};
use zeroize::Zeroizing;

/// Width of the lines of a PEM body (RFC 7468 section 2).
const PEM_LINE_BYTES: usize = 64;

/// Largest key file, in bytes.
const KEY_FILE_MAX_BYTES: u64 = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key {path}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Not an Ed25519 key in PKCS#8 PEM.
    #[error("{path} is not an Ed25519 private key in PEM (PKCS#8)")]
    NotAKey {
        /// The file.
        path: String,
    },
    /// Not the 64 hexadecimal digits of a public key.
    #[error("not an Ed25519 public key: 64 lower-case hexadecimal digits")]
    NotAPublicKey,
    /// The machine gave no randomness.
    #[error("no key could be made: the source of randomness failed")]
    NoRandomness,
}

/// A private key. Its text is wiped from memory when it goes.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// A public key: 64 hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; ED25519_PUBLIC_KEY_LEN]);

/// What TUF calls a key by: the digest of its canonical form, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self { pair: Ed25519KeyPair::generate().map_err(|_| KeyError::NoRandomness)? })
    }

    /// Reads a key from a PEM file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let shown = || path.display().to_string();
        let length = fs::metadata(path).map_err(|source| KeyError::Read { path: shown(), source })?.len();
        if length > KEY_FILE_MAX_BYTES {
            return Err(KeyError::NotAKey { path: shown() });
        }
        let pem = Zeroizing::new(fs::read(path).map_err(|source| KeyError::Read { path: shown(), source })?);
        Self::parse(&pem).ok_or_else(|| KeyError::NotAKey { path: shown() })
    }

    fn parse(pem: &[u8]) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        Some(Self { pair: Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()? })
    }

    /// Writes the key as PEM, readable by its owner only.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write(&self, path: &Path) -> Result<(), DiskError> {
        durable_write_private(path, self.pem().as_bytes())
    }

    fn pem(&self) -> Zeroizing<String> {
        let der = self.pair.to_pkcs8v1().expect("a key pair has a PKCS#8 form");
        let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
        let mut pem = Zeroizing::new(String::with_capacity(body.len() + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for line in body.as_bytes().chunks(PEM_LINE_BYTES) {
            pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl PublicKey {
    /// The name TUF has for it.
    pub fn id(&self) -> KeyId {
        KeyId(hex::encode(self.tuf().key_id().expect("a key is JSON")))
    }

    pub(crate) fn tuf(&self) -> Key {
        Key::Ed25519 {
            keyval: Ed25519Key { public: self.0.to_vec().into(), _extra: HashMap::new() },
            scheme: Ed25519Scheme::Ed25519,
            _extra: HashMap::new(),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; ED25519_PUBLIC_KEY_LEN];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(KeyError::NotAPublicKey),
        }
    }
}

impl KeyId {
    /// The first 12 digits: what a key file is named by.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        hex::decode(&self.0).expect("a key id is hexadecimal by construction")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Ok(Self(text.parse::<PublicKey>()?.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_file_which_only_its_owner_reads() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.pem");
        let key = SigningKey::generate().expect("key");
        key.write(&path).expect("write");
        assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        let read = SigningKey::read(&path).expect("own file");
        assert_eq!(read.public(), key.public());
        assert_eq!(read.sign(b"x"), key.sign(b"x"));
        assert!(!format!("{key:?}").contains(&*key.pem()));
    }

    #[test]
    fn refused() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.pem");
        assert!(matches!(SigningKey::read(&path), Err(KeyError::Read { .. })));
        let large = vec![b'x'; KEY_FILE_MAX_BYTES as usize + 1];
        for bytes in [b"".as_slice(), b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &large] {
            fs::write(&path, bytes).expect("write");
            assert!(matches!(SigningKey::read(&path), Err(KeyError::NotAKey { .. })));
        }
        let text = SigningKey::generate().expect("key").public().to_string();
        assert_eq!(text.parse::<PublicKey>().expect("own text").to_string(), text);
        for bad in ["", &text[1..], &text.to_uppercase().replace('0', "A")] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }

    /// RFC 8410 section 10.3: a key made elsewhere.
    #[test]
    fn the_example_of_the_standard() {
        let pem =
            b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let key = SigningKey::parse(pem).expect("key");
        assert_eq!(key.public().to_string(), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    }
}
