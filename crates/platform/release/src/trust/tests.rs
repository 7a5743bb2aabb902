use super::*;
use crate::{
    fixture::{ARCH, DAY, Forge, NOW, Publisher, version},
    publish::{KeyPlan, Published, Quorum, Rotation},
};
use proptest::prelude::*;
use std::fs;
use weir_model::InvalidReason;

fn development() -> Publisher {
    Publisher::new(KeyPlan::Development)
}

fn open(path: &Path) -> Archive {
    Archive::open(path).expect("archive")
}

fn refused(store: &TrustStore, set: &MetadataSet, now: u64) -> MetadataError {
    let before = store.metadata().expect("stored");
    let error = match store.load(set, now).expect_err("refused") {
        TrustError::Metadata(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(store.metadata().expect("stored"), before, "a refused set leaves no trace");
    error
}

fn invalid(store: &TrustStore, archive: &Path) -> Invalid {
    store.verify(open(archive), &Expected::default(), NOW).expect_err("invalid")
}

#[test]
fn an_archive_is_verified_and_unpacked() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let archive = publisher.archive("1.0.0-b1", "a.weir");
    let store = publisher.store("trust");
    let expected = Expected { version: Some(version("1.0.0-b1")), arch: Some(ARCH.to_owned()) };
    let verified = store.verify(open(&archive), &expected, NOW).expect("valid");
    assert_eq!(verified.manifest.notes, "notes of 1.0.0-b1");
    assert!(verified.lineage.contains(weir_model::Line::new(1, 0)));
    let into = publisher.path("slot");
    verified.unpack(&into).expect("unpack");
    let manifest = fs::read(into.join("MANIFEST")).expect("MANIFEST");
    assert_eq!(weir_slots::digest_of_bytes(&manifest), verified.release.manifest);
    for file in &verified.manifest.files {
        let (sha256, bytes) = weir_slots::digest_of_file(&into.join(&file.path)).expect("file");
        assert_eq!((sha256, bytes), (file.sha256, file.bytes), "{}", file.path);
    }
    assert!(verified.unpack(&into).is_err(), "nothing is written into a tree that is there");
}

#[test]
fn a_downgrade_with_the_original_archive_after_newer_metadata() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let old = publisher.archive("1.0.0-b1", "old.weir");
    publisher.build("1.1.0-b1", NOW + 1);
    let new = publisher.archive("1.1.0-b1", "new.weir");
    let store = publisher.store("trust");
    for (archive, text) in [(&old, "1.0.0-b1"), (&new, "1.1.0-b1"), (&old, "1.0.0-b1")] {
        let verified = store.verify(open(archive), &Expected::default(), NOW + 2).expect(text);
        assert_eq!(verified.manifest.version, version(text));
    }
    assert_eq!(store.metadata().expect("stored").as_ref(), Some(&publisher.set()), "metadata only rises");
    assert_eq!(store.load(&publisher.set(), NOW + 2).expect("same"), Loaded::Unchanged);
}

#[test]
fn a_delisted_release_is_not_installed_by_whoever_saw_that() {
    let publisher = development();
    for text in ["1.0.0-b1", "1.0.1-b1", "1.1.0-b1"] {
        publisher.build(text, NOW);
    }
    let archives = ["1.0.0-b1", "1.0.1-b1", "1.1.0-b1"].map(|text| publisher.archive(text, text));
    let store = publisher.store("trust");
    publisher.directory.delist(version("1.0.1-b1"), ARCH, NOW + 1).expect("delist");
    store.verify(open(&archives[1]), &Expected::default(), NOW).expect("the store has not seen the newer list");
    store.load(&publisher.set(), NOW + 1).expect("newer");
    assert!(matches!(invalid(&store, &archives[1]), Invalid::Delisted { .. }));
    publisher.directory.raise_floor(version("1.1.0-a1"), NOW + 2).expect("floor");
    store.load(&publisher.set(), NOW + 2).expect("newer");
    assert_eq!(invalid(&store, &archives[0]).reason(), InvalidReason::Delisted);
    store.verify(open(&archives[2]), &Expected::default(), NOW + 2).expect("above the floor");
    let lineage = store.listing().expect("store").expect("listing").lineage;
    assert_eq!(lineage.lines().count(), 2, "a line stays in the lineage when its builds are gone");
}

