//! Where a release directory may be made.

use super::*;

#[test]
fn a_place_that_is_there_keeps_its_mode() {
    let scratch = tempfile::tempdir().expect("dir");
    let place = scratch.path().join("shared");
    fs::create_dir(&place).expect("dir");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("mode");
    ReleaseDirectory::create(&place, KeyPlan::Development, NOW).expect("an empty place");
    assert_eq!((mode(&place), mode(&place.join("keys"))), (0o755, 0o700));
}

#[test]
fn a_place_with_other_things_is_refused_and_left_alone() {
    let scratch = tempfile::tempdir().expect("dir");
    let place = scratch.path().join("home");
    fs::create_dir_all(place.join("documents")).expect("dir");
    let refused = ReleaseDirectory::create(&place, KeyPlan::Development, NOW);
    assert!(matches!(refused, Err(PublishError::NotEmpty(_))), "{refused:?}");
    assert_eq!(fs::read_dir(&place).expect("home").count(), 1, "nothing was made in it");
}

#[test]
fn a_directory_whose_making_was_cut_off_is_made_again() {
    let scratch = tempfile::tempdir().expect("dir");
    let place = scratch.path().join("release");
    let (made, was_cut) = crate::publish::disk::cut::after(0, || ReleaseDirectory::create(&place, KeyPlan::Development, NOW));
    assert!(made.is_err() && was_cut);
    ReleaseDirectory::open_or_create(&place, KeyPlan::Development, NOW).expect("made again").renew(NOW).expect("whole");
}

/// What a kill in the middle of verifying leaves goes; what somebody verifies with at this moment stays.
#[test]
fn scratch_of_a_killed_process_goes() {
    let publisher = development();
    let store = publisher.store("trust");
    let left = [publisher.path("release/tuf-dead"), publisher.path("trust/tuf-dead")];
    for left in &left {
        fs::create_dir(left).expect("dir");
        fs::write(left.join("timestamp.json"), b"{}").expect("file");
    }
    publisher.directory.renew(NOW).expect("renew");
    store.load(&publisher.set(), NOW).expect("load");
    crate::trust::TrustStore::open(&publisher.path("trust")).expect("open");
    assert!(left.iter().all(|left| !left.exists()), "{left:?}");
}

/// How root keys sign that are kept on another machine: a copy without keys and images, and its `staged/` carried back.
#[test]
fn a_copy_without_keys_is_signed_elsewhere() {
    let publisher = Publisher::new(KeyPlan::Separate { root: ONE, targets: ONE, online: ONE });
    let root = publisher.keys("root").remove(0);
    let file = publisher.directory.key_files().expect("keys").into_iter().find(|key| key.public == root.public()).expect("its file");
    fs::remove_file(file.path).expect("take it away");
    assert!(matches!(publisher.directory.rotate(&[], NOW), Ok(Published::Waiting(_))));
    let carry = |from: &str, to: &str| {
        fs::create_dir_all(publisher.path(to)).expect("dir");
        for entry in fs::read_dir(publisher.path(from)).expect("dir").map(|entry| entry.expect("entry")) {
            fs::copy(entry.path(), publisher.path(to).join(entry.file_name())).expect("copy");
        }
    };
    carry("release/metadata", "copy/metadata");
    carry("release/staged", "copy/staged");
    let copy = ReleaseDirectory::open(&publisher.path("copy")).expect("copy");
    assert!(matches!(copy.sign(vec![root], NOW), Ok(Published::Waiting(lacking)) if lacking.iter().all(|of| of.role != Role::Root)));
    carry("copy/staged", "release/staged");
    assert!(matches!(publisher.directory.sign(vec![], NOW), Ok(Published::Version(2))));
}
