use super::*;
use crate::fixture::{ARCH, DAY, NOW, Publisher, keys_in, version};
use crate::{metadata::SetError, tuf::MetadataError};
use std::os::unix::fs::PermissionsExt;
use weir_model::{Gate, GateKind, Line};

const ONE: Quorum = Quorum { keys: 1, threshold: 1 };

fn development() -> Publisher {
    Publisher::new(KeyPlan::Development)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_development_directory_has_one_key_that_nobody_else_reads() {
    let publisher = development();
    let keys = publisher.path("release/keys");
    let files: Vec<_> = fs::read_dir(&keys).expect("keys").map(|entry| entry.expect("entry").path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!((mode(&publisher.path("release")), mode(&keys), mode(&files[0])), (0o700, 0o700, 0o600));
    let again = ReleaseDirectory::create(&publisher.path("release"), KeyPlan::Development, NOW);
    assert!(matches!(again, Err(PublishError::Exists(_))));
    assert!(matches!(ReleaseDirectory::open(&publisher.path("none")), Err(PublishError::Absent(_))));
    let there = ReleaseDirectory::open_or_create(&publisher.path("release"), KeyPlan::Development, NOW).expect("there");
    assert_eq!(there.root().expect("root"), publisher.directory.root().expect("root"));
    ReleaseDirectory::open_or_create(&publisher.path("other"), KeyPlan::Development, NOW).expect("made");
}

#[test]
fn every_change_raises_every_version_and_leaves_one_of_each_file() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    publisher.build("1.1.0-b1", NOW + 1);
    assert_eq!(publisher.directory.renew(NOW + 2).expect("renew"), Published::Version(4));
    let mut names: Vec<String> = publisher.set().files().map(|(name, _)| name).collect();
    assert_eq!(names, ["1.root.json", "4.targets.json", "4.snapshot.json", "timestamp.json"]);
    let on_disk = fs::read_dir(publisher.path("release/metadata")).expect("metadata");
    let mut on_disk: Vec<String> = on_disk.map(|entry| entry.expect("entry").file_name().into_string().expect("name")).collect();
    names.sort();
    on_disk.sort();
    assert_eq!(on_disk, names);
    let listing = publisher.directory.listing().expect("listing");
    let releases: Vec<String> = listing.releases().iter().map(|(release, _)| release.version.to_string()).collect();
    assert_eq!(releases, ["1.0.0-b1", "1.1.0-b1"]);
    assert_eq!(listing.lineage.lines().collect::<Vec<_>>(), [Line::new(1, 0), Line::new(1, 1)]);
}

#[test]
fn a_first_line_of_a_major_brings_its_bridges() {
    let publisher = development();
    for text in ["1.0.0-b1", "1.1.0-b1"] {
        publisher.build(text, NOW);
    }
    let mut major = publisher.plan("2.0.0-b1");
    major.bridges = Some([Line::new(1, 0), Line::new(1, 1)].into());
    publisher.directory.build(&major, NOW).expect("build");
    let lineage = publisher.directory.listing().expect("listing").lineage;
    assert_eq!(lineage.step(Line::new(1, 0), Line::new(2, 0)), Some(1));
    let mut wrong = publisher.plan("2.1.0-b1");
    wrong.bridges = Some([Line::new(1, 1)].into());
    assert!(matches!(publisher.directory.build(&wrong, NOW), Err(PublishError::Lineage(_))));
}

#[test]
fn the_same_version_replaces_and_a_maintenance_build_changes_no_interface() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW);
    let before = publisher.directory.listing().expect("listing");
    let gate = Gate { name: "x".to_owned(), kind: GateKind::Cluster, since: Line::new(1, 0), default: false };
    let mut gated = publisher.plan("1.0.0-b1");
    gated.interface.gates.push(gate.clone());
    publisher.directory.replace(&gated, NOW).expect("the same version again");
    let after = publisher.directory.listing().expect("listing");
    assert_eq!(after.images.len(), 1);
    assert_ne!(after.images, before.images);
    let refused = publisher.directory.build(&publisher.plan("1.0.1-b1"), NOW);
    assert!(matches!(refused, Err(PublishError::InterfaceChanged { field: "gates", other }) if other == version("1.0.0-b1")));
    assert_eq!(publisher.directory.listing().expect("listing"), after, "a refused build changes nothing");
    assert_eq!(fs::read_dir(publisher.path("release/images")).expect("images").count(), 1, "and leaves nothing");
    publisher.build("1.1.0-b1", NOW);
    let mut other_arch = gated.clone();
    other_arch.arch = "aarch64".to_owned();
    other_arch.interface.schema = other_arch.interface.cache_format;
    other_arch.migrations.clear();
    assert!(matches!(publisher.directory.build(&other_arch, NOW), Err(PublishError::InterfaceChanged { field: "schema", .. })));
}