#[test]
fn rollback() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let old = publisher.set();
    publisher.build("1.1.0-b1", NOW);
    let store = publisher.store("trust");
    store.load(&publisher.set(), NOW).expect("newest");
    assert!(matches!(refused(&store, &old, NOW), MetadataError::Rollback { role: Role::Timestamp }));
    // Whoever holds the online key names older parts in a newer timestamp.
    let forge = || publisher.forge(publisher.keys("development"));
    let raise = |version: &mut std::num::NonZeroU64| *version = document::next(*version);
    let one = std::num::NonZeroU64::MIN;
    let older_snapshot = forge().snapshot(|snapshot| snapshot.version = one).timestamp(|timestamp| raise(&mut timestamp.version)).set;
    assert!(matches!(refused(&store, &older_snapshot, NOW), MetadataError::Rollback { role: Role::Snapshot }));
    let older_targets =
        forge().targets(|targets| targets.version = one).snapshot(|s| raise(&mut s.version)).timestamp(|t| raise(&mut t.version)).set;
    assert!(matches!(refused(&store, &older_targets, NOW), MetadataError::Rollback { role: Role::Targets }));
}

#[test]
fn mixed_sets() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let old = publisher.set();
    publisher.build("1.1.0-b1", NOW);
    let new = publisher.set();
    let store = publisher.store("trust");
    let body = |of: &MetadataSet, under: u64| (under, of.targets.1.clone());
    let old_targets = MetadataSet { targets: body(&old, new.targets.0), ..new.clone() };
    assert!(matches!(refused(&store, &old_targets, NOW), MetadataError::Mixed { role: Role::Targets }));
    let old_snapshot = MetadataSet { snapshot: (new.snapshot.0, old.snapshot.1.clone()), ..new.clone() };
    assert!(matches!(refused(&store, &old_snapshot, NOW), MetadataError::Mixed { role: Role::Snapshot }));
    let elsewhere = MetadataSet { targets: body(&new, 99), ..new.clone() };
    assert!(matches!(refused(&store, &elsewhere, NOW), MetadataError::Missing { role: Role::Targets }));
    let no_json = MetadataSet { timestamp: b"{".to_vec(), ..new };
    assert!(matches!(refused(&store, &no_json, NOW), MetadataError::Malformed { role: Role::Timestamp, .. }));
}

#[test]
fn signatures() {
    let two = Quorum { keys: 2, threshold: 2 };
    let one = Quorum { keys: 1, threshold: 1 };
    let publisher = Publisher::new(KeyPlan::Separate { root: Quorum { keys: 3, threshold: 2 }, targets: two, online: one });
    publisher.build("1.0.0-b1", NOW);
    let store = publisher.store("trust");
    let forge = || publisher.forge(publisher.keys("online"));
    let short = forge().signed_targets(|targets| drop(targets.signatures.pop())).set;
    assert!(matches!(refused(&store, &short, NOW), MetadataError::Threshold { role: Role::Targets, needed: 2, valid: 1 }));
    let twice = forge().signed_targets(|targets| targets.signatures[1] = targets.signatures[0].clone()).set;
    assert!(matches!(refused(&store, &twice, NOW), MetadataError::DuplicateSignature { role: Role::Targets }));
    let edited = forge().signed_targets(|targets| targets.signed.targets.clear()).set;
    assert!(matches!(refused(&store, &edited, NOW), MetadataError::Threshold { role: Role::Targets, needed: 2, valid: 0 }));
    let by_online = forge().targets(|targets| targets.targets.clear()).set;
    assert!(matches!(refused(&store, &by_online, NOW), MetadataError::Threshold { role: Role::Targets, valid: 0, .. }));
    let by_nobody = Forge { keys: vec![], set: publisher.set() }.timestamp(|_| {}).set;
    assert!(matches!(refused(&store, &by_nobody, NOW), MetadataError::Threshold { role: Role::Timestamp, valid: 0, .. }));
    let stranger = vec![crate::SigningKey::generate().expect("key")];
    let by_stranger = Forge { keys: stranger, set: publisher.set() }.timestamp(|_| {}).set;
    assert!(matches!(refused(&store, &by_stranger, NOW), MetadataError::Threshold { role: Role::Timestamp, valid: 0, .. }));
    store.load(&publisher.set(), NOW).expect("the genuine set");
}

