//! Publishing cut short after each of its writes: the directory is as before or after, and trying again works.

use super::*;
use crate::{
    publish::disk::cut,
    trust::{Expected, TrustStore},
};

/// More writes than one change has.
const WRITES_MAX: u32 = 40;

fn all_separate() -> Publisher {
    Publisher::new(KeyPlan::Separate { root: ONE, targets: ONE, online: ONE })
}

/// Takes the keys with this label out of the directory.
fn take_away(publisher: &Publisher, label: &str) -> Vec<SigningKey> {
    let keys = publisher.keys(label);
    for file in publisher.directory.key_files().expect("keys") {
        if keys.iter().any(|key| key.public() == file.public) {
            fs::remove_file(file.path).expect("remove");
        }
    }
    keys
}

/// A change that gives every role but targets other keys and waits for the root key, which is handed out.
fn waiting_rotation(publisher: &Publisher) -> Vec<SigningKey> {
    let [root, online] = ["root", "online"].map(|label| publisher.keys(label)[0].public().id());
    let away = take_away(publisher, "root");
    let [new_root, new_online] = ["next-root", "next-online"].map(|label| publisher.directory.new_key(label).expect("key"));
    let rotation = |role, new, old: &KeyId| Rotation { role, add: vec![new], remove: vec![old.clone()], threshold: None };
    let rotations = [
        rotation(Role::Root, new_root, &root),
        rotation(Role::Snapshot, new_online, &online),
        rotation(Role::Timestamp, new_online, &online),
    ];
    let waiting = publisher.directory.rotate(&rotations, NOW).expect("rotate");
    assert!(matches!(waiting, Published::Waiting(_)), "{waiting:?}");
    away
}

/// A store that has seen nothing but the first root takes what is published.
fn a_first_device_takes_it(publisher: &Publisher, first: &[u8], name: &str) {
    let _ = fs::remove_dir_all(publisher.path(name));
    let store = TrustStore::pin(&publisher.path(name), first).expect("pin");
    store.load(&publisher.set(), NOW).expect("whoever pinned the first root follows");
}

#[test]
fn a_rotation_that_was_cut_off_is_not_destroyed() {
    for writes in 0..WRITES_MAX {
        let publisher = all_separate();
        let directory = &publisher.directory;
        publisher.build("1.0.0-b1", NOW);
        let first = directory.root().expect("root");
        let away = waiting_rotation(&publisher);
        let (_, was_cut) = cut::after(writes, || directory.sign(away, NOW));
        a_first_device_takes_it(&publisher, &first, "after the cut");
        // Trying again without the root key: either its signature was kept, or the change waits for it still.
        match directory.sign(vec![], NOW) {
            Ok(Published::Version(_)) | Err(PublishError::NothingPending) => {
                assert_eq!(publisher.set().newest_root().0, 2, "{writes}");
                assert!(matches!(directory.renew(NOW), Ok(Published::Version(_))), "{writes}");
            }
            Ok(Published::Waiting(lacking)) => assert_eq!(lacking[0].role, Role::Root, "{writes}"),
            Err(error) => panic!("{writes}: {error}"),
        }
        a_first_device_takes_it(&publisher, &first, "after trying again");
        if !was_cut {
            assert!(writes > 4, "publishing has more writes than {writes}");
            return;
        }
    }
    panic!("publishing does not end");
}

#[test]
fn a_discarded_rotation_that_was_cut_off_leaves_one_truth() {
    for writes in 0..WRITES_MAX {
        let publisher = all_separate();
        let directory = &publisher.directory;
        let first = directory.root().expect("root");
        let away = waiting_rotation(&publisher);
        let (_, was_cut) = cut::after(writes, || directory.sign(away, NOW));
        directory.discard().expect("discard");
        assert!(matches!(directory.renew(NOW), Ok(Published::Version(_))), "{writes}");
        a_first_device_takes_it(&publisher, &first, "device");
        if !was_cut {
            return;
        }
    }
}

/// Whether two files say and sign the same; the order of JSON's fields says nothing.
fn same_document(one: &[u8], other: &[u8]) -> bool {
    let read = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).expect("JSON");
    read(one) == read(other)
}

/// What a build without a record of publishing left behind: the next root alone, its signatures lost in `staged/`.
#[test]
fn a_root_that_was_left_alone_keeps_its_signatures() {
    let publisher = all_separate();
    let directory = &publisher.directory;
    publisher.build("1.0.0-b1", NOW);
    let (first, before) = (directory.root().expect("root"), publisher.set());
    let away = waiting_rotation(&publisher);
    let staged = ["root.json", "targets.json"].map(|name| {
        let path = publisher.path("release/staged").join(name);
        (path.clone(), fs::read(path).expect("staged"))
    });
    assert!(matches!(directory.sign(away, NOW), Ok(Published::Version(_))));
    let whole = directory.root().expect("root");
    for (path, body) in staged {
        fs::write(path, body).expect("write");
    }
    for (name, body) in before.files() {
        fs::write(publisher.path("release/metadata").join(name), body).expect("write");
    }
    assert_eq!(directory.root().expect("root"), first, "the root that the published timestamp goes with");
    assert!(matches!(directory.sign(vec![], NOW), Ok(Published::Version(3))));
    assert!(same_document(&directory.root().expect("root"), &whole), "no signature was lost");
    a_first_device_takes_it(&publisher, &first, "device");
}

#[test]
fn an_image_and_its_list_go_together_wherever_publishing_is_cut() {
    for writes in 0..WRITES_MAX {
        let publisher = development();
        let directory = &publisher.directory;
        publisher.build("1.0.0-b1", NOW);
        let mut other = publisher.plan("1.0.0-b1");
        other.notes.push('!');
        let (_, was_cut) = cut::after(writes, || directory.replace(&other, NOW));
        let archive = publisher.archive("1.0.0-b1", "after.weir");
        let archive = crate::Archive::open(&archive).expect("archive");
        publisher.store("trust").verify(archive, &Expected::default(), NOW).expect("the listed image");
        directory.replace(&other, NOW).expect("trying again");
        publisher.archive("1.0.0-b1", "again.weir");
        assert_eq!(fs::read_dir(publisher.path("release/images")).expect("images").count(), 1, "{writes}");
        if !was_cut {
            return;
        }
    }
    panic!("publishing does not end");
}
