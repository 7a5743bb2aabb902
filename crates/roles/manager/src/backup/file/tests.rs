//! A backup reads as it was written, and nothing else reads.

use super::*;
use proptest::prelude::*;

/// A manifest of a database with these bytes.
pub(crate) fn of(database: &[u8]) -> BackupManifest {
    BackupManifest {
        format: FORMAT,
        network: "demo".into(),
        network_id: "ab".repeat(32),
        manager: "manager-1".parse().expect("name"),
        version: weir_model::version().to_owned(),
        step: 7,
        term: 3,
        generation: 40,
        rev: 12,
        digest: "cd".repeat(32),
        database_sha256: hex::encode(Sha256::digest(database)),
        database_bytes: database.len() as u64,
        key_fingerprint: "01".repeat(8),
    }
}

fn packed(manifest: &BackupManifest, database: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("dir");
    let (from, to) = (dir.path().join("db"), dir.path().join("backup"));
    std::fs::write(&from, database).expect("written");
    let (bytes, sha256) = write(&to, manifest, &from).expect("packed");
    assert_eq!(measure(&to).expect("read"), (bytes, sha256));
    std::fs::read(to).expect("read")
}

fn unpacked(file: &[u8]) -> Result<(BackupManifest, Vec<u8>), BackupFileError> {
    let mut database = Vec::new();
    read(file, &mut database).map(|manifest| (manifest, database))
}

#[test]
fn what_is_written_reads_the_same() {
    for database in [b"".to_vec(), b"pages".to_vec(), vec![7; 3 * CHUNK_BYTES + 1]] {
        let manifest = of(&database);
        assert_eq!(unpacked(&packed(&manifest, &database)).expect("reads"), (manifest, database));
    }
}

#[test]
fn each_fault_has_its_name() {
    let manifest = of(b"pages");
    let refused = |manifest: BackupManifest| unpacked(&packed(&manifest, b"pages")).expect_err("refused").to_string();
    assert_eq!(refused(BackupManifest { format: 2, ..manifest.clone() }), "the backup has format 2, and this build reads 1");
    for (field, manifest) in [
        ("network", BackupManifest { network: String::new(), ..manifest.clone() }),
        ("network_id", BackupManifest { network_id: "AB".repeat(32), ..manifest.clone() }),
        ("version", BackupManifest { version: "1".into(), ..manifest.clone() }),
        ("digest", BackupManifest { digest: String::new(), ..manifest.clone() }),
        ("key_fingerprint", BackupManifest { key_fingerprint: "0".into(), ..manifest.clone() }),
    ] {
        assert_eq!(refused(manifest), format!("the manifest of the backup has no usable {field}"));
    }
    let other = BackupManifest { database_sha256: "00".repeat(32), ..manifest.clone() };
    assert_eq!(refused(other), "the database in the backup is not the one its manifest names");
    assert!(matches!(unpacked(b"no container at all"), Err(BackupFileError::Container(_))));
    let whole = packed(&manifest, b"pages");
    let mut more = whole.clone();
    more.push(0);
    assert!(matches!(unpacked(&more), Err(BackupFileError::Container(TarError::Trailing))));
}

proptest! {
    #[test]
    fn no_byte_may_differ_and_none_may_lack(at: prop::sample::Index, bit in 0..8u32, cut: prop::sample::Index) {
        let whole = packed(&of(b"pages"), b"pages");
        let mut flipped = whole.clone();
        flipped[at.index(whole.len())] ^= 1 << bit;
        // A bit of a text in the manifest may flip unseen here: the database itself says what it is, and restore compares.
        if let Ok((manifest, database)) = unpacked(&flipped) {
            prop_assert_eq!(database, b"pages");
            prop_assert_ne!(manifest, of(b"pages"));
        }
        prop_assert!(unpacked(&whole[..cut.index(whole.len())]).is_err());
    }
}
