//! Sealing: what is secret in `config.db` lies there as AES-256-GCM under the network key, bound to its place.
//!
//! A sealed value is `sealed:v1:` and the base64 of nonce, ciphertext and tag. The place, such as `keepalive_key.secret`, is
//! the associated data: a value moved to another column does not open.

use crate::{
    network_key::NetworkKey,
    tables::settings::{self, CA_KEY},
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use rusqlite::Transaction;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// What every sealed value begins with.
pub(crate) const PREFIX: &str = "sealed:v1:";

/// Places of sealed values, as `table.column` or the name of a setting.
pub(crate) mod place {
    pub(crate) const CA_KEY: &str = "setting.ca_key";
    pub(crate) const KEEPALIVE: &str = "keepalive_key.secret";
    pub(crate) const SOURCE_PASSWORD: &str = "software_file.password";
    pub(crate) const SOURCE_HEADER: &str = "software_file.header_value";
    pub(crate) const BACKUP_HEADER: &str = "setting.backup_header_value";
}

/// Why a value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// It was never sealed.
    #[error("the value is not sealed")]
    NotSealed,
    /// Not what sealing writes.
    #[error("the sealed value is not readable")]
    Unreadable,
    /// Another key, another place, or changed since.
    #[error("the network key does not open the value")]
    Refused,
}

/// Seals and opens. Never printed.
pub(crate) struct Seal {
    key: RandomizedNonceKey,
    fingerprint: String,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").field(&self.fingerprint).finish()
    }
}

impl Seal {
    pub(crate) fn new(key: &NetworkKey) -> Self {
        let aes = RandomizedNonceKey::new(&AES_256_GCM, key.bytes()).expect("AES-256 takes 32 bytes");
        Self { key: aes, fingerprint: key.fingerprint() }
    }

    /// One for tests of what lies above it.
    #[cfg(test)]
    pub(crate) fn of_a_test() -> std::sync::Arc<Self> {
        let key = NetworkKey::from_hex(&"5e".repeat(crate::network_key::KEY_BYTES)).expect("a key");
        std::sync::Arc::new(Self::new(&key))
    }

    /// Fingerprint of the key it seals with.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The value as the database holds it.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> String {
        let mut bytes = plain.to_vec();
        bytes.reserve(AES_256_GCM.tag_len());
        let nonce = self.key.seal_in_place_append_tag(Aad::from(place), &mut bytes).expect("the system gives random bytes");
        let whole = [nonce.as_ref().as_slice(), &bytes].concat();
        format!("{PREFIX}{}", BASE64_STANDARD.encode(whole))
    }

    /// What was sealed at this place.
    ///
    /// # Errors
    /// It is not sealed, not readable, or does not open.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let text = sealed.strip_prefix(PREFIX).ok_or(SealError::NotSealed)?;
        let whole = BASE64_STANDARD.decode(text).map_err(|_| SealError::Unreadable)?;
        let (nonce, bytes) = whole.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Unreadable)?;
        let mut bytes = Zeroizing::new(bytes.to_vec());
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut bytes);
        let length = opened.map_err(|_| SealError::Refused)?.len();
        bytes[length..].zeroize();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The same, of text.
    ///
    /// # Errors
    /// As [`Seal::open`].
    pub(crate) fn open_text(&self, place: &str, sealed: &str) -> Result<Zeroizing<String>, SealError> {
        let bytes = self.open(place, sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SealError::Unreadable)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// What a key is to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It opens what is sealed there.
    Opens,
    /// Nothing is sealed there yet: no network, or one of a build that did not seal.
    Nothing,
    /// It is not the key of this database.
    OtherKey,
}

/// Whether this key opens what is sealed in this `config.db`: the CA key stands for all.
pub(crate) fn settled(tx: &Transaction<'_>, seal: &Seal) -> rusqlite::Result<Settled> {
    Ok(match settings::get(tx, CA_KEY)? {
        None => Settled::Nothing,
        Some(sealed) if seal.open(place::CA_KEY, &sealed).is_ok() => Settled::Opens,
        Some(_) => Settled::OtherKey,
    })
}

#[cfg(test)]
mod tests;
