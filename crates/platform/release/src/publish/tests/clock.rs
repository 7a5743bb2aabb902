//! Clocks that jump, and drafts that wait too long.

use super::*;
use crate::{document, expiry, trust::TrustStore};
use tough::schema::{Signed, Targets};

const YEAR: u64 = 365 * DAY;

#[test]
fn a_clock_after_the_end_of_what_is_published_signs_nothing_unless_forced() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let before = publisher.set();
    let directory = &publisher.directory;
    let ahead = |result: Result<(), PublishError>| match result {
        Err(PublishError::ClockAhead { now, expires }) => assert_eq!((now, expires), (NOW + 2 * YEAR, NOW + YEAR)),
        other => panic!("{other:?}"),
    };
    ahead(directory.renew(NOW + 2 * YEAR).map(drop));
    ahead(directory.build(&publisher.plan("1.1.0-b1"), NOW + 2 * YEAR).map(drop));
    ahead(directory.build_if_other(&publisher.plan("1.0.0-b1"), NOW + 2 * YEAR).map(drop));
    assert_eq!(publisher.set(), before, "nothing is signed");
    assert!(matches!(directory.renew(NOW + YEAR - 1), Ok(Published::Version(_))), "a publisher who renews late");
    let forced = directory.clone().forcing_clock();
    assert!(matches!(forced.renew(NOW + 4 * YEAR), Ok(Published::Version(_))), "one who knows that it is so late");
}

#[test]
fn a_directory_that_was_signed_by_a_wrong_clock_recovers_by_a_new_timestamp_key() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let store = publisher.store("trust");
    publisher.directory.clone().forcing_clock().renew(NOW + 2 * YEAR).expect("the jump");
    store.load(&publisher.set(), NOW).expect("a store sees it");
    let directory = &publisher.directory;
    assert!(matches!(directory.renew(NOW + 1), Err(PublishError::ClockBehind { .. })));
    assert!(matches!(directory.rotate(&[], NOW + 1), Err(PublishError::ClockBehind { .. })), "the same keys");
    let old = publisher.keys("development")[0].public().id();
    let new = directory.new_key("second").expect("key");
    let rotate = |role| Rotation { role, add: vec![new], remove: vec![old.clone()], threshold: None };
    let rotated = directory.rotate(&[rotate(Role::Timestamp), rotate(Role::Snapshot)], NOW + 1);
    assert!(matches!(rotated, Ok(Published::Version(_))), "{rotated:?}");
    store.load(&publisher.set(), NOW + 1).expect("time starts again with the new key");
    publisher.build("1.1.0-b1", NOW + 2);
    TrustStore::pin(&publisher.path("fresh"), &publisher.set().roots[&1]).expect("pin").load(&publisher.set(), NOW + 2).expect("fresh");
}

/// A directory whose online key is away, with a change that waits for it.
fn waiting() -> (Publisher, SigningKey) {
    let publisher = Publisher::new(KeyPlan::Separate { root: ONE, targets: ONE, online: ONE });
    let online = publisher.keys("online").remove(0);
    let file = publisher.directory.key_files().expect("keys").into_iter().find(|key| key.public == online.public()).expect("its file");
    fs::remove_file(file.path).expect("take it away");
    assert!(matches!(publisher.directory.renew(NOW), Ok(Published::Waiting(_))));
    (publisher, online)
}

#[test]
fn what_waited_past_its_end_is_not_published() {
    let (publisher, online) = waiting();
    let before = publisher.set();
    let late = publisher.directory.clone().forcing_clock().sign(vec![online], NOW + YEAR + 1);
    assert!(matches!(late, Err(PublishError::Metadata(MetadataError::Expired { role: Role::Targets, .. }))), "{late:?}");
    assert_eq!(publisher.set(), before);
}

#[test]
fn a_list_that_no_store_reads_is_not_published() {
    let (publisher, online) = waiting();
    let before = publisher.set();
    let path = publisher.path("release/staged/targets.json");
    let mut targets: Signed<Targets> = document::parse(&fs::read(&path).expect("staged"), Role::Targets).expect("targets");
    targets.signed._extra.clear();
    targets.signed.expires = expiry::at(NOW + YEAR);
    targets.signatures.clear();
    fs::write(&path, document::bytes(&targets)).expect("write");
    let refused = publisher.directory.sign(vec![online], NOW);
    assert!(matches!(refused, Err(PublishError::Listing(_))), "{refused:?}");
    assert_eq!(publisher.set(), before);
}