#[test]
fn a_network_with_another_root_is_not_trusted() {
    let (ours, theirs) = (development(), development());
    theirs.build("1.0.0-b1", NOW);
    let store = ours.store("trust");
    let archive = theirs.archive("1.0.0-b1", "theirs.weir");
    let error = invalid(&store, &archive);
    assert_eq!((error.reason(), error.check()), (InvalidReason::Unsigned, weir_model::ReleaseCheck::Signature));
}

#[test]
fn expiry_is_judged_at_the_later_of_clock_and_newest_signature() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let archive = publisher.archive("1.0.0-b1", "a.weir");
    let store = publisher.store("trust");
    let verify = |now| store.verify(open(&archive), &Expected::default(), now);
    for (now, valid) in
        [(NOW + 3650 * DAY, false), (NOW, true), (0, true), (NOW + 3650 * DAY, false), (NOW + 366 * DAY, false), (NOW + 364 * DAY, true)]
    {
        match verify(now) {
            Ok(_) => assert!(valid, "{now}"),
            Err(error) => assert_eq!((error.reason(), valid), (InvalidReason::Expired, false), "{now}: {error}"),
        }
    }
    // A clock that stands still does not keep old metadata fresh.
    let late = publisher.forge(publisher.keys("development")).raised(1).timestamp(|timestamp| {
        timestamp._extra.insert(crate::expiry::SIGNED_AT.to_owned(), crate::expiry::at(NOW + 400 * DAY).to_string().into());
    });
    assert!(matches!(refused(&store, &late.set, 0), MetadataError::Expired { now, .. } if now == NOW + 400 * DAY));
}

#[test]
fn the_time_of_signing_only_rises_and_must_be_there() {
    let publisher = development();
    let store = publisher.store("trust");
    store.load(&publisher.set(), NOW).expect("first");
    let signed = |at: Option<u64>| {
        let forge = publisher.forge(publisher.keys("development")).raised(1);
        forge.timestamp(|timestamp| match at {
            Some(at) => drop(timestamp._extra.insert(crate::expiry::SIGNED_AT.to_owned(), crate::expiry::at(at).to_string().into())),
            None => drop(timestamp._extra.remove(crate::expiry::SIGNED_AT)),
        })
    };
    assert!(matches!(refused(&store, &signed(Some(NOW - 1)).set, NOW), MetadataError::SignedBefore));
    assert!(matches!(refused(&store, &signed(None).set, NOW), MetadataError::Malformed { role: Role::Timestamp, .. }));
    store.load(&signed(Some(NOW)).set, NOW).expect("not before");
}

#[test]
fn a_new_root_takes_over_and_old_keys_sign_nothing() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let before = publisher.archive("1.0.0-b1", "before.weir");
    let (store, late) = (publisher.store("trust"), publisher.store("late"));
    store.load(&publisher.set(), NOW).expect("root 1");
    let old = publisher.keys("development");
    let new = publisher.directory.new_key("second").expect("key");
    let rotations = Role::ALL.map(|role| Rotation { role, add: vec![new], remove: vec![old[0].public().id()], threshold: None });
    publisher.directory.rotate(&rotations, NOW + 1).expect("rotate");
    publisher.build("1.1.0-b1", NOW + 2);
    let after = publisher.archive("1.1.0-b1", "after.weir");
    for store in [&store, &late] {
        store.verify(open(&after), &Expected::default(), NOW + 2).expect("from root 1 to root 2");
        assert_eq!(store.root().expect("root"), publisher.directory.root().expect("root"));
        store.verify(open(&before), &Expected::default(), NOW + 2).expect("still listed");
    }
    // An archive may say what it likes of roots that are behind the pinned one's successors: ours are kept.
    let mut tampered = publisher.set();
    tampered.roots.insert(1, b"{}".to_vec());
    let kept = publisher.path("kept");
    let kept = TrustStore::pin(&kept, &publisher.set().roots[&1]).expect("pin");
    kept.load(&tampered, NOW + 2).expect("root 1 is pinned");
    assert_eq!(kept.metadata().expect("stored").as_ref(), Some(&publisher.set()));
    publisher.directory.renew(NOW + 2).expect("renew");
    let renewed = publisher.set();
    tampered = MetadataSet { roots: tampered.roots, ..renewed.clone() };
    kept.load(&tampered, NOW + 2).expect("newer");
    assert_eq!(kept.metadata().expect("stored"), Some(renewed));
    let by_old = publisher.forge(old).raised(1).set;
    assert!(matches!(refused(&store, &by_old, NOW + 2), MetadataError::Threshold { .. }));
    let handed_on = TrustStore::pin(&publisher.path("third"), &store.metadata().expect("stored").expect("set").roots[&1]).expect("pin");
    handed_on.load(&store.metadata().expect("stored").expect("set"), NOW + 2).expect("what a store hands on holds from the pinned root");
}

