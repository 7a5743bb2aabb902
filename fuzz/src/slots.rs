//! What a keeper reads from disk before it starts anything: the boot record and the MANIFEST of a slot.

use std::fs;

use tempfile::TempDir;
use weir_slots::{BootRecord, DataDirectory, FileSystem, Manifest, SlotRef, boot, digest_of_bytes};

thread_local! {
    static DIRECTORY: TempDir = TempDir::new().expect("the system has a place for temporary files");
}

/// One half of the boot record: whatever it holds, the whole half beside it is found, or a newer whole one in its place.
pub fn boot_record(bytes: &[u8]) -> bool {
    DIRECTORY.with(|directory| {
        let data = DataDirectory::new(directory.path());
        let record =
            BootRecord::first(SlotRef { name: "slot".to_owned(), version: "1.0.0".to_owned(), manifest: digest_of_bytes(b"manifest") });
        fs::create_dir_all(data.boot()).expect("the directory is ours");
        for half in 0..2 {
            fs::remove_file(data.boot_half(half)).ok();
        }
        boot::write(&mut FileSystem, &data, &record).expect("the directory is ours and empty");
        fs::write(data.boot_half(1), bytes).expect("the directory is ours");
        let found = boot::read(&data).expect("one half is whole");
        assert!(found.seq > 1 || found.record == record, "the whole half was not used");
        found.seq > 1
    })
}

/// A MANIFEST: what is read is written as bytes that read the same, and no path leaves the slot.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(bytes) else { return false };
    assert_eq!(Manifest::parse(&manifest.to_bytes()).ok().as_ref(), Some(&manifest));
    for file in &manifest.files {
        let path = std::path::Path::new(&file.path);
        let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        assert!(plain && !file.path.is_empty(), "{:?}", file.path);
    }
    true
}
