use super::*;
use crate::{
    fixture::{ARCH, NOW, Publisher, version},
    publish::KeyPlan,
    trust::{Expected, Invalid, verify_from},
};
use std::fs;
use weir_model::{InvalidReason, ReleaseCheck};

fn published() -> (Publisher, Vec<u8>) {
    let publisher = Publisher::new(KeyPlan::Development);
    publisher.build("1.0.0-b1", NOW);
    let bytes = fs::read(publisher.archive("1.0.0-b1", "a.weir")).expect("archive");
    (publisher, bytes)
}

/// Where this text begins.
fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("text")
}

/// What a store that saw nothing yet says of these bytes.
fn verdict(publisher: &Publisher, bytes: &[u8]) -> Option<(ReleaseCheck, InvalidReason)> {
    let _ = fs::remove_dir_all(publisher.path("trust"));
    let store = publisher.store("trust");
    let path = publisher.path("edited.weir");
    fs::write(&path, bytes).expect("write");
    let verified = Archive::open(&path).map_err(Invalid::from).and_then(|archive| store.verify(archive, &Expected::default(), NOW));
    verified.err().map(|error| (error.check(), error.reason()))
}

fn container(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (path, body) in entries {
        writer.add(path, body.len() as u64, body.as_slice()).expect("memory");
    }
    writer.finish().expect("memory")
}

fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = TarReader::new(bytes);
    let mut entries = Vec::new();
    while let Some(head) = reader.next_entry().expect("whole") {
        entries.push((head.path, reader.body(u64::MAX).expect("whole").expect("no limit")));
    }
    entries
}

#[test]
fn names() {
    assert_eq!(archive_name(version("1.2.3-b4"), ARCH), "weir-1.2.3-b4-x86_64.weir");
    assert_eq!(image_name(version("1.2.3-b4"), ARCH), "weir-1.2.3-b4-x86_64.image");
    let (publisher, bytes) = published();
    let order: Vec<String> = entries(&bytes).into_iter().map(|(path, _)| path).collect();
    let expected = ["1.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json"].map(|name| format!("metadata/{name}"));
    assert_eq!(order[..4], expected);
    assert_eq!(order[4], "image/weir-1.0.0-b1-x86_64.image");
    assert_eq!(verdict(&publisher, &bytes), None);
    assert_eq!(verdict(&publisher, &container(&entries(&bytes))), None);
}

#[test]
fn every_broken_archive_has_its_reason() {
    let (publisher, whole) = published();
    type Edit = fn(&mut Vec<(String, Vec<u8>)>);
    use {InvalidReason as R, ReleaseCheck as C};
    let cases: [(&str, Edit, (C, R)); 12] = [
        ("another image byte", |e| *e[4].1.last_mut().expect("bytes") ^= 1, (C::Content, R::WrongDigest)),
        ("a longer image", |e| e[4].1.push(0), (C::Content, R::WrongSize)),
        ("another arch", |e| e[4].0 = e[4].0.replace("x86_64", "aarch64"), (C::Listed, R::Delisted)),
        ("another version", |e| e[4].0 = e[4].0.replace("1.0.0", "1.0.1"), (C::Listed, R::Delisted)),
        ("no image", |e| drop(e.pop()), (C::Archive, R::NotAnArchive)),
        ("two images", |e| e.push(("image/other".into(), vec![])), (C::Archive, R::NotAnArchive)),
        ("no timestamp", |e| drop(e.remove(3)), (C::Archive, R::MetadataMissing)),
        ("no root", |e| drop(e.remove(0)), (C::Archive, R::MetadataMissing)),
        ("two timestamps", |e| e.insert(0, e[3].clone()), (C::Archive, R::NotAnArchive)),
        ("another file", |e| e.insert(0, ("README".into(), vec![])), (C::Archive, R::NotAnArchive)),
        ("a large root", |e| e[0].1.resize(1024 * 1024, b' '), (C::Archive, R::TooLarge)),
        ("no JSON", |e| e[3].1 = b"?".to_vec(), (C::Signature, R::MetadataMalformed)),
    ];
    for (name, edit, expected) in cases {
        let mut edited = entries(&whole);
        edit(&mut edited);
        assert_eq!(verdict(&publisher, &container(&edited)), Some(expected), "{name}");
    }
}

#[test]
fn every_broken_file_has_its_reason() {
    let (publisher, whole) = published();
    use {InvalidReason as R, ReleaseCheck as C};
    let header = find(&whole, "image/");
    let edited = |at: usize, text: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + text.len()].copy_from_slice(text);
        bytes
    };
    for (name, bytes, reason) in [
        ("empty", Vec::new(), R::Truncated),
        ("cut", whole[..whole.len() / 2].to_vec(), R::Truncated),
        ("cut before its end marker", whole[..whole.len() - 1024].to_vec(), R::Truncated),
        ("longer", [whole.as_slice(), &[0]].concat(), R::NotAnArchive),
        ("a page of an error", b"<html>".repeat(2000), R::NotAnArchive),
        ("a link", edited(header + 156, b"2"), R::UnsafeEntry),
        ("out of the folder", edited(header, b"../../"), R::UnsafeEntry),
        ("absolute", edited(header, b"/"), R::UnsafeEntry),
        ("another owner", edited(header + 108, b"0000001"), R::NotAnArchive),
    ] {
        assert_eq!(verdict(&publisher, &bytes), Some((C::Archive, reason)), "{name}");
    }
    // The last signature before the image is the timestamp's; the first is of the root, which is pinned and not read again.
    let text = b"\"sig\": \"";
    let digits = whole[..header].windows(text.len()).rposition(|window| window == text).expect("a signature") + text.len();
    let forged = edited(digits, if whole[digits] == b'0' { b"1" } else { b"0" });
    assert_eq!(verdict(&publisher, &forged), Some((C::Signature, R::Unsigned)));
    let path = publisher.path("none.weir");
    assert!(matches!(Archive::open(&path), Err(ArchiveError::File { .. })));
}