#[test]
fn a_root_must_be_signed_by_the_one_before() {
    let (publisher, stranger) = (development(), development());
    let store = publisher.store("trust");
    store.load(&publisher.set(), NOW).expect("root 1");
    stranger.directory.rotate(&[], NOW).expect("root 2 of somebody else");
    let mut forged = publisher.set();
    forged.roots.insert(2, stranger.set().roots[&2].clone());
    assert!(matches!(refused(&store, &forged, NOW), MetadataError::Threshold { role: Role::Root, .. }));
    let mut garbage = publisher.set();
    garbage.roots.insert(2, b"{}".to_vec());
    assert!(matches!(refused(&store, &garbage, NOW), MetadataError::Malformed { role: Role::Root, .. }));
    // A root that nobody can reach is not kept for others.
    let fresh = publisher.store("fresh");
    let mut gap = publisher.set();
    gap.roots.insert(7, b"{}".to_vec());
    fresh.load(&gap, NOW).expect("root 7 is not looked at");
    assert_eq!(fresh.metadata().expect("stored").expect("set").roots.len(), 1);
}

#[test]
fn a_misused_timestamp_key_is_recovered_from_by_a_new_root() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let store = publisher.store("trust");
    let forged = publisher.forge(publisher.keys("development")).raised(1_000_000).timestamp(|timestamp| {
        timestamp.expires = crate::expiry::at(NOW + 7000 * DAY);
        timestamp._extra.insert(crate::expiry::SIGNED_AT.to_owned(), crate::expiry::at(NOW + 300 * DAY).to_string().into());
    });
    store.load(&forged.set, NOW).expect("a key that is trusted signed it");
    assert!(matches!(refused(&store, &publisher.set(), NOW), MetadataError::Rollback { .. }));
    let new = publisher.directory.new_key("second").expect("key");
    let old = publisher.keys("development")[0].public().id();
    let rotate = |role| Rotation { role, add: vec![new], remove: vec![old.clone()], threshold: None };
    publisher.directory.rotate(&[rotate(Role::Timestamp), rotate(Role::Snapshot)], NOW + 1).expect("rotate");
    store.load(&publisher.set(), NOW + 1).expect("versions and time start again with the new key");
    assert!(matches!(refused(&store, &forged.set, NOW + 1), MetadataError::Threshold { .. } | MetadataError::Rollback { .. }));
}

#[test]
fn waiting_metadata_of_several_machines_is_trusted_when_complete() {
    let one = Quorum { keys: 1, threshold: 1 };
    let publisher = Publisher::new(KeyPlan::Separate { root: one, targets: Quorum { keys: 2, threshold: 2 }, online: one });
    let folder = publisher.path("release/keys");
    let elsewhere = publisher.path("elsewhere");
    fs::create_dir(&elsewhere).expect("dir");
    let moved = fs::read_dir(&folder).expect("keys").map(|entry| entry.expect("entry").path());
    let moved = moved.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("targets"))).min();
    let moved = moved.expect("a targets key");
    fs::rename(&moved, elsewhere.join("targets.pem")).expect("move");
    let (_, published) = publisher.directory.build(&publisher.plan("1.0.0-b1"), NOW).expect("build");
    let Published::Waiting(lacking) = published else { panic!("{published:?}") };
    assert_eq!((lacking[0].role, lacking[0].needed, lacking[0].valid), (Role::Targets, 2, 1));
    let key = crate::SigningKey::read(&elsewhere.join("targets.pem")).expect("key");
    assert!(matches!(publisher.directory.sign(vec![key], NOW + 1), Ok(Published::Version(2))));
    let archive = publisher.archive("1.0.0-b1", "a.weir");
    publisher.store("trust").verify(open(&archive), &Expected::default(), NOW + 1).expect("valid");
}

