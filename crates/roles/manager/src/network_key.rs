//! The network key: 32 random bytes beside the database, which seal what is secret in it.
//!
//! It is made when a network begins, reaches the standby at its enrolment, and leaves a box only as a phrase of 24 words
//! (BIP-39, English) that an operator writes down. Page: `docs/how-to/back-up-and-restore.md`.

use crate::keep;
use aws_lc_rs::rand;
use bip39::{Language, Mnemonic};
use sha2::{Digest, Sha256};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Length of the key, in bytes: AES-256.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of the key's SHA-256 that its fingerprint shows.
const FINGERPRINT_BYTES: usize = 8;
/// The key's file in the manager's state directory.
const FILE: &str = "network.key";
/// What the key before an import is called beside it; with a number after it where that is another one's already.
const PREVIOUS: &str = "network.key.previous";
/// Keys before imports that are kept; more are no accident.
const PREVIOUS_MAX: u32 = 1_000;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// Its file.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file is not a key.
    #[error("{} is not a network key: it has another length than {KEY_BYTES} bytes", .0.display())]
    Length(PathBuf),
    /// The one before it cannot be kept beside it.
    #[error("{} holds {PREVIOUS_MAX} earlier network keys; take some away", .0.display())]
    Previous(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Random,
    /// Not the 24 words of a key.
    #[error("is not the phrase of a network key: {0}")]
    Phrase(&'static str),
}

/// The network key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NetworkKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NetworkKey").field(&self.fingerprint()).finish()
    }
}

fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