#[test]
fn what_an_archive_says_of_itself() {
    let (publisher, _) = published();
    let archive = Archive::open(&publisher.path("a.weir")).expect("archive");
    assert_eq!(archive.manifest().expect("image").version, version("1.0.0-b1"));
    let claims = archive.content().metadata().claims().expect("metadata");
    assert_eq!((claims.root, claims.timestamp, claims.signed_at), (1, 2, NOW));
    assert_eq!(claims.expires, NOW + crate::METADATA_LIFE.as_secs());
    assert_eq!(claims.listing, publisher.directory.listing().expect("published"));
    let root = publisher.directory.root().expect("root");
    let verify = |now| verify_from(&root, Archive::open(&publisher.path("a.weir")).expect("archive"), &Expected::default(), now);
    assert_eq!(verify(NOW).expect("valid").manifest.version, version("1.0.0-b1"));
    assert_eq!(verify(claims.expires).expect_err("expired").reason(), InvalidReason::Expired);
}

#[test]
fn an_archive_over_its_limit_is_not_read() {
    let (publisher, _) = published();
    let path = publisher.path("large.weir");
    File::create(&path).and_then(|file| file.set_len(ARCHIVE_MAX_BYTES + 1)).expect("a sparse file");
    assert!(matches!(Archive::open(&path), Err(ArchiveError::TooLarge)));
}

#[test]
fn what_was_registered_must_be_what_it_is() {
    let (publisher, _) = published();
    let store = publisher.store("trust");
    let verify = |version: Option<Version>, arch: Option<&str>| {
        let archive = Archive::open(&publisher.path("a.weir")).expect("archive");
        let expected = Expected { version, arch: arch.map(str::to_owned) };
        store.verify(archive, &expected, NOW).err().map(|error| (error.check(), error.reason()))
    };
    assert_eq!(verify(Some(version("1.0.0-b1")), Some(ARCH)), None);
    assert_eq!(verify(Some(version("1.0.0-b2")), None), Some((ReleaseCheck::Version, InvalidReason::WrongVersion)));
    assert_eq!(verify(None, Some("aarch64")), Some((ReleaseCheck::Arch, InvalidReason::WrongArch)));
}

#[test]
fn a_schema_step_without_its_way_back_is_refused() {
    let publisher = Publisher::new(KeyPlan::Development);
    let mut plan = publisher.plan("1.0.0-b1");
    plan.migrations[0].down = None;
    publisher.directory.build(&plan, NOW).expect("a publisher may");
    let bytes = fs::read(publisher.archive("1.0.0-b1", "a.weir")).expect("archive");
    assert_eq!(verdict(&publisher, &bytes), Some((ReleaseCheck::Migrations, InvalidReason::MigrationOneWay)));
}

#[test]
fn what_is_signed_and_what_the_manifest_says_agree() {
    let (publisher, bytes) = published();
    let keys = || publisher.keys("development");
    let with = |set: MetadataSet| {
        let mut edited = entries(&bytes);
        let image = edited.pop().expect("image");
        let metadata = set.files().map(|(name, body)| (format!("{FOLDER}{name}"), body.to_vec()));
        container(&metadata.chain([image]).collect::<Vec<_>>())
    };
    let name = tough::TargetName::new(image_name(version("1.0.0-b1"), ARCH)).expect("name");
    let custom = |path: &'static str, value: serde_json::Value| {
        let name = name.clone();
        move |targets: &mut tough::schema::Targets| {
            let target = targets.targets.get_mut(&name).expect("listed");
            *target.custom.get_mut("weir").expect("custom").pointer_mut(path).expect(path) = value;
        }
    };
    let gate = serde_json::json!([{"name": "x", "kind": "local", "since": "1.0", "default": true}]);
    let digest = weir_slots::digest_of_bytes(b"other").to_string();
    use {InvalidReason as R, ReleaseCheck as C};
    for (path, value, expected) in [
        ("/interface/gates", gate, (C::Manifest, R::ManifestMalformed)),
        ("/manifest", digest.into(), (C::Manifest, R::ManifestMalformed)),
        ("/version", "1.0.1-b1".into(), (C::Signature, R::MetadataMalformed)),
        ("/arch", "aarch64".into(), (C::Signature, R::MetadataMalformed)),
    ] {
        let forged = publisher.forge(keys()).targets(custom(path, value)).set;
        assert_eq!(verdict(&publisher, &with(forged)), Some(expected), "{path}");
    }
    let unknown = publisher.forge(keys()).targets(|targets| {
        targets._extra.get_mut("weir").expect("lineage")["lineage"] = serde_json::json!({"lines": ["2.0"]});
    });
    assert_eq!(verdict(&publisher, &with(unknown.set)), Some((C::Lineage, R::UnknownLine)));
    let without = publisher.forge(keys()).targets(|targets| drop(targets._extra.remove("weir")));
    assert_eq!(verdict(&publisher, &with(without.set)), Some((C::Signature, R::MetadataMalformed)));
}
