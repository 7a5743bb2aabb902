//! What a manager and a device read of a release archive: container, metadata, image, MANIFEST, lineage.

use weir_model::{Line, Lineage};
use weir_release::{ArchiveContent, MetadataSet, ReleaseManifest, check_image};
use weir_slots::Manifest;

/// An archive: one that is taken has a set of metadata that is written as bytes that read the same.
pub fn archive(bytes: &[u8]) -> bool {
    let Ok(content) = ArchiveContent::read(bytes) else { return false };
    same(content.metadata());
    assert!(content.image_digest().0 <= bytes.len() as u64);
    true
}

/// A set of metadata.
pub fn metadata(bytes: &[u8]) -> bool {
    MetadataSet::parse(bytes).is_ok_and(|set| {
        same(&set);
        true
    })
}

fn same(set: &MetadataSet) {
    assert_eq!(MetadataSet::parse(&set.to_bytes()).ok().as_ref(), Some(set), "a set is written as another one");
}

/// An image: its MANIFEST is one that a slot reads.
pub fn image(bytes: &[u8]) -> bool {
    check_image(bytes, None).is_ok_and(|read| manifest(&read.to_bytes()))
}

/// The MANIFEST of a release: a slot reads the same files from the same bytes.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = ReleaseManifest::parse(bytes) else { return false };
    assert_eq!(ReleaseManifest::parse(&manifest.to_bytes()).ok().as_ref(), Some(&manifest));
    let slot = Manifest::parse(bytes).expect("a release's MANIFEST is a slot's");
    assert_eq!((slot.version, slot.files), (manifest.version.to_string(), manifest.files));
    true
}

/// A lineage: steps do not depend on the order, and every hop of a path is one.
pub fn lineage(bytes: &[u8]) -> bool {
    let Ok(lineage) = serde_json::from_slice::<Lineage>(bytes) else { return false };
    let written = serde_json::to_vec(&lineage).expect("a lineage is JSON");
    assert_eq!(serde_json::from_slice::<Lineage>(&written).ok().as_ref(), Some(&lineage));
    let ends: Vec<Line> = lineage.lines().take(8).chain(lineage.lines().last()).collect();
    for (a, b) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
        assert_eq!(lineage.step(a, b), lineage.step(b, a));
        let path = lineage.path(a, b).unwrap_or_default();
        assert!(path.windows(2).all(|hop| lineage.step(hop[0], hop[1]) == Some(1)), "{a} to {b}: {path:?}");
    }
    true
}
