//! What the targets metadata says: which images may be installed, the lineage, the security floor.

use crate::{
    archive::image_name,
    document, expiry,
    keys::KeyId,
    metadata::MetadataSet,
    tuf::{self, MetadataError, Role},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tough::{
    TargetName,
    schema::{Hashes, Role as TufRole, Root, Signed, Snapshot, Target, Targets, Timestamp},
};
use weir_model::{Lineage, ReleaseInterface, Version};
use weir_slots::Digest;

/// The extra field of the targets that holds lineage and floor, and the custom field of a target.
const FIELD: &str = "weir";

/// What is signed about one release, beside the length and the digest of its image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// The architecture its programs run on, such as `x86_64`.
    pub arch: String,
    /// Digest of the image's MANIFEST: what a slot is named by.
    pub manifest: Digest,
    /// What it has in common with every build of its line.
    pub interface: ReleaseInterface,
}

/// One image that may be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name of the image: [`image_name`].
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Digest,
    /// What is signed about it; absent when a later line wrote it in a way this build does not know.
    pub release: Option<Release>,
}

/// Everything the targets metadata says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The images, by name.
    pub images: BTreeMap<String, Listed>,
    /// The released lines and their bridges.
    pub lineage: Lineage,
    /// Nothing below this version is listed.
    pub floor: Option<Version>,
}

/// What a set says of itself, unverified: for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The version of its newest root.
    pub root: u64,
    /// The version of its timestamp: higher is newer.
    pub timestamp: u64,
    /// When it was signed, in seconds since 1970.
    pub signed_at: u64,
    /// When the first part of it expires, in seconds since 1970.
    pub expires: u64,
    /// Each part of it: root, targets, snapshot, timestamp.
    pub parts: Vec<PartClaims>,
    /// Which keys its newest root lets sign what.
    pub roles: Vec<RoleClaims>,
    /// What it lists.
    pub listing: Listing,
}

/// What one part of a set says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartClaims {
    /// Which part.
    pub role: Role,
    /// Its version.
    pub version: u64,
    /// When it expires, in seconds since 1970.
    pub expires: u64,
    /// How many signatures it carries, valid or not.
    pub signatures: usize,
}

/// The keys of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleClaims {
    /// Which role.
    pub role: Role,
    /// How many of the keys must sign.
    pub threshold: u64,
    /// The keys.
    pub keys: Vec<KeyId>,
}

/// Why the targets metadata says nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// No lineage and floor, or not in the form they have.
    #[error("the targets metadata has no lineage that can be read")]
    Lineage(#[source] Option<serde_json::Error>),
    /// A target whose name or digest is none of ours.
    #[error("`{0}` is no image of ours")]
    Target(String),
}

/// Lineage and floor as they are signed.
#[derive(Serialize, Deserialize)]
struct Network {
    lineage: Lineage,
    floor: Option<Version>,
}

impl Listing {
    /// Reads verified targets.
    ///
    /// # Errors
    /// [`ListingError`].
    pub(crate) fn read(targets: &Targets) -> Result<Self, ListingError> {
        let network = targets._extra.get(FIELD).ok_or(ListingError::Lineage(None))?;
        let network: Network = serde_json::from_value(network.clone()).map_err(|error| ListingError::Lineage(Some(error)))?;
        let mut images = BTreeMap::new();
        for (name, target) in &targets.targets {
            let listed = read_target(name, target).ok_or_else(|| ListingError::Target(name.raw().to_owned()))?;
            images.insert(listed.name.clone(), listed);
        }
        Ok(Self { images, lineage: network.lineage, floor: network.floor })
    }

    /// Puts what this says into targets.
    pub(crate) fn write(&self, targets: &mut Targets) {
        let network = Network { lineage: self.lineage.clone(), floor: self.floor };
        targets._extra.insert(FIELD.to_owned(), serde_json::to_value(network).expect("a lineage is JSON"));
        targets.targets = self.images.values().map(|listed| (name_of(listed), write_target(listed))).collect();
    }

    /// The readable releases, with the images they are in, in order of version.
    pub fn releases(&self) -> Vec<(&Release, &Listed)> {
        let mut releases: Vec<_> = self.images.values().filter_map(|listed| Some((listed.release.as_ref()?, listed))).collect();
        releases.sort_by(|(a, _), (b, _)| (a.version, &a.arch).cmp(&(b.version, &b.arch)));
        releases
    }
}

impl MetadataSet {
    /// What the set says of itself. No signature is verified.
    ///
    /// # Errors
    /// [`MetadataError::Malformed`].
    pub fn claims(&self) -> Result<Claims, MetadataError> {
        let root: Signed<Root> = document::parse(self.newest_root().1, Role::Root)?;
        let timestamp: Signed<Timestamp> = document::parse(&self.timestamp, Role::Timestamp)?;
        let snapshot: Signed<Snapshot> = document::parse(&self.snapshot.1, Role::Snapshot)?;
        let targets: Signed<Targets> = document::parse(&self.targets.1, Role::Targets)?;
        let parts = vec![
            part(Role::Root, &root),
            part(Role::Targets, &targets),
            part(Role::Snapshot, &snapshot),
            part(Role::Timestamp, &timestamp),
        ];
        Ok(Claims {
            root: root.signed.version.get(),
            timestamp: timestamp.signed.version.get(),
            signed_at: tuf::signed_at(&timestamp)?,
            expires: parts.iter().map(|part| part.expires).min().unwrap_or(0),
            roles: Role::ALL.into_iter().map(|role| role_of(&root.signed, role)).collect(),
            parts,
            listing: Listing::read(&targets.signed)
                .map_err(|source| MetadataError::Malformed { role: Role::Targets, source: source.into() })?,
        })
    }
}

fn part<T: TufRole>(role: Role, document: &Signed<T>) -> PartClaims {
    let signed = &document.signed;
    PartClaims { role, version: signed.version().get(), expires: expiry::seconds(signed.expires()), signatures: document.signatures.len() }
}

fn role_of(root: &Root, role: Role) -> RoleClaims {
    match root.roles.get(&role.tuf()) {
        Some(of) => RoleClaims { role, threshold: of.threshold.get(), keys: of.keyids.iter().map(|id| KeyId::of(id)).collect() },
        None => RoleClaims { role, threshold: 0, keys: Vec::new() },
    }
}

fn name_of(listed: &Listed) -> TargetName {
    TargetName::new(&listed.name).expect("an image name is a plain name")
}

fn write_target(listed: &Listed) -> Target {
    let release = listed.release.as_ref().map(|release| serde_json::to_value(release).expect("a release is JSON"));
    Target {
        length: listed.bytes,
        hashes: Hashes { sha256: hex::decode(listed.sha256.to_string()).expect("a digest is hexadecimal").into(), _extra: HashMap::new() },
        custom: release.map(|release| (FIELD.to_owned(), release)).into_iter().collect(),
        _extra: HashMap::new(),
    }
}

fn read_target(name: &TargetName, target: &Target) -> Option<Listed> {
    let release: Option<Release> = target.custom.get(FIELD).and_then(|value| serde_json::from_value(value.clone()).ok());
    let misnamed = release.as_ref().is_some_and(|release| image_name(release.version, &release.arch) != name.raw());
    let sha256 = Digest::try_from(hex::encode(&target.hashes.sha256)).ok()?;
    (!misnamed && name.raw() == name.resolved()).then(|| Listed { name: name.raw().to_owned(), bytes: target.length, sha256, release })
}