#[test]
fn delisting_and_floor() {
    let publisher = development();
    for text in ["1.0.0-b1", "1.1.0-b1"] {
        publisher.build(text, NOW);
    }
    let directory = &publisher.directory;
    assert!(matches!(directory.delist(version("1.2.0-b1"), ARCH, NOW), Err(PublishError::NotListed(_))));
    directory.raise_floor(version("1.0.5-b1"), NOW).expect("floor");
    assert!(matches!(directory.raise_floor(version("1.0.4-b1"), NOW), Err(PublishError::FloorFalls(_))));
    assert!(matches!(directory.build(&publisher.plan("1.0.1-b1"), NOW), Err(PublishError::BelowFloor { .. })));
    assert!(matches!(directory.pack(version("1.0.0-b1"), ARCH, publisher.scratch.path()), Err(PublishError::NotListed(_))));
    fs::write(publisher.path("release/images/weir-1.1.0-b1-x86_64.image"), b"another").expect("write");
    assert!(matches!(directory.pack(version("1.1.0-b1"), ARCH, publisher.scratch.path()), Err(PublishError::OtherImage(_))));
}

#[test]
fn a_clock_behind_the_newest_signature_signs_nothing() {
    let publisher = development();
    publisher.build("1.0.0-b1", NOW + DAY);
    let before = publisher.set();
    assert!(matches!(publisher.directory.renew(NOW), Err(PublishError::ClockBehind { .. })));
    assert_eq!(publisher.set(), before);
}

#[test]
fn a_change_waits_for_keys_that_are_elsewhere() {
    let publisher = Publisher::new(KeyPlan::Separate { root: Quorum { keys: 3, threshold: 2 }, targets: ONE, online: ONE });
    let directory = &publisher.directory;
    let (here, vault) = (publisher.path("release/keys"), publisher.path("vault"));
    fs::create_dir(&vault).expect("dir");
    for entry in fs::read_dir(&here).expect("keys").map(|entry| entry.expect("entry")) {
        if entry.file_name().to_string_lossy().starts_with("root") {
            fs::rename(entry.path(), vault.join(entry.file_name())).expect("move");
        }
    }
    publisher.build("1.0.0-b1", NOW);
    let before = publisher.set();
    let new = directory.new_key("online-2").expect("key");
    let rotation = |role| Rotation { role, add: vec![new], remove: vec![], threshold: None };
    let rotations = [rotation(Role::Snapshot), rotation(Role::Timestamp)];
    let Published::Waiting(lacking) = directory.rotate(&rotations, NOW).expect("rotate") else { panic!("published without root keys") };
    assert!(lacking.contains(&Lacking { role: Role::Root, needed: 2, valid: 0 }), "{lacking:?}");
    assert_eq!(publisher.set(), before, "what waits is not published");
    assert!(matches!(directory.renew(NOW), Err(PublishError::Pending)));
    let mut keys = keys_in(&vault, "root");
    let half = directory.sign(vec![keys.remove(0)], NOW).expect("one");
    assert!(matches!(half, Published::Waiting(lacking) if lacking.contains(&Lacking { role: Role::Root, needed: 2, valid: 1 })));
    assert_eq!(directory.sign(vec![keys.remove(0)], NOW).expect("two"), Published::Version(3));
    assert_eq!(publisher.set().newest_root().0, 2);
    assert!(matches!(directory.sign(vec![], NOW), Err(PublishError::NothingPending)));
    directory.rotate(&[], NOW).expect("waits again");
    directory.discard().expect("discard");
    assert_eq!(directory.renew(NOW).expect("nothing waits"), Published::Version(4));
}

#[test]
fn rotations_that_make_no_sense() {
    let publisher = development();
    let directory = &publisher.directory;
    let key = publisher.keys("development")[0].public();
    let rotate = |add: Vec<PublicKey>, remove: Vec<KeyId>, threshold| {
        directory.rotate(&[Rotation { role: Role::Targets, add, remove, threshold }], NOW)
    };
    assert!(matches!(rotate(vec![], vec![key.id()], None), Err(PublishError::Quorum { keys: 0, threshold: 1, .. })));
    assert!(matches!(rotate(vec![key], vec![], Some(2)), Err(PublishError::Quorum { keys: 1, threshold: 2, .. })));
    assert!(matches!(rotate(vec![], vec![], Some(0)), Err(PublishError::Quorum { threshold: 0, .. })));
    let stranger = SigningKey::generate().expect("key").public();
    assert!(matches!(rotate(vec![], vec![stranger.id()], None), Err(PublishError::NoKey { .. })));
    assert_eq!(publisher.set().newest_root().0, 1, "a refused rotation makes no root");
}

