//! Images of releases that are built again.

use super::*;

/// A directory with 1.0.0-b1 whose targets key is away now, and another plan of the same version.
fn without_targets_key() -> (Publisher, SigningKey, crate::ImagePlan) {
    let publisher = Publisher::new(KeyPlan::Separate { root: ONE, targets: ONE, online: ONE });
    publisher.build("1.0.0-b1", NOW);
    let targets = publisher.keys("targets").remove(0);
    let file = publisher.directory.key_files().expect("keys").into_iter().find(|key| key.public == targets.public()).expect("its file");
    fs::remove_file(file.path).expect("take it away");
    let mut other = publisher.plan("1.0.0-b1");
    other.notes.push('!');
    (publisher, targets, other)
}

fn images(publisher: &Publisher) -> usize {
    fs::read_dir(publisher.path("release/images")).expect("images").count()
}

#[test]
fn a_rebuild_that_waits_leaves_the_published_image_alone() {
    let (publisher, targets, other) = without_targets_key();
    let directory = &publisher.directory;
    let (listed, published) = directory.replace(&other, NOW).expect("waits");
    assert!(matches!(published, Published::Waiting(_)));
    publisher.archive("1.0.0-b1", "published.weir");
    assert!(matches!(directory.replace(&publisher.plan("1.0.0-b1"), NOW), Err(PublishError::Pending)));
    assert!(matches!(directory.sign(vec![targets], NOW), Ok(Published::Version(_))), "the image that waited is there still");
    let archive = crate::Archive::open(&publisher.archive("1.0.0-b1", "new.weir")).expect("archive");
    assert_eq!(archive.content().image_digest(), (listed.bytes, listed.sha256));
    assert_eq!(images(&publisher), 1);
}

#[test]
fn a_discarded_rebuild_leaves_no_image() {
    let (publisher, _, other) = without_targets_key();
    publisher.directory.replace(&other, NOW).expect("waits");
    assert_eq!(images(&publisher), 2);
    publisher.directory.discard().expect("discard");
    assert_eq!(images(&publisher), 1);
    publisher.archive("1.0.0-b1", "published.weir");
}

#[test]
fn a_listed_version_is_listed_with_another_image_only_on_purpose() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let before = publisher.set();
    let directory = &publisher.directory;
    let mut other = publisher.plan("1.0.0-b1");
    other.notes.push('!');
    assert!(matches!(directory.build(&other, NOW), Err(PublishError::Replaces(which)) if which == version("1.0.0-b1")));
    assert_eq!((publisher.set(), images(&publisher)), (before, 1), "a refused build changes nothing");
    directory.build(&publisher.plan("1.0.0-b1"), NOW).expect("the very same image");
    directory.replace(&other, NOW).expect("on purpose");
    assert_eq!(directory.listing().expect("listing").images.len(), 1);
}