impl NetworkKey {
    /// The key of this box; `None` when it has none. `state` is the manager's state directory.
    ///
    /// # Errors
    /// The file cannot be read, or is no key.
    pub(crate) fn load(state: &Path) -> Result<Option<Self>, KeyError> {
        let path = path(state);
        let bytes = match fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::File { what: "read", path, source }),
        };
        match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Some(Self(Zeroizing::new(key)))),
            Err(_) => Err(KeyError::Length(path)),
        }
    }

    /// Makes a key and keeps it: the beginning of a network.
    ///
    /// # Errors
    /// The system gives no randomness, or the file cannot be written.
    pub(crate) fn create(state: &Path) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| KeyError::Random)?;
        let key = Self(bytes);
        key.keep(state)?;
        Ok(key)
    }

    /// Writes it into the state directory, durably, mode 0600.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self, state: &Path) -> Result<(), KeyError> {
        let path = path(state);
        keep::file(&path, self.0.as_slice()).map_err(|source| KeyError::File { what: "write", path, source })
    }

    /// Writes it in the place of another one, whatever that file holds: that may be the only copy, and is kept beside it.
    ///
    /// # Errors
    /// A file cannot be read or written; the one in its place is untouched then.
    pub(crate) fn replace(&self, state: &Path) -> Result<(), KeyError> {
        let path = path(state);
        let read = |path: &Path| match fs::read(path) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyError::File { what: "read", path: path.to_owned(), source }),
        };
        let before = read(&path)?.filter(|before| before.as_slice() != self.0.as_slice());
        if let Some(before) = before {
            let name = |number| if number == 1 { PREVIOUS.to_owned() } else { format!("{PREVIOUS}-{number}") };
            let mut places = (1..=PREVIOUS_MAX).map(|number| state.join(name(number)));
            loop {
                let place = places.next().ok_or_else(|| KeyError::Previous(state.to_owned()))?;
                match read(&place)? {
                    None => keep::file(&place, &before).map_err(|source| KeyError::File { what: "write", path: place, source })?,
                    Some(kept) if kept == before => {}
                    Some(_) => continue,
                }
                break;
            }
        }
        self.keep(state)
    }

    /// First 16 hex digits of its SHA-256: says which key it is and nothing of it.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(&Sha256::digest(self.0.as_slice())[..FINGERPRINT_BYTES])
    }

    /// 24 words, for an operator to write down.
    pub(crate) fn phrase(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy(self.0.as_slice()).expect("BIP-39 has 24 words for 32 bytes");
        let mut phrase = Zeroizing::new(String::with_capacity(24 * 9));
        for word in mnemonic.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        phrase
    }

    /// The key of a phrase; case and spaces do not matter.
    ///
    /// # Errors
    /// Another number of words, a word that is not on the list, or words that do not belong together.
    pub(crate) fn from_phrase(phrase: &str) -> Result<Self, KeyError> {
        let lower = Zeroizing::new(phrase.to_lowercase());
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|error| match error {
            bip39::Error::BadWordCount(_) => KeyError::Phrase("it has another number of words than 24"),
            bip39::Error::UnknownWord(_) => KeyError::Phrase("a word is not on the list"),
            _ => KeyError::Phrase("a word is wrong or in another place"),
        })?;
        let (bytes, length) = mnemonic.to_entropy_array();
        let bytes = Zeroizing::new(bytes);
        if length != KEY_BYTES {
            return Err(KeyError::Phrase("it has another number of words than 24"));
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&bytes[..KEY_BYTES]);
        Ok(Self(key))
    }

    /// 64 hex digits: how it travels to the standby, over mutual TLS.
    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }

    /// The key of 64 hex digits.
    #[cfg(test)]
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text, key.as_mut_slice()).ok()?;
        Some(Self(key))
    }

    /// What AES-256 takes.
    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    proptest! {
        #[test]
        fn a_phrase_is_the_key(bytes: [u8; KEY_BYTES]) {
            let key = NetworkKey(Zeroizing::new(bytes));
            let phrase = key.phrase();
            prop_assert_eq!(phrase.split(' ').count(), 24);
            prop_assert_eq!(&NetworkKey::from_phrase(&phrase).expect("reads"), &key);
            prop_assert_eq!(&NetworkKey::from_phrase(&format!("  {}\n", phrase.to_uppercase().replace(' ', "\n "))).expect("reads"), &key);
            prop_assert_eq!(&NetworkKey::from_hex(&key.to_hex()).expect("reads"), &key);
            let shown = format!("{key:?}");
            prop_assert!(!shown.contains(key.to_hex().as_str()) && shown.contains(&key.fingerprint()));
        }
    }

    #[test]
    fn what_is_no_phrase_says_why() {
        let zero = NetworkKey(Zeroizing::new([0; KEY_BYTES]));
        let phrase = zero.phrase();
        // BIP-39's own test vector for 256 zero bits.
        assert_eq!(phrase.as_str(), format!("{}art", "abandon ".repeat(23)));
        let table = [
            ("abandon ".repeat(24), "a word is wrong or in another place"),
            (phrase.replace("art", "weir"), "a word is not on the list"),
            ("abandon ".repeat(11) + "about", "it has another number of words than 24"),
            (String::new(), "it has another number of words than 24"),
        ];
        for (phrase, why) in table {
            let error = NetworkKey::from_phrase(&phrase).expect_err("refused");
            assert_eq!(error.to_string(), format!("is not the phrase of a network key: {why}"), "{phrase}");
        }
    }

    #[test]
    fn it_is_kept_for_this_user_only() {
        let state = tempfile::tempdir().expect("dir");
        assert_eq!(NetworkKey::load(state.path()).expect("reads"), None);
        let key = NetworkKey::create(state.path()).expect("made");
        let mode = fs::metadata(state.path().join("network.key")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(NetworkKey::load(state.path()).expect("reads"), Some(key.clone()));
        assert_ne!(NetworkKey::create(state.path()).expect("another"), key);
        fs::write(state.path().join("network.key"), "short").expect("written");
        assert!(matches!(NetworkKey::load(state.path()), Err(KeyError::Length(_))));
    }

    #[test]
    fn a_key_in_another_ones_place_keeps_that_one() {
        let state = tempfile::tempdir().expect("dir");
        let previous = |name: &str| fs::read(state.path().join(name)).ok();
        let keys = [1, 2, 3].map(|byte| NetworkKey(Zeroizing::new([byte; KEY_BYTES])));
        keys[0].replace(state.path()).expect("the first");
        keys[0].replace(state.path()).expect("the same");
        assert_eq!(previous("network.key.previous"), None, "nothing was replaced");
        for (key, other) in [(&keys[1], 1), (&keys[2], 2), (&keys[0], 3), (&keys[1], 1)] {
            key.replace(state.path()).expect("replaced");
            assert_eq!(NetworkKey::load(state.path()).expect("reads").as_ref(), Some(key));
            let kept = ["network.key.previous", "network.key.previous-2", "network.key.previous-3"].map(previous);
            assert!(kept.contains(&Some(vec![other; KEY_BYTES])), "key {other} is kept: {kept:?}");
        }
        assert_eq!(previous("network.key.previous-4"), None, "each is kept once");
    }
}