#[test]
fn a_directory_without_online_keys_publishes_nothing() {
    let publisher = Publisher::new(KeyPlan::Separate { root: ONE, targets: ONE, online: ONE });
    let online = fs::read_dir(publisher.path("release/keys")).expect("keys").map(|entry| entry.expect("entry").path());
    let online = online.filter(|path| path.to_string_lossy().contains("online")).max().expect("a key");
    fs::rename(&online, publisher.path("online.pem")).expect("move");
    let waiting = publisher.directory.renew(NOW).expect("renew");
    assert_eq!(waiting, Published::Waiting(vec![Lacking { role: Role::Snapshot, needed: 1, valid: 0 }]));
    let key = SigningKey::read(&publisher.path("online.pem")).expect("key");
    assert_eq!(publisher.directory.sign(vec![key], NOW).expect("sign"), Published::Version(2));
}

#[test]
fn nothing_is_published_that_a_store_would_refuse() {
    let publisher = development();
    let before = publisher.set();
    let path = publisher.path("release/metadata/1.root.json");
    let mut root: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("root")).expect("json");
    root["signatures"] = serde_json::json!([]);
    fs::write(&path, root.to_string()).expect("write");
    assert!(matches!(publisher.directory.renew(NOW), Err(PublishError::Metadata(MetadataError::Threshold { role: Role::Root, .. }))));
    assert_eq!(publisher.set().timestamp, before.timestamp);
    fs::write(&path, &before.roots[&1]).expect("write");
    let mut large = publisher.plan("1.0.0-b1");
    let gate = |n: usize| Gate { name: format!("{n:0>1000}"), kind: GateKind::Local, since: Line::new(1, 0), default: false };
    large.interface.gates = (0..200).map(gate).collect();
    let refused = (0..20).find_map(|n| {
        large.version = version(&format!("1.0.{n}-b1"));
        publisher.directory.build(&large, NOW).err()
    });
    assert!(matches!(refused, Some(PublishError::Set(SetError::TooLarge(_)))), "{refused:?}");
    publisher.directory.pack(version("1.0.0-b1"), ARCH, publisher.scratch.path()).expect("what is published still packs");
}

#[test]
fn the_same_program_is_not_signed_again_before_half_its_life() {
    let publisher = Publisher::new(KeyPlan::Development);
    let plan = publisher.plan("1.0.0-b1");
    let (first, published) = publisher.directory.build_if_other(&plan, NOW).expect("build");
    assert_eq!(published, Some(Published::Version(2)));
    let (again, published) = publisher.directory.build_if_other(&plan, NOW + DAY).expect("nothing to do");
    assert_eq!((again, published), (first.clone(), None));
    let (renewed, published) = publisher.directory.build_if_other(&plan, NOW + 200 * DAY).expect("renew");
    assert_eq!((renewed, published), (first.clone(), Some(Published::Version(3))));
    let mut other = publisher.plan("1.0.0-b1");
    other.notes.push('!');
    let (replaced, published) = publisher.directory.build_if_other(&other, NOW + 200 * DAY).expect("another MANIFEST");
    assert_ne!(replaced.sha256, first.sha256);
    assert_eq!(published, Some(Published::Version(4)));
    fs::remove_file(publisher.path("release/images").join(&replaced.name)).expect("lose the image");
    let (made_again, published) = publisher.directory.build_if_other(&other, NOW + 200 * DAY).expect("made again");
    assert_eq!((made_again, published), (replaced, Some(Published::Version(5))));
}

#[test]
fn what_waits_names_the_roles_that_lack_signatures() {
    let one = Quorum { keys: 1, threshold: 1 };
    let publisher = Publisher::new(KeyPlan::Separate { root: one, targets: Quorum { keys: 2, threshold: 2 }, online: one });
    assert_eq!(publisher.directory.waiting().expect("read"), None);
    assert_eq!(publisher.directory.key_files().expect("keys").len(), 4);
    let away = publisher.keys("targets").pop().expect("a key");
    let gone = publisher.directory.key_files().expect("keys").into_iter().find(|key| key.public == away.public()).expect("its file");
    fs::remove_file(gone.path).expect("take it away");
    let waiting = publisher.directory.renew(NOW).expect("staged");
    let lacking = vec![Lacking { role: Role::Targets, needed: 2, valid: 1 }];
    assert_eq!(waiting, Published::Waiting(lacking.clone()));
    assert_eq!(publisher.directory.waiting().expect("read"), Some(lacking));
    assert!(matches!(publisher.directory.sign(vec![away], NOW).expect("sign"), Published::Version(_)));
    assert_eq!(publisher.directory.waiting().expect("read"), None);
}

mod clock;
mod crash;
mod images;
mod place;