#[test]
fn a_store_is_pinned_once_and_says_when_it_is_damaged() {
    let publisher = development();
    let store = publisher.store("trust");
    let root = publisher.directory.root().expect("root");
    assert!(matches!(TrustStore::pin(&publisher.path("trust"), &root), Err(TrustError::AlreadyPinned(_))));
    assert!(matches!(TrustStore::open(&publisher.path("none")), Err(TrustError::NotPinned(_))));
    TrustStore::open(&publisher.path("trust")).expect("pinned");
    let mut unsigned: serde_json::Value = serde_json::from_slice(&root).expect("json");
    unsigned["signatures"] = serde_json::json!([]);
    let pinned = TrustStore::pin(&publisher.path("unsigned"), unsigned.to_string().as_bytes());
    assert!(matches!(pinned, Err(TrustError::Metadata(MetadataError::Threshold { role: Role::Root, .. }))));
    assert_eq!(store.metadata().expect("nothing yet"), None);
    assert!(store.listing().expect("nothing yet").is_none());
    store.load(&publisher.set(), NOW).expect("first");
    let path = publisher.path("trust/metadata.tar");
    let whole = fs::read(&path).expect("file");
    fs::write(&path, &whole[..whole.len() / 2]).expect("write");
    assert!(matches!(store.listing(), Err(TrustError::Damaged { .. })));
    assert!(matches!(store.load(&publisher.set(), NOW), Err(TrustError::Damaged { .. })));
}

#[test]
fn a_root_of_the_chain_or_the_next_of_it_is_no_other_root() {
    let (publisher, stranger) = (development(), development());
    let store = publisher.store("trust");
    let first = publisher.directory.root().expect("root");
    publisher.directory.rotate(&[], NOW).expect("rotate");
    let second = publisher.directory.root().expect("root");
    let follows = |root: &[u8]| store.follows(root).expect("store");
    assert!(follows(&first), "the pinned one");
    assert!(follows(&second), "the next, signed by the pinned one");
    store.load(&publisher.set(), NOW).expect("load");
    assert!(follows(&first) && follows(&second), "both are stored now");
    stranger.directory.rotate(&[], NOW).expect("rotate");
    stranger.directory.rotate(&[], NOW).expect("rotate");
    assert!(!follows(&stranger.directory.root().expect("root")), "the next by its number only");
    assert!(!follows(b"{}") && !follows(&[second.as_slice(), b" "].concat()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever byte of a set is changed, no store comes to list something else.
    #[test]
    fn no_changed_byte_changes_what_is_listed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        thread_local!(static PUBLISHER: Publisher = {
            let publisher = development();
            publisher.build("1.0.0-b1", NOW);
            publisher
        });
        PUBLISHER.with(|publisher| {
            let mut bytes = publisher.set().to_bytes();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let Ok(set) = MetadataSet::parse(&bytes) else { return Ok(()) };
            let _ = fs::remove_dir_all(publisher.path("flipped"));
            let store = publisher.store("flipped");
            if store.load(&set, NOW).is_ok() {
                prop_assert_eq!(store.listing().expect("store").expect("listing"), publisher.directory.listing().expect("published"));
            }
            Ok(())
        })?;
    }
}

#[test]
fn archives_verified_at_once_are_not_each_others_rollback() {
    let publisher = development();
    let archives: Vec<_> = (0..4)
        .map(|build| {
            publisher.build(&format!("1.0.0-b{}", build + 1), NOW + build);
            publisher.archive(&format!("1.0.0-b{}", build + 1), &format!("{build}.weir"))
        })
        .collect();
    for round in 0..8 {
        let store = publisher.store(&format!("trust-{round}"));
        std::thread::scope(|scope| {
            for archive in &archives {
                let store = &store;
                scope.spawn(move || store.verify(open(archive), &Expected::default(), NOW + 9).expect("honest"));
            }
        });
    }
}
