//! One signed part of the metadata: sign it, count what holds, write it.

use crate::{
    keys::{KeyId, SigningKey},
    tuf::{MetadataError, Role, of_signatures},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::HashMap, num::NonZeroU64};
use tough::schema::{Hashes, Metafile, Role as TufRole, Root, Signature, Signed};
use weir_slots::digest_of_bytes;

/// The version of the TUF specification the metadata follows.
pub(crate) const SPECIFICATION: &str = "1.0.31";

/// The version after `version`.
pub(crate) fn next(version: NonZeroU64) -> NonZeroU64 {
    version.checked_add(1).expect("a counter that rises by one a release does not reach 2^64")
}

/// A part without signatures.
pub(crate) fn unsigned<T>(signed: T) -> Signed<T> {
    Signed { signed, signatures: Vec::new() }
}

/// Adds the signature of every key that `root` lets sign `role` and that has not signed yet.
pub(crate) fn sign<T: TufRole>(document: &mut Signed<T>, root: &Root, role: Role, keys: &[SigningKey]) {
    let message = document.signed.canonical_form().expect("a role is JSON");
    for key in keys {
        let id = key.public().id();
        let signed = document.signatures.iter().any(|signature| KeyId::of(&signature.keyid) == id);
        if !signed && may_sign(root, role, &id) {
            document.signatures.push(Signature { keyid: id.bytes().into(), sig: key.sign(&message).into() });
        }
    }
}

fn may_sign(root: &Root, role: Role, id: &KeyId) -> bool {
    root.roles.get(&role.tuf()).is_some_and(|keys| keys.keyids.contains(&id.bytes().into()))
}

/// Whether `root` accepts the signatures of `document`.
///
/// # Errors
/// [`MetadataError`].
pub(crate) fn verify<T: TufRole + Serialize>(document: &Signed<T>, root: &Root, role: Role) -> Result<(), MetadataError> {
    root.verify_role(document).map_err(|error| of_signatures(role, error))
}

/// The bytes of a part, as files and digests have them.
pub(crate) fn bytes<T: Serialize>(document: &Signed<T>) -> Vec<u8> {
    // Through a value, whose keys are in order: the same content is the same bytes.
    let value = serde_json::to_value(document).expect("a role is JSON");
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a value is JSON");
    bytes.push(b'\n');
    bytes
}

/// Reads a part; signatures are not verified.
///
/// # Errors
/// [`MetadataError::Malformed`].
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], role: Role) -> Result<Signed<T>, MetadataError> {
    serde_json::from_slice(bytes).map_err(|source| MetadataError::Malformed { role, source: source.into() })
}

/// How the part above points at `document`.
pub(crate) fn metafile<T: TufRole>(document: &Signed<T>) -> Metafile {
    let bytes = bytes(document);
    let sha256 = hex::decode(digest_of_bytes(&bytes).to_string()).expect("a digest is hexadecimal");
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes { sha256: sha256.into(), _extra: HashMap::new() }),
        version: document.signed.version(),
        _extra: HashMap::new(),
    }
}
